# CoOp on EuroSAT, whose base half has only 80 images: SGD .002, 20 epochs (decision O19)
_base_ = './sgd_10e.py'
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=0.002))
