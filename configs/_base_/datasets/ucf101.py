# UCF101: middle frames, published by CoOp, of the clips of
# https://www.crcv.ucf.edu/data/UCF101.php
_base_ = './base_to_new.py'
facts = dict(
    title='UCF101',
    classes=101,
    train=7639,
    val=1898,
    test=3783,
    test_base=1934,
    test_new=1849,
    md5='3a70ae2e',
    published=dict(
        images='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#ucf101',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#ucf101',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='ucf101/split_zhou_UCF101.json',
    img_dir='ucf101/UCF-101-midframes',
    archive='ucf101',
    metainfo=dict(dataset_name='UCF101'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
