"""Octave pooling: a frozen filter bank on waveforms at every octave of speed, pooled over time.

Shape legend: B batch, N cases, G kinds of waveforms, C channels of a series, S waveform samples, D filters, K samples
of a filter, O octaves, M mixtures of the filters, Q quantiles.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.runtime.compilation import can_be_read, kernel_module
from v2s_sklearn.runtime.portable_modules import ArrayModule, to_tensor
from v2s_sklearn.views.mixtures import fit_mixtures, shares_and_wins

# Number of mixtures for one channel, and for several; chosen on training splits, see benchmarks/NOTES.md.
N_MIXTURES = (64, 128)
# So many values are computed at a time: what fits into a processor's cache.
BLOCK_VALUES = 2**18
KERNEL = "v2s_sklearn.views.octave_kernel"


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
    training series, see `fit_octaves`; so the number of values does not grow with the channels. The mixtures are pooled
    by `shares_and_wins`.

    Parameters
    ----------
    kernels : ndarray of shape (G, O, M, C * K)
        From `fit_octaves`.
    levels : ndarray of shape (G, O, M, Q)
        From `fit_octaves`.
    """

    kernels: torch.Tensor
    levels: torch.Tensor

    def __init__(self, kernels, levels):
        super().__init__()
        self.register_buffer("kernels", to_tensor(kernels))
        self.register_buffer("levels", to_tensor(levels))

    def forward(self, waveforms):
        """Return the pooled mixtures, kind by kind: (B, G, C, S) to (B, G * O * M * N_POOLED)."""
        return pool(waveforms, self.kernels, self.levels)


def pool(waveforms, kernels, levels):
    """Return the pooled mixtures, kind by kind: (B, G, C, S), (G, O, M, C * K), (G, O, M, Q) to (B, ...).

    Without gradients. On the CPU a compiled kernel does it in one pass, in a fraction of the time; what torch does is
    for other devices, for ONNX, and for comparison.
    """
    kernel = kernel_module(KERNEL) if can_be_read(waveforms, kernels, levels) else None
    if kernel is None or not kernel.fits(waveforms, kernels, levels):
        return pool_by_torch(waveforms, kernels, levels)
    return kernel.pool_by_kernel(waveforms, kernels, levels)


@torch.no_grad()  # shares of time have no gradient
def pool_by_torch(waveforms, kernels, levels):
    """Return what `pool` does, by torch's operations."""
    n_values = kernels.shape[2] * waveforms.shape[3]
    n_kinds = min(max(1, BLOCK_VALUES // n_values), waveforms.shape[1])
    n_cases = max(1, BLOCK_VALUES // (n_values * n_kinds))
    parts = [tensor.split(n_kinds) for tensor in (kernels, levels)]
    return torch.cat(
        [
            torch.cat([_pool(part, *fitted) for part, *fitted in zip(block.split(n_kinds, 1), *parts, strict=True)], 1)
            for block in waveforms.split(n_cases)
        ]
    )


def _pool(waveforms, kernels, levels):
    """Return the pooled mixtures of all kinds: (B, G, C, S), (G, O, M, C * K), (G, O, M, Q) to (B, ...)."""
    kernel_size = kernels.shape[3] // waveforms.shape[2]
    pooled = []
    for octave, (kernel, level) in enumerate(zip(kernels.unbind(1), levels.unbind(1), strict=True)):
        heard = kernel @ dilated_patches(waveforms, kernel_size, 2**octave).flatten(2, 3)  # (B, G, M, S)
        pooled.append(shares_and_wins(heard, level))
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
    n_kinds, n_channels, n_samples = waveforms.shape[1:]
    fitted = []
    for kind in waveforms.unbind(1):
        for octave in range(n_octaves(n_samples, filters.shape[1])):
            patches = [dilated_patches(channel, filters.shape[1], 2**octave) for channel in kind.unbind(1)]
            fitted.append(fit_mixtures(patches, N_MIXTURES[n_channels > 1], random_state, filters))
    return tuple(np.stack(part).reshape(n_kinds, -1, *part[0].shape) for part in zip(*fitted, strict=True))
