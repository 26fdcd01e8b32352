_base_ = [
    '../_base_/models/maple.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
model = dict(clip=clip, depth=4)  # its towers have six layers
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
train_cfg = dict(max_epochs=5)
