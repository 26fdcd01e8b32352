# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/linear_text.py',
    '../_base_/datasets/features.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
clip = dict(_delete_=True, type='PrecomputedCLIP')
model = dict(clip=dict(_delete_=True, type='PrecomputedCLIP'))
optim_wrapper = dict(optimizer=dict(lr=0.0001))
