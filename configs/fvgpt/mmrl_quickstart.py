# Written by tools/make_recipes.py
_base_ = [
    '../_base_/models/mmrl.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
# the towers of the embedded CLIP have six layers
model = dict(clip=clip, layers=[3, 4, 5, 6], rep_dim=128)
train_dataloader = dict(dataset=dict(pipeline=_base_.half_crop_pipeline))
