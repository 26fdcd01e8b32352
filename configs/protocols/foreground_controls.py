# What is the foreground worth on your data? FVG-PT with true masks against controls, on all views
# of the test images (docs/protocols.md)
title = 'What the foreground is worth'
tuners = ['coop']
datasets = ['quickstart']
# Own images have no base half otherwise: tuned on the first half of the classes, by name
options = {'train_dataloader.dataset.subset': 'base'}
stage2 = dict(
    test_evaluator=[
        dict(type='SubsetAccuracy'),
        dict(type='ForegroundShift', views=['foreground', 'foreground_black']),
    ]
)
_robust = '../fvgpt/{tuner}_fvg_robust_{dataset}.py'
_mask_of = 'train_dataloader.dataset.mask_of'
variants = {
    'true masks': {},
    'masks of other images': dict(stage2={_mask_of: 'shuffled'}),
    'masks of equal area': dict(stage2={_mask_of: 'area_matched'}),
    'full view as foreground': dict(stage2={'model.fg_fill': 'image'}),
    'gate off': dict(stage2={'model.reliability_gate': None}),
    'robust': dict(recipe=_robust),
    'robust, masks of other images': dict(recipe=_robust, stage2={_mask_of: 'shuffled'}),
}
_views = ['foreground', 'foreground_black', 'background', 'exchanged', 'blurred']
evaluate = dict(
    base=dict(subset='base'),
    new=dict(subset='new', branch='new'),
    **{f'base_{view}': dict(subset='base', view=view) for view in _views},
)
columns = [
    'base',
    'new',
    'h',
    *(f'base_{view}' for view in _views),
    'base_foreground_shift',
    'base_foreground_black_shift',
]
_tuner = dict(variant='true masks', source='tuner')
compare = [
    dict(
        of='true masks',
        minus='masks of other images',
        column='base',
        sentence='The foreground is worth {difference} points on your data',
    ),
    dict(
        of='true masks',
        minus=_tuner,
        column='base',
        sentence='FVG-PT is worth {difference} points over {tuner} on your data',
    ),
    dict(
        of='robust',
        minus=_tuner,
        column='base_exchanged',
        sentence='On other backgrounds, robust FVG-PT is worth {difference} points over {tuner}',
    ),
    dict(
        of='robust',
        minus='robust, masks of other images',
        column='base_exchanged',
        sentence='Of that, the true masks are worth {difference} points',
    ),
    dict(of='true masks', minus='masks of equal area'),
    dict(of='true masks', minus='full view as foreground'),
    dict(of='true masks', minus='gate off'),
    dict(of='masks of other images', minus=_tuner),
    dict(of='robust', minus=_tuner),
    dict(of='robust', minus='robust, masks of other images'),
]
