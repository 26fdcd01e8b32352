_base_ = [
    '../_base_/models/cocoop.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
model = dict(clip=clip)
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
train_cfg = dict(
    max_epochs=3
)  # every image encodes all classes: a shorter run than the original's ten epochs
optim_wrapper = dict(optimizer=dict(lr=0.002))
