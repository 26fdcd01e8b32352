# The embedded image set, drawn to data_root on first use: 64 x 64 pixels, 20 base and 20 new classes
data_root = 'data/quickstart'
num_shots = 16
_load = dict(type='LoadImageFromFile', imdecode_backend='pillow', color_type='color_ignore_orientation')
foreground_pipeline = [
    _load,
    dict(type='LoadForegroundMask'),
    dict(type='PairedRandomResizedCrop', scale=64),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackForegroundInputs'),
]
# MMRL's gentler crop
half_foreground_pipeline = [
    dict(step, area=(0.5, 1.0)) if step['type'] == 'PairedRandomResizedCrop' else step for step in foreground_pipeline
]
crop_pipeline, half_crop_pipeline = (
    [step for step in steps if step['type'] != 'LoadForegroundMask']
    for steps in (foreground_pipeline, half_foreground_pipeline))
_plain_pipeline = [_load, dict(type='PackInputs')]  # the images have the input size already
_dataset = dict(type='QuickstartWorld', data_root=data_root)

train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', subset='base', num_shots=num_shots, pipeline=_plain_pipeline, **_dataset))
test_dataloader = [
    dict(
        batch_size=100,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(split='test', subset=subset, pipeline=_plain_pipeline, **_dataset)) for subset in ('base', 'new')
]
test_evaluator = dict(type='SubsetAccuracy')
