# CoOp on the first half of your classes, by name; the other half are new classes, for the
# test only
# Written by tools/make_recipes.py
_base_ = './coop_custom.py'
train_dataloader = dict(dataset=dict(subset='base'))
test_cfg = dict(tests=[dict(subset='base'), dict(subset='new')])
