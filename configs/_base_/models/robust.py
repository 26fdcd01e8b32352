# Robust FVG-PT, the variant against other backgrounds: the object on exchanged backgrounds in place
# of the gate, cross entropy of the foreground view, cross-fitted prior calibration
robust_model = dict(
    student_view='exchange',
    foreground_ce=1.0,
    calibration_folds=2,
    calibration_loss=dict(tau_squared=True),
)
robust_optim_wrapper = dict(clip_grad=dict(max_norm=5))
