# FVG-PT with a moving average of its weights, gradients of two batches per step, and tests on an
# image and its mirror image
_base_ = '../fvgpt/coop_fvg_quickstart.py'
optim_wrapper = dict(accumulative_counts=2)
custom_hooks = [
    dict(type='EMAHook', momentum=1e-2),
    dict(type='PrepareTTAHook', tta_cfg=dict(type='AverageScoresTTA')),
]
_flips = [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)]
_pipeline = [
    dict(type='LoadImage'),
    dict(type='TestTimeAug', transforms=[_flips, [dict(type='PackInputs')]]),
]
test_dataloader = dict(dataset=dict(pipeline=_pipeline))
