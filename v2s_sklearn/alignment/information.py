"""Lower bounds on mutual information from the held-out cross-entropy of a probe.

Shape legend: N cases, D values of a representation, C classes, T time points.
"""

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted

from v2s_sklearn.base import Cases
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError
from v2s_sklearn.mapping.mappings import LinearMapping
from v2s_sklearn.runtime.threads import one_thread


class RidgeProbe(ClassifierMixin, BaseEstimator):
    """Linear probe: the learned mapping of `V2SClassifier`, whose strength and calibration leave-one-out chooses.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn.alignment import RidgeProbe
    >>> Z = np.arange(8.0)[:, None]
    >>> RidgeProbe().fit(Z, Z[:, 0] > 3).predict_proba(Z).shape
    (8, 2)
    """

    @one_thread()
    def fit(self, X: Cases, y: Cases) -> Self:
        """Fit to representations (N, D) and labels (N,); return self."""
        X = np.asarray(X, dtype=np.float32)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self.mapping_ = LinearMapping([("representation", slice(0, X.shape[1]))], len(self.classes_))
        self.mapping_.solve(X, labels, np.ones(len(labels)))
        return self

    @torch.no_grad()
    def predict_proba(self, X: Cases) -> np.ndarray:
        """Return the class probabilities: (N, D) to (N, C)."""
        check_is_fitted(self)
        return self.mapping_(torch.from_numpy(np.asarray(X, dtype=np.float32))).exp().numpy()

    def predict(self, X: Cases) -> np.ndarray:
        """Return the labels: (N, D) to (N,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _check_representation(representation, name="representation"):
    values = np.asarray(representation, dtype=np.float64)
    if values.ndim != 2 or len(values) < 4 or not np.isfinite(values).all():
        raise InvalidParameterError(
            f"{name} has shape {values.shape}; needed is a table (n_cases, n_values) of finite values with at least "
            "4 cases, for instance from V2SFeatures."
        )
    return values


def _folds(labels, n_folds, random_state):
    """Return the fold of each case, (N,); the cases of a class are spread evenly, however few they are."""
    order = np.random.RandomState(random_state).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), dtype=int)
    folds[order] = np.arange(len(labels)) % n_folds
    return folds


@one_thread()
def held_out_cross_entropy(representation, labels, probe=None, n_folds=5, random_state=0):
    """Return the mean cross-entropy of a probe on cases that it was not fitted on, in nats.

    Its probabilities are mixed with equal ones, which get the weight of one case, so that a class that is not in a
    training fold does not cost infinitely much. They stay probabilities, and the bound a bound.

    Parameters
    ----------
    representation : ndarray of shape (N, D)
    labels : ndarray of shape (N,), int
        0 to C - 1.
    probe, n_folds, random_state
        See `labelled_information`.
    """
    probe = RidgeProbe() if probe is None else probe
    n_classes = labels.max() + 1
    folds, total = _folds(labels, n_folds, random_state), 0.0
    for fold in range(n_folds):
        train, test = folds != fold, folds == fold
        probabilities = np.zeros((test.sum(), n_classes))
        fitted = clone(probe).fit(representation[train], labels[train])
        probabilities[:, fitted.classes_] = fitted.predict_proba(representation[test])
        probabilities = (train.sum() * probabilities + 1 / n_classes) / (train.sum() + 1)
        total -= np.log(probabilities[np.arange(test.sum()), labels[test]]).sum()
    return float(total / len(labels))


def entropy(labels):
    """Return the entropy of the observed classes in nats: int array (N,)."""
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def labelled_information(
    representation: Cases, y: Cases, *, probe: Any = None, n_folds: int = 5, random_state: int = 0
) -> float:
    """Return a lower bound on the mutual information of a representation and labels.

    ``I(Z; Y) = H(Y) - H(Y | Z) >= H(Y) - cross-entropy of any probe``, the cross-entropy of held-out cases.

    Parameters
    ----------
    representation : array of shape (N, D)
        Z.
    y : array of shape (N,)
        Labels of any type.
    probe : classifier with ``predict_proba``, optional
        `RidgeProbe` by default.
    n_folds : int, default=5
        Of the cross-validation.
    random_state : int, default=0
        Of the folds.

    Returns
    -------
    float
        In nats. Negative where the probe is worse than the shares of the classes.

    Raises
    ------
    InvalidParameterError
        If the representation cannot be used, or there are fewer than 2 classes or cases than folds.

    References
    ----------
    .. [1] A. H. Liu, S.-L. Yeh, J. Glass, Revisiting self-supervised learning of speech representation from a mutual
       information perspective, ICASSP 2024, arXiv 2401.08833.

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SFeatures
    >>> from v2s_sklearn.alignment import labelled_information
    >>> X, y = load_gunpoint(split="train")
    >>> nats = labelled_information(V2SFeatures("v2sa").fit_transform(X), y)
    >>> 0.3 < nats < 0.694                                     # at most H(Y) = log 2
    True
    """
    representation = _check_representation(representation)
    classes, labels = np.unique(np.asarray(y), return_inverse=True)
    if len(labels) != len(representation) or len(classes) < 2 or not 2 <= n_folds <= len(labels):
        raise InvalidParameterError(
            f"Got {len(representation)} cases, {len(labels)} labels of {len(classes)} classes and n_folds={n_folds}; "
            "needed are one label a case, at least 2 classes, and 2 to n_cases folds."
        )
    return entropy(labels) - held_out_cross_entropy(representation, labels, probe, n_folds, random_state)


@one_thread()
def unlabelled_information(
    first: Cases,
    second: Cases,
    *,
    n_clusters: int | None = None,
    probe: Any = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> float:
    """Return a lower bound on the mutual information of the representations of two sections of the same signals.

    k-means on one section makes labels, which a probe tells from the other: ``I(Z1; Z2) >= I(Z1; kmeans(Z2))``, since
    the cluster is a function of Z2, and the latter is bounded as in `labelled_information`. No labels are needed.

    Parameters
    ----------
    first, second : arrays of shape (N, D) and (N, D')
        Representations of both sections, see `split_sections`.
    n_clusters : int, optional
        By default one for each ten cases, 2 to 8.
    probe, n_folds, random_state
        See `labelled_information`; ``random_state`` is also that of k-means.

    Returns
    -------
    float
        In nats, at most ``log(n_clusters)``.

    Raises
    ------
    InvalidParameterError
        If the representations cannot be used.

    References
    ----------
    .. [1] A. H. Liu, S.-L. Yeh, J. Glass, Revisiting self-supervised learning of speech representation from a mutual
       information perspective, ICASSP 2024, arXiv 2401.08833 (mutual information without labels).

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SFeatures
    >>> from v2s_sklearn.alignment import split_sections, unlabelled_information
    >>> X, _ = load_gunpoint(split="train")
    >>> Z1, Z2 = (V2SFeatures("v2sa").fit_transform(half) for half in split_sections(X))
    >>> nats = unlabelled_information(Z1, Z2)
    """
    first, second = _check_representation(first, "first"), _check_representation(second, "second")
    if n_clusters is None:
        n_clusters = int(np.clip(len(second) // 10, 2, 8))
    if len(first) != len(second) or not 2 <= n_clusters <= len(second) or not 2 <= n_folds <= len(first):
        raise InvalidParameterError(
            f"Got {len(first)} first and {len(second)} second sections, n_clusters={n_clusters} and n_folds={n_folds}; "
            "needed are as many of both, and 2 to n_cases clusters and folds."
        )
    scale = second.std(axis=0)
    standardised = (second - second.mean(axis=0)) / np.where(scale > 1e-12, scale, np.inf)
    labels = KMeans(n_clusters, n_init=10, random_state=random_state).fit_predict(standardised)
    labels = np.unique(labels, return_inverse=True)[1]
    return entropy(labels) - held_out_cross_entropy(first, labels, probe, n_folds, random_state)


def split_sections(X: Cases) -> tuple[Any, Any]:
    """Return the first and the second half of each signal.

    Parameters
    ----------
    X : array of shape (N, T) or (N, C, T), or list of arrays (C, T_i)
        Series, or waveforms.

    Returns
    -------
    first, second
        As X. Of an odd number of points the middle one is in the second.

    Raises
    ------
    InvalidSeriesError
        If a signal has fewer than 2 points.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn.alignment import split_sections
    >>> split_sections(np.array([[1, 2, 3, 4]]))
    (array([[1, 2]]), array([[3, 4]]))
    """
    shortest = min(np.shape(case)[-1] for case in X)
    if shortest < 2:
        raise InvalidSeriesError(f"A series has {shortest} points; two sections need at least 2.")
    if hasattr(X, "ndim"):
        middle = X.shape[-1] // 2
        return X[..., :middle], X[..., middle:]
    halves = [(case[..., : case.shape[-1] // 2], case[..., case.shape[-1] // 2 :]) for case in map(np.asarray, X)]
    return [first for first, _ in halves], [second for _, second in halves]
