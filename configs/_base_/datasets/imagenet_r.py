# ImageNetR: 200 of the classes, labels over these
_base_ = './test_only.py'
facts = dict(
    title='ImageNetR',
    classes=200,
    test=30000,
    published=dict(images='https://github.com/hendrycks/imagenet-r'),
)
test_dataset = dict(
    type='ClassFolderDataset',
    img_dir='imagenet-rendition/imagenet-r',
    folders=dict(test=''),
    class_names='imagenet',
    num_classes=200,
    metainfo=dict(dataset_name='ImageNetR'),
)
