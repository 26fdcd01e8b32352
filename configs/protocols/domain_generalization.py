# The models of cross_dataset.py on four variants of ImageNet. Their classes were trained on, so the
# open-world branch, which compares names, predicts them as base classes, including the 200 of A and
# of R.
_base_ = './cross_dataset.py'
title = 'Domain generalisation from ImageNet'
average = ['imagenet_v2', 'imagenet_sketch', 'imagenet_a', 'imagenet_r']
evaluate = dict(
    _delete_=True, imagenet={}, **{name: dict(dataset=name, branch='open') for name in average}
)
columns = ['imagenet', *average]
