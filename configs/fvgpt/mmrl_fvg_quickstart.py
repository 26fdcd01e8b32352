_base_ = './mmrl_quickstart.py'
tuner_recipe = '{{ fileDirname }}/mmrl_quickstart.py'
model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)
train_dataloader = dict(dataset=dict(mask_root='mask', pipeline=_base_.half_foreground_pipeline))
