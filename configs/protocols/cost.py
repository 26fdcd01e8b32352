# Table 7: what tuning and inference cost, MMRL alone and FVG-PT on it (with --jobs 1: runs side by side slow each other)
_base_ = './base_to_new.py'
title = 'Cost'
tuners = ['mmrl']
datasets = ['imagenet']
variants = {'tuner alone': dict(recipe='../fvgpt/{tuner}_{dataset}.py'), 'with FVG-PT': {}}
