# Waterbirds: trains on both classes, tests by group (bird x place)
_base_ = './base_to_new.py'
facts = dict(
    title='Waterbirds',
    classes=2,
    train=4795,
    val=1199,
    test=5794,
    published=dict(
        images='https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz',
        masks='http://www.vision.caltech.edu/visipedia/CUB-200-2011.html',
        mirror=None,
    ),
)
dataset = dict(
    type='Waterbirds',
    list_file='waterbird_complete95_forest2water2/metadata.csv',
    mask_suffix='.png',  # as the segmentations of CUB
    metainfo=dict(dataset_name='Waterbirds'),
)
_pipeline = [*_base_.test_pipeline[:-1], dict(type='PackInputs', algorithm_keys=['group'])]
train_dataloader = dict(dataset=dict(dataset, subset='all'))
test_dataset = dict(dataset, pipeline=_pipeline)
test_dataloader = dict(dataset=test_dataset)
test_cfg = dict(tests=[dict(subset='all')])
test_evaluator = [dict(type='SubsetAccuracy'), dict(type='WorstGroupAccuracy')]
