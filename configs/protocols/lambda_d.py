# Figure 4b: weight of the distillation, on CoOp
_base_ = './base_to_new.py'
title = 'Weight lambda_d of the distillation'
tuners = ['coop']
variants = {
    str(weight): dict(
        stage2={
            'model.distillation_loss': dict(
                type='ForegroundDistillationLoss', loss_weight=float(weight)
            )
        }
    )
    for weight in (1, 3, 10, 30, 50)
}
