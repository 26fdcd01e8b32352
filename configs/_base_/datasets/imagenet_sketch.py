# ImageNetSketch: drawings of the 1000 classes
_base_ = './test_only.py'
facts = dict(
    title='ImageNetSketch',
    classes=1000,
    test=50889,
    published=dict(images='https://github.com/HaohanWang/ImageNet-Sketch'),
)
test_dataset = dict(
    type='ClassFolderDataset',
    img_dir='imagenet-sketch/images',
    folders=dict(test=''),
    class_names='imagenet',
    num_classes=1000,
    metainfo=dict(dataset_name='ImageNetSketch'),
)
