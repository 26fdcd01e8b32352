# Written by tools/make_recipes.py
_base_ = ['./tip_adapter_f_fvg_features.py', '../_base_/models/robust.py']
model = _base_.robust_model
train_dataloader = dict(dataset=dict(views=dict(exchanged='exchanged')))
optim_wrapper = _base_.robust_optim_wrapper
