# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/maple.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/sgd_10e.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
# the towers of the embedded CLIP have six layers
model = dict(clip=clip, depth=4)
train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
train_cfg = dict(max_epochs=5)
