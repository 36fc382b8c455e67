"""Checks of labels, weights of classes and other parameters that both estimators share; errors name the argument."""

import re
from contextlib import contextmanager
from numbers import Real

import numpy as np
import pandas as pd
import torch
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from v2s_sklearn.errors import InvalidParameterError, V2SError
from v2s_sklearn.series.containers import as_numpy


@contextmanager
def naming(argument):
    """Name the argument in errors of libraries that do not; numbers too large for float64 are a ValueError, too."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        if re.search(rf"\b{argument}\b", str(error)) and not isinstance(error, OverflowError):
            raise
        kind = type(error) if isinstance(error, V2SError) else TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument} cannot be used: {error}") from error


def untensored(values, name):
    """Return labels or weights as they are, but a torch tensor as an array.

    scikit-learn leaves tensors what they are where it dispatches to other libraries' arrays.
    """
    return as_numpy(values, name, TypeError) if isinstance(values, torch.Tensor) else values


def check_labels(y):
    """Return labels as an array (N,).

    Raises
    ------
    ValueError, TypeError
        If they are no labels of classes, or one is missing.
    """
    with naming("y"):
        if isinstance(y, pd.DataFrame):
            y = y.to_numpy()
        y = untensored(y, "y")
        y = column_or_1d(y, warn=True)
        missing = pd.isna(y)
        if missing.any():
            raise ValueError(
                f"Input y contains NaN or None, first for case {missing.argmax()}. Give each case a label, or drop it."
            )
        if y.dtype.kind in "SO" and any(isinstance(label, bytes) for label in y.tolist()):
            raise TypeError("Labels in y are bytes. Convert them to str or int.")
        check_classification_targets(y)
        if y.dtype == object:
            np.unique(y)  # a TypeError where labels cannot be sorted
    return y


def class_weights(class_weight, classes, y):
    """Return the weight of each class, (n_classes,), for scikit-learn's ``class_weight``.

    scikit-learn's own function turns labels like "1" into integers before it looks them up. As there, weights of other
    classes are an error where one of these classes has none.

    Raises
    ------
    InvalidParameterError
        See above; or if a weight is negative or not finite.
    """
    if not isinstance(class_weight, dict):
        return compute_class_weight(class_weight, classes=classes, y=y)
    labels = classes.tolist()
    wrong = [label for label, weight in class_weight.items() if not _is_weight(weight)]
    if wrong:
        raise InvalidParameterError(
            f"class_weight has {[class_weight[label] for label in wrong]} for {wrong}. Give finite numbers, at least 0."
        )
    unknown = [label for label in class_weight if label not in labels]
    if unknown and any(label not in class_weight for label in labels):
        raise InvalidParameterError(
            f"class_weight has weights for {unknown}, which are not among the classes {labels}. Give the "
            "labels as they are in y; classes without a weight have weight 1."
        )
    return np.array([float(class_weight.get(label, 1.0)) for label in labels])


def _is_weight(value):
    try:
        return isinstance(value, Real) and 0 <= float(value) < np.inf
    except OverflowError:  # an integer that no float holds
        return False
