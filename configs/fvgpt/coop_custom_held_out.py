# CoOp on the first half of your classes, by name; the other half are new classes, for the test only
_base_ = './coop_custom.py'
train_dataloader = dict(dataset=dict(subset='base'))
_test = _base_.test_dataloader[0]
test_dataloader = [
    dict(_test, dataset=dict(_test.dataset, subset=subset)) for subset in ('base', 'new')
]
