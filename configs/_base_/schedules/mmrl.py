# MMRL in FVG-PT's settings: AdamW .001, batches of 4, 10 epochs
train_cfg = dict(by_epoch=True, max_epochs=10)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.001, betas=(0.9, 0.999), weight_decay=5e-4),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_lr=1e-5, warmup_epochs=1)
