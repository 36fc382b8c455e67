"""Waveform to log-mel features, differentiable in the waveform.

Shape legend: B batch, S waveform samples, F frames, N frequency bins, M mel bands.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.runtime.portable_modules import to_tensor

# Waveforms are in [-1, 1]; the log offset below is stated for the 16-bit integer scale of audio files.
INT16_FULL_SCALE = 32768.0
# Waveforms analysed at a time without gradients on a CPU: what fits into its cache. Three times as fast as 64.
BLOCK_WAVEFORMS = 8


def mel_filter_bank_edges(n_filters, f_min, f_max):
    """Return the edges of overlapping filters in Hz, equally spaced on the mel scale 2595 log10(1 + f / 700).

    Filter i reaches from edge i to edge i + 2: float64 array of shape (n_filters + 2,).
    """
    low, high = 2595.0 * np.log10(1.0 + np.array([f_min, f_max]) / 700.0)
    return 700.0 * (10.0 ** (np.linspace(low, high, n_filters + 2) / 2595.0) - 1.0)


def mel_filter_bank(n_mels, n_fft, sample_rate, f_min, f_max):
    """Triangular filters, equally spaced on the mel scale 2595 log10(1 + f / 700).

    Parameters
    ----------
    n_mels : int
        Number of filters M.
    n_fft : int
        Length of the Fourier transform; there are ``n_fft // 2 + 1`` frequency bins N.
    sample_rate : int
        In Hz.
    f_min, f_max : float
        Lower edge of the first and upper edge of the last filter, in Hz.

    Returns
    -------
    ndarray of shape (N, M), float32
        Filter weights, each filter with peak 1.

    References
    ----------
    .. [1] S. Young et al., The HTK Book, section 5.4 (filter-bank analysis).
    """
    edges = mel_filter_bank_edges(n_mels, f_min, f_max)
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


class LogMel(nn.Module):
    """Standardised log-mel features of a waveform.

    The short-time Fourier transform is linear, so it is exposed apart: ``from_stft(stft(a) + stft(b))`` equals
    ``forward(a + b)``, which lets a caller transform the data and the trained input parameters separately.

    Parameters
    ----------
    sample_rate : int, default=16000
        In Hz.
    win_length, hop_length : int, default=480 and 160
        Hann window and step, in samples (30 ms and 10 ms).
    n_fft : int, default=512
        Length of the Fourier transform in samples.
    n_mels : int, default=40
        Number of mel bands.
    f_min, f_max : float, default=0 and 4000
        Range of the mel bands in Hz.
    log_offset : float, default=300
        Added to the band energies, on the scale of 16-bit samples, before the logarithm.
    mean, std : float
        The logarithms are standardised by these; the defaults are the moments over training clips of Speech Commands
        (of 6,000 drawn ones 14.4 and 5.2), and all packaged sources were trained with them.

    Examples
    --------
    >>> import torch
    >>> from v2s_sklearn.frontend import LogMel
    >>> frontend = LogMel(sample_rate=8000, n_mels=20)
    >>> tuple(frontend(torch.zeros(2, 8000)).shape)  # waveforms, frames, bands
    (2, 48, 20)
    """

    def __init__(
        self,
        sample_rate=16000,
        win_length=480,
        hop_length=160,
        n_fft=512,
        n_mels=40,
        f_min=0.0,
        f_max=4000.0,
        log_offset=300.0,
        mean=14.43,
        std=5.15,
    ):
        super().__init__()
        self.sample_rate, self.f_min, self.f_max = sample_rate, f_min, f_max
        self.win_length, self.hop_length, self.n_fft = win_length, hop_length, n_fft
        self.log_offset, self.mean, self.std = log_offset, mean, std
        window = torch.hann_window(win_length, dtype=torch.float32, device="cpu") * INT16_FULL_SCALE
        filters = to_tensor(mel_filter_bank(n_mels, n_fft, sample_rate, f_min, f_max))
        # Bins above the last filter are not needed.
        self.n_bins = int(filters.any(1).nonzero().max()) + 1
        filters = filters[: self.n_bins]
        # Derived from the configuration, so they are no part of the weights.
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def extra_repr(self):
        """Return the settings in words, for ``repr`` and the model cards."""
        n_mels = self.filters.shape[1]
        return (
            f"Hann window of {self.win_length} samples, step {self.hop_length}, {self.n_fft}-point Fourier transform, "
            f"{n_mels} mel bands, log(E + {self.log_offset:g}) of the energies of 16-bit samples, no padding"
        )

    @property
    def reads_half_of_the_spectrum(self):
        """Whether the bands end below the Nyquist frequency of half the sample rate, and all lengths can be halved.

        Never for a subclass, which may do more with the waveform.
        """
        lengths = (self.sample_rate, self.win_length, self.hop_length, self.n_fft)
        return type(self) is LogMel and 4 * self.f_max <= self.sample_rate and all(n % 2 == 0 for n in lengths)

    def at_half_rate(self):
        """Return a front end that takes the waveform at half the sample rate to the same bands of the same frames.

        Sound below its Nyquist frequency gives the same features up to the sampling of the window.
        """
        half = LogMel(
            self.sample_rate // 2,
            self.win_length // 2,
            self.hop_length // 2,
            self.n_fft // 2,
            self.filters.shape[1],
            self.f_min,
            self.f_max,
            self.log_offset,
            self.mean,
            self.std,
        )
        half.window *= 2  # half as many samples are summed
        return half.to(self.window.device)

    def n_frames(self, n_samples):
        """Return the number of frames F of a waveform of ``n_samples`` samples."""
        return (n_samples - self.win_length) // self.hop_length + 1

    def stft(self, waveform, frames=slice(None)):
        """Return the short-time Fourier transform, no padding, up to ``f_max``: (B, S) to complex (B, F, N).

        ``frames``, a slice or index tensor, takes only some of the frames.
        """
        # Zeros after the waveform and the window, once, not after each frame.
        n_needed = (self.n_frames(waveform.shape[-1]) - 1) * self.hop_length + self.n_fft
        padded = nn.functional.pad(waveform, (0, n_needed - waveform.shape[-1]))
        window = nn.functional.pad(self.window, (0, self.n_fft - self.win_length))
        windowed = padded.unfold(-1, self.n_fft, self.hop_length)[..., frames, :] * window
        return torch.fft.rfft(windowed)[..., : self.n_bins]

    def from_stft(self, spectrum):
        """Return the features of a short-time Fourier transform: complex (B, F, N) to (B, F, M)."""
        power = spectrum.real.square() + spectrum.imag.square()
        return (torch.log(power @ self.filters + self.log_offset) - self.mean) / self.std

    def forward(self, waveform):
        """Return the features of waveforms in [-1, 1]: (B, S) to (B, F, M)."""
        if torch.is_grad_enabled() or waveform.device.type != "cpu":
            return self.from_stft(self.stft(waveform))
        return torch.cat([self.from_stft(self.stft(block)) for block in waveform.split(BLOCK_WAVEFORMS)])
