"""V2Sr: a narrow residual network of 2-D convolutions over the log-mel spectrogram.

Shape legend: B batch, F frames, F' frames after the strides, M mel bands, M' bands after the strides, D channels,
K source classes.
"""

import torch
from torch import nn

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.networks.residual import ResidualBlock
from v2s_sklearn.acoustic.pooling import bands_as_channels


class ResNet(AcousticModel):
    """Narrow residual 2-D convolutional network for spoken words, the source of the paper's V2Sr.

    The residual network of He et al. [1]_ at the size of keyword spotting [2]_: a strided convolution, then stages of
    residual blocks, each stage but the first at half the resolution of the one before.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    frontend : dict, optional
        Parameters of :class:`~v2s_sklearn.acoustic.frontend.LogMel`.
    channels : sequence of int, default=(20, 32, 64, 96)
        Widths D of the stages.
    n_blocks : int, default=2
        Residual blocks in a stage.
    dropout : float, default=0.2
        Before the logits, in pretraining only.

    References
    ----------
    .. [1] K. He et al., Deep residual learning for image recognition, CVPR 2016.
    .. [2] R. Tang, J. Lin, Deep residual learning for small-footprint keyword spotting, ICASSP 2018.
    """

    def __init__(
        self,
        source_labels,
        sample_rate=16000,
        n_samples=16000,
        frontend=None,
        channels=(20, 32, 64, 96),
        n_blocks=2,
        dropout=0.2,
    ):
        frontend = LogMel(sample_rate=sample_rate, **(frontend or {}))
        super().__init__(source_labels, frontend, sample_rate, n_samples)
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels[0], 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels[0])
        )
        self.stages = nn.ModuleList()
        n_in = channels[0]
        for index, n_out in enumerate(channels):
            strides = [2 if index else 1] + [1] * (n_blocks - 1)
            self.stages.append(
                nn.ModuleList(
                    ResidualBlock(2, n_in if first == 0 else n_out, n_out, 3, s) for first, s in enumerate(strides)
                )
            )
            n_in = n_out
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels[-1], self.n_classes)

    def activations(self, features):
        """Return the activations of each layer: features (B, F, M) to a dict, see `AcousticModel.activations`.

        Keys ``stem``, ``stage1`` ... (B, D * bands, F'), before the rectifier, averaged over frequency to few bands;
        ``pool`` (B, D) and ``logits`` (B, K).
        """
        x = self.stem(features.unsqueeze(1))
        layers = {"stem": bands_as_channels(x)}
        for index, stage in enumerate(self.stages, start=1):
            for block in stage:
                x = block(torch.relu(x))
            layers[f"stage{index}"] = bands_as_channels(x)
        layers["pool"] = torch.relu(x).mean((2, 3))
        layers["logits"] = self.output(self.dropout(layers["pool"]))
        return layers
