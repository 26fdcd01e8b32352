# PIL bicubic throughout, as CLIP was trained with; EXIF orientation is ignored, as the public implementations do
image_size = 224  # what the sizes below are written for; load_recipe scales them where the CLIP reads another one
_load = dict(type='LoadImage')

# the released CoOp configs: squash to the input size, no augmentation (decision O18)
squash_pipeline = [
    _load,
    dict(
        type='Resize', scale=(224, 224), keep_ratio=False, backend='pillow', interpolation='bicubic'
    ),
    dict(type='PackInputs'),
]
# random crop and flip, the mask moved along; MMRL crops more gently; the same without masks for tuners
foreground_pipeline = [
    _load,
    dict(type='LoadForegroundMask'),
    dict(type='PairedRandomResizedCrop', scale=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackForegroundInputs'),
]
half_foreground_pipeline = [
    dict(step, area=(0.5, 1.0)) if step['type'] == 'PairedRandomResizedCrop' else step
    for step in foreground_pipeline
]
crop_pipeline, half_crop_pipeline = (
    [step for step in steps if step['type'] != 'LoadForegroundMask']
    for steps in (foreground_pipeline, half_foreground_pipeline)
)
test_pipeline = [
    _load,
    dict(type='ResizeEdge', scale=224, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
