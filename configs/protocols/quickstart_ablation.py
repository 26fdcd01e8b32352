# Table 3 of the paper on the embedded image set
_recipe = '../fvgpt/coop_fvg_quickstart.py'
_off = {module: {f'model.{module}': None} for module in ('compensation', 'reliability_gate', 'calibration')}
runs = {
    'FDC only': dict(recipe=_recipe, options={**_off['reliability_gate'], **_off['calibration']}),
    'PC only': dict(recipe=_recipe, options=_off['compensation']),
    'FRG+FDC': dict(recipe=_recipe, options=_off['calibration']),
    'FDC+PC': dict(recipe=_recipe, options=_off['reliability_gate']),
    'FRG+FDC+PC': dict(recipe=_recipe),
}
