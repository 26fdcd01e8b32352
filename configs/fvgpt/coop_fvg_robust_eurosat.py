# Written by tools/make_recipes.py
_base_ = ['./coop_fvg_eurosat.py', '../_base_/models/robust.py']
model = _base_.robust_model
train_dataloader = dict(dataset=dict(pipeline=_base_.exchange_pipeline))
optim_wrapper = _base_.robust_optim_wrapper
