# Your own images with all their classes: data_root is a folder of class folders, or a CSV or JSON
# list (docs/own_data.md)
_base_ = '../pipelines/clip_224.py'
data_root = 'data/own'
num_shots = 16

train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='OwnImages',
        split='train',
        data_root=data_root,
        num_shots=num_shots,
        pipeline=_base_.squash_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=100,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='OwnImages', split='test', data_root=data_root, pipeline=_base_.test_pipeline
    ),
)
test_cfg = dict(type='SubsetTestLoop')
test_evaluator = dict(type='SubsetAccuracy')
