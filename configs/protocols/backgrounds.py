# The models of cross_dataset.py on tests of the background: ImageNet-9 (Backgrounds Challenge),
# where ImageNet's classes count as the superclasses they belong to, CounterAnimal and ImageNet-S.
# The ImageNet-S columns are of the same images: full, foreground on the mean colour, background
# with the object filled in. bg_gap and counter_gap are in points, and smaller is better.
_base_ = './cross_dataset.py'
title = 'Sensitivity to the background'
_in9 = dict(
    in9_original='imagenet_9',
    in9_mixed_same='imagenet_9_mixed_same',
    in9_mixed_rand='imagenet_9_mixed_rand',
    in9_only_fg='imagenet_9_only_fg',
)
evaluate = dict(
    _delete_=True,
    imagenet={},
    **{column: dict(dataset=name) for column, name in _in9.items()},
    common=dict(dataset='counter_animal', options=dict(only='common')),
    counter=dict(dataset='counter_animal', options=dict(only='counter')),
    imagenet_s=dict(dataset='imagenet_s', branch='open', options=dict(view='full')),
    imagenet_s_fg=dict(dataset='imagenet_s', branch='open', options=dict(view='foreground')),
    imagenet_s_bg=dict(dataset='imagenet_s', branch='open', options=dict(view='background')),
)
differences = dict(bg_gap=['in9_mixed_same', 'in9_mixed_rand'], counter_gap=['common', 'counter'])
columns = ['imagenet', *_in9, 'bg_gap', 'common', 'counter', 'counter_gap']
columns += ['imagenet_s', 'imagenet_s_fg', 'imagenet_s_bg']
average = []
