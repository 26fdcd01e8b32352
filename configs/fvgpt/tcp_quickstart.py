_base_ = [
    '../_base_/models/tcp.py',
    '../_base_/datasets/quickstart.py',
    '../_base_/schedules/mmrl.py',
    '../_base_/default_runtime.py',
]
clip = dict(name='quickstart', pretrained=None)
model = dict(clip=clip, layer=4)  # its towers have six layers
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=_base_.crop_pipeline))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=0.002, weight_decay=5e-4))
