# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/mmrl.py',
    '../_base_/datasets/waterbirds.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(pipeline=_base_.half_crop_pipeline))
