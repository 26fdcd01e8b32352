# ImageNetV2: matched frequency; its folders are the numbers of the classes
_base_ = './test_only.py'
facts = dict(
    title='ImageNetV2',
    classes=1000,
    test=10000,
    published=dict(images='https://github.com/modestyachts/ImageNetV2'),
)
test_dataset = dict(
    type='ClassFolderDataset',
    img_dir='imagenetv2/imagenetv2-matched-frequency-format-val',
    folders=dict(test=''),
    class_names='imagenet',
    num_classes=1000,
    metainfo=dict(dataset_name='ImageNetV2'),
)
