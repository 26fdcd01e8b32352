# ImageNet-9 (Backgrounds Challenge), original images. The files imagenet_9_*.py are its variations.
# With names='superclasses' the nine names are predicted instead of ImageNet's classes.
_base_ = './test_only.py'
facts = dict(
    title='ImageNet9',
    classes=9,
    test=4050,
    published=dict(
        images='https://github.com/MadryLab/backgrounds_challenge/releases', mirror=None
    ),
)
test_dataset = dict(
    type='ImageNet9',
    img_dir='bg_challenge/original/val',
    folders=dict(test=''),
    num_classes=9,
    metainfo=dict(dataset_name='ImageNet9'),
)
