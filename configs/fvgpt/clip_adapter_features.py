# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/clip_adapter.py',
    '../_base_/datasets/features.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
clip = dict(_delete_=True, type='PrecomputedCLIP')
model = dict(clip=dict(_delete_=True, type='PrecomputedCLIP'))
train_dataloader = dict(batch_size=32)
