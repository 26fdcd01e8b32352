# Table 4: widths of the adapters and of the gates, on CoOp
_base_ = './base_to_new.py'
title = 'Widths of adapters and gates'
tuners = ['coop']
_adapter, _gates = 'ForegroundDistillationCompensation', ('reliability_gate', 'calibration')
variants = {
    **{
        f'FDC width {width}': dict(
            stage2={'model.compensation': dict(type=_adapter, bottleneck=width)}
        )
        for width in (16, 32, 64, 128)
    },
    **{
        f'gate width {width}': dict(
            stage2={
                'model.reliability_gate': dict(type='ForegroundReliabilityGate', hidden=width),
                'model.calibration': dict(type='PriorCalibration', hidden=width),
            }
        )
        for width in (16, 32, 64, 128)
    },
}
