# ImageNet: its own validation images are the test split, and there is no validation list
_base_ = './base_to_new.py'
facts = dict(
    title='ImageNet',
    classes=1000,
    train=1281167,
    test=50000,
    test_base=25000,
    test_new=25000,
    published=dict(images='https://image-net.org/download.php', mirror=None),
)
dataset = dict(
    type='ClassFolderDataset',
    img_dir='imagenet/images',
    folders=dict(train='train', test='val'),
    class_names='imagenet',
    num_classes=1000,
    archive='imagenet-1k',
    metainfo=dict(dataset_name='ImageNet'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
