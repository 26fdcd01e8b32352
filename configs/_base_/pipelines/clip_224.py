# PIL bicubic throughout, as in the training of CLIP; EXIF orientation is ignored, as in the public
# implementations
image_size = 224  # size of the pipelines below; they are scaled if the CLIP has another input size
_load = dict(type='LoadImage')

# as in the released CoOp configs: squash to the input size, no augmentation (decision O18)
squash_pipeline = [
    _load,
    dict(
        type='Resize', scale=(224, 224), keep_ratio=False, backend='pillow', interpolation='bicubic'
    ),
    dict(type='PackInputs'),
]
# random crop and flip of image and mask; MMRL has larger crops; for tuners the same without masks
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
# the same with a second view, the object on the background of another image, for FVGPT's
# student_view='exchange'
exchange_pipeline, half_exchange_pipeline = (
    [*steps[:-1], dict(type='PasteForeground', output='exchanged'), steps[-1]]
    for steps in (foreground_pipeline, half_foreground_pipeline)
)
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
