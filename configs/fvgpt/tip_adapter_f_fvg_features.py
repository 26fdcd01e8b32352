# Written by tools/make_recipes.py
_base_ = './tip_adapter_f_features.py'
# stage 1, run first unless model.backbone_checkpoint is set
tuner_recipe = '{{ fileDirname }}/tip_adapter_f_features.py'
model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)
train_dataloader = dict(dataset=dict(views=dict(full='full', foreground='foreground', area='area')))
# of the tuner's own training, which is over
default_hooks = dict(tip_cache=None)
