# EuroSAT: the RGB images, 64 x 64
_base_ = './base_to_new.py'
facts = dict(
    title='EuroSAT',
    classes=10,
    train=13500,
    val=5400,
    test=8100,
    test_base=4200,
    test_new=3900,
    md5='989e1eca',
    published=dict(
        images='https://github.com/phelber/EuroSAT',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#eurosat',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='eurosat/split_zhou_EuroSAT.json',
    img_dir='eurosat/2750',
    archive='eurosat',
    metainfo=dict(dataset_name='EuroSAT'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
