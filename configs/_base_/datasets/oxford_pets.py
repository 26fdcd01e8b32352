# OxfordPets: class names are lower-case breeds with underscores
_base_ = './base_to_new.py'
facts = dict(
    title='OxfordPets',
    classes=37,
    train=2944,
    val=736,
    test=3669,
    test_base=1881,
    test_new=1788,
    md5='fadad0ca',
    published=dict(
        images='https://www.robots.ox.ac.uk/~vgg/data/pets/',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#oxfordpets',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='oxford_pets/split_zhou_OxfordPets.json',
    img_dir='oxford_pets/images',
    archive='oxford_pets',
    metainfo=dict(dataset_name='OxfordPets'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
