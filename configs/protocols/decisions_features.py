# decisions.py on precomputed features (docs/features.md). A file has the foreground on black in a
# tensor of its own, train_foreground_black, of the first view at least; so the fill of the
# background (O1) is compared on the first view of each image.
_base_ = './decisions.py'
tuners = ['linear_text']
datasets = ['features']
_data = 'train_dataloader.dataset'
_black, _mean = 'O1: black background', 'O1: mean background, first view only'
variants = {
    _black: dict(
        _delete_=True,
        stage2={f'{_data}.num_views': 1, f'{_data}.views.foreground': 'foreground_black'},
    ),
    _mean: dict(stage2={f'{_data}.num_views': 1}),
}
compare = [dict(of=_black, minus=_mean), *_base_.compare[1:]]
