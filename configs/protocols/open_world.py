# Base-to-new, and all classes at once without telling which of them are new (docs/protocols.md)
_base_ = './base_to_new.py'
title = 'Open world'
evaluate = dict(
    base=dict(subset='base'),
    new=dict(subset='new', branch='new'),
    open=dict(branch='open', halves=True),
)
columns = ['base', 'new', 'h', 'open', 'open_base', 'open_new', 'open_h']
