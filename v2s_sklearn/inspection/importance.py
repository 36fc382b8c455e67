"""Which time points mattered: occlusion of windows, for every classifier of time series with probabilities.

Shape legend: N cases, C channels, T time points, W windows.
"""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from v2s_sklearn.base import BaseV2S, Cases, RandomState
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError
from v2s_sklearn.inspection.cases import class_columns
from v2s_sklearn.series.frames import align
from v2s_sklearn.series.wrapped import open_wrapped

# Lengths of the windows, as shares of the series.
WINDOW_SHARES = (1 / 20, 1 / 10, 1 / 5)
# Windows of one length start this share of a window apart.
STEP = 0.5
# Occluded copies that are predicted at a time.
BLOCK_CASES = 2048
LEAST_PROBABILITY = 1e-6


def importance(
    clf: Any,
    X: Cases,
    y: Cases | None = None,
    *,
    windows: Sequence[int] | None = None,
    background: Cases | None = None,
    random_state: RandomState = 0,
) -> np.ndarray | list[np.ndarray]:
    """Return how much each time point of each series speaks for a class: occlusion of windows.

    Windows of several lengths, half a window apart, are replaced by the training mean of the channel, one at a time.
    The importance of a point is the mean fall of the log-probability of the class over the windows that cover it, in
    nats; negative where the point speaks against the class.

    Parameters
    ----------
    clf : classifier
        Fitted, with ``predict_proba``: :class:`~v2s_sklearn.V2SClassifier` in any mode,
        :class:`~v2s_sklearn.TransferClassifier`, or any other of aeon or scikit-learn with ``background``. Of a search
        or a pipeline, without ``background``, what it ends in, for series as the steps before leave them.
    X : array of shape (N, T) or (N, C, T), or list of N arrays (C, T_i)
        Or any collection that a classifier of this package takes.
    y : array of shape (N,), optional
        The class of each series whose probability is looked at, usually the true one; by default what is predicted.
    windows : list of int, optional
        Lengths in time points; by default a twentieth, a tenth and a fifth of the longest series.
    background : array of shape (C,), optional
        What replaces a window; by default the mean of each channel over the training series.
    random_state : int or RandomState, default=0
        Where the first window begins. The same value gives the same bits.

    Returns
    -------
    ndarray of shape (N, C, T), or list of arrays (C, T_i)
        A list for series of unequal length.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    InvalidParameterError
        If a label is none of the classes, a window is no positive number of points, or the background is unknown.
    InvalidSeriesError
        If X is no collection of series.

    References
    ----------
    .. [1] M. D. Zeiler, R. Fergus, Visualizing and understanding convolutional networks, ECCV 2014, section 4.2
       (occlusion).
    .. [2] U. Schlegel et al., Towards a rigorous evaluation of XAI methods on time series, ICCV workshops 2019
       (deletion of what is marked, against random points).

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import importance
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier(random_state=0).fit(X, y)
    >>> importance(clf, X[:2], y[:2]).shape
    (2, 1, 150)
    """
    y = align(y, X)
    if background is None:
        clf, X, _ = open_wrapped(clf, X)
    check_is_fitted(clf)
    cases, form = _cases(clf, X)
    background = _background(clf, background, cases[0].shape[0])
    columns = class_columns(clf, y, form(cases), len(cases))
    longest = max(case.shape[1] for case in cases)
    if windows is None:
        windows = sorted({max(1, round(share * longest)) for share in WINDOW_SHARES})
    if not len(windows) or not all(isinstance(length, Integral) and int(length) >= 1 for length in windows):
        raise InvalidParameterError(f"windows={windows!r}: needed are lengths in time points, whole numbers from 1.")
    generator = check_random_state(random_state)
    offsets = [generator.randint(max(1, int(STEP * length))) for length in windows]

    plans = [_windows_of(case.shape[1], windows, offsets) for case in cases]
    whole = _log_probabilities(clf, form(cases), columns)
    sums, counts = [np.zeros(case.shape) for case in cases], [np.zeros(case.shape[1]) for case in cases]
    for block in _blocks(plans, cases[0].shape[0]):
        copies = [cases[row].copy() for row, *_ in block]
        for copy, (_, channel, window) in zip(copies, block, strict=True):
            copy[channel, window] = background[channel]
        heard = _log_probabilities(clf, form(copies), columns[[row for row, *_ in block]])
        for (row, channel, window), value in zip(block, heard, strict=True):
            sums[row][channel, window] += whole[row] - value
            counts[row][window] += channel == 0
    found = [total / count for total, count in zip(sums, counts, strict=True)]
    return found if form is list else np.stack(found)


def _cases(clf, X):
    """Return the series as a list of float arrays (C, T_i), and a function that gives them the form of X again.

    An estimator of this package takes more containers, and an array in place of each.
    """
    form: Callable = list
    if isinstance(clf, BaseV2S) and not isinstance(X, np.ndarray | list | tuple):
        X = clf._preprocess_collection(X, store_metadata=False)
    if hasattr(X, "ndim"):
        X = np.asarray(X)
        if X.ndim not in (2, 3):
            raise InvalidSeriesError(
                f"X has shape {X.shape}; needed are series (n_cases, n_timepoints) or (n_cases, n_channels, "
                "n_timepoints). Of one series make X[None]."
            )
        form = np.stack if X.ndim == 3 else np.concatenate
    cases = [np.array(case, dtype=np.float64, ndmin=2) for case in X]
    if not cases or any(case.ndim != 2 or case.size == 0 for case in cases):
        raise InvalidSeriesError("X has no series, or one without values; needed is a collection of time series.")
    return cases, form


def _background(clf, background, n_channels):
    """Return what stands for each channel where nothing is to be seen, (C,)."""
    if background is None:
        scaler = getattr(clf, "scaler_", None)
        if scaler is None:
            raise InvalidParameterError(
                f"{type(clf).__name__} does not know the mean of its training series. Give background, one value a "
                "channel: X_train.mean(axis=(0, 2)). A pipeline, too, is then taken as it is."
            )
        background = scaler.training_mean_
    background = np.atleast_1d(np.asarray(background, dtype=np.float64))
    if background.shape != (n_channels,):
        raise InvalidParameterError(
            f"The background has shape {background.shape}, the series have {n_channels} channels; needed is one value "
            "a channel."
        )
    return background


def _windows_of(n_points, lengths, offsets):
    """Return slices that together cover all T points."""
    windows = []
    for length, offset in zip(lengths, offsets, strict=True):
        step = max(1, int(STEP * length))
        starts = np.arange(offset - length + 1, n_points, step)
        windows += [slice(max(0, start), min(start + length, n_points)) for start in starts if start + length > 0]
    return windows


def _blocks(plans, n_channels):
    """Yield lists of (case, channel, window) of a limited length."""
    block = []
    for row, plan in enumerate(plans):
        for channel in range(n_channels):
            for window in plan:
                block.append((row, channel, window))
                if len(block) == BLOCK_CASES:
                    yield block
                    block = []
    if block:
        yield block


def _log_probabilities(clf, X, columns):
    """Return the log-probability of each case's class, (N,)."""
    probabilities = clf.predict_proba(X)
    return np.log(np.maximum(probabilities[np.arange(len(columns)), columns], LEAST_PROBABILITY))
