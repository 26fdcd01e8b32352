# OxfordFlowers: a random split, not the official one
_base_ = './base_to_new.py'
facts = dict(
    title='OxfordFlowers',
    classes=102,
    train=4093,
    val=1633,
    test=2463,
    test_base=1053,
    test_new=1410,
    md5='cfeaf050',
    published=dict(
        images='https://www.robots.ox.ac.uk/~vgg/data/flowers/102/',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#flowers102',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='oxford_flowers/split_zhou_OxfordFlowers.json',
    img_dir='oxford_flowers/jpg',
    archive='flowers-102',
    metainfo=dict(dataset_name='OxfordFlowers'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
