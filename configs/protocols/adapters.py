# What the adapters read (raw or unit features, decision O10) and how their residual starts (decision O8), on CoOp; the default
# start, zero, is the full row of ablation_modules.py
_base_ = './base_to_new.py'
title = 'Input and start of the adapters'
tuners = ['coop']
_adapter = 'ForegroundDistillationCompensation'
variants = {
    f'{source} {start}': dict(
        stage2={
            'model.compensation': dict(type=_adapter, adapter_input=source, residual_init=start)
        }
    )
    for source in ('raw', 'unit')
    for start in ('small_weight', 'layer_scale')
}
