# Table 1: tune on the base half of the classes, test on both
title = 'Base-to-new generalisation'
tuners = ['coop', 'kgcoop', 'promptsrc', 'mmrl']
datasets = [
    'imagenet',
    'caltech101',
    'oxford_pets',
    'stanford_cars',
    'oxford_flowers',
    'food101',
    'fgvc_aircraft',
    'sun397',
    'dtd',
    'eurosat',
    'ucf101',
]
