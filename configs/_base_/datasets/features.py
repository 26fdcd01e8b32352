# Precomputed features instead of images (docs/features.md): feature_file is the only source of data
feature_file = 'data/features.safetensors'
feature_keys = {}  # name of a tensor in docs/features.md -> its name in the file, if it differs
feature_scale = {}  # factors of features that were stored with unit length: dict(image=10, text=10)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    batch_sampler=dict(type='WholeBatchSampler'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='PrecomputedFeatures', feature_file=feature_file, split='train'),
)
test_dataloader = dict(
    batch_size=1000,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='PrecomputedFeatures', feature_file=feature_file, split='test'),
)
test_cfg = dict(type='SubsetTestLoop', tests=[dict(subset='base'), dict(subset='new')])
test_evaluator = dict(type='SubsetAccuracy')
