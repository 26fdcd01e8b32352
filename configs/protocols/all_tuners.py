# Every tuner, alone, with FVG-PT and with its robust variant, on the embedded image set
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
variants = {'': {}, 'robust': dict(recipe='../fvgpt/{tuner}_fvg_robust_{dataset}.py')}
