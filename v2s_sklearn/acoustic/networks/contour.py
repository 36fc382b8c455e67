"""V2Sc: a residual network on contours, the slow courses of speech, in whose stages series of any kind are embedded.

Shape legend: B series, E episodes, N series of an episode, L points, L' points of a stage, D channels of a stage, S
waveform samples, F frames, M mel bands, J bands whose contours are heard, P pooled values, K source classes.
"""

from itertools import chain

import torch
from torch import nn

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel

N_SEGMENTS = 4
EPSILON = 1e-5
# A user's variances are taken to be at least this share of the stored ones: what is constant in the training series
# must not blow up the others.
LEAST_SHARE = 0.01
# Series computed at a time: what fits into a processor's cache.
PART_SERIES = 16


def resample(series, n_points):
    """Return series interpolated linearly to another number of points, both ends kept: (B, L) to (B, n_points)."""
    if series.shape[1] == n_points:
        return series
    return nn.functional.interpolate(series.unsqueeze(1), n_points, mode="linear", align_corners=True).squeeze(1)


def z_normalise(series, least=None):
    """Return series with mean zero and variance one over their last axis; constant ones, up to rounding, as zeros.

    ``least``, (..., 1), is the deviation of a series that is no more than rounding, by default a share of its values.
    """
    centred = series - series.mean(-1, keepdim=True)
    scale = centred.square().mean(-1, keepdim=True).clamp(min=1e-30).sqrt()
    if least is None:
        least = 1e-5 * series.detach().abs().amax(-1, keepdim=True)
    return torch.where(scale > least.clamp(min=1e-12), centred / scale, torch.zeros_like(centred))


def changes_of(series):
    """Return the first differences of contours, normalised: (B, L) to (B, L); of constant ones, up to rounding, zeros.

    They are small beside the values of which they are differences, and so are rounded by more than their own size says.
    """
    rounding = 4 * torch.finfo(series.dtype).eps * series.detach().abs().amax(-1, keepdim=True)
    return z_normalise(nn.functional.pad(series.diff(dim=1), (1, 0)), rounding)


class GivenNorm(nn.Module):
    """Batch normalisation by statistics from outside: (B, D, L) to the same.

    Attributes
    ----------
    weight, bias : Parameters of shape (D,)
    mean, variance : buffers of shape (D,)
        Of the contours it was trained on.
    """

    def __init__(self, n_channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(n_channels)), nn.Parameter(torch.zeros(n_channels))
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("variance", torch.ones(n_channels))

    def forward(self, x, statistics):
        """Normalise by what ``statistics(norm, x)`` returns: mean and variance (D,), or None for those of x itself."""
        given = statistics(self, x)
        mean, variance = given or (None, None)
        return nn.functional.batch_norm(x, mean, variance, self.weight, self.bias, training=given is None, eps=EPSILON)


def _as_matrix(convolution):
    """Return the weight (K D, D') with which `_convolve` computes a convolution, its kernel size and dilation."""
    weight = convolution.weight.permute(2, 1, 0).flatten(0, 1)
    return weight, convolution.kernel_size[0], convolution.dilation[0]


def _fuse(convolution, norm, statistics):
    """Return a convolution and the normalisation after it as what `_convolve` takes."""
    mean, variance = next(statistics), next(statistics)
    scale = norm.weight / (variance + EPSILON).sqrt()
    weight, *sizes = _as_matrix(convolution)
    return weight * scale, norm.bias - mean * scale, *sizes


def _convolve(x, weight, bias, kernel_size, dilation):
    """Return a convolution, channels last, as one matrix product: (B, L, D) to (B, L, D')."""
    n_series, n_points, n_channels = x.shape
    reach = (kernel_size - 1) * dilation // 2
    padded = nn.functional.pad(x, (0, 0, reach, reach))
    one, point, channel = padded.stride()
    neighbours = padded.as_strided(
        (n_series, n_points, kernel_size, n_channels), (one, point, dilation * point, channel)
    )
    return torch.addmm(bias, neighbours.reshape(n_series * n_points, -1), weight).unflatten(0, (n_series, n_points))


class ContourBlock(nn.Module):
    """Two temporal convolutions, the second dilated, and a shortcut: (B, D, L') to (B, D', L')."""

    def __init__(self, n_in, n_out, kernel_size):
        super().__init__()
        half = kernel_size // 2
        self.first = nn.Conv1d(n_in, n_out, kernel_size, padding=half, bias=False)
        self.first_norm = GivenNorm(n_out)
        self.second = nn.Conv1d(n_out, n_out, kernel_size, padding=2 * half, dilation=2, bias=False)
        self.second_norm = GivenNorm(n_out)
        self.shortcut = nn.Conv1d(n_in, n_out, 1, bias=False) if n_in != n_out else nn.Identity()

    def forward(self, x, statistics):
        """Return the rectified sum of both paths."""
        y = torch.relu(self.first_norm(self.first(x), statistics))
        return torch.relu(self.second_norm(self.second(y), statistics) + self.shortcut(x))


class ContourNet(AcousticModel):
    """Residual network on contours of speech, trained to tell classes of them apart from a few examples.

    Contours are courses of the loudness in some frequency band. The network was trained so that a ridge classifier on
    its pooled stages solves small classification tasks made of them, see ``v2s_sklearn.pretrain.few_shot``. Series of
    any other kind go straight into it, as contours. Its normalisations take the statistics of the series at hand, which
    `fit_statistics` measures without labels; the weights stay as they are.

    As a model of waveforms it hears the contours of J fixed bands, and a linear layer names the word.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    frontend : dict, optional
        Parameters of :class:`~v2s_sklearn.acoustic.frontend.LogMel`.
    channels : sequence of int, default=(32, 64, 128, 128)
        Widths of the stages; time is halved from each to the next.
    kernel_sizes : sequence of int, default=(5, 5, 3, 3)
        Of the stages' convolutions; odd.
    n_blocks : sequence of int, default=(1, 1, 2, 2)
        Residual blocks of the stages.
    n_bands : int, default=4
        J.
    n_points : int, default=128
        Length of the contours of a waveform.

    Attributes
    ----------
    n_pooled : int
        P, length of the embedding of a series.

    References
    ----------
    .. [1] L. Bertinetto et al., Meta-learning with differentiable closed-form solvers, ICLR 2019.
    .. [2] J. Bronskill et al., TaskNorm: rethinking batch normalization for meta-learning, ICML 2020.
    """

    embedded_layers = ("pool",)

    def __init__(
        self,
        source_labels,
        sample_rate=16000,
        n_samples=16000,
        frontend=None,
        channels=(32, 64, 128, 128),
        kernel_sizes=(5, 5, 3, 3),
        n_blocks=(1, 1, 2, 2),
        n_bands=4,
        n_points=128,
    ):
        frontend = LogMel(sample_rate=sample_rate, **(frontend or {}))
        super().__init__(source_labels, frontend, sample_rate, n_samples)
        self.n_points = n_points
        self.n_pooled = 2 * sum(channels) + N_SEGMENTS * channels[-1]
        self.stem = nn.Conv1d(2, channels[0], 7, padding=3, bias=False)
        self.stem_norm = GivenNorm(channels[0])
        widths = zip((channels[0], *channels), channels, kernel_sizes, n_blocks, strict=False)
        self.blocks = nn.ModuleList(
            nn.ModuleList(ContourBlock(n_in if first else n_out, n_out, size) for first in [True] + [False] * (n - 1))
            for n_in, n_out, size, n in widths
        )
        self.output = nn.Linear(n_bands * (self.n_pooled + 2), self.n_classes)
        n_mels = frontend.filters.shape[1]
        centres = (torch.arange(n_bands, dtype=torch.float32) + 0.5) * n_mels / n_bands
        bumps = torch.exp(
            -0.5 * ((torch.arange(n_mels, dtype=torch.float32)[:, None] + 0.5 - centres) * 2 * n_bands / n_mels) ** 2
        )
        self.register_buffer("bands", bumps / bumps.sum(0), persistent=False)  # (M, J)

    def _network(self):
        # Without gradients `_fused_stages` is the faster twin.
        return super()._network() if torch.is_grad_enabled() else self

    def _stages(self, series, statistics):
        """Return the stages: (B, L) to a list of (B, D, L'), normalised by what ``statistics(norm, x)`` returns."""
        changes = changes_of(series)
        x = torch.relu(self.stem_norm(self.stem(torch.stack([series, changes], 1)), statistics))
        stages = []
        for index, blocks in enumerate(self.blocks):
            if index:
                x = nn.functional.avg_pool1d(x, 2, ceil_mode=True)
            for block in blocks:
                x = block(x, statistics)
            stages.append(x)
        return stages

    def stages(self, series, statistics=None):
        """Return the activations of the stages.

        Parameters
        ----------
        series : tensor of shape (B, L)
            Normalised, L at least 8.
        statistics : sequence of tensors, optional
            From `fit_statistics`; by default those of contours of speech.

        Returns
        -------
        list of tensors of shape (B, D, L')
            One a stage, none negative; L' is L, L / 2, L / 4, L / 8, rounded up.
        """
        if statistics is None:
            norms = [module for module in self.modules() if isinstance(module, GivenNorm)]
            statistics = [tensor for norm in norms for tensor in (norm.mean, norm.variance)]
        if not torch.is_grad_enabled():
            return self._fused_stages(series, statistics)
        given = iter(statistics)
        return self._stages(series, lambda norm, x: (next(given), next(given)))

    def _fused_stages(self, series, statistics):
        """Return the stages as `stages` does, in less time: normalisations in the weights, channels last in memory."""
        given = iter(statistics)
        fused = {norm: _fuse(convolution, norm, given) for convolution, norm in self._layers()}
        parts = [self._walk(part, lambda x, _, norm: _convolve(x, *fused[norm])) for part in series.split(PART_SERIES)]
        return [torch.cat(stage) for stage in zip(*parts, strict=True)]

    def _layers(self):
        """Yield each convolution with a normalisation after it, and this, in the order of computation."""
        yield self.stem, self.stem_norm
        for block in chain(*self.blocks):
            yield block.first, block.first_norm
            yield block.second, block.second_norm

    def _walk(self, series, layer):
        """Return the stages, without gradients: (B, L) to a list of (B, D, L'), channels last in memory.

        ``layer(x, convolution, norm)`` gives a normalised convolution: (B, L', D) to (B, L', D').
        """
        x = torch.relu_(layer(torch.stack([series, changes_of(series)], 2), self.stem, self.stem_norm))
        stages = []
        for index, blocks in enumerate(self.blocks):
            if index:
                x = nn.functional.avg_pool1d(x.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2).contiguous()
            for block in blocks:
                y = torch.relu_(layer(x, block.first, block.first_norm))
                y = layer(y, block.second, block.second_norm)
                is_wider = isinstance(block.shortcut, nn.Conv1d)
                x = torch.relu_(y.add_(x @ block.shortcut.weight.squeeze(2).T if is_wider else x))
            stages.append(x.transpose(1, 2))
        return stages

    def fit_statistics(self, series):
        """Return the statistics of all normalisations over a set of series, which a later call of `stages` takes.

        Parameters
        ----------
        series : tensor of shape (N, L)
            Normalised training series; labels are not looked at.

        Returns
        -------
        tuple of tensors of shape (D,)
            Mean and variance of each normalisation in turn; no variance less than a hundredth of the stored one.
        """
        return self.fit_stages(series)[0]

    @torch.no_grad()
    def fit_stages(self, series):
        """Return what `fit_statistics` does, and the stages of these series, as `stages` gives them."""
        found = []

        def measure(x, convolution, norm):
            """Normalise a convolution by its own statistics, and note them."""
            weight, *sizes = _as_matrix(convolution)
            bias = weight.new_zeros(weight.shape[1])
            y = torch.cat([_convolve(part, weight, bias, *sizes) for part in x.split(PART_SERIES)])
            # One axis after the other, each along neighbours in memory: torch.var_mean of two takes ten times as long.
            mean = y.mean(1).mean(0)
            variance = y.sub_(mean).square().mean(1).mean(0)
            found.extend([mean, torch.maximum(variance, LEAST_SHARE * norm.variance)])
            return y.mul_(norm.weight / (found[-1] + EPSILON).sqrt()).add_(norm.bias)

        stages = self._walk(series, measure)
        return tuple(found), stages

    @torch.no_grad()
    def store_statistics(self, series):
        """Make the statistics of series (N, L) the stored ones."""
        norms = [module for module in self.modules() if isinstance(module, GivenNorm)]
        for norm in norms:
            norm.variance.zero_()  # no lower bound from before
        found = iter(self.fit_statistics(series))
        for norm in norms:  # registered in the order in which they are computed
            norm.mean.copy_(next(found))
            norm.variance.copy_(next(found))

    def pool(self, stages):
        """Return the embedding of series: mean and maximum of each stage, mean of four segments of the last: (B, P)."""
        pooled = [part for stage in stages for part in (stage.mean(2), stage.amax(2))]
        return torch.cat([*pooled, nn.functional.adaptive_avg_pool1d(stages[-1], N_SEGMENTS).flatten(1)], 1)

    def embed_episodes(self, series):
        """Return embeddings normalised by the statistics of each episode: (E, N, L) to (E, N, P)."""
        # One after another: what 32 series need fits into a processor's cache.
        return torch.stack([self.pool(self._stages(episode, lambda norm, x: None)) for episode in series])

    def activations(self, features):
        """Return the activations of each layer: features (B, F, M) to a dict, see `AcousticModel.activations`.

        Keys ``stage1`` ... (B, J D, L'), ``pool`` (B, J (P + 2)), which has the mean and the deviation of each contour
        too, and ``logits`` (B, K).
        """
        contours = (features @ self.bands).transpose(1, 2)  # (B, J, F)
        n_bands = contours.shape[1]
        deviation = contours.square().mean(2) - contours.mean(2).square()
        stages = self.stages(z_normalise(resample(contours.flatten(0, 1), self.n_points)))
        layers = {
            f"stage{index}": stage.unflatten(0, (-1, n_bands)).flatten(1, 2)
            for index, stage in enumerate(stages, start=1)
        }
        level = torch.cat([contours.mean(2), deviation.clamp(min=1e-12).sqrt()], 1)
        layers["pool"] = torch.cat([self.pool(stages).unflatten(0, (-1, n_bands)).flatten(1), level], 1)
        layers["logits"] = self.output(layers["pool"])
        return layers
