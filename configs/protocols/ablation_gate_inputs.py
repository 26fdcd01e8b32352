# Table 6: the gates without one of their inputs, on CoOp
_base_ = './base_to_new.py'
title = 'Inputs of the gates'
tuners = ['coop']
_frg, _brg = ['entropy', 'cosine', 'area'], ['entropy_full', 'entropy_clip', 'cosine']
variants = {
    'all inputs': {},
    **{
        f'FRG without {name}': dict(
            stage2={
                'model.reliability_gate': dict(
                    type='ForegroundReliabilityGate', inputs=[x for x in _frg if x != name]
                )
            }
        )
        for name in _frg
    },
    **{
        f'BRG without {name}': dict(
            stage2={
                'model.calibration': dict(
                    type='PriorCalibration', inputs=[x for x in _brg if x != name]
                )
            }
        )
        for name in _brg
    },
}
