# CoOp as its authors ran it: 16 context tokens, batches of 32, SGD .002, 50 epochs, random
# crops
# Written by tools/make_recipes.py
_base_ = './coop_imagenet.py'
model = dict(n_ctx=16)
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=_base_.crop_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.002))
train_cfg = dict(max_epochs=50)
