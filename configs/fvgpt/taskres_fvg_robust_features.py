# FVG-PT against other backgrounds: the object on exchanged backgrounds in place of the
# gate, cross entropy of the foreground view, cross-fitted prior calibration
# Written by tools/make_recipes.py
_base_ = './taskres_fvg_features.py'
model = dict(
    student_view='exchange',
    foreground_ce=1.0,
    calibration_folds=2,
    calibration_loss=dict(tau_squared=True),
)
train_dataloader = dict(dataset=dict(views=dict(exchanged='exchanged')))
optim_wrapper = dict(clip_grad=dict(max_norm=5))
