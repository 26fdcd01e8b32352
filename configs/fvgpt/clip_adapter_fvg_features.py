# Written by tools/make_recipes.py
_base_ = './clip_adapter_features.py'
# stage 1, run first unless model.backbone_checkpoint is set
tuner_recipe = '{{ fileDirname }}/clip_adapter_features.py'
model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)
train_dataloader = dict(dataset=dict(views=dict(full='full', foreground='foreground', area='area')))
