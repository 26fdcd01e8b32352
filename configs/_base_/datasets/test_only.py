# A test set of all classes, and the source of the files that many data sets share
_base_ = '../pipelines/clip_224.py'
data_root = 'data'
layout = 'coop'  # or 'archives', that of the released foreground archives
test_dataset = dict(data_root=data_root, split='test', pipeline=_base_.test_pipeline)
facts = dict(published=dict(mirror='https://huggingface.co/zhengli97/prompt_learning_dataset'))
