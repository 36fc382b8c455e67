"""Octave pooling: a frozen filter bank on waveforms at every octave of speed, pooled over time.

Shape legend: B batch, N cases, G kinds of waveforms, C channels of a series, S waveform samples, D filters, K samples
of a filter, O octaves, M mixtures of the filters, Q quantiles.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.acoustic.interface import ones_above
from v2s_sklearn.arrays import ArrayModule

# Of the filters on one channel, and on several; chosen on training splits, see benchmarks/NOTES.md.
N_MIXTURES = (64, 128)
# Channels that one mixture hears at most.
MAX_MEMBERS = 9
QUANTILES = (0.1, 0.5, 0.9)
GROUP_SIZES = (8, 16)
# Fitted to so many moments of the training series at most.
N_MOMENTS = 4096
# Directions in which the filters answer with less than this share of the largest variance are left out.
LEAST_VARIANCE = 1e-5
# So many values are computed at a time: what fits into a processor's cache.
BLOCK_VALUES = 2**18


def dilated_patches(waveforms, kernel_size, dilation):
    """Return the samples under a dilated filter at every shift: (..., S) to a view (..., K, S).

    Zeros stand before and after the waveform. Filters times patches is a convolution; torch's own is some twenty times
    slower for one input channel on a CPU.
    """
    reach = (kernel_size - 1) * dilation
    padded = nn.functional.pad(waveforms, (reach // 2, reach - reach // 2))
    *strides, step = padded.stride()
    shape = (*waveforms.shape[:-1], kernel_size, waveforms.shape[-1])
    return padded.as_strided(shape, (*strides, dilation * step, step))


def n_octaves(n_samples, kernel_size):
    """Return for how many dilations 1, 2, 4 ... a filter is shorter than the waveform; at least one."""
    return sum((kernel_size - 1) * 2**octave < max(n_samples, kernel_size) for octave in range(32))


class OctavePooling(ArrayModule):
    """Pooling of a filter bank over waveforms played once, twice, four times ... as fast.

    At each octave the filters, and the channels of the series, are mixed at random to signals that are white over the
    training series, see `fit_octaves`; so the number of values does not grow with the channels. Of each mixture the
    share of the time above each of its levels is taken [1]_, and, in groups of mixtures, the square root of the share
    of the time in which it is the largest and the smallest of its group [2]_.

    Parameters
    ----------
    kernels : ndarray of shape (G, O, M, C * K)
        From `fit_octaves`.
    levels : ndarray of shape (G, O, M, Q)
        From `fit_octaves`.

    References
    ----------
    .. [1] A. Dempster et al., MiniRocket, KDD 2021, section 3 (proportion of positive values).
    .. [2] A. Dempster et al., Hydra, Data Mining and Knowledge Discovery 2023, section 3 (competing kernels).
    """

    def __init__(self, kernels, levels):
        super().__init__()
        self.register_buffer("kernels", torch.from_numpy(kernels))
        self.register_buffer("levels", torch.from_numpy(levels))

    @torch.no_grad()  # shares of time have no gradient
    def forward(self, waveforms):
        """Return the shares: (B, G, C, S) to (B, G * O * M * (Q + 2 * len(GROUP_SIZES)))."""
        n_values = self.kernels.shape[2] * waveforms.shape[3]
        n_kinds = min(max(1, BLOCK_VALUES // n_values), waveforms.shape[1])
        n_cases = max(1, BLOCK_VALUES // (n_values * n_kinds))
        parts = [tensor.split(n_kinds) for tensor in (self.kernels, self.levels)]
        return torch.cat(
            [
                torch.cat(
                    [_pool(part, *fitted) for part, *fitted in zip(block.split(n_kinds, 1), *parts, strict=True)], 1
                )
                for block in waveforms.split(n_cases)
            ]
        )


def _pool(waveforms, kernels, levels):
    """Return the shares of all kinds, as `OctavePooling` does: (B, G, C, S), (G, O, M, C * K), (G, O, M, Q)."""
    kernel_size = kernels.shape[3] // waveforms.shape[2]
    pooled = []
    for octave, (kernel, level) in enumerate(zip(kernels.unbind(1), levels.unbind(1), strict=True)):
        heard = kernel @ dilated_patches(waveforms, kernel_size, 2**octave).flatten(2, 3)  # (B, G, M, S)
        flags = torch.empty_like(heard)  # written over and over
        pooled += [ones_above(heard, one.unsqueeze(2), out=flags).mean(3) for one in level.unbind(2)]
        for size in GROUP_SIZES:
            groups, wins = heard.unflatten(2, (-1, size)), flags.unflatten(2, (-1, size))
            for extreme in (groups.amax(3, keepdim=True), groups.amin(3, keepdim=True)):
                pooled.append(torch.eq(groups, extreme, out=wins).mean(4).flatten(2).sqrt())
    return torch.cat(pooled, dim=2).flatten(1)


def fit_octaves(filters, waveforms, seed):
    """Return what `OctavePooling` needs.

    Parameters
    ----------
    filters : ndarray of shape (D, K)
        Of the frozen filter bank.
    waveforms : tensor of shape (N, G, C, S)
        Of training series.
    seed : int
        Of the random mixtures.

    Returns
    -------
    kernels : float32 ndarray of shape (G, O, M, C * K)
        The filters, whitened over all moments of the waveforms and mixed at random.
    levels : float32 ndarray of shape (G, O, M, Q)
        Quantiles of the mixtures.
    """
    random_state = np.random.RandomState(seed)
    n_kinds, _, n_samples = waveforms.shape[1:]
    fitted = [
        _fit_mixtures(
            filters, [dilated_patches(one, filters.shape[1], 2**octave) for one in kind.unbind(1)], random_state
        )
        for kind in waveforms.unbind(1)
        for octave in range(n_octaves(n_samples, filters.shape[1]))
    ]
    return tuple(np.stack(part).reshape(n_kinds, -1, *part[0].shape) for part in zip(*fitted, strict=True))


def _fit_mixtures(filters, patches, random_state):
    """Return the kernels (M, C * K) and levels (M, Q) of one kind at one octave: C patches (N, K, S)."""
    n_mixtures = N_MIXTURES[len(patches) > 1]
    shares = _draw_members(n_mixtures, len(patches), random_state)
    kernels, heard = [], 0.0
    for patch, share in zip(patches, shares.T, strict=True):
        step = -(-len(patch) * patch.shape[2] // N_MOMENTS)
        moments = patch.transpose(1, 2).flatten(0, 1)[::step].double().cpu().numpy()
        answers = (moments - moments.mean(axis=0)) @ filters.T
        variances, directions = np.linalg.eigh(answers.T @ answers / len(answers))
        kept = variances >= LEAST_VARIANCE * variances[-1]
        kept[:-1] &= variances[-1] > 0
        scale = np.sqrt(np.maximum(variances[kept], 1e-30))
        mixture = random_state.normal(size=(len(scale), n_mixtures))
        mixture /= np.linalg.norm(mixture, axis=0)
        kernels.append(share[:, None] * (((directions[:, kept] / scale) @ mixture).T @ filters))
        heard = heard + kernels[-1] @ moments.T
    ranks = np.round(np.array(QUANTILES) * (heard.shape[1] - 1)).astype(int)
    levels = np.sort(heard.astype(np.float32), axis=1)[:, ranks]
    return np.concatenate(kernels, axis=1).astype(np.float32), levels


def _draw_members(n_mixtures, n_channels, random_state):
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
