# Written by tools/make_recipes.py
_base_ = ['./mmrl_fvg_dtd.py', '../_base_/models/robust.py']
model = _base_.robust_model
train_dataloader = dict(dataset=dict(pipeline=_base_.half_exchange_pipeline))
optim_wrapper = _base_.robust_optim_wrapper
