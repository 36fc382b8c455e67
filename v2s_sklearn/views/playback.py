"""The series itself as the waveform, filtered at every octave of speed by filters on the raw waveform.

Shape legend: B batch, C channels, T time points, S waveform samples.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.runtime.portable_modules import ArrayModule
from v2s_sklearn.views.mixtures import GROUP_SIZES, N_POOLED, QUANTILES
from v2s_sklearn.views.octaves import OctavePooling, fit_octaves
from v2s_sklearn.views.view import View
from v2s_sklearn.views.waveforms import stretch


def log_spectrum(waveforms, floor=1e-3):
    """Return the log power spectra up to the Nyquist frequency, as many values as samples: (..., S) to (..., S).

    ``floor``, a share of the mean power of a waveform, is added before the logarithm; the level does not matter. In
    double precision, rounded once: every library then gives the same numbers, and so counts the same moments above a
    level, where that of single precision lets one or the other through.
    """
    n_samples = waveforms.shape[-1]
    spectrum = torch.fft.rfft(waveforms.double(), 2 * n_samples)[..., 1:]
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.log(power / (power.mean(-1, keepdim=True) + 1e-12) + floor).to(waveforms.dtype)


def centre(waveforms):
    """Return waveforms without their means, (..., S) to the same; of constant ones, whose mean is exact, zeros.

    The means are taken in double precision, see `log_spectrum`.
    """
    return waveforms - waveforms.double().mean(-1, keepdim=True).to(waveforms.dtype)


def fade_wins(pooled, series, n_octaves):
    """Return what is pooled of series; of constant ones near zero, all mixtures of a group win alike.

    Which mixtures of constants are the largest does not depend on how large those are. At zero, the mean of the
    training series, rounding would decide; so there each wins as often as the others, and less so up to one deviation.

    Parameters
    ----------
    pooled : tensor of shape (B, O * M * N_POOLED)
        From `OctavePooling`, of one kind of waveforms.
    series : tensor of shape (B, C, S)
        Those waveforms.
    n_octaves : int
        O.

    Returns
    -------
    tensor of shape (B, O * M * N_POOLED)
        That of series that are not constant as it is.
    """
    constant = (series.amax(-1) == series.amin(-1)).all(1)[:, None]
    loudness = series.abs().amax((1, 2)).clamp(max=1.0)[:, None, None, None]
    octaves = pooled.unflatten(1, (n_octaves, N_POOLED, -1))  # (B, O, N_POOLED, M)
    shares, wins = octaves[:, :, : len(QUANTILES)], octaves[:, :, len(QUANTILES) :]
    sizes = [size for size in GROUP_SIZES for _ in range(2)]  # for the largest and the smallest of each group
    faded = [loudness * win + (1 - loudness) / size for win, size in zip(wins.split(1, 2), sizes, strict=True)]
    return torch.where(constant, torch.cat([shares, *faded], dim=2).flatten(1), pooled)


class PlaybackReprogram(ArrayModule):
    """The series itself as the waveform; its differences, its running sum and its log spectrum as three more.

    For the filters of acoustic models on the raw waveform, see `v2s_sklearn.views.octaves.OctavePooling`. Each series
    is stretched to one length. The running sum is that of the series without its mean.

    Attributes
    ----------
    theta : Parameter of shape (S,)
        An additive waveform, zero at first, as long as the longest training series.
    """

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(0, dtype=torch.float32))

    def fit(self, series, lengths, sample_weight=None):
        """Take the length of the waveform: arrays (N, C, T) and (N,); return self."""
        self.theta = nn.Parameter(self.theta.new_zeros(int(lengths.max())))
        return self

    def forward(self, series, lengths):
        """Return the waveforms: (B, C, T), (B,) to (B, G=4 * C, S)."""
        waveforms = stretch(series, lengths, len(self.theta)) + self.theta
        centred = centre(waveforms)
        differences = torch.diff(waveforms, prepend=waveforms[:, :, :1])
        return torch.cat([waveforms, differences, centred.cumsum(2), log_spectrum(centred)], dim=1)

    def theta_numpy(self):
        """Return theta as an array of shape (S,)."""
        return self.theta.detach().cpu().numpy()


class PlaybackView(View):
    """The series played back to the first filters of a source on the raw waveform, at every octave.

    Parameters
    ----------
    acoustic : AcousticModel
        One with ``filters``.
    seed : int, default=0
        Of the mixtures of the filters.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn import load_acoustic_model
    >>> from v2s_sklearn.views import PlaybackView
    >>> series = np.random.default_rng(0).normal(size=(8, 1, 50)).astype(np.float32)
    >>> view = PlaybackView(load_acoustic_model("wav2vec")).fit(series, np.full(8, 50))
    >>> view.embed(view.waveforms(series, np.full(8, 50))).shape == (8, view.n_features)
    True
    """

    pooling: OctavePooling
    options = ("seed",)
    needs = "mapping='ridge' and a source with filters on the raw waveform, like 'wav2vec'"
    names_words = False
    MAX_POINTS = 3000
    # The pooling is fitted to so many of the training series at most.
    N_CASES = 64
    N_KINDS = 4

    def __init__(self, acoustic, *, seed=0):
        super().__init__(acoustic, PlaybackReprogram())
        self.seed = seed
        self.register_module("pooling", None)  # until fit

    @classmethod
    def hears_with(cls, acoustic, learned_mapping):
        """Return whether the model has filters on the raw waveform and the mapping reads embeddings."""
        return acoustic.filters is not None and learned_mapping

    @classmethod
    def max_points(cls, acoustic, n_channels):
        """Return how many time points of a series are heard, whatever the window of the acoustic model."""
        return cls.MAX_POINTS

    @torch.no_grad()
    def _fit_pooling(self, series, lengths):
        chosen = np.unique(np.linspace(0, len(series) - 1, min(len(series), self.N_CASES)).astype(int))
        waveforms = self.waveforms(series[chosen], lengths[chosen])
        filters = self.acoustic.filters.double().cpu().numpy()
        fitted = fit_octaves(filters, waveforms.unflatten(1, (self.N_KINDS, -1)), self.seed)
        self.pooling = OctavePooling(*fitted).to(waveforms.device)

    def blocks(self):
        """Return all kinds of waveforms together and each apart, each a view to the mapping."""
        size = self.n_features // self.N_KINDS
        kinds = ("series", "differences", "running sum", "spectrum")
        apart = {f"playback {kind}": slice(i * size, (i + 1) * size) for i, kind in enumerate(kinds)}
        return {"playback": slice(0, self.n_features)} | apart

    def layers(self):
        """Return which embedding values come from the filters at which octave, see `View.layers`."""
        columns = np.arange(self.n_features).reshape(self.N_KINDS, self.pooling.kernels.shape[1], -1)
        return {f"octave {octave}": columns[:, octave].ravel() for octave in range(columns.shape[1])}

    def embed(self, waveforms):
        """Return the pooled answers of the filters: (B, G, S) to (B, D)."""
        kinds = waveforms.unflatten(1, (self.N_KINDS, -1))
        pooled = self.pooling(kinds)
        n_octaves, n_mixtures = self.pooling.kernels.shape[1:3]
        n_first = n_octaves * n_mixtures * N_POOLED
        series = fade_wins(pooled[:, :n_first], kinds[:, 0], n_octaves)
        return torch.cat([series, pooled[:, n_first:]], dim=1)
