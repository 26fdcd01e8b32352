# A data set type of mmpretrain in place of ours, here CustomDataset on DATA/train/<class> and DATA/test/<class>.
# FewShotWrapper draws the shots for training; for testing, the type stands alone.
_base_ = './coop_custom.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='FewShotWrapper',
        dataset=dict(type='mmpretrain.CustomDataset', data_prefix='train'),
        pipeline=_base_.squash_pipeline,
    )
)
_test = dict(type='mmpretrain.CustomDataset', data_prefix='test', pipeline=_base_.test_pipeline)
test_dataloader = dict(dataset=dict(_test, _delete_=True))
