# A data set type of mmpretrain in place of ours, here CustomDataset on DATA/train/<class> and
# DATA/test/<class>. FewShotWrapper draws the shots for training; for testing, the type stands
# alone.
# Written by tools/make_recipes.py
_base_ = './coop_custom.py'
_train = dict(type='mmpretrain.CustomDataset', data_prefix='train')
_test = dict(type='mmpretrain.CustomDataset', data_prefix='test', pipeline=_base_.test_pipeline)
_shots = dict(type='FewShotWrapper', dataset=_train, pipeline=_base_.squash_pipeline)
train_dataloader = dict(dataset=dict(_shots, _delete_=True))
test_dataloader = dict(dataset=dict(_test, _delete_=True))
