# A ResNet-18 of mmpretrain whose classes are the text features of a tuned CLIP: network and
# projection are trained on the base classes, and also tested on the new ones
_base_ = './supervised_resnet18.py'
model = dict(
    data_preprocessor=dict(type='ClsDataPreprocessor'),
    head=dict(
        _delete_=True,
        type='TextFeatureHead',
        in_channels=512,
        tuner=dict(type='CoOp', clip=dict(type='FrozenCLIP', name='quickstart'), n_ctx=4),
        # made by: python tools/train.py configs/fvgpt/coop_quickstart.py
        checkpoint='work_dirs/coop_quickstart/epoch_10.pth',
        logit_scale=20.0,
    ),
)
default_hooks = dict(class_names=dict(type='ClassNamesHook'))
train_dataloader = dict(
    dataset=dict(subset='base', mask_root=None, pipeline=_base_.crop_pipeline)
)  # no masks
val_dataloader = dict(dataset=dict(subset='base'))
test_cfg = dict(tests=[dict(subset='base'), dict(subset='new')])
