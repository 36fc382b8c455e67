"""What the input transformations share: series of several lengths in one array, stretching, dropout on theta.

Shape legend: B batch, C channels, T time points, S waveform samples.

A series shorter than the T columns of its batch is padded at the end; ``lengths`` (B,) holds its number of points.
"""

import torch
from torch import nn

from v2s_sklearn.runtime.portable_modules import module_tree


def rows_by_length(lengths):
    """Yield each number of points and the rows that have it, (B,) to pairs of int and index tensor."""
    for length in lengths.unique().tolist():
        yield length, torch.nonzero(lengths == length).squeeze(1)


def stretch(series, lengths, n_samples):
    """Return each series interpolated linearly to ``n_samples`` points: (B, C, T), (B,) to (B, C, S).

    Differs from ``torch.nn.functional.interpolate`` in that each series has its own length.

    Examples
    --------
    >>> import torch
    >>> from v2s_sklearn.views import stretch
    >>> stretch(torch.tensor([[[0.0, 1.0, 0.0]]]), torch.tensor([2]), 5)
    tensor([[[0.0000, 0.2500, 0.5000, 0.7500, 1.0000]]])
    """
    stretched = series.new_empty(*series.shape[:2], n_samples)
    grid = torch.linspace(0.0, 1.0, n_samples, dtype=torch.float64, device=series.device)
    for length, rows in rows_by_length(lengths):
        position = grid * (length - 1)
        left = position.floor().long()
        right = (left + 1).clamp(max=length - 1)
        points = series[rows]
        fraction = (position - left).to(series.dtype)
        # Three times as fast as index_select.
        before, after = (points.gather(2, index.expand(*points.shape[:2], -1)) for index in (left, right))
        stretched[rows] = torch.lerp(before, after, fraction)
    return stretched


def mix_channels(series, mixture):
    """Return mixtures of the channels: (B, C, T), (M, C) to (B, M, T).

    Channel by channel, since the last bits of a matrix product depend on its other columns.
    """
    mixed = series.new_zeros(len(series), len(mixture), series.shape[2])
    for channel, weights in zip(series.unbind(1), mixture.unbind(1), strict=True):
        mixed.addcmul_(channel.unsqueeze(1), weights[:, None])
    return mixed


class SeededDropout(nn.Module):
    """Dropout with a generator of its own, so that the global random state is neither read nor changed.

    Parameters
    ----------
    p : float
        Share of the values set to zero in training; the others are scaled by ``1 / (1 - p)``.
    seed : int
    """

    def __init__(self, p, seed):
        super().__init__()
        self.p, self.seed = p, seed
        self.generator = torch.Generator().manual_seed(seed)

    to_tree = module_tree

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "generator"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.generator = torch.Generator().manual_seed(self.seed)

    def forward(self, values):
        """Return a copy with zeros in training, the values themselves otherwise; any shape."""
        if not self.training or self.p == 0:
            return values
        keep = torch.rand(values.shape, dtype=torch.float32, generator=self.generator) >= self.p
        return values * keep.to(values) / (1 - self.p)
