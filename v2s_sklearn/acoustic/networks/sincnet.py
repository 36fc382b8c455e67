"""SincNet: learnable band-pass filters on the raw waveform, then temporal convolutions.

Shape legend: B batch, S waveform samples, F frames, F' frames after the strides, P filters, D channels, K source
classes.
"""

import torch
from torch import nn

from v2s_sklearn.acoustic.frontend import mel_filter_bank_edges
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.networks.residual import ResidualBlock


class SincConv(nn.Module):
    """Band-pass filters with learnable cut-off frequencies: (B, S) to (B, P, S').

    Parameters
    ----------
    n_filters : int
        P.
    kernel_size : int
        In samples; odd.
    stride : int
        In samples.
    sample_rate : int
        In Hz.
    f_min, f_max : float
        The filters start equally spaced on the mel scale in this range, in Hz, and stay in it.

    Attributes
    ----------
    low, width : Parameters of shape (P,)
        Lower cut-off above ``f_min``, and bandwidth, in units of ``sample_rate``.

    References
    ----------
    .. [1] M. Ravanelli, Y. Bengio, Speaker recognition from raw waveform with SincNet, SLT 2018, equations 3 to 6.
    """

    MIN_WIDTH_HZ = 50.0

    def __init__(self, n_filters, kernel_size, stride, sample_rate, f_min, f_max):
        super().__init__()
        self.stride, self.sample_rate, self.f_min, self.f_max = stride, sample_rate, f_min, f_max
        edges = torch.from_numpy(mel_filter_bank_edges(n_filters, f_min, f_max)).float()
        self.low = nn.Parameter((edges[:-2] - f_min) / sample_rate)
        self.width = nn.Parameter((edges[2:] - edges[:-2] - self.MIN_WIDTH_HZ).clamp(min=0.0) / sample_rate)
        time = torch.arange(kernel_size) - kernel_size // 2
        self.register_buffer("time", time.float(), persistent=False)
        window = torch.hamming_window(kernel_size, periodic=False, dtype=torch.float32)
        self.register_buffer("window", window, persistent=False)

    def filters(self):
        """Return the impulse responses (P, kernel_size)."""
        low = self.f_min / self.sample_rate + self.low.abs()
        high = low + self.MIN_WIDTH_HZ / self.sample_rate + self.width.abs()
        high = high.clamp(max=self.f_max / self.sample_rate)
        low = torch.minimum(low, high - self.MIN_WIDTH_HZ / self.sample_rate)

        def low_pass(cut_off):
            """Return the impulse responses of ideal low passes: cut-offs (D,), cycles a sample, to (D, n)."""
            return 2 * cut_off[:, None] * torch.sinc(2 * cut_off[:, None] * self.time)

        band_pass = (low_pass(high) - low_pass(low)) * self.window
        return band_pass / (2 * (high - low))[:, None]

    def forward(self, waveform):
        """Return the filtered waveforms: (B, S) to (B, P, S')."""
        return nn.functional.conv1d(waveform.unsqueeze(1), self.filters().unsqueeze(1), stride=self.stride)


class SincNet(AcousticModel):
    """SincNet for spoken words: raw waveform in, no spectrogram.

    Band-pass filters whose cut-off frequencies are trained [1]_, the logarithm of their mean magnitude in short
    intervals, and the residual temporal convolutions of `TemporalConvNet`. The original takes the maximum instead of
    the mean and no logarithm; the logarithm makes it robust to the level.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    n_filters : int, default=64
        P.
    kernel_size : int, default=251
        Length of a filter in samples.
    stride : int, default=16
        Of the filters, in samples.
    pool, hop : int, default=25 and 10
        Interval of the mean, and its step, in strides of the filters.
    f_min, f_max : float, default=30 and 4000
        Range of the filters in Hz.
    channels : sequence of int, default=(64, 64, 96, 96, 128)
        Widths of the residual blocks.
    dropout : float, default=0.2
        Before the logits, in pretraining only.

    References
    ----------
    .. [1] M. Ravanelli, Y. Bengio, Speaker recognition from raw waveform with SincNet, SLT 2018.
    """

    LOG_OFFSET = 1e-4

    def __init__(
        self,
        source_labels,
        sample_rate=16000,
        n_samples=16000,
        n_filters=64,
        kernel_size=251,
        stride=16,
        pool=25,
        hop=10,
        f_min=30.0,
        f_max=4000.0,
        channels=(64, 64, 96, 96, 128),
        dropout=0.2,
    ):
        super().__init__(source_labels, nn.Identity(), sample_rate, n_samples)
        self.sinc = SincConv(n_filters, kernel_size, stride, sample_rate, f_min, f_max)
        self.pool, self.hop = pool, hop
        self.norm = nn.BatchNorm1d(n_filters)
        widths = [n_filters, *channels]
        # A stride wherever the network gets wider, but for the first block, which keeps the frame rate.
        self.blocks = nn.ModuleList(
            ResidualBlock(1, n_in, n_out, kernel_size=9, stride=2 if n_out > n_in and index else 1)
            for index, (n_in, n_out) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels[-1], self.n_classes)

    def activations(self, features):
        """Return the activations of each layer: waveforms (B, S) to a dict, see `AcousticModel.activations`.

        Keys ``sinc`` (B, P, F), the log magnitudes of the filters, ``block1`` ... (B, D, F'), before the rectifier,
        ``pool`` (B, D) and ``logits`` (B, K).
        """
        magnitude = nn.functional.avg_pool1d(self.sinc(features).abs(), self.pool, self.hop)
        x = self.norm(torch.log(magnitude + self.LOG_OFFSET))
        layers = {"sinc": x}
        for index, block in enumerate(self.blocks, start=1):
            x = block(torch.relu(x) if index > 1 else x)
            layers[f"block{index}"] = x
        layers["pool"] = torch.relu(x).mean(2)
        layers["logits"] = self.output(self.dropout(layers["pool"]))
        return layers
