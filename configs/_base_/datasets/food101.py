# Food101: a random split, not the official one
_base_ = './base_to_new.py'
facts = dict(
    title='Food101',
    classes=101,
    train=50500,
    val=20200,
    test=30300,
    test_base=15300,
    test_new=15000,
    published=dict(
        images='https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#food101',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='food-101/split_zhou_Food101.json',
    img_dir='food-101/images',
    archive='food101',
    metainfo=dict(dataset_name='Food101'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
