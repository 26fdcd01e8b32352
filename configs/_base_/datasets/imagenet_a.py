# ImageNetA: 200 of the classes, labels over these
_base_ = './test_only.py'
facts = dict(
    title='ImageNetA',
    classes=200,
    test=7500,
    published=dict(images='https://github.com/hendrycks/natural-adv-examples'),
)
test_dataset = dict(
    type='ClassFolderDataset',
    img_dir='imagenet-adversarial/imagenet-a',
    folders=dict(test=''),
    class_names='imagenet',
    num_classes=200,
    metainfo=dict(dataset_name='ImageNetA'),
)
