# StanfordCars: the images are in img_dir/cars_train and img_dir/cars_test; class names begin with
# the year
_base_ = './base_to_new.py'
facts = dict(
    title='StanfordCars',
    classes=196,
    train=6509,
    val=1635,
    test=8041,
    test_base=4002,
    test_new=4039,
    md5='91255fab',
    published=dict(
        images='https://ai.stanford.edu/~jkrause/cars/car_dataset.html',
        split_file='https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#stanfordcars',
    ),
)
dataset = dict(
    type='SplitFileDataset',
    split_file='stanford_cars/split_zhou_StanfordCars.json',
    img_dir='stanford_cars',
    archive='stanford_cars',
    metainfo=dict(dataset_name='StanfordCars'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
