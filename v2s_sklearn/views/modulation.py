"""Voices modulated by the series: the acoustic model sees its shape as a contour in the spectrogram.

Shape legend: B batch, C channels, T time points, S waveform samples, V voices.
"""

import math
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import nn

from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.runtime.portable_modules import ArrayModule, to_tensor
from v2s_sklearn.series.moments import orthonormal_mixture, spread
from v2s_sklearn.views.view import View
from v2s_sklearn.views.waveforms import SeededDropout, mix_channels, stretch


@dataclass(frozen=True)
class Voice:
    """How one voice sounds a series x: at frequency carrier + deviation * x with amplitude exp(loudness * x).

    Attributes
    ----------
    carrier : float
        Hz, at most 1e6, as the deviation is.
    deviation : float, default=0
        Hz for one unit of the scaled series.
    loudness : float, default=0
        Nats of amplitude for one unit of the scaled series, at most 5.
    n_harmonics : int, default=1
        The k-th harmonic has amplitude 1 / k. At most 100.
    order : int, default=0
        0 sounds the series, 1 its first differences, scaled to the spread they have in training.

    Raises
    ------
    InvalidParameterError
        If one is not a finite number in its range.

    Examples
    --------
    A voice at 1500 Hz that rises by 500 Hz where the series is 1:

    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.views import Voice
    >>> clf = V2SClassifier("v2sa", voices=[Voice(1500, deviation=500)])
    """

    carrier: float
    deviation: float = 0.0
    loudness: float = 0.0
    n_harmonics: int = 1
    order: int = 0

    def __post_init__(self):
        ranges: dict[str, tuple[Any, float, float]] = {
            "carrier": (Real, -1e6, 1e6),
            "deviation": (Real, -1e6, 1e6),
            "loudness": (Real, -5, 5),
            "n_harmonics": (Integral, 1, 100),
            "order": (Integral, 0, 1),
        }
        for name, (kind, least, most) in ranges.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or not least <= value <= most:
                raise InvalidParameterError(
                    f"{name} of a Voice must be {'an integer' if kind is Integral else 'a number'} from {least:g} to "
                    f"{most:g}, got {value!r}."
                )

    def to_tree(self, name, writer):
        """Return the voice as an object of JSON, see `v2s_sklearn.files.trees`."""
        return {"voice": {key: writer.encode(value, name) for key, value in asdict(self).items()}}


# Chosen by leave-one-out accuracy on the training splits of the paper's 30 data sets; see benchmarks/NOTES.md.
DEFAULT_VOICES = (
    Voice(1500.0, deviation=500.0),
    Voice(1500.0, deviation=500.0, order=1),
    Voice(200.0, loudness=0.7, n_harmonics=10),
)


def difference_scale(series, lengths, sample_weight=None):
    """Return the weighted standard deviation of the first differences of each channel, (C,), in the unit of the series.

    See `spread`; 1 where there are none. Arrays (N, C, T), (N,) and (N,).
    """
    differences = np.diff(series.astype(np.float64), axis=2)
    inside = np.arange(1, series.shape[2]) < lengths[:, None]
    sample_weight = np.ones(len(series)) if sample_weight is None else sample_weight
    weights = (sample_weight[:, None] * inside)[:, None, :]
    total = weights.sum()
    if total == 0:
        return np.ones(differences.shape[1])
    mean = (weights * differences).sum(axis=(0, 2)) / total
    scale = np.sqrt((weights * (differences - mean[:, None]) ** 2).sum(axis=(0, 2)) / total)
    return spread(scale, np.abs(series).max(axis=(0, 2)))


def first_differences(series, scale):
    """Return the scaled first differences, zero at the first point: (B, C, T), (C, 1) to (B, C, T)."""
    return torch.diff(series, prepend=series[:, :, :1]) / scale


class ModulationReprogram(ArrayModule):
    """Modulation of voices by the series; theta is what makes up the voices, and an additive waveform.

    The series is stretched over the whole window. Each voice sounds it by frequency, by loudness, or by both, so that
    the acoustic model sees its shape as a contour in the spectrogram. Each channel is sounded on its own; of more than
    ``max_sounded`` channels as many random mixtures are.

    Parameters
    ----------
    n_samples : int
        Length S of the waveform.
    sample_rate : int
        In Hz.
    voices : sequence of Voice
        Initial values of theta.
    amplitude : float, default=0.1
        Of a voice at x = 0, full scale 1. The largest loudness that three deviations give, exp(3 * 0.7), stays
        within it.
    n_replicates : int, default=1
        How many times the series sounds in the window, each time in an equal part of it of at least one sample.
    dropout : float, default=0.0
        Share of the additive waveform set to zero in a training step.
    max_sounded : int, default=4
    seed : int, default=0
        Of the dropout and the mixtures.

    Attributes
    ----------
    carrier, deviation : Parameters of shape (V,)
        In units of ``FREQUENCY_UNIT`` Hz, so that one learning rate suits all of theta.
    loudness : Parameter of shape (V,)
    additive : Parameter of shape (S,)
        Zero at first.
    mixture : tensor of shape (max_sounded, C) or None
        What is sounded of many channels.
    difference_scale : tensor of shape (C, 1)
        Standard deviation of the first differences of each sounded channel, which voices of order 1 are divided by.
    """

    difference_scale: torch.Tensor
    mixture: torch.Tensor | None
    FREQUENCY_UNIT = 1000.0
    # Of files of older versions, whose large phases in single precision have noise that can be heard.
    wraps_phase = False
    FREQUENCY_RANGE = (50.0, 3950.0)

    def __init__(
        self,
        n_samples,
        sample_rate,
        voices=DEFAULT_VOICES,
        amplitude=0.1,
        n_replicates=1,
        dropout=0.0,
        max_sounded=4,
        seed=0,
    ):
        super().__init__()
        self.n_samples, self.sample_rate = n_samples, sample_rate
        self.amplitude, self.n_replicates = amplitude, min(int(n_replicates), n_samples)
        self.max_sounded, self.seed = max_sounded, seed
        self.wraps_phase = True
        self.dropout = SeededDropout(dropout, seed)
        self.n_harmonics = [voice.n_harmonics for voice in voices]
        self.orders = [voice.order for voice in voices]
        self.register_buffer("difference_scale", torch.ones(1, 1, dtype=torch.float32))  # (C, 1)
        self.register_buffer("mixture", None)
        carrier, deviation, loudness = torch.tensor(
            [(voice.carrier, voice.deviation, voice.loudness) for voice in voices], dtype=torch.float32
        ).T.contiguous()
        self.carrier = nn.Parameter(carrier / self.FREQUENCY_UNIT)
        self.deviation = nn.Parameter(deviation / self.FREQUENCY_UNIT)
        self.loudness = nn.Parameter(loudness.clone())
        self.additive = nn.Parameter(torch.zeros(n_samples, dtype=torch.float32))

    def fit(self, series, lengths, sample_weight=None):
        """Choose the mixtures, take the spread of first differences: arrays (N, C, T), (N,) and (N,); return self."""
        if series.shape[1] > self.max_sounded:
            mixture = orthonormal_mixture(self.max_sounded, series.shape[1], self.seed).astype(np.float32)
            series = np.einsum("mc,nct->nmt", mixture, series)
            self.mixture = to_tensor(mixture).to(self.additive.device)
        scale = torch.from_numpy(difference_scale(series, lengths, sample_weight)).unsqueeze(1)
        self.difference_scale = scale.to(self.difference_scale)
        return self

    def sound(self, contour, voice):
        """Return the waveform of one voice: stretched series (B, C, S) to (B, C, S)."""
        # Without gradients a voice of constant frequency is the same tone for every series: computed once.
        steady = not torch.is_grad_enabled() and self.deviation[voice] == 0
        bend = torch.zeros_like(contour[:1, :1]) if steady else self.deviation[voice] * contour
        frequency = self.FREQUENCY_UNIT * (self.carrier[voice] + bend)
        low, high = self.FREQUENCY_RANGE
        frequency = frequency.clamp(low, min(high, 0.49 * self.sample_rate))  # below the Nyquist frequency
        # A processor sums so anyway, a GPU only where it is told to.
        cycles = torch.cumsum(frequency / self.sample_rate, dim=-1, dtype=torch.float64)
        if self.wraps_phase:
            cycles = cycles - torch.floor(cycles)
        phase = 2 * math.pi * cycles.to(frequency)
        # Without gradients nothing is computed that is one for all series.
        even = not torch.is_grad_enabled() and not steady and self.loudness[voice] == 0
        # Three standard deviations bound the loudness, so that an outlier does not clip.
        loudness = 1.0 if even else torch.exp(self.loudness[voice] * contour.clamp(-3.0, 3.0))
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
        """Return the reprogrammed waveforms: (B, C, T), (B,) to (B, V * min(C, max_sounded), S)."""
        part = -(-self.n_samples // self.n_replicates)
        if self.mixture is not None:
            series = mix_channels(series, self.mixture)
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


def check_voices(voices):
    """Return voices as a tuple; raise `InvalidParameterError` if there is none or something else among them."""
    voices = tuple(voices)
    wrong = [voice for voice in voices if not isinstance(voice, Voice)]
    if wrong or not voices:
        raise InvalidParameterError(
            f"voices must be a sequence of at least one v2s_sklearn.views.Voice, got {wrong or list(voices)}."
        )
    return voices


class ModulationView(View):
    """Voices modulated by the series, for sources that see a spectrogram; at half their rate where they can.

    Parameters
    ----------
    acoustic : AcousticModel
    voices, **options
        See `ModulationReprogram`.
    """

    options = ("voices", "n_replicates", "dropout", "max_sounded", "seed")

    def __init__(self, acoustic, *, voices=DEFAULT_VOICES, **options):
        acoustic = acoustic.at_half_rate()  # voices lie below 4 kHz
        super().__init__(
            acoustic, ModulationReprogram(acoustic.n_samples, acoustic.sample_rate, check_voices(voices), **options)
        )

    def blocks(self):
        """Return all voices together and each apart, each a view to the mapping."""
        n_voices = len(self.transformation.orders)
        if n_voices == 1:
            return super().blocks()
        size = self.n_features // n_voices
        apart = {f"voice {number}": slice(number * size, (number + 1) * size) for number in range(n_voices)}
        return {"modulation": slice(0, n_voices * size)} | apart

    def time_points(self, n_points):
        """Return which time point each sample plays, see `View.time_points`: the series fills each equal part."""
        n_samples, n_replicates = self.transformation.n_samples, self.transformation.n_replicates
        return np.tile(np.linspace(0, n_points - 1, -(-n_samples // n_replicates)), n_replicates)[:n_samples]

    @classmethod
    def max_points(cls, acoustic, n_channels):
        """Return how many time points of a series fit."""
        return acoustic.at_half_rate().n_samples
