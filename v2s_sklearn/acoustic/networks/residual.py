"""The residual block of networks over time and over spectrograms.

Shape legend: B batch, D channels, F frames, M mel bands.
"""

from torch import nn

KINDS = {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d)}


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation and a shortcut: (B, D, F) or (B, D, F, M), strided, to D' channels.

    Parameters
    ----------
    n_dims : {1, 2}
        Over time, or over time and bands.
    n_in, n_out : int
        D and D'.
    kernel_size, stride : int
        Of the first convolution; the second has stride 1.

    References
    ----------
    .. [1] K. He et al., Deep residual learning for image recognition, CVPR 2016, figure 2.
    """

    def __init__(self, n_dims, n_in, n_out, kernel_size, stride):
        super().__init__()
        convolution, normalisation = KINDS[n_dims]
        padding = kernel_size // 2
        self.body = nn.Sequential(
            convolution(n_in, n_out, kernel_size, stride, padding, bias=False),
            normalisation(n_out),
            nn.ReLU(),
            convolution(n_out, n_out, kernel_size, 1, padding, bias=False),
            normalisation(n_out),
        )
        if n_in == n_out and stride == 1:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = nn.Sequential(convolution(n_in, n_out, 1, stride, bias=False), normalisation(n_out))

    def forward(self, x):
        """Return the block's output before the last rectifier."""
        return self.body(x) + self.shortcut(x)
