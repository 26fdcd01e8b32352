# The choices that the paper leaves open (docs/method.md), each against the default, on the embedded
# image set; decisions_features.py makes the same on precomputed features
title = 'Open decisions, each against the default'
tuners = ['coop']
datasets = ['quickstart']
_tests = [dict(subset='base'), dict(subset='base', view='exchanged'), dict(subset='new')]
stage2 = {'test_cfg.tests': _tests}


def _variant(part, **keys):
    return dict(stage2={f'model.{part}.{key}': value for key, value in keys.items()})


variants = {
    'default': {},
    'O1: black background': dict(stage2={'model.fg_fill': 'black'}),
    'O2: no bounds of the area': _variant('reliability_gate', area_min=None, area_max=None),
    'O4: gradient of L_dist into r': _variant('distillation_loss', detach_trust=False),
    'O6: L_dist times tau^2': _variant('distillation_loss', tau_squared=True),
    'O6: KL of L_PC times tau^2': _variant('calibration_loss', tau_squared=True),
    'O8: small last weight': _variant('compensation', residual_init='small_weight'),
    'O8: layer scale': _variant('compensation', residual_init='layer_scale'),
    'O10: unit features': _variant('compensation', adapter_input='unit'),
    'O10: unit features, layer scale': _variant(
        'compensation', adapter_input='unit', residual_init='layer_scale'
    ),
    **{
        f'lambda_d = {weight}': _variant('distillation_loss', loss_weight=float(weight))
        for weight in (0, 1, 3, 30, 50)
    },
}
columns = ['base', 'base_exchanged', 'new', 'h']
compare = [dict(of=name, minus='default') for name in variants if name != 'default']
