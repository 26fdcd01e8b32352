# KgCoOp as its authors ran it: W = 8, batches of 128, SGD .002, 100 epochs
# Written by tools/make_recipes.py
_base_ = './kgcoop_imagenet.py'
model = dict(weight=8.0)
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=0.002))
train_cfg = dict(max_epochs=100)
