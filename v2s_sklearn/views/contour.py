"""The series as a contour, heard by a network that was trained on contours of speech.

Shape legend: B batch, N cases, C channels, T time points, L points of a contour, G contours of a case, D channels of a
stage, L' points of a stage, M mixtures, P pooled values.
"""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.acoustic.contour import z_normalise
from v2s_sklearn.arrays import ArrayModule
from v2s_sklearn.views.mixtures import N_POOLED, fit_mixtures, shares_and_wins
from v2s_sklearn.views.view import View
from v2s_sklearn.views.waveforms import mix_channels, orthonormal_mixture, stretch

N_MIXTURES = 64


class ContourReprogram(ArrayModule):
    """Series stretched to contours, normalised once each by itself and once by all training series.

    Of more than ``MAX_SOUNDED`` channels as many random mixtures are taken.

    Parameters
    ----------
    n_points : int
        Length L of a contour.
    seed : int, default=0
        Of the mixtures.

    Attributes
    ----------
    theta : Parameter of shape (L,)
        An additive contour, zero at first.
    mixture : tensor of shape (MAX_SOUNDED, C) or None
    mean, scale : tensors of shape (C, 1)
        Of the stretched training series.
    """

    MAX_SOUNDED = 4

    def __init__(self, n_points, seed=0):
        super().__init__()
        self.seed = seed
        self.theta = nn.Parameter(torch.zeros(n_points))
        self.register_buffer("mixture", None)
        self.register_buffer("mean", torch.zeros(1, 1))
        self.register_buffer("scale", torch.ones(1, 1))

    def fit(self, series, lengths, sample_weight=None):
        """Choose the mixtures, take the moments: arrays (N, C, T), (N,) and (N,); return self."""
        device = self.theta.device
        if series.shape[1] > self.MAX_SOUNDED:
            mixture = orthonormal_mixture(self.MAX_SOUNDED, series.shape[1], self.seed)
            self.mixture = torch.from_numpy(mixture.astype(np.float32)).to(device)
        stretched = self._stretched(torch.as_tensor(series).to(device), torch.as_tensor(lengths).to(device))
        weights = np.ones(len(series)) if sample_weight is None else sample_weight
        weights = torch.as_tensor(weights / np.sum(weights)).to(device)[:, None, None]
        self.mean = (weights * stretched.mean(2, keepdim=True)).sum(0).float()
        scale = (weights * (stretched - self.mean).square().mean(2, keepdim=True)).sum(0).sqrt().float()
        self.scale = torch.where(scale < 1e-6 * (1 + self.mean.abs()), torch.ones_like(scale), scale)
        return self

    def _stretched(self, series, lengths):
        if self.mixture is not None:
            series = mix_channels(series, self.mixture)
        return stretch(series, lengths, len(self.theta))

    def forward(self, series, lengths):
        """Return the contours, those normalised by themselves first: (B, C, T), (B,) to (B, G=2 * C, L)."""
        stretched = self._stretched(series, lengths)
        return torch.cat([z_normalise(stretched), (stretched - self.mean) / self.scale], dim=1) + self.theta

    def theta_numpy(self):
        """Return theta as an array of shape (L,)."""
        return self.theta.detach().cpu().numpy()


class ContourView(View):
    """The series as contours for a `ContourNet`, whose stages are pooled plainly and as mixtures.

    The normalisations of the network take the statistics of the training series. The plain embedding holds mean and
    maximum of each stage and segments of the last; beside it the channels of each stage are whitened over the training
    series, mixed at random, and pooled by `v2s_sklearn.views.mixtures.shares_and_wins`.

    Parameters
    ----------
    acoustic : ContourNet
        Or another model with ``stages``, ``fit_statistics``, ``pool`` and ``n_points``.
    seed : int, default=0
        Of the mixtures.
    """

    options = ("seed",)
    needs = "mapping='ridge' and a source trained on contours, like 'v2sc'"
    names_words = False
    N_KINDS = 2
    MAX_POINTS = 3000
    # Statistics and mixtures are fitted to so many of the training series at most.
    N_CASES = 256

    def __init__(self, acoustic, *, seed=0):
        super().__init__(acoustic, ContourReprogram(getattr(acoustic, "n_points", 0), seed))
        self.seed = seed

    @classmethod
    def hears_with(cls, acoustic, learned_mapping):
        """Return whether the model takes contours and the mapping reads embeddings."""
        return learned_mapping and hasattr(acoustic, "fit_statistics")

    @classmethod
    def max_points(cls, acoustic, n_channels):
        """Return how many time points of a series are heard; more than a contour has are interpolated."""
        return cls.MAX_POINTS

    @torch.no_grad()
    def _fit_pooling(self, series, lengths):
        chosen = np.unique(np.linspace(0, len(series) - 1, min(len(series), self.N_CASES)).astype(int))
        kinds = self.waveforms(series[chosen], lengths[chosen]).unflatten(1, (self.N_KINDS, -1)).unbind(1)
        random_state = np.random.RandomState(self.seed)
        for kind, contours in enumerate(kinds):
            statistics = self.acoustic.fit_statistics(contours.flatten(0, 1))
            self._sizes = [len(part) for part in statistics]
            self.register_buffer(f"statistics{kind}", torch.cat(statistics))
            for index, stage in enumerate(self._stages(contours, kind)):
                fitted = fit_mixtures(stage.unbind(1), N_MIXTURES, random_state)
                for name, value in zip(("kernel", "level"), fitted, strict=True):
                    self.register_buffer(f"{name}{kind}{index}", torch.from_numpy(value).to(contours.device))

    def _stages(self, contours, kind):
        """Return the activations of the stages: (B, C, L) to a list of (B, C, D, L')."""
        statistics = getattr(self, f"statistics{kind}").split(self._sizes)
        stages = self.acoustic.stages(contours.flatten(0, 1), statistics)
        return [stage.unflatten(0, (len(contours), -1)) for stage in stages]

    def embed(self, waveforms):
        """Return the pooled stages, plain ones first: (B, G, L) to (B, G * P + 2 * stages * M * N_POOLED)."""
        plain, mixed = [], []
        for kind, contours in enumerate(waveforms.unflatten(1, (self.N_KINDS, -1)).unbind(1)):
            stages = self._stages(contours, kind)
            plain.append(
                self.acoustic.pool([stage.flatten(0, 1) for stage in stages]).unflatten(0, (len(contours), -1))
            )
            for index, stage in enumerate(stages):
                heard = getattr(self, f"kernel{kind}{index}") @ stage.flatten(1, 2)
                mixed.append(shares_and_wins(heard, getattr(self, f"level{kind}{index}")))
        return torch.cat([part.flatten(1) for part in (*plain, *mixed)], dim=1)

    def layers(self):
        """Return which embedding values come from which stage, see `View.layers`."""
        widths = [self.acoustic.blocks[index][0].first.out_channels for index in range(len(self.acoustic.blocks))]
        # As `ContourNet.pool` has them: mean and maximum of each stage, and segments of the last.
        pooled = [np.full(2 * width, stage) for stage, width in enumerate(widths)]
        pooled.append(np.full(self.acoustic.n_pooled - 2 * sum(widths), len(widths) - 1))
        mixed = np.repeat(np.tile(np.arange(len(widths)), self.N_KINDS), N_MIXTURES * N_POOLED)
        stages = np.concatenate([np.tile(np.concatenate(pooled), self.n_waveforms), mixed])
        return {f"stage {stage + 1}": np.flatnonzero(stages == stage) for stage in range(len(widths))}

    def blocks(self):
        """Return the plain and the mixed part of the embedding, each a view to the mapping."""
        n_features = self.n_features
        n_plain = self.n_waveforms * self.acoustic.n_pooled
        return {"contour": slice(0, n_plain), "contour mixtures": slice(n_plain, n_features)}
