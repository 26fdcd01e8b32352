_base_ = './tip_adapter_f_quickstart.py'
tuner_recipe = '{{ fileDirname }}/tip_adapter_f_quickstart.py'
model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)
train_dataloader = dict(dataset=dict(mask_root='mask', pipeline=_base_.foreground_pipeline))
default_hooks = dict(tip_cache=None)  # of the tuner's own training
