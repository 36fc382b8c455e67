"""What the displays have in common on the side of the estimator: fitted or not, one case, its views, its time axis.

Shape legend: N cases, C channels, T time points, S waveform samples, F' frames of a layer.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from v2s_sklearn.alignment.logits import speaking_views
from v2s_sklearn.base import BaseV2S
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError
from v2s_sklearn.series.frames import align
from v2s_sklearn.series.wrapped import unwrap


def opened(clf, X=None):
    """Return the estimator of this package that is meant, and series as they reach it, see `unwrap`.

    Parameters
    ----------
    clf : estimator
        It, or a search or a pipeline that ends in it.
    X : collection, optional
    """
    return unwrap(clf, BaseV2S, "V2SClassifier or TransferClassifier", X)


def opened_for_one(clf, x):
    """Return the estimator that is meant and one series, (T,), (C, T) or (1, C, T), as it reaches it; see `opened`."""
    if isinstance(clf, BaseV2S):
        return clf, x
    x = np.asarray(x)
    return opened(clf, x if x.ndim == 3 else x[None])


def class_columns(clf, y, X, n_cases):
    """Return the column of each case's class in ``predict_proba``, (N,).

    Parameters
    ----------
    clf : classifier
        Fitted.
    y : array-like of shape (N,) or None
        None for what is predicted.
    X : collection
        The N series, as they were given: labels with the ids of a two-level frame are put in its order.
    n_cases : int
        N.

    Raises
    ------
    InvalidParameterError
        If there is not one of the classes for each case.
    """
    if y is None:
        return clf.predict_proba(X).argmax(axis=1)
    y, classes = np.asarray(align(y, X)), np.asarray(clf.classes_)
    if y.shape != (n_cases,):
        raise InvalidParameterError(f"y has shape {y.shape}; needed is a label for each of {n_cases} series.")
    unknown = sorted(set(y.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise InvalidParameterError(f"y has {unknown}, which are none of the classes {classes.tolist()}.")
    return np.searchsorted(classes, y)


def fitted_views(clf):
    """Return the views of a fitted V2SClassifier.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    InvalidParameterError
        If it is another estimator.
    """
    check_is_fitted(clf)
    views = getattr(getattr(clf, "net_", None), "module_", None)
    views = list(getattr(views, "views", ()))
    if not views:
        raise InvalidParameterError(
            f"{type(clf).__name__} does not reprogram its input. Give a fitted V2SClassifier (of a pipeline, its last "
            "step, with the series as the steps before leave them)."
        )
    return views


def one_case(clf, x):
    """Return one series as an array (C, T) that fits a fitted estimator.

    Parameters
    ----------
    clf : V2SClassifier
    x : array of shape (T,), (C, T) or (1, C, T)

    Raises
    ------
    InvalidSeriesError
        If it has another shape, other channels, or values that are not finite.
    """
    x = np.asarray(x)
    if x.ndim == 3 and len(x) == 1:
        x = x[0]
    if x.ndim == 1:
        x = x[None]
    if x.ndim != 2 or x.size == 0:
        raise InvalidSeriesError(
            f"x has shape {x.shape}; needed is one series, (n_timepoints,) or (n_channels, n_timepoints). Of a "
            "collection take X[0]."
        )
    # As a list, since one series may have another length than those of fit.
    (case,) = clf._preprocess_collection([x], store_metadata=False)
    clf._check_shape([case])
    return case


def choose_view(views, source, kind, advice):
    """Return the view of a source among those that can be shown.

    Parameters
    ----------
    views : list of View
    source : str or None
        Name of the source; None for the first.
    kind : str
        What the views have to be, for the error.
    advice : str
        What to do if there are none.

    Raises
    ------
    InvalidParameterError
        If there is none.
    """
    found = [view for view in views if source is None or view.acoustic.name == source]
    if not found:
        names = ", ".join(view.acoustic.name for view in views) or "none"
        wanted = "no source" if source is None else f"no source {source!r}"
        raise InvalidParameterError(f"The estimator has {wanted} {kind}; it has: {names}. {advice}")
    return found[0]


def sounding_view(clf, source):
    """Return a view whose waveforms are sounds: heard whole by a source that names its classes."""
    fitted_views(clf)
    return choose_view(
        speaking_views(clf.net_.module_),
        source,
        "that hears a waveform of its own rate",
        "Fit with reprogramming='pad' or 'modulation'; ViewsDisplay shows 'playback' and 'contour'.",
    )


def points_of_samples(view, n_heard, n_points):
    """Return which of the T points of a series each sample of a waveform plays: floats (S,), NaN for none.

    Parameters
    ----------
    view : View
    n_heard : int
        Points that are left when a long series was shortened.
    n_points : int
        T.
    """
    return view.time_points(n_heard) * ((n_points - 1) / max(n_heard - 1, 1))


def on_time_axis(frames, points, n_points):
    """Return values of frames as values of time points: the mean over the samples that play a point.

    Parameters
    ----------
    frames : ndarray of shape (N, F')
        Each frame stands for an equal part of the waveform.
    points : ndarray of shape (S,)
        From `points_of_samples`.
    n_points : int
        T.

    Returns
    -------
    ndarray of shape (N, T)
        Points that no sample plays are interpolated.
    """
    heard = np.flatnonzero(~np.isnan(points))
    position = (heard + 0.5) / len(points) * frames.shape[1]
    frame_of = np.minimum(position.astype(int), frames.shape[1] - 1)
    point_of = np.round(points[heard]).astype(int)
    counts = np.bincount(point_of, minlength=n_points)
    sums = np.stack([np.bincount(point_of, weights=row[frame_of], minlength=n_points) for row in frames])
    played = np.flatnonzero(counts)
    means = sums[:, played] / counts[played]
    return np.stack([np.interp(np.arange(n_points), played, row) for row in means])
