# Prior Calibration of a tuned CoOp with mmpretrain's own CLIPZeroShot, here with the sizes and
# weights of the embedded CLIP
_base_ = ['../_base_/datasets/quickstart.py', 'mmpretrain::_base_/default_runtime.py']
custom_imports = dict(imports=['fvgpt', 'fvgpt.mixing.mmpretrain_clip'], allow_failed_imports=False)
model = dict(
    type='PriorCalibratedClassifier',
    tuned=dict(type='CoOp', clip=dict(type='FrozenCLIP', name='quickstart'), n_ctx=4),
    # made by: python tools/train.py configs/fvgpt/coop_quickstart.py
    tuned_checkpoint='work_dirs/coop_quickstart/epoch_10.pth',
    prior=dict(
        type='CLIPZeroShot',
        vision_backbone=dict(
            type='VisionTransformer',
            arch=dict(embed_dims=192, num_layers=6, num_heads=3, feedforward_channels=768),
            img_size=64,
            patch_size=8,
            norm_cfg=dict(type='LN', eps=1e-5),
            layer_cfgs=dict(act_cfg=dict(type='QuickGELU')),
            pre_norm=True,
        ),
        projection=dict(type='CLIPProjection', in_channels=192, out_channels=128),
        text_backbone=dict(type='CLIPTransformer', width=128, layers=6, heads=4),
        tokenizer=dict(type='OpenCLIPTokenizer', name='quickstart'),
        vocab_size=4096,
        transformer_width=128,
        proj_dim=128,
        context_length=32,
        text_prototype=[],  # the classes come from the data set
        text_prompt='vanilla',
    ),
    prior_checkpoint='openclip://quickstart',
    calibration=dict(type='PriorCalibration'),
    calibration_loss=dict(type='PriorCalibrationLoss'),
)
default_hooks = dict(class_names=dict(type='ClassNamesHook'))

train_dataloader = dict(dataset=dict(pipeline=_base_.crop_pipeline))
train_cfg = dict(by_epoch=True, max_epochs=10)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=3.5e-3, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
randomness = dict(seed=1)
