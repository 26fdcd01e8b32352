# Every tuner, alone and with FVG-PT, on the embedded image set
runs = {
    tuner: dict(recipe=f'../fvgpt/{tuner}_fvg_quickstart.py')
    for tuner in ('coop', 'kgcoop', 'promptsrc', 'mmrl', 'ivlp', 'maple', 'cocoop', 'prograd', 'tcp', 'clip_adapter',
                  'tip_adapter', 'tip_adapter_f')
}
