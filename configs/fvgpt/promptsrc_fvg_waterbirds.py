# Written by tools/make_recipes.py
_base_ = './promptsrc_waterbirds.py'
# stage 1, run first unless model.backbone_checkpoint is set
tuner_recipe = '{{ fileDirname }}/promptsrc_waterbirds.py'
model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)
train_dataloader = dict(dataset=dict(mask_root='mask', pipeline=_base_.foreground_pipeline))
# of the tuner's own training, which is over
default_hooks = dict(prompt_aggregation=None)
