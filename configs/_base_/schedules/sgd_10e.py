# CoOp and KgCoOp in FVG-PT's settings: SGD .0035, batches of 4, 10 epochs, one of them warm-up
train_cfg = dict(by_epoch=True, max_epochs=10)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0035, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = dict(type='WarmupCosineLR', warmup_lr=1e-5, warmup_epochs=1)
