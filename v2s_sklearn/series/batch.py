"""Scaled series of several lengths in one array: what goes from the scaling to the views.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SeriesBatch:
    """Series of several lengths.

    Attributes
    ----------
    series : float32 ndarray of shape (N, C, T)
        Zero after the end of a series.
    lengths : int64 ndarray of shape (N,)
        Time points of each series.
    """

    series: np.ndarray
    lengths: np.ndarray

    def __len__(self):
        return len(self.series)

    def __getitem__(self, index):
        """Return some cases: a slice or indices (n,)."""
        return SeriesBatch(self.series[index], self.lengths[index])
