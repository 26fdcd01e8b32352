# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/kgcoop.py',
    '../_base_/datasets/waterbirds.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
