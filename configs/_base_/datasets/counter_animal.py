# CounterAnimal: 45 animals on common and on unusual backgrounds, among ImageNet's 1000 classes
_base_ = './test_only.py'
facts = dict(
    title='CounterAnimal',
    classes=1000,
    test=13100,
    groups=dict(common=7174, counter=5926),
    published=dict(images='https://counteranimal.github.io', mirror=None),
)
_pipeline = [*_base_.test_pipeline[:-1], dict(type='PackInputs', algorithm_keys=['group'])]
test_dataset = dict(
    type='CounterAnimal',
    img_dir='counteranimal/LAION-final',
    folders=dict(test=''),
    num_classes=45,
    pipeline=_pipeline,
    metainfo=dict(dataset_name='CounterAnimal'),
)
