# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/promptsrc.py',
    '../_base_/datasets/waterbirds.py',
    '../_base_/schedules/promptsrc.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline), batch_size=32)
default_hooks = dict(prompt_aggregation=_base_.aggregation)
