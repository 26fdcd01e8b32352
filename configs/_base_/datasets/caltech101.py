# Caltech101: without the classes BACKGROUND_Google and Faces_easy
_base_ = './base_to_new.py'
facts = dict(
    title='Caltech101',
    classes=100,
    train=4128,
    val=1649,
    test=2465,
    test_base=1549,
    test_new=916,
    md5='385cabeb',
    published=dict(
        images='https://data.caltech.edu/records/mzrjq-6wc02',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#caltech101',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='caltech-101/split_zhou_Caltech101.json',
    img_dir='caltech-101/101_ObjectCategories',
    archive='caltech-101',
    metainfo=dict(dataset_name='Caltech101'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
