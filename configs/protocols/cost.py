# Table 7: cost of tuning and inference, MMRL alone and FVG-PT on it (use --jobs 1: parallel runs
# slow each other down)
_base_ = './base_to_new.py'
title = 'Cost'
tuners = ['mmrl']
datasets = ['imagenet']
variants = {'tuner alone': dict(recipe='../fvgpt/{tuner}_{dataset}.py'), 'with FVG-PT': {}}
