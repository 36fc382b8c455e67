"""V2St: a residual network of temporal convolutions, with the mel bands as channels.

Shape legend: B batch, F frames, F' frames after the strides, M mel bands, M' bands after the strides, D channels,
K source classes.
"""

import torch
from torch import nn

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.networks.residual import ResidualBlock


class BandNeighbourhoods(nn.Module):
    """Small filters over time and neighbouring bands, as additional channels: features (B, F, M) to (B, D, F).

    Bands as channels have no order: a formant that moves by one band looks like another one. 3 x 3 convolutions, each
    to half the frequency resolution, and a projection, which starts at zero so that a network trained without them goes
    on from where it was.
    """

    def __init__(self, n_mels, n_filters, n_out):
        super().__init__()
        layers, n_in = [], 1
        for n_channels in n_filters:
            layers += [
                nn.Conv2d(n_in, n_channels, 3, stride=(1, 2), padding=1, bias=False),
                nn.BatchNorm2d(n_channels),
                nn.ReLU(),
            ]
            n_in, n_mels = n_channels, (n_mels + 1) // 2
        self.filters = nn.Sequential(*layers)
        self.projection = nn.Conv1d(n_in * n_mels, n_out, 1, bias=False)
        nn.init.zeros_(self.projection.weight)

    def forward(self, features):
        """Return the channels that are added to the stem's."""
        x = self.filters(features.unsqueeze(1))  # (B, D, F, M')
        return self.projection(x.transpose(2, 3).flatten(1, 2))


class TemporalConvNet(AcousticModel):
    """Temporal-convolution residual network for spoken words, the source of the paper's V2St.

    After TC-ResNet [1]_: the residual blocks run over time only, so it is fast on a CPU.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    frontend : dict, optional
        Parameters of :class:`~v2s_sklearn.acoustic.frontend.LogMel`.
    channels : sequence of int, default=(32, 48, 48, 64, 64, 96, 96)
        Widths of the first convolution and of the residual blocks.
    band_filters : sequence of int, default=()
        Numbers of 3 x 3 filters over time and neighbouring bands whose outputs are added to those of the first
        convolution; none by default.
    dropout : float, default=0.2
        Before the logits, in pretraining only.

    References
    ----------
    .. [1] S. Choi et al., Temporal convolution for real-time keyword spotting on mobile devices, Interspeech 2019.
    """

    def __init__(
        self,
        source_labels,
        sample_rate=16000,
        n_samples=16000,
        frontend=None,
        channels=(32, 48, 48, 64, 64, 96, 96),
        band_filters=(),
        dropout=0.2,
    ):
        frontend = LogMel(sample_rate=sample_rate, **(frontend or {}))
        super().__init__(source_labels, frontend, sample_rate, n_samples)
        n_mels = frontend.filters.shape[1]
        self.stem = nn.Conv1d(n_mels, channels[0], 3, padding=1)
        self.neighbourhoods = BandNeighbourhoods(n_mels, band_filters, channels[0]) if band_filters else None
        # A stride wherever the network gets wider, but for the first block, which keeps the frame rate.
        self.blocks = nn.ModuleList(
            ResidualBlock(1, n_in, n_out, kernel_size=9, stride=2 if n_out > n_in and index else 1)
            for index, (n_in, n_out) in enumerate(zip(channels[:-1], channels[1:], strict=True))
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels[-1], self.n_classes)

    @property
    def embedded_layers(self):
        """Layers of `embed` by default: the stem and two thirds of the blocks.

        Those behind them help series of other kinds by nothing; see benchmarks/NOTES.md.
        """
        return ["stem", *(f"block{number}" for number in range(1, 1 + -(-2 * len(self.blocks) // 3)))]

    def layers(self, features):
        """Yield name and activation of each layer: features (B, F, M), see `AcousticModel.layers`.

        Names ``stem``, ``block1`` ... (B, D, F'), before the rectifier, ``pool`` (B, D) and ``logits`` (B, K).
        """
        x = self.stem(features.transpose(1, 2))
        if self.neighbourhoods is not None:
            x = x + self.neighbourhoods(features)
        yield "stem", x
        for index, block in enumerate(self.blocks, start=1):
            x = block(torch.relu(x))
            yield f"block{index}", x
        pool = torch.relu(x).mean(2)
        yield "pool", pool
        yield "logits", self.output(self.dropout(pool))
