# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/linear_text.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
model = dict(clip=clip)
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.0001))
