"""Input transformations: time series to waveforms for a frozen acoustic model, with the trained parameters theta.

Shape legend: B batch, C channels, T time points, L points of a series with its channels in a row, S waveform samples,
V voices.

A series shorter than the T columns of its batch is padded at the end; ``lengths`` (B,) holds its number of points.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from v2s_sklearn.errors import InvalidParameterError


def rows_by_length(lengths):
    """Yield each number of points and the rows that have it, (B,) to pairs of int and index tensor."""
    for length in lengths.unique().tolist():
        yield length, torch.nonzero(lengths == length).squeeze(1)


def stretch(series, lengths, n_samples):
    """Return each series interpolated linearly to ``n_samples`` points: (B, C, T), (B,) to (B, C, S).

    Differs from ``torch.nn.functional.interpolate`` in that each series has its own length.
    """
    stretched = series.new_empty(*series.shape[:2], n_samples)
    grid = torch.linspace(0.0, 1.0, n_samples, dtype=torch.float64, device=series.device)
    for length, rows in rows_by_length(lengths):
        position = grid * (length - 1)
        left = position.floor().long()
        right = (left + 1).clamp(max=length - 1)
        points = series[rows]
        fraction = (position - left).to(series.dtype)
        stretched[rows] = torch.lerp(points.index_select(2, left), points.index_select(2, right), fraction)
    return stretched


def first_differences(series, scale):
    """Return the scaled first differences, zero at the first point: (B, C, T), (C, 1) to (B, C, T)."""
    return torch.diff(series, prepend=series[:, :, :1]) / scale


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
        self.p = p
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, values):
        """Return a copy with zeros in training, the values themselves otherwise; any shape."""
        if not self.training or self.p == 0:
            return values
        keep = torch.rand(values.shape, generator=self.generator) >= self.p
        return values * keep.to(values) / (1 - self.p)


class PadReprogram(nn.Module):
    """The paper's input transformation, H(x; theta) = Pad(x) + M * theta.

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
        Amplitude of the waveform, full scale 1, that one unit of the series and of theta stands for.
    seed : int, default=0
        Of the initial theta (Glorot's uniform distribution) and of the dropout.

    Attributes
    ----------
    theta : Parameter of shape (S,)

    References
    ----------
    .. [1] C.-H. H. Yang, Y.-Y. Tsai, P.-Y. Chen, Voice2Series, ICML 2021, section 3 (reprogramming of the input).
    """

    n_voices = 1
    every_octave = False

    def __init__(self, n_samples, n_replicates=1, dropout=0.0, gain=0.1, seed=0):
        super().__init__()
        self.n_samples, self.n_replicates, self.gain = n_samples, n_replicates, gain
        self.dropout = SeededDropout(dropout, seed)
        bound = math.sqrt(6.0 / (n_samples + 1))
        uniform = torch.rand(n_samples, generator=torch.Generator().manual_seed(seed))
        self.theta = nn.Parameter((2 * uniform - 1) * bound)

    @staticmethod
    def max_points(n_samples, n_channels):
        """Return how many time points a series may have; half of the window is left to theta."""
        return max(1, n_samples // (2 * n_channels))

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


@dataclass(frozen=True)
class Voice:
    """How one voice sounds a series x: at frequency carrier + deviation * x with amplitude exp(loudness * x).

    Attributes
    ----------
    carrier : float
        Hz.
    deviation : float, default=0
        Hz for one unit of the scaled series.
    loudness : float, default=0
        Nats of amplitude for one unit of the scaled series.
    n_harmonics : int, default=1
        The k-th harmonic has amplitude 1 / k.
    order : int, default=0
        0 sounds the series, 1 its first differences, scaled to the spread they have in training.
    """

    carrier: float
    deviation: float = 0.0
    loudness: float = 0.0
    n_harmonics: int = 1
    order: int = 0


# Chosen by leave-one-out accuracy on the training splits of the paper's 30 data sets; see benchmarks/NOTES.md.
DEFAULT_VOICES = (
    Voice(1500.0, deviation=500.0),
    Voice(1500.0, deviation=500.0, order=1),
    Voice(200.0, loudness=0.7, n_harmonics=10),
)
# Beside a source that series are played back to, more voices added nothing.
VOICES_BESIDE_PLAYBACK = DEFAULT_VOICES[:1]


class ModulationReprogram(nn.Module):
    """Modulation of voices by the series; theta is what makes up the voices, and an additive waveform.

    The series is stretched over the whole window. Each voice sounds it by frequency, by loudness, or by both, so that
    the acoustic model sees its shape as a contour in the spectrogram. Each channel is sounded on its own.

    Parameters
    ----------
    n_samples : int
        Length S of the waveform.
    sample_rate : int
        In Hz.
    voices : sequence of Voice
        Initial values of theta.
    amplitude : float, default=0.1
        Of a voice at x = 0, full scale 1.
    difference_scale : ndarray of shape (C,), default=1
        Standard deviation of the first differences of each channel, which voices of order 1 are divided by.
    n_replicates : int, default=1
        How many times the series sounds in the window, each time in an equal part of it.
    dropout : float, default=0.0
        Share of the additive waveform set to zero in a training step.
    seed : int, default=0
        Of the dropout.

    Attributes
    ----------
    carrier, deviation : Parameters of shape (V,)
        In units of ``FREQUENCY_UNIT`` Hz, so that one learning rate suits all of theta.
    loudness : Parameter of shape (V,)
    additive : Parameter of shape (S,)
        Zero at first.
    """

    every_octave = False
    FREQUENCY_UNIT = 1000.0
    FREQUENCY_RANGE = (50.0, 3950.0)

    def __init__(
        self,
        n_samples,
        sample_rate,
        voices=DEFAULT_VOICES,
        amplitude=0.1,
        difference_scale=1.0,
        n_replicates=1,
        dropout=0.0,
        seed=0,
    ):
        super().__init__()
        self.n_samples, self.sample_rate = n_samples, sample_rate
        self.amplitude, self.n_replicates = amplitude, n_replicates
        self.dropout = SeededDropout(dropout, seed)
        self.n_harmonics = [voice.n_harmonics for voice in voices]
        self.orders = [voice.order for voice in voices]
        scale = torch.atleast_1d(torch.as_tensor(difference_scale, dtype=torch.float32)).unsqueeze(1)
        self.register_buffer("difference_scale", scale)  # (C, 1)
        self.carrier = nn.Parameter(torch.tensor([float(v.carrier) for v in voices]) / self.FREQUENCY_UNIT)
        self.deviation = nn.Parameter(torch.tensor([float(v.deviation) for v in voices]) / self.FREQUENCY_UNIT)
        self.loudness = nn.Parameter(torch.tensor([float(v.loudness) for v in voices]))
        self.additive = nn.Parameter(torch.zeros(n_samples))

    @property
    def n_voices(self):
        """Number of voices V."""
        return len(self.n_harmonics)

    @staticmethod
    def max_points(n_samples, n_channels):
        """Return how many time points a series may have."""
        return n_samples

    def sound(self, contour, voice):
        """Return the waveform of one voice: stretched series (B, C, S) to (B, C, S)."""
        # Without gradients a voice of constant frequency is the same tone for every series: computed once.
        steady = not torch.is_grad_enabled() and self.deviation[voice] == 0
        bend = torch.zeros_like(contour[:1, :1]) if steady else self.deviation[voice] * contour
        frequency = self.FREQUENCY_UNIT * (self.carrier[voice] + bend)
        low, high = self.FREQUENCY_RANGE
        frequency = frequency.clamp(low, min(high, 0.49 * self.sample_rate))  # below the Nyquist frequency
        phase = 2 * math.pi * torch.cumsum(frequency / self.sample_rate, dim=-1)
        # Three standard deviations bound the loudness, so that an outlier does not clip.
        loudness = torch.exp(self.loudness[voice] * contour.clamp(-3.0, 3.0))
        harmonic, previous = torch.sin(phase), torch.zeros_like(phase)
        tone = harmonic
        if self.n_harmonics[voice] > 1:
            twice_cosine = 2 * torch.cos(phase)
            for k in range(2, self.n_harmonics[voice] + 1):
                # sin(k p) = 2 cos(p) sin((k - 1) p) - sin((k - 2) p): two multiplications instead of a sine.
                harmonic, previous = twice_cosine * harmonic - previous, harmonic
                tone = tone + harmonic / k
        return self.amplitude * loudness * tone

    def forward(self, series, lengths):
        """Return the reprogrammed waveforms: (B, C, T), (B,) to (B, V * C, S)."""
        part = -(-self.n_samples // self.n_replicates)
        contours = {}
        for order in set(self.orders):
            points = first_differences(series, self.difference_scale) if order else series
            contours[order] = stretch(points, lengths, part).repeat(1, 1, self.n_replicates)[:, :, : self.n_samples]
        voices = [self.sound(contours[order], voice) for voice, order in enumerate(self.orders)]
        return torch.cat(voices, dim=1) + self.dropout(self.additive)

    def theta_numpy(self):
        """Return theta as a dict of arrays: carrier and deviation in Hz, loudness in nats, additive waveform."""
        theta = {name: value.detach().cpu().numpy() for name, value in self.named_parameters()}
        return theta | {name: theta[name] * self.FREQUENCY_UNIT for name in ("carrier", "deviation")}


def log_spectrum(waveforms, floor=1e-3):
    """Return the log power spectra up to the Nyquist frequency, as many values as samples: (..., S) to (..., S).

    ``floor``, a share of the mean power of a waveform, is added before the logarithm; the level does not matter.
    """
    n_samples = waveforms.shape[-1]
    spectrum = torch.fft.rfft(waveforms, 2 * n_samples)[..., 1:]
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.log(power / (power.mean(-1, keepdim=True) + 1e-12) + floor)


class PlaybackReprogram(nn.Module):
    """The series itself as the waveform; its differences, its running sum and its log spectrum as three more.

    For the filters of acoustic models on the raw waveform, see `v2s_sklearn.pooling.OctavePooling`. Each series is
    stretched to one length. The running sum is that of the series without its mean.

    Parameters
    ----------
    n_samples : int
        Length S of the waveform.

    Attributes
    ----------
    theta : Parameter of shape (S,)
        An additive waveform, zero at first.
    """

    n_voices = 4
    every_octave = True
    MAX_SAMPLES = 3000

    def __init__(self, n_samples):
        super().__init__()
        self.n_samples = n_samples
        self.theta = nn.Parameter(torch.zeros(n_samples))

    @staticmethod
    def max_points(n_samples, n_channels):
        """Return how many time points a series may have, whatever the window of the acoustic model."""
        return PlaybackReprogram.MAX_SAMPLES

    def forward(self, series, lengths):
        """Return the waveforms: (B, C, T), (B,) to (B, V=4 * C, S)."""
        waveforms = stretch(series, lengths, self.n_samples) + self.theta
        centred = waveforms - waveforms.mean(2, keepdim=True)
        differences = torch.diff(waveforms, prepend=waveforms[:, :, :1])
        return torch.cat([waveforms, differences, centred.cumsum(2), log_spectrum(centred)], dim=1)

    def theta_numpy(self):
        """Return theta as an array of shape (S,)."""
        return self.theta.detach().cpu().numpy()


REPROGRAMMINGS = {"pad": PadReprogram, "modulation": ModulationReprogram, "playback": PlaybackReprogram}


def reprogramming_factory(kind, window, *, n_points, n_replicates, dropout, voices, difference_scale, seed):
    """Return a function without arguments that builds the input transformation for an acoustic model.

    Parameters
    ----------
    kind : {"pad", "modulation", "playback"}
    window : (int, int)
        Samples the acoustic model hears, and its sample rate in Hz.
    n_points : int
        Time points of the longest training series.
    n_replicates, dropout, voices, difference_scale, seed
        See `PadReprogram` and `ModulationReprogram`.

    Raises
    ------
    InvalidParameterError
        If ``voices`` is empty or holds something else.
    """
    if kind == "playback":
        return partial(PlaybackReprogram, n_points)
    n_samples, sample_rate = window
    options = {"n_samples": n_samples, "n_replicates": n_replicates, "dropout": dropout, "seed": seed}
    if kind == "modulation":
        voices = tuple(voices)
        wrong = [voice for voice in voices if not isinstance(voice, Voice)]
        if wrong or not voices:
            raise InvalidParameterError(
                f"voices must be a sequence of at least one v2s_sklearn.reprogram.Voice, got {wrong or list(voices)}."
            )
        options |= {"sample_rate": sample_rate, "voices": voices, "difference_scale": difference_scale}
    return partial(REPROGRAMMINGS[kind], **options)
