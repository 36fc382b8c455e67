"""What a run is measured by, from labels and probabilities.

Shapes: N cases, C classes. Area, F1 and `tsml_log_loss` are as in tsml-eval (class ClassifierResults), which made the
published files in aeon's layout.
"""

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score


def expected_calibration_error(labels, probabilities, n_bins=15):
    """Return the mean distance of confidence and accuracy, over bins of equal width of the top probability.

    Parameters
    ----------
    labels : int array of shape (N,)
        True classes, as columns of ``probabilities``.
    probabilities : array of shape (N, C)
    n_bins : int, default=15
        A bin holds its upper edge.

    Returns
    -------
    float
        From 0 to 1; bins are weighted by their cases.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On calibration of modern neural networks, ICML 2017, section 2.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.ceil(confidence * n_bins).astype(int)
    return float(np.abs(np.bincount(bins, confidence) - np.bincount(bins, right)).sum() / len(labels))


def log_loss(labels, probabilities, smallest=1e-15):
    """Return the mean negative log-probability of the true classes in nats, of at least ``smallest`` each."""
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(true.clip(smallest)).mean())


def brier_score(labels, probabilities):
    """Return the mean squared distance of the probabilities from the true classes, from 0 to 2."""
    return float(np.square(probabilities - np.eye(probabilities.shape[1])[labels]).sum(1).mean())


def balanced_accuracy(labels, predicted):
    """Return the mean share of the cases of a class that are predicted right; classes without a case do not count."""
    right = predicted == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def area_under_roc(labels, probabilities):
    """Return the area of each class against the rest, weighted by the cases of the class; NaN of one class."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        return np.nan
    areas = [roc_auc_score(labels == label, probabilities[:, label]) for label in classes]
    return float(np.average(areas, weights=counts))


def f1(labels, probabilities):
    """Return F1 of the rarer of two classes; of more classes, the mean weighted by the cases of a class."""
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    how = {"average": "binary", "pos_label": counts.argmin()} if len(counts) == 2 else {"average": "weighted"}
    return float(f1_score(labels, probabilities.argmax(axis=1), zero_division=0.0, **how))


def measure(labels, probabilities):
    """Return all measures of a run.

    Parameters
    ----------
    labels : int array of shape (N,)
        True classes, as columns of ``probabilities``.
    probabilities : array of shape (N, C)

    Returns
    -------
    dict of str to float
        ``largest_class`` is the share of the largest class, ``log_loss`` is cut at 1e-15, ``tsml_log_loss`` where
        scikit-learn cuts it.
    """
    predicted = probabilities.argmax(axis=1)
    return {
        "n_cases": len(labels),
        "n_classes": probabilities.shape[1],
        "largest_class": float(np.bincount(labels).max() / len(labels)),
        "accuracy": float(np.mean(predicted == labels)),
        "balanced_accuracy": balanced_accuracy(labels, predicted),
        "f1": f1(labels, probabilities),
        "auroc": area_under_roc(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "tsml_log_loss": log_loss(labels, probabilities, np.finfo(float).eps),
        "brier_score": brier_score(labels, probabilities),
        "calibration_error": expected_calibration_error(labels, probabilities),
    }
