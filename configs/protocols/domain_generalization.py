# The models of cross_dataset.py on four variants of ImageNet. Their classes were trained on, so the open-world
# branch, which goes by name, predicts them as base classes, A's and R's 200 among them.
_base_ = './cross_dataset.py'
title = 'Domain generalisation from ImageNet'
average = ['imagenet_v2', 'imagenet_sketch', 'imagenet_a', 'imagenet_r']
evaluate = dict(
    _delete_=True, imagenet={}, **{name: dict(dataset=name, branch='open') for name in average}
)
columns = ['imagenet', *average]
