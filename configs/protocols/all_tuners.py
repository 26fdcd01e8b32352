# Every tuner, alone and with FVG-PT, on the embedded image set
title = 'All tuners on the embedded image set'
tuners = [
    'coop',
    'kgcoop',
    'promptsrc',
    'mmrl',
    'ivlp',
    'maple',
    'cocoop',
    'prograd',
    'tcp',
    'clip_adapter',
    'tip_adapter',
    'tip_adapter_f',
    'linear_text',
    'taskres',
]
datasets = ['quickstart']
