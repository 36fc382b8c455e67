"""V2Su: a U-Net that redraws the spectrogram, in front of the attention recurrent network.

Shape legend: B batch, F frames, M mel bands, D channels, K source classes.
"""

import torch
from torch import nn
from torch.nn import functional as F

from v2s_sklearn.acoustic.networks.attention_rnn import AttentionRNN


def convolutions(n_in, n_out):
    """Return two 3 x 3 convolutions with batch normalisation: (B, D, F, M) to (B, D', F, M)."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """U-Net over a spectrogram, which adds a correction to it: (B, F, M) to (B, F, M).

    Parameters
    ----------
    channels : sequence of int
        Widths from the full resolution down; each level has half the resolution of the one before.
    """

    def __init__(self, channels):
        super().__init__()
        self.down = nn.ModuleList(convolutions(i, o) for i, o in zip([1, *channels[:-1]], channels, strict=True))
        pairs = list(zip(channels[:-1], channels[1:], strict=True))
        self.up = nn.ModuleList(convolutions(upper + lower, upper) for upper, lower in reversed(pairs))
        self.output = nn.Conv2d(channels[0], 1, 1)
        # At first the spectrogram passes unchanged.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features):
        """Return the redrawn spectrogram: (B, F, M) to (B, F, M)."""
        x, skipped = features.unsqueeze(1), []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skipped.append(x)
        skipped.pop()
        for block in self.up:
            skip = skipped.pop()
            x = block(torch.cat([skip, F.interpolate(x, size=skip.shape[2:])], dim=1))
        return features + self.output(x).squeeze(1)


class UNetAttentionRNN(AttentionRNN):
    """U-Net and attention recurrent network for spoken words, the source of the paper's V2Su.

    A U-Net [1]_ redraws the log-mel spectrogram, which
    :class:`~v2s_sklearn.acoustic.networks.attention_rnn.AttentionRNN` reads.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    unet_channels : sequence of int, default=(4, 16, 32, 64)
        Widths of the levels of the U-Net.
    **kwargs
        See :class:`~v2s_sklearn.acoustic.networks.attention_rnn.AttentionRNN`.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer, T. Brox, U-Net: convolutional networks for biomedical image segmentation,
       MICCAI 2015.
    """

    def __init__(self, source_labels, unet_channels=(4, 16, 32, 64), **kwargs):
        super().__init__(source_labels, **kwargs)
        self.unet = UNet(unet_channels)

    embedded_layers = None

    def layers(self, features):
        """Yield name and activation of each layer: features (B, F, M), see `AcousticModel.layers`.

        Names ``unet`` (B, M, F), the redrawn spectrogram, and those of the attention recurrent network.
        """
        redrawn = self.unet(features)
        yield "unet", redrawn.transpose(1, 2)
        yield from super().layers(redrawn)
