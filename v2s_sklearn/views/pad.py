"""The paper's view: the series as samples of a waveform whose other samples are theta.

Shape legend: B batch, C channels, T time points, L points of a series with its channels in a row, S waveform samples.
"""

import math

import torch
from torch import nn

from v2s_sklearn.runtime.portable_modules import ArrayModule
from v2s_sklearn.views.padded_spectra import (
    data_spectra,
    has_linear_spectrum,
    heard_frames,
    padded_features,
    spectra_bytes,
)
from v2s_sklearn.views.view import View
from v2s_sklearn.views.waveforms import SeededDropout, rows_by_length

# Above so many bytes the spectra of the training cases are computed batch by batch.
MAX_SPECTRA_BYTES = 512 * 2**20


class PadReprogram(ArrayModule):
    """The paper's input transformation, H(x; theta) = Pad(x) + M * theta.

    `forward` is the equation. Where the front end starts with a linear transform, training computes the same by
    `v2s_sklearn.views.padded_spectra.padded_features`, which adds the spectra of both terms.

    The series, one sample a time point, stands m times at equal intervals from the start of a zero waveform; the mask M
    is 0 where it stands and 1 elsewhere. The channels of a multivariate series follow one another. Fewer copies are
    made where m do not fit.

    Parameters
    ----------
    n_samples : int
        Length S of the waveform.
    n_replicates : int, default=1
        m, the number of copies.
    dropout : float, default=0.0
        Share of theta set to zero in a training step; the rest is scaled by ``1 / (1 - dropout)``.
    gain : float, default=0.1
        Amplitude of the waveform, full scale 1, that one unit of the series and of theta stands for. The paper has
        none; with 0.1 a standardised series stays within full scale up to ten deviations.
    seed : int, default=0
        Of the initial theta (Glorot's uniform distribution) and of the dropout.

    Attributes
    ----------
    theta : Parameter of shape (S,)

    References
    ----------
    .. [1] C.-H. H. Yang, Y.-Y. Tsai, P.-Y. Chen, Voice2Series, ICML 2021, section 3 (reprogramming of the input).
    """

    def __init__(self, n_samples, n_replicates=1, dropout=0.0, gain=0.1, seed=0):
        super().__init__()
        self.n_samples, self.n_replicates, self.gain = n_samples, int(n_replicates), gain
        self.dropout = SeededDropout(dropout, seed)
        bound = math.sqrt(6.0 / (n_samples + 1))
        uniform = torch.rand(n_samples, dtype=torch.float32, generator=torch.Generator().manual_seed(seed))
        self.theta = nn.Parameter((2 * uniform - 1) * bound)

    def fit(self, series, lengths, sample_weight=None):
        """Return self; there is nothing to learn from the series."""
        return self

    def pad(self, series, lengths):
        """Return the padded series and the mask: (B, C, T), (B,) to Pad(x) (B, S) and M (B, S)."""
        padded = series.new_zeros(len(series), self.n_samples)
        mask = series.new_ones(len(series), self.n_samples)
        for length, rows in rows_by_length(lengths):
            points = series[rows, :, :length].flatten(1)  # (., L)
            n_points = points.shape[1]
            n_slots = self.n_samples // n_points
            copies = min(self.n_replicates, n_slots)
            for copy in range(copies):
                start = copy * (n_slots // copies) * n_points
                padded[rows, start : start + n_points] = points
                mask[rows, start : start + n_points] = 0.0
        return padded, mask

    def forward(self, series, lengths):
        """Return the reprogrammed waveforms: (B, C, T), (B,) to (B, V=1, S)."""
        padded, mask = self.pad(series, lengths)
        return (self.gain * (padded + mask * self.dropout(self.theta))).unsqueeze(1)

    def theta_numpy(self):
        """Return theta as an array of shape (S,)."""
        return self.theta.detach().cpu().numpy()


class PadView(View):
    """The paper's view: the series padded with theta.

    Parameters
    ----------
    acoustic : AcousticModel
    n_replicates, dropout, seed
        See `PadReprogram`.
    """

    options = ("n_replicates", "dropout", "seed")
    keeps_length = False  # theta sounds behind a series

    def __init__(self, acoustic, *, n_replicates=1, dropout=0.0, seed=0):
        super().__init__(acoustic, PadReprogram(acoustic.n_samples, n_replicates, dropout, seed=seed))
        self.register_buffer("frames", None)

    def _fit_pooling(self, series, lengths):
        """Note in which frames of the spectrogram the training series sound, of which training makes use."""
        if has_linear_spectrum(self.acoustic.frontend):
            series, lengths = self._tensors(series, lengths)
            self.frames = heard_frames(self.transformation, series, lengths, self.acoustic.frontend)

    def precompute(self, series, lengths):
        """Return the spectra of the padded series without theta, if they are not too large to be held."""
        frontend = self.acoustic.frontend
        if self.frames is None or spectra_bytes(len(series), self.frames, frontend) > MAX_SPECTRA_BYTES:
            return {}
        series, lengths = self._tensors(series, lengths)
        spectra = data_spectra(self.transformation, series, lengths, self.frames, frontend)
        return {"spectra": spectra.cpu().numpy()}

    def differentiable_logits(self, series, lengths, spectra=None):
        """Return the source logits for a training step, in which only theta is transformed to its spectrum."""
        if self.frames is None:
            return super().differentiable_logits(series, lengths)
        acoustic = self.acoustic
        series, lengths = self._tensors(series, lengths)
        features = padded_features(self.transformation, series, lengths, acoustic.frontend, self.frames, spectra)
        return acoustic.classify(features)

    @torch.no_grad()
    def time_points(self, n_points):
        """Return which time point each sample plays, see `View.time_points`; NaN where theta stands."""
        points = torch.arange(n_points, dtype=torch.float32).expand(1, self._shape[0], n_points)
        padded, mask = self.transformation.pad(points, torch.tensor([n_points]))
        return padded.masked_fill(mask > 0, torch.nan)[0].double().numpy()

    @classmethod
    def max_points(cls, acoustic, n_channels):
        """Return how many time points of a series fit; half of the window is left to theta."""
        return max(1, acoustic.n_samples // (2 * n_channels))
