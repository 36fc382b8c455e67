"""What is kept of a layer: statistics over time, and bands of a 2-D map.

Shape legend: B batch, D channels of a layer, F frames, M mel bands.
"""

import torch
from torch import nn

N_SEGMENTS = 8


def ones_above(values, levels, out=None):
    """Return 1.0 where values are above levels and 0.0 elsewhere, without gradients; faster than by way of booleans."""
    values, levels = values.detach(), levels.detach()
    return torch.gt(values, levels, out=torch.empty_like(values) if out is None else out)


def pool_over_time(activation):
    """Return statistics of each channel over time: (B, D, F') to (B, (7 + N_SEGMENTS) D); (B, D) unchanged.

    Mean, maximum, standard deviation, mean absolute change from frame to frame, shares of the frames above the mean and
    above the middle of the range, share of the steps that cross the mean, and the means of ``N_SEGMENTS`` equal parts.
    """
    if activation.ndim == 2:
        return activation
    mean, maximum = activation.mean(2, keepdim=True), activation.amax(2, keepdim=True)
    middle = (activation.amin(2, keepdim=True) + maximum) / 2
    # torch.std takes ten times as long. The floor keeps the gradient of a constant channel finite.
    variance = (activation - mean).square().mean(2).clamp(min=1e-12)
    above = ones_above(activation, mean)
    if activation.shape[2] > 1:
        change = activation.diff(dim=2).abs().mean(2)
        crossings = above.diff(dim=2).abs().mean(2)
    else:
        change = crossings = torch.zeros_like(activation[:, :, 0])
    pooled = [
        mean.squeeze(2),
        maximum.squeeze(2),
        variance.sqrt(),
        change,
        above.mean(2),
        ones_above(activation, middle).mean(2),
        crossings,
        nn.functional.adaptive_avg_pool1d(activation, N_SEGMENTS).flatten(1),
    ]
    return torch.cat(pooled, dim=1)


def bands_as_channels(x, n_values=96):
    """Return a 2-D map as a layer over time: (B, D, F, M) to (B, D * bands, F).

    The frequency axis is averaged to as many bands as keep at most ``n_values`` values a frame, at least one.
    """
    bands = max(1, min(x.shape[3], n_values // x.shape[1]))
    return nn.functional.adaptive_avg_pool2d(x, (x.shape[2], bands)).transpose(2, 3).flatten(1, 2)
