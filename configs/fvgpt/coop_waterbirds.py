# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/coop.py',
    '../_base_/datasets/waterbirds.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
