"""Octave pooling: a frozen filter bank on waveforms at every octave of speed, pooled over time.

Shape legend: B batch, N cases, G waveforms of a case, S waveform samples, D filters, K samples of a filter, O octaves,
M channels, Q quantiles.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.acoustic.interface import ones_above

N_CHANNELS = 64
QUANTILES = (0.1, 0.5, 0.9)
GROUP_SIZES = (8, 16)
# Fitted to so many of the training series, at so many moments, at most.
N_CASES = 64
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


class OctavePooling(nn.Module):
    """Pooling of a filter bank over waveforms played once, twice, four times ... as fast.

    At each octave the filters are mixed to random channels that are white over the training series, see `fit_octaves`.
    Of each channel the share of the time above each of its levels is taken [1]_, and, in groups of channels, the square
    root of the share of the time in which it is the largest and the smallest of its group [2]_.

    Parameters
    ----------
    kernels : ndarray of shape (G, O, M, K)
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
        # Copies: an unpickled array may be memory that must not be written.
        self.register_buffer("kernels", torch.from_numpy(np.array(kernels)))
        self.register_buffer("levels", torch.from_numpy(np.array(levels)))

    @torch.no_grad()  # shares of time have no gradient
    def forward(self, waveforms):
        """Return the shares: (B, G, S) to (B, G * O * M * (Q + 2 * len(GROUP_SIZES)))."""
        n_values = self.kernels.shape[2] * waveforms.shape[2]
        n_waveforms = min(max(1, BLOCK_VALUES // n_values), waveforms.shape[1])
        n_cases = max(1, BLOCK_VALUES // (n_values * n_waveforms))
        parts = [tensor.split(n_waveforms) for tensor in (self.kernels, self.levels)]
        return torch.cat(
            [
                torch.cat(
                    [_pool(part, *fitted) for part, *fitted in zip(block.split(n_waveforms, 1), *parts, strict=True)], 1
                )
                for block in waveforms.split(n_cases)
            ]
        )


def _pool(waveforms, kernels, levels):
    """Return the shares: (B, G, S), (G, O, M, K), (G, O, M, Q) to (B, G * O * M * (Q + 2 * len(GROUP_SIZES)))."""
    pooled = []
    for octave, (kernel, level) in enumerate(zip(kernels.unbind(1), levels.unbind(1), strict=True)):
        heard = kernel @ dilated_patches(waveforms, kernel.shape[2], 2**octave)  # (B, G, M, S)
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
    waveforms : tensor of shape (N, G, S)
        Of training series.
    seed : int
        Of the random channels.

    Returns
    -------
    kernels : float32 ndarray of shape (G, O, M, K)
        The filters, whitened over all moments of the waveforms and mixed at random.
    levels : float32 ndarray of shape (G, O, M, Q)
        Quantiles of the channels.
    """
    random_state = np.random.RandomState(seed)
    fitted = [
        _fit_channels(filters, dilated_patches(waveform, filters.shape[1], 2**octave), random_state)
        for waveform in waveforms.unbind(1)
        for octave in range(n_octaves(waveforms.shape[2], filters.shape[1]))
    ]
    return tuple(np.stack(part).reshape(waveforms.shape[1], -1, *part[0].shape) for part in zip(*fitted, strict=True))


def _fit_channels(filters, patches, random_state):
    """Return the kernels (M, K) and levels (M, Q) of one waveform at one octave: patches (N, K, S)."""
    step = -(-len(patches) * patches.shape[2] // N_MOMENTS)
    moments = patches.transpose(1, 2).flatten(0, 1)[::step].double().cpu().numpy()
    answers = (moments - moments.mean(axis=0)) @ filters.T
    variances, directions = np.linalg.eigh(answers.T @ answers / len(answers))
    kept = variances >= LEAST_VARIANCE * variances[-1]
    kept[:-1] &= variances[-1] > 0
    scale = np.sqrt(np.maximum(variances[kept], 1e-30))
    mixture = random_state.normal(size=(len(scale), N_CHANNELS))
    mixture /= np.linalg.norm(mixture, axis=0)
    kernels = ((directions[:, kept] / scale) @ mixture).T @ filters
    channels = np.sort((kernels @ moments.T).astype(np.float32), axis=1)
    ranks = np.round(np.array(QUANTILES) * (len(moments) - 1)).astype(int)
    return kernels.astype(np.float32), channels[:, ranks]
