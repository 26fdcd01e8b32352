# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/taskres.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
model = dict(clip=clip)
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
