"""Random mixtures of signals that go together, whitened over the training series, and what is pooled of them over time.

Shape legend: N cases, C channels of a series, D signals of a channel, P moments, S time, M mixtures, Q quantiles.
"""

import numpy as np
import torch

from v2s_sklearn.acoustic.pooling import ones_above

QUANTILES = (0.1, 0.5, 0.9)
GROUP_SIZES = (8, 16)
# Values that are pooled of one mixture.
N_POOLED = len(QUANTILES) + 2 * len(GROUP_SIZES)
# Fitted to so many moments of the training series at most.
N_MOMENTS = 4096
# Channels that one mixture hears at most.
MAX_MEMBERS = 9
# Directions in which the signals have less than this share of the largest variance are left out.
LEAST_VARIANCE = 1e-5


def moments_of(signals):
    """Return the signals at some moments of all cases: tensor (N, D, S) to float64 array (P, D)."""
    step = -(-len(signals) * signals.shape[2] // N_MOMENTS)
    return signals.transpose(1, 2).flatten(0, 1)[::step].double().cpu().numpy()


def white_mixtures(answers, n_mixtures, random_state):
    """Return random mixtures of variance 1 of centred signals, all directions alike likely: (P, D) to (D, M).

    The directions are drawn in the frame of the signals and whitened by the symmetric root [1]_. A library's choice of
    the sign of an eigenvector, or of a direction where variances are equal, so does not matter.

    References
    ----------
    .. [1] A. Kessy, A. Lewin, K. Strimmer, Optimal whitening and decorrelation, The American Statistician 72, 2018
       (ZCA).
    """
    variances, directions = np.linalg.eigh(answers.T @ answers / len(answers))
    kept = variances >= LEAST_VARIANCE * variances[-1]
    kept[:-1] &= variances[-1] > 0
    variances, directions = np.maximum(variances[kept], 1e-30), directions[:, kept]
    drawn = directions.T @ random_state.normal(size=(len(directions), n_mixtures))
    return (directions / np.sqrt(variances)) @ (drawn / np.linalg.norm(drawn, axis=0))


def draw_members(n_mixtures, n_channels, random_state):
    """Return the weight of each channel in each mixture, (M, C): of 1 to `MAX_MEMBERS` random ones, evenly in octaves.

    As the multivariate MiniRocket draws them; the squares of a mixture's weights sum to 1.
    """
    if n_channels == 1:
        return np.ones((n_mixtures, 1))
    most = np.log2(min(n_channels, MAX_MEMBERS) + 1)
    shares = np.zeros((n_mixtures, n_channels))
    for row in shares:
        n_members = int(2 ** random_state.uniform(0, most))
        row[random_state.permutation(n_channels)[:n_members]] = n_members**-0.5
    return shares


def fit_mixtures(signals, n_mixtures, random_state, filters=None):
    """Return random mixtures of the signals of all channels, white over the training series, and their levels.

    Row by row in memory, as they are loaded from a file: products of matrices round according to it.

    Parameters
    ----------
    signals : sequence of C tensors of shape (N, D, S)
        One of each channel.
    n_mixtures : int
        M.
    random_state : numpy.random.RandomState
    filters : ndarray of shape (F, D), optional
        What hears the D samples of a signal; the answers of its F filters are whitened. By default the signals are.

    Returns
    -------
    kernels : float32 ndarray of shape (M, C * D)
        From signals to mixtures.
    levels : float32 ndarray of shape (M, Q)
        Quantiles of the mixtures.
    """
    shares = draw_members(n_mixtures, len(signals), random_state)
    kernels, heard = [], 0.0
    for signal, share in zip(signals, shares.T, strict=True):
        moments = moments_of(signal)
        centred = moments - moments.mean(axis=0)
        mixture = white_mixtures(centred if filters is None else centred @ filters.T, n_mixtures, random_state).T
        kernels.append(share[:, None] * (mixture if filters is None else mixture @ filters))
        heard = heard + kernels[-1] @ moments.T
    return np.concatenate(kernels, axis=1).astype(np.float32, order="C"), levels_of(heard)


def levels_of(heard):
    """Return the quantiles of mixtures: (M, P) to float32 (M, Q).

    Midway between two moments, so that rounding puts none of them on the other side.
    """
    ranks = np.floor(np.array(QUANTILES) * (heard.shape[1] - 1)).astype(int)
    ordered = np.sort(heard, axis=1)
    above = ordered[:, np.minimum(ranks + 1, heard.shape[1] - 1)]
    return ((ordered[:, ranks] + above) / 2).astype(np.float32, order="C")


@torch.no_grad()  # shares of time have no gradient
def shares_and_wins(heard, levels):
    """Return what is pooled of mixtures: (..., M, S), levels (..., M, Q) to (..., M * N_POOLED).

    Of each mixture the share of the time above each of its levels [1]_, and, in groups of mixtures, the square root of
    the share of the time in which it is the largest and the smallest of its group [2]_.

    References
    ----------
    .. [1] A. Dempster et al., MiniRocket, KDD 2021, section 3 (proportion of positive values).
    .. [2] A. Dempster et al., Hydra, Data Mining and Knowledge Discovery 2023, section 3 (competing kernels).
    """
    flags = torch.empty_like(heard)  # written over and over
    pooled = [ones_above(heard, one.unsqueeze(-1), out=flags).mean(-1) for one in levels.unbind(-1)]
    for size in GROUP_SIZES:
        groups, wins = heard.unflatten(-2, (-1, size)), flags.unflatten(-2, (-1, size))
        for extreme in (groups.amax(-2, keepdim=True), groups.amin(-2, keepdim=True)):
            pooled.append(torch.eq(groups, extreme, out=wins).mean(-1).flatten(-2).sqrt())
    return torch.cat(pooled, dim=-1)
