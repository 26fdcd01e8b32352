# One CoOp trained on two roots with one class list: MMEngine's ConcatDataset of two of our data
# sets
_base_ = '../fvgpt/coop_quickstart.py'
_train = _base_.train_dataloader.dataset
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_train, data_root='data/quickstart', num_shots=8),
            # here drawn again, with backgrounds that are not correlated with the classes
            dict(
                _train,
                data_root='data/quickstart_uncorrelated',
                num_shots=8,
                background_correlation=0.0,
            ),
        ],
    ),
)
