_base_ = './promptsrc_food101.py'
tuner_recipe = '{{ fileDirname }}/promptsrc_food101.py'  # stage 1, run first unless model.backbone_checkpoint is set
model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)
train_dataloader = dict(dataset=dict(mask_root='mask', pipeline=_base_.foreground_pipeline))
default_hooks = dict(prompt_aggregation=None)  # of the tuner's own training
