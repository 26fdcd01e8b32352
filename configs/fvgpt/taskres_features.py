# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/taskres.py',
    '../_base_/datasets/features.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
clip = dict(_delete_=True, type='PrecomputedCLIP')
model = dict(clip=dict(_delete_=True, type='PrecomputedCLIP'))
