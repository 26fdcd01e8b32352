# Table 3: contribution of each of the three modules, on CoOp
_base_ = './base_to_new.py'
title = 'Modules of FVG-PT'
tuners = ['coop']
_off = {
    module: {f'model.{module}': None}
    for module in ('compensation', 'reliability_gate', 'calibration')
}
variants = {
    'FDC only': dict(stage2={**_off['reliability_gate'], **_off['calibration']}),
    'PC only': dict(stage2=_off['compensation']),
    'FRG+FDC': dict(stage2=_off['calibration']),
    'FDC+PC': dict(stage2=_off['reliability_gate']),
    'FRG+FDC+PC': {},
}
