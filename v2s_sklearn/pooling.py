"""Whitened shares: how much of the time combinations of frozen channels are above quantiles of the training series.

Shape legend: B batch, G waveforms of a case, D channels of a layer, S samples at which it is heard, Q quantiles,
N moments.
"""

import numpy as np
import torch
from torch import nn

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
# Directions with less than this share of the largest variance are not blown up to the same size.
LEAST_VARIANCE = 1e-5


class WhitenedShares(nn.Module):
    """Pooling of one layer: the share of the time that each rotated, whitened channel is above each of its levels.

    MiniRocket's pooling [1]_ on a frozen network. The channels of a trained network go together most of the time, so
    shares of single ones say the same many times over; whitened and rotated at random they do not.

    Parameters
    ----------
    rotation : ndarray of shape (G, D, D)
        From `fit_whitened_shares`.
    levels : ndarray of shape (G, D, Q)
        From `fit_whitened_shares`.

    References
    ----------
    .. [1] A. Dempster et al., MiniRocket, KDD 2021, section 3 (proportion of positive values).
    """

    def __init__(self, rotation, levels):
        super().__init__()
        # Copies: an unpickled array may be memory that must not be written.
        self.register_buffer("rotation", torch.from_numpy(np.array(rotation)))
        self.register_buffer("levels", torch.from_numpy(np.array(levels)))

    def forward(self, activations):
        """Return the shares: (B, G, D, S) to (B, G * D * Q)."""
        rotated = self.rotation.transpose(1, 2) @ activations
        shares = [(rotated > level[:, :, None]).to(rotated).mean(3) for level in self.levels.unbind(2)]
        return torch.stack(shares, dim=3).flatten(1)


def fit_whitened_shares(activations, seed):
    """Return what `WhitenedShares` needs, from activations at some moments of the training series.

    Parameters
    ----------
    activations : ndarray of shape (G, N, D)
    seed : int
        Of the rotations.

    Returns
    -------
    rotation : float32 ndarray of shape (G, D, D)
        Whitening and a random rotation after it.
    levels : float32 ndarray of shape (G, D, Q)
        Quantiles of the rotated activations.
    """
    random_state = np.random.RandomState(seed)
    rotations, levels = [], []
    for values in activations.astype(np.float64):
        centred = values - values.mean(axis=0)
        variances, directions = np.linalg.eigh(centred.T @ centred / len(values))
        variances = np.maximum(variances, max(LEAST_VARIANCE * variances[-1], 1e-12))
        random_rotation, _ = np.linalg.qr(random_state.normal(size=directions.shape))
        rotation = (directions / np.sqrt(variances)) @ random_rotation
        rotations.append(rotation)
        levels.append(np.quantile(values @ rotation, QUANTILES, axis=0).T)
    return np.stack(rotations).astype(np.float32), np.stack(levels).astype(np.float32)
