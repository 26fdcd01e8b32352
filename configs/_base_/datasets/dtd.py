# DescribableTextures: a random split, not the official ones
_base_ = './base_to_new.py'
facts = dict(
    title='DescribableTextures',
    classes=47,
    train=2820,
    val=1128,
    test=1692,
    test_base=864,
    test_new=828,
    md5='02ff57f1',
    published=dict(
        images='https://www.robots.ox.ac.uk/~vgg/data/dtd/',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#dtd',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='dtd/split_zhou_DescribableTextures.json',
    img_dir='dtd/images',
    archive='dtd/dtd',
    metainfo=dict(dataset_name='DescribableTextures'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
