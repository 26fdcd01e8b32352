# FGVCAircraft: the official variant lists, in the same archive as the images
_base_ = './base_to_new.py'
facts = dict(
    title='FGVCAircraft',
    classes=100,
    train=3334,
    val=3333,
    test=3333,
    published=dict(
        images='https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/',
        lists='https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/',
    ),
)
dataset = dict(
    type='AircraftDataset',
    list_dir='fgvc_aircraft',
    img_dir='fgvc_aircraft/images',
    archive='fgvc_aircraft/fgvc-aircraft-2013b',
    metainfo=dict(dataset_name='FGVCAircraft'),
)
train_dataloader = test_dataloader = dict(dataset=dataset)
test_dataset = dataset
