# Input of the adapters (raw or unit features, decision O10) and initial value of their residual
# (decision O8), on CoOp; the default initial value, zero, is the full row of ablation_modules.py
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
