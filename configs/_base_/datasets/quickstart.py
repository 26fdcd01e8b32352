# The embedded image set, drawn to data_root on first use: 64 x 64 pixels, 20 base and 20 new classes
_base_ = '../pipelines/clip_224.py'
data_root = 'data/quickstart'
num_shots = 16
# The object stands anywhere in the image and fills about a seventh of it: crops down to 8 % of the area, as for photographs,
# would often miss it, so all crops here are the gentler ones.
foreground_pipeline, crop_pipeline = (
    [dict(step, scale=64) if step['type'] == 'PairedRandomResizedCrop' else step for step in steps]
    for steps in (_base_.half_foreground_pipeline, _base_.half_crop_pipeline))
half_foreground_pipeline, half_crop_pipeline = foreground_pipeline, crop_pipeline
_plain_pipeline = [_base_.squash_pipeline[0], dict(type='PackInputs')]  # the images have the input size already
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
