"""Arithmetic on series and weights that several rooms share: shorter series, units, deviations, mixtures.

Shape legend: N cases, C channels, T time points (of the longest series), M mixtures.
"""

import numpy as np

# Shares of the largest weight below this are no different from it, and their roots can be divided by.
LEAST_SAMPLE_WEIGHT = 1e-200


def shorten(case, max_points):
    """Return a series (C, T) with at most ``max_points`` time points, means of neighbouring ones."""
    n_points = case.shape[1]
    if n_points <= max_points:
        return case
    edges = np.linspace(0, n_points, max_points + 1).astype(int)
    return np.add.reduceat(case, edges[:-1], axis=1) / np.diff(edges)


def power_of_two(values):
    """Return the power of two at or below the size of each value, 1 for zero; division by it changes no digit."""
    exponents = np.frexp(np.abs(values))[1] - 1
    return np.where(np.asarray(values) == 0, 1.0, np.ldexp(1.0, exponents))


def spread(scale, largest):
    """Return what the values of a channel are divided by: their standard deviation ``scale``, in any unit.

    The largest value where that is no more than the rounding of single precision, 1 where all values are zero. Arrays
    of one shape.
    """
    scale, largest = np.asarray(scale, dtype=np.float64), np.asarray(largest, dtype=np.float64)
    return np.where(scale > np.finfo(np.float32).eps * largest, scale, np.where(largest > 0, largest, 1.0))


def orthonormal_mixture(n_mixed, n_channels, seed):
    """Return random orthonormal directions, (n_mixed, n_channels), which mix channels to fewer."""
    directions = np.random.RandomState(seed).normal(size=(n_channels, n_mixed))
    return np.linalg.qr(directions)[0].T


def normalise_weights(weights):
    """Return non-negative weights as shares of the largest, so that sums and products of them are finite.

    Those above zero are at least `LEAST_SAMPLE_WEIGHT`. All zero stay so.
    """
    weights = np.asarray(weights, dtype=np.float64)
    shares = weights / (weights.max() or 1.0)
    return np.where(weights > 0, np.maximum(shares, LEAST_SAMPLE_WEIGHT), 0.0)
