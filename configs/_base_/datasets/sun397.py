# SUN397: class names are the parts of the path in reverse: indoor ice_skating_rink
_base_ = './base_to_new.py'
facts = dict(
    title='SUN397',
    classes=397,
    train=15880,
    val=3970,
    test=19850,
    test_base=9950,
    test_new=9900,
    published=dict(
        images='http://vision.princeton.edu/projects/2010/SUN/',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#sun397',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='sun397/split_zhou_SUN397.json',
    img_dir='sun397/SUN397',
    archive='sun-397',
    metainfo=dict(dataset_name='SUN397'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
