# Table 5: number of linear layers in the gates, on CoOp
_base_ = './base_to_new.py'
title = 'Layers of the gates'
tuners = ['coop']
variants = {
    str(layers): dict(
        stage2={
            'model.reliability_gate': dict(type='ForegroundReliabilityGate', layers=layers),
            'model.calibration': dict(type='PriorCalibration', layers=layers),
        }
    )
    for layers in (1, 2, 3)
}
