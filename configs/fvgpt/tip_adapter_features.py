# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/tip_adapter.py',
    '../_base_/datasets/features.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
clip = dict(_delete_=True, type='PrecomputedCLIP')
model = dict(clip=dict(_delete_=True, type='PrecomputedCLIP'))
# Tip-Adapter as such: the cache is filled and not trained
optim_wrapper = dict(optimizer=dict(lr=0.0))
train_cfg = dict(max_epochs=1)
default_hooks = dict(tip_cache=dict(type='TipCacheHook'))
