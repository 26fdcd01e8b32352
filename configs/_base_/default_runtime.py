custom_imports = dict(imports=['fvgpt'], allow_failed_imports=False)
default_scope = 'mmpretrain'
runner_type = 'PromptTuningRunner'  # stage 1, resuming and the table in every command
seed = 1
randomness = dict(seed=seed)

default_hooks = dict(
    runtime_info=dict(type='LossHistoryHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # two, so that one is complete while the other is written
    checkpoint=dict(
        type='CheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        backend_args=dict(backend='atomic_write'),
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    cost=dict(type='CostHook'),
    finite=dict(type='FiniteHook'),
    random_state=dict(type='RandomStateHook'),
    class_names=dict(type='ClassNamesHook'),
    provenance=dict(type='ProvenanceHook'),
)
custom_hooks = []  # yours

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
tta_model = dict(type='AverageScoresTTA')  # of mmpretrain's tools/test.py --tta
log_level = 'INFO'
load_from = None
resume = False
