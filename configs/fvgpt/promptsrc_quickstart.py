_base_ = [
    '../_base_/models/promptsrc.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/promptsrc.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
model = dict(clip=clip, depth_text=4, depth_vision=4)  # its towers have six layers
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=_base_.crop_pipeline))
default_hooks = dict(prompt_aggregation=_base_.aggregation)
