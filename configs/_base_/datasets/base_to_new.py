# Base-to-new: trains on 16 images per class of the base half, tests on both halves
_base_ = './test_only.py'
num_shots = 16
train_dataloader = dict(
    batch_size=4,
    batch_sampler=dict(type='WholeBatchSampler'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        data_root=_base_.data_root,
        split='train',
        subset='base',
        num_shots=num_shots,
        pipeline=_base_.squash_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=100,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=_base_.test_dataset,
)
test_cfg = dict(type='SubsetTestLoop', tests=[dict(subset='base'), dict(subset='new')])
test_evaluator = dict(type='SubsetAccuracy')
facts = dict(
    published=dict(
        masks='https://huggingface.co/datasets/JREion/Prompt_Tuning_Datasets_with_Foreground'
    )
)
