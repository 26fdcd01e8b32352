# mmpretrain's ImageClassifier and ResNet-18, from scratch, with the foreground views of our data
# set as teachers
_base_ = ['../_base_/datasets/quickstart.py', 'mmpretrain::_base_/default_runtime.py']
custom_imports = dict(imports=['fvgpt'], allow_failed_imports=False)
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ForegroundViewPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(type='ResNet', depth=18, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='ForegroundDistillationHead',
        num_classes=40,
        in_channels=512,
        reliability_gate=dict(type='ForegroundReliabilityGate'),
        gate_loss=dict(type='ReliabilityLoss'),
        distillation_loss=dict(type='ForegroundDistillationLoss', loss_weight=1.0),
    ),
)

train_dataloader = dict(
    batch_size=32, dataset=dict(subset='all', mask_root='mask', pipeline=_base_.foreground_pipeline)
)
val_dataloader = dict(
    batch_size=100,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(_base_.test_dataset, subset='all'),
)
val_evaluator = dict(type='Accuracy')
test_cfg = dict(_delete_=True, type='SubsetTestLoop')  # one test, of all classes

train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=10)
val_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05))
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
randomness = dict(seed=1)
