# The embedded image set, drawn to data_root on first use: 64 x 64 pixels, 20 base and 20 new
# classes
_base_ = './base_to_new.py'
data_root = 'data/quickstart'
image_size = 64
# The object is anywhere in the image and fills about a seventh of it. Crops of only 8 % of the
# area, as for photographs, would often miss it, so all crops are at least half of the area.
foreground_pipeline, exchange_pipeline, crop_pipeline = (
    [dict(step, scale=64) if step['type'] == 'PairedRandomResizedCrop' else step for step in steps]
    for steps in (
        _base_.half_foreground_pipeline,
        _base_.half_exchange_pipeline,
        _base_.half_crop_pipeline,
    )
)
half_foreground_pipeline, half_crop_pipeline = foreground_pipeline, crop_pipeline
half_exchange_pipeline = exchange_pipeline
_plain_pipeline = [
    _base_.squash_pipeline[0],
    dict(type='PackInputs'),
]  # the images already have the input size
dataset = dict(
    type='QuickstartWorld',
    data_root=data_root,
    pipeline=_plain_pipeline,
    metainfo=dict(dataset_name='QuickstartWorld'),
)
train_dataloader = test_dataloader = dict(num_workers=0, dataset=dataset)
test_dataset = dataset
