# MMRL as its authors ran it on ImageNet: batches of 32, 5 epochs, their regularisation
# weight
# Written by tools/make_recipes.py
_base_ = './mmrl_imagenet.py'
model = dict(reg_weight='ImageNet')
train_dataloader = dict(batch_size=32)
train_cfg = dict(max_epochs=5)
