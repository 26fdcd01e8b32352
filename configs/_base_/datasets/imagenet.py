# ImageNet in CoOp's layout: DATA/imagenet/images/{train,val}/<wnid>, masks in DATA/mask/imagenet/images/train/<wnid>
_base_ = '../pipelines/clip_224.py'
data_root = 'data'
num_shots = 16
prior_template = 'ImageNet'
_dataset = dict(
    type='ClassFolderDataset',
    data_root=data_root,
    img_dir='imagenet/images',
    folders=dict(train='train', test='val'),
    class_names='imagenet')

train_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', subset='base', num_shots=num_shots, pipeline=_base_.squash_pipeline, **_dataset))
test_dataloader = [
    dict(
        batch_size=100,
        num_workers=8,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(split='test', subset=subset, pipeline=_base_.test_pipeline, **_dataset)) for subset in ('base', 'new')
]
test_evaluator = dict(type='SubsetAccuracy')
