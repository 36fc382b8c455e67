"""The series as a contour, the input of a network that was trained on contours of speech.

Shape legend: B batch, N cases, C channels, T time points, L points of a contour, D channels of a stage, L' points of a
stage, M mixtures, P pooled values.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.acoustic.networks.contour import resample
from v2s_sklearn.runtime.compilation import can_be_read, kernel_module
from v2s_sklearn.runtime.portable_modules import ArrayModule, to_tensor
from v2s_sklearn.series.moments import orthonormal_mixture, power_of_two, spread
from v2s_sklearn.views.mixtures import N_POOLED, fit_mixtures
from v2s_sklearn.views.octaves import pool
from v2s_sklearn.views.view import View
from v2s_sklearn.views.waveforms import mix_channels, stretch

N_MIXTURES = 64
KERNEL = "v2s_sklearn.acoustic.networks.contour_kernel"


class ContourReprogram(ArrayModule):
    """Series stretched to contours and normalised by the training series, with an additive contour.

    Of more than ``max_sounded`` channels as many random mixtures are taken.

    Parameters
    ----------
    max_sounded : int, default=4
    seed : int, default=0
        Of the mixtures.

    Attributes
    ----------
    lengths : tuple of int
        Those of ``LENGTHS`` that serve the training series: the first, and others if a series has more than half as
        many points. The last is L.
    theta : Parameter of shape (L,)
        An additive contour, zero at first.
    mixture : tensor of shape (max_sounded, C) or None
    mean, scale : tensors of shape (C, 1)
        Of the stretched training series.
    """

    # Chosen on training splits, see benchmarks/NOTES.md.
    LENGTHS = (128, 512)

    def __init__(self, max_sounded=4, seed=0):
        super().__init__()
        self.max_sounded, self.seed = max_sounded, seed
        self.lengths: tuple[int, ...] = self.LENGTHS[:1]
        self.theta = nn.Parameter(torch.zeros(self.lengths[-1], dtype=torch.float32))
        self.register_buffer("mixture", None)
        self.register_buffer("mean", torch.zeros(1, 1, dtype=torch.float32))
        self.register_buffer("scale", torch.ones(1, 1, dtype=torch.float32))

    def fit(self, series, lengths, sample_weight=None):
        """Choose lengths and mixtures, take the moments: arrays (N, C, T), (N,) and (N,); return self."""
        device = self.theta.device
        self.lengths = self.LENGTHS[:1] + tuple(n for n in self.LENGTHS[1:] if n < 2 * np.max(lengths))
        self.theta = nn.Parameter(torch.zeros(self.lengths[-1], dtype=torch.float32, device=device))
        if series.shape[1] > self.max_sounded:
            mixture = orthonormal_mixture(self.max_sounded, series.shape[1], self.seed)
            self.mixture = to_tensor(mixture.astype(np.float32)).to(device)
        stretched = self._stretched(torch.as_tensor(series).to(device), torch.as_tensor(lengths).to(device))
        weights = np.ones(len(series)) if sample_weight is None else sample_weight
        weights = torch.as_tensor(weights / np.sum(weights)).to(device)[:, None, None]
        self.mean = (weights * stretched.mean(2, keepdim=True)).sum(0).float()
        largest = stretched.abs().amax((0, 2)).unsqueeze(1).cpu().numpy()
        unit = torch.from_numpy(power_of_two(largest)).to(stretched)  # whose squares are numbers of single precision
        scale = (weights * ((stretched - self.mean) / unit).square().mean(2, keepdim=True)).sum(0).sqrt() * unit
        self.scale = to_tensor(spread(scale.cpu().numpy(), largest)).float().to(device)
        return self

    def _stretched(self, series, lengths):
        if self.mixture is not None:
            series = mix_channels(series, self.mixture)
        return stretch(series, lengths, len(self.theta))

    def forward(self, series, lengths):
        """Return the contours: (B, C, T), (B,) to (B, C, L)."""
        return (self._stretched(series, lengths) - self.mean) / self.scale + self.theta

    def theta_numpy(self):
        """Return theta as an array of shape (L,)."""
        return self.theta.detach().cpu().numpy()


class ContourView(View):
    """The series as contours for a `ContourNet`, whose stages are pooled plainly and as mixtures.

    A contour is computed at one length, the contour of a long series at two. The normalisations of the network take the
    statistics of the training series. The plain embedding holds mean and maximum of each stage and segments of the
    last; beside it the channels of each stage are whitened over the training series, mixed at random, and pooled by
    `v2s_sklearn.views.mixtures.shares_and_wins`.

    Parameters
    ----------
    acoustic : ContourNet
        Or another model with ``stages``, ``fit_stages``, ``pool`` and ``n_pooled``.
    max_sounded : int, default=4
        See `ContourReprogram`.
    seed : int, default=0
        Of all mixtures.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn import load_acoustic_model
    >>> from v2s_sklearn.views import ContourView
    >>> series = np.random.default_rng(0).normal(size=(8, 1, 50)).astype(np.float32)
    >>> view = ContourView(load_acoustic_model("v2sc")).fit(series, np.full(8, 50))
    >>> view.embed(view.waveforms(series, np.full(8, 50))).shape == (8, view.n_features)
    True
    """

    options = ("max_sounded", "seed")
    needs = "mapping='ridge' and a source trained on contours, like 'v2sc'"
    names_words = False
    MAX_POINTS = 3000
    # Statistics and mixtures are fitted to so many of the training series at most.
    N_CASES = 256

    def __init__(self, acoustic, *, max_sounded=4, seed=0):
        super().__init__(acoustic, ContourReprogram(max_sounded, seed))
        self.seed = seed

    @classmethod
    def hears_with(cls, acoustic, learned_mapping):
        """Return whether the model takes contours and the mapping reads embeddings."""
        return learned_mapping and hasattr(acoustic, "fit_stages")

    @classmethod
    def max_points(cls, acoustic, n_channels):
        """Return how many time points of a series are heard; more than a contour has are interpolated."""
        return cls.MAX_POINTS

    @torch.no_grad()
    def _fit_pooling(self, series, lengths):
        chosen = np.unique(np.linspace(0, len(series) - 1, min(len(series), self.N_CASES)).astype(int))
        contours = self.waveforms(series[chosen], lengths[chosen])
        random_state = np.random.RandomState(self.seed)
        vars(self).pop("_prepared_stages", None)  # of an earlier fit
        for length in self.transformation.lengths:
            statistics, stages = self.acoustic.fit_stages(resample(contours.flatten(0, 1), length))
            self._sizes = [len(part) for part in statistics]
            self.register_buffer(f"statistics{length}", torch.cat(statistics))
            for index, stage in enumerate(stages):
                signals = stage.unflatten(0, (len(contours), -1)).unbind(1)
                fitted = fit_mixtures(signals, N_MIXTURES, random_state)
                for name, value in zip(("kernel", "level"), fitted, strict=True):
                    self.register_buffer(f"{name}{length}_{index}", to_tensor(value).to(contours.device))

    def _stages(self, contours, length):
        """Return the activations of the stages at one length: (B, C, L) to a list of (B, C, D, L')."""
        series = resample(contours.flatten(0, 1), length)
        statistics = getattr(self, f"statistics{length}").split(self._sizes)
        prepared = self._prepared(series, statistics)
        stages = self.acoustic.stages(series, statistics) if prepared is None else prepared(series)
        return [stage.unflatten(0, (len(contours), -1)) for stage in stages]

    def _prepared(self, series, statistics):
        """Return what gives the stages of series (B, L) in less time than torch; None where torch has to do it."""
        kernels = kernel_module(KERNEL) if can_be_read(series) and not torch.is_grad_enabled() else None
        if kernels is None:
            return None
        length, prepared = series.shape[1], vars(self).setdefault("_prepared_stages", {})
        if length not in prepared:
            suits = kernels.fits(self.acoustic, length)
            prepared[length] = kernels.PreparedStages(self.acoustic, statistics, length) if suits else None
        return prepared[length]

    def __getstate__(self):
        # With weights of the acoustic model in it.
        return {name: value for name, value in super().__getstate__().items() if name != "_prepared_stages"}

    def embed(self, waveforms):
        """Return the pooled stages: (B, C, L) to (B, lengths * (C * P + stages * M * N_POOLED)).

        Length by length, the plain ones before the mixtures.
        """
        parts = []
        for length in self.transformation.lengths:
            stages = self._stages(waveforms, length)
            plain = self.acoustic.pool([stage.flatten(0, 1) for stage in stages])
            parts.append(plain.reshape(len(waveforms), -1))
            for index, stage in enumerate(stages):
                # As at one octave, under filters of one sample.
                kernels, levels = (getattr(self, f"{name}{length}_{index}")[None, None] for name in ("kernel", "level"))
                parts.append(pool(stage.flatten(1, 2).unsqueeze(1), kernels, levels))
        return torch.cat(parts, dim=1)

    def layers(self):
        """Return which embedding values come from which stage, see `View.layers`."""
        widths = [self.acoustic.blocks[index][0].first.out_channels for index in range(len(self.acoustic.blocks))]
        # As `ContourNet.pool` has them: mean and maximum of each stage, and segments of the last.
        pooled = [np.full(2 * width, stage) for stage, width in enumerate(widths)]
        pooled.append(np.full(self.acoustic.n_pooled - 2 * sum(widths), len(widths) - 1))
        plain = np.tile(np.concatenate(pooled), self.n_waveforms)
        mixed = np.repeat(np.arange(len(widths)), N_MIXTURES * N_POOLED)
        stages = np.tile(np.concatenate([plain, mixed]), len(self.transformation.lengths))
        return {f"stage {stage + 1}": np.flatnonzero(stages == stage) for stage in range(len(widths))}

    def blocks(self):
        """Return the plain and the mixed part of the embedding at each length, each a view to the mapping."""
        lengths = self.transformation.lengths
        size, n_plain = self.n_features // len(lengths), self.n_waveforms * self.acoustic.n_pooled
        blocks = {}
        for number, length in enumerate(lengths):
            start = number * size
            blocks[f"contour {length}"] = slice(start, start + n_plain)
            blocks[f"contour {length} mixtures"] = slice(start + n_plain, start + size)
        return blocks
