"""What the parameters of gradient training may be; apart from the training, whose import of skorch takes a while."""

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

TRAINING_CONSTRAINTS = {
    "max_epochs": [Interval(Integral, 0, None, closed="left")],
    # What is larger does not fit into float32 after a few steps.
    "learning_rate": [Interval(Real, 0, 1e6, closed="right")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "weight_decay": [Interval(Real, 0, 1e6, closed="both")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "callbacks": [list, tuple, None],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "missing_label": [Real, str, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
