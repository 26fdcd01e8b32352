# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/tip_adapter.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
model = dict(clip=clip)
# Tip-Adapter as such: the cache is filled and not trained
optim_wrapper = dict(optimizer=dict(lr=0.0))
train_cfg = dict(max_epochs=1)
default_hooks = dict(tip_cache=dict(type='TipCacheHook'))
