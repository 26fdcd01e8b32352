# The names that a file of features of COCO objects has for the tensors of docs/features.md, and the
# factor of its text features, which have unit length. Another file needs another such part.
options = dict(
    feature_keys=dict(
        train_foreground='train_fg_mean',
        train_foreground_shuffled='train_fg_shuffled',
        train_foreground_black='train_fg_black_view0',
        test_foreground='test_fg_mean',
        test_foreground_black='test_fg_black',
        test_exchanged='test_bg_exchanged',
        test_exchanged_rows='swap_rows',
        test_blurred='test_bg_blurred',
        test_blurred_rows='swap_rows',
    ),
    feature_scale=dict(text=10.0),
)
