# Written by tools/make_recipes.py
_base_ = './mmrl_waterbirds.py'
# stage 1, run first unless model.backbone_checkpoint is set
tuner_recipe = '{{ fileDirname }}/mmrl_waterbirds.py'
model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)
train_dataloader = dict(dataset=dict(mask_root='mask', pipeline=_base_.half_foreground_pipeline))
