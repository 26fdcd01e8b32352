# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/tcp.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
# the towers of the embedded CLIP have six layers
model = dict(clip=clip, layer=4)
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline), batch_size=32)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=0.002, weight_decay=0.0005))
