# ImageNet-S: 919 classes of ImageNet, validation images with masks drawn by people
_base_ = './test_only.py'
facts = dict(
    title='ImageNetS',
    classes=919,
    test=12419,
    published=dict(
        images='https://github.com/LUSSeg/ImageNet-S',
        masks='https://github.com/LUSSeg/ImageNet-S/releases',
        mirror=None,
    ),
)
test_dataset = dict(
    type='ImageNetS',
    img_dir='imagenet-s/ImageNetS919/validation',
    folders=dict(test=''),
    class_names='imagenet',
    num_classes=919,
    metainfo=dict(dataset_name='ImageNetS'),
)
