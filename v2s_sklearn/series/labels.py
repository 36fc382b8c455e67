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


def check_labels(y, missing_label=None):
    """Return labels as an array (N,), see `known_labels`.

    Raises
    ------
    ValueError, TypeError
        If they are no labels of classes, or all are missing.
    """
    with naming("y"):
        if isinstance(y, pd.DataFrame):
            y = y.to_numpy()
        y = column_or_1d(_with_gaps(untensored(y, "y")), warn=True)
        known, labels = known_labels(y, missing_label)
        if not len(labels) and not known.all():
            also = "" if missing_label is None else f" or missing_label={missing_label!r}"
            raise ValueError(f"Input y contains no label, only NaN or None{also}. Give labels to some cases.")
        if labels.dtype.kind in "SO" and any(isinstance(label, bytes) for label in labels.tolist()):
            raise TypeError("Labels in y are bytes. Convert them to str or int.")
        check_classification_targets(labels)
        if labels.dtype == object:
            np.unique(labels)  # a TypeError where labels cannot be sorted
    return y


def _with_gaps(y):
    """Return labels of which some are missing as objects: NumPy would make floats of integers and text of NaN."""
    if isinstance(y, list | tuple) or isinstance(getattr(y, "dtype", None), pd.api.extensions.ExtensionDtype):
        objects = pd.Series(y, dtype=object)
        if objects.isna().any():
            return objects.to_numpy()
    return y


def known_labels(y, missing_label=None):
    """Return which cases have a label, bool (N,), and the labels of these, (n,).

    Those of the others are None, NaN, NaT, pd.NA, or ``missing_label``, which may be written out: NumPy makes text of
    numbers beside text.
    """
    known = ~pd.isna(y)
    if missing_label is not None:
        known[known] = [label not in (missing_label, str(missing_label)) for label in y[known].tolist()]
    labels = y[known]
    if y.dtype == object and not known.all():
        labels = pd.Series(labels).infer_objects().to_numpy()  # numbers beside None are objects
    return known, labels


def class_numbers(y, classes, missing_label=None):
    """Return which of the sorted classes each label (N,) is, int (N,), and -1 for none; see `known_labels`."""
    known, labels = known_labels(y, missing_label)
    numbers = np.full(len(y), -1)
    numbers[known] = np.searchsorted(classes, labels)
    return numbers


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
