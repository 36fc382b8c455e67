"""Distances between source and target logits, and the bound on the target risk that they give.

Shape legend: n source clips, N target cases, K source classes, P projections.
"""

import math

import numpy as np
from scipy.special import softmax

from v2s_sklearn.base import Cases
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.runtime.optional import import_optional


def _optimal_transport():
    return import_optional("ot", "theory", "The Wasserstein distance")


def _check_samples(source, target):
    """Return both samples as float64 arrays; raise an error unless they are tables of as many columns."""
    samples = []
    for name, sample in (("source", source), ("target", target)):
        sample = np.asarray(sample, dtype=np.float64)
        if sample.ndim != 2 or sample.size == 0 or not np.isfinite(sample).all():
            raise InvalidParameterError(
                f"The {name} sample has shape {sample.shape} and {np.size(sample) - np.isfinite(sample).sum()} values "
                "that are not finite; needed is a table (n_samples, n_classes) of finite values."
            )
        samples.append(sample)
    if samples[0].shape[1] != samples[1].shape[1]:
        raise InvalidParameterError(
            f"The source sample has {samples[0].shape[1]} columns, the target sample {samples[1].shape[1]}. Take the "
            "logits of one acoustic model for both."
        )
    return samples


def sliced_wasserstein(source: Cases, target: Cases, n_projections: int = 1000, random_state: int = 0) -> float:
    """Return the sliced Wasserstein-2 distance of two samples.

    The root of the mean, over random directions, of the squared Wasserstein-2 distance of the samples projected on a
    direction. It estimates the distance in time ``P (n log n + N log N)``.

    Parameters
    ----------
    source : array of shape (n, K)
        Logits of source clips, for example.
    target : array of shape (N, K)
    n_projections : int, default=1000
        P; the paper's number.
    random_state : int, default=0
        Of the directions. The same value gives the same bits.

    Returns
    -------
    float
        In the unit of the values (nats for logits).

    Raises
    ------
    InvalidParameterError
        If the samples are no tables of as many columns, or not finite.
    MissingDependencyError
        If POT is not installed.

    References
    ----------
    .. [1] Voice2Series, ICML 2021, sections 4 and 5.3 (alignment in training, 1,000 projections).
    .. [2] N. Bonneel et al., Sliced and Radon Wasserstein barycenters of measures, Journal of Mathematical Imaging and
       Vision 51, 2015, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn.alignment import sliced_wasserstein
    >>> cloud = np.random.default_rng(0).normal(size=(50, 4))
    >>> round(sliced_wasserstein(cloud, cloud + [2.0, 0, 0, 0]), 1)          # 2 / sqrt(4)
    1.0
    """
    source, target = _check_samples(source, target)
    projections = np.random.RandomState(random_state).normal(size=(source.shape[1], n_projections))
    projections /= np.linalg.norm(projections, axis=0)
    ot = _optimal_transport()
    return float(ot.sliced_wasserstein_distance(source, target, projections=projections, p=2))


def wasserstein_1(source: Cases, target: Cases) -> float:
    """Return the exact Wasserstein-1 distance of two samples, with the Euclidean distance as the cost.

    Solved as a linear program with n N variables: for samples of up to some hundreds.

    Parameters
    ----------
    source : array of shape (n, K)
    target : array of shape (N, K)

    Returns
    -------
    float

    Raises
    ------
    InvalidParameterError
        If the samples are no tables of as many columns, or not finite.
    MissingDependencyError
        If POT is not installed.

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 4, equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn.alignment import wasserstein_1
    >>> cloud = np.random.default_rng(0).normal(size=(50, 2))
    >>> round(wasserstein_1(cloud, cloud + [3.0, 4.0]), 6)
    5.0
    """
    source, target = _check_samples(source, target)
    ot = _optimal_transport()
    cost = ot.dist(source, target, metric="euclidean")
    return float(ot.emd2(ot.unif(len(source)), ot.unif(len(target)), cost, numItermax=10_000_000))


def source_risk(logits: Cases, labels: Cases) -> float:
    """Return the risk of a source model, the root of the mean squared error of its probabilities.

    ``sqrt(mean |softmax(logits) - one_hot(labels)|^2)``, at most sqrt(2). By Jensen's inequality no less than the mean
    of the errors' norms, so a bound that starts with it holds for both readings of the paper's risk.

    Parameters
    ----------
    logits : array of shape (n, K)
    labels : array of shape (n,), int
        True source classes.

    Returns
    -------
    float

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 4 (prediction risk).

    Examples
    --------
    >>> from v2s_sklearn.alignment import source_risk
    >>> source_risk([[0.0, 0.0], [0.0, 0.0]], [0, 1])                        # |(1/2, 1/2) - (1, 0)|
    0.7071067811865476
    """
    logits = np.asarray(logits, dtype=np.float64)
    errors = softmax(logits, axis=1) - np.eye(logits.shape[1])[np.asarray(labels)]
    return float(np.sqrt((errors**2).sum(axis=1).mean()))


def target_risk_bound(source: Cases, source_labels: Cases, target: Cases) -> float:
    """Return the right-hand side of Theorem 1, an upper bound on the risk of the target task.

    ``source risk + 2 sqrt(K) W1(source logits, target logits)``, with `source_risk` and `wasserstein_1`. With finite
    samples it is an estimate.

    Parameters
    ----------
    source : array of shape (n, K)
        Source logits of clips that the model was not trained on.
    source_labels : array of shape (n,), int
        Their source classes.
    target : array of shape (N, K)
        Source logits of reprogrammed series.

    Returns
    -------
    float
        The risk is at most sqrt(2); greater bounds say nothing but the order.

    Raises
    ------
    InvalidParameterError
        If the samples are no tables of as many columns, or not finite.
    MissingDependencyError
        If POT is not installed.

    References
    ----------
    .. [1] Voice2Series, ICML 2021, Theorem 1.

    Examples
    --------
    Logits that are the same in source and target: the second term is 0, and the bound is the source risk.

    >>> import numpy as np
    >>> from v2s_sklearn.alignment import source_risk, target_risk_bound
    >>> logits, labels = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    >>> bool(np.isclose(target_risk_bound(logits, labels, logits), source_risk(logits, labels)))
    True
    """
    return source_risk(source, source_labels) + 2 * math.sqrt(np.shape(source)[1]) * wasserstein_1(source, target)
