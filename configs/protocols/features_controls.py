# Does the foreground help? FVG-PT on precomputed features (docs/features.md) with the true
# foreground views, and with two controls in their place: masks of other images, and the full view.
# Besides the usual tensors the file needs train_foreground_shuffled and train_area_shuffled, and
# test_foreground, test_exchanged and test_blurred of base images.
title = 'Controls of the foreground, on features'
tuners = ['linear_text']
datasets = ['features']
_base_images = [None, 'foreground', 'exchanged', 'blurred']
_tests = [*(dict(subset='base', view=view) for view in _base_images), dict(subset='new')]
stage2 = {'test_cfg.tests': _tests}
_robust = '../fvgpt/{tuner}_fvg_robust_{dataset}.py'
_views = 'train_dataloader.dataset.views'
variants = {
    'FDC only + PC': dict(stage2={'model.reliability_gate': None}),
    'FRG+FDC+PC': {},
    'control: foreground = full view': dict(stage2={f'{_views}.foreground': 'full'}),
    'control: shuffled masks': dict(
        stage2={f'{_views}.foreground': 'foreground_shuffled', f'{_views}.area': 'area_shuffled'}
    ),
    'robust': dict(recipe=_robust),
    'robust, shuffled masks': dict(
        recipe=_robust,
        stage2={
            f'{_views}.foreground': 'foreground_shuffled',
            f'{_views}.exchanged': 'exchanged_shuffled',
            f'{_views}.area': 'area_shuffled',
        },
    ),
}
_tuner = dict(variant='FRG+FDC+PC', source='tuner')
compare = [
    dict(
        of='FRG+FDC+PC',
        minus='control: shuffled masks',
        column='base',
        sentence='The foreground is worth {difference} points on base classes',
    ),
    dict(of='FRG+FDC+PC', minus='control: foreground = full view'),
    dict(
        of='robust',
        minus='robust, shuffled masks',
        column='base_exchanged',
        sentence='On other backgrounds, the true masks are worth {difference} points (robust)',
    ),
    *(dict(of=name, minus=_tuner) for name in variants),
]
columns = ['base', 'base_exchanged', 'base_foreground', 'base_blurred', 'new', 'h']
