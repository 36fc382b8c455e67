"""V2Sa: convolutions, bidirectional LSTMs and single-head attention over a log-mel spectrogram.

Shape legend: B batch, F frames, F' frames after the stride, M mel bands, H states of one direction, K source classes.
"""

from collections.abc import Sequence

import torch
from torch import nn

from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.recurrence import frozen_bilstm
from v2s_sklearn.runtime.settings import without_cudnn


class AttentionRNN(AcousticModel):
    """Attention recurrent network for spoken words, the source of the paper's V2Sa.

    Two convolutions, two bidirectional LSTM layers, one attention head whose query is the last state, and dense layers,
    after de Andrade et al. [1]_. The first convolution has stride 2 in time and frequency, which halves the cost of the
    recurrence.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the source classes.
    sample_rate, n_samples : int, default=16000
        In Hz, and in samples.
    frontend : dict, optional
        Parameters of :class:`~v2s_sklearn.acoustic.frontend.LogMel`.
    conv_channels : pair of int, default=(16, 4)
        Channels of the two convolutions.
    hidden_size : int, default=64
        States H of one direction of an LSTM layer.
    dense_sizes : sequence of int, default=(64, 64)
        Widths of the dense layers before the logits.
    dropout : float, default=0.1
        After the first LSTM layer and the attention, in pretraining only.

    References
    ----------
    .. [1] D. C. de Andrade et al., A neural attention model for speech command recognition, arXiv 1808.08929, 2018.
    """

    def __init__(
        self,
        source_labels,
        sample_rate=16000,
        n_samples=16000,
        frontend=None,
        conv_channels=(16, 4),
        hidden_size=64,
        dense_sizes=(64, 64),
        dropout=0.1,
    ):
        frontend = LogMel(sample_rate=sample_rate, **(frontend or {}))
        super().__init__(source_labels, frontend, sample_rate, n_samples)
        n_mels = frontend.filters.shape[1]
        first, second = conv_channels
        self.conv = nn.Sequential(
            nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, second, 5, padding=2, bias=False),
            nn.BatchNorm2d(second),
            nn.ReLU(),
        )
        self.lstm1 = nn.LSTM(second * ((n_mels + 1) // 2), hidden_size, batch_first=True, bidirectional=True)
        self.lstm2 = nn.LSTM(2 * hidden_size, hidden_size, batch_first=True, bidirectional=True)
        self.query = nn.Linear(2 * hidden_size, 2 * hidden_size)
        self.dropout = nn.Dropout(dropout)
        widths = [2 * hidden_size, *dense_sizes]
        self.dense = nn.ModuleList(nn.Linear(i, o) for i, o in zip(widths[:-1], widths[1:], strict=True))
        self.output = nn.Linear(widths[-1], self.n_classes)

    # Behind the first recurrent layer nothing helps series of other kinds; see benchmarks/NOTES.md.
    embedded_layers: Sequence[str] | None = ("conv", "lstm1")

    def layers(self, features):
        """Yield name and activation of each layer: features (B, F, M), see `AcousticModel.layers`.

        Names ``conv`` (B, D, F'), ``lstm1`` and ``lstm2`` (B, 2H, F'), ``attention`` (B, 2H), ``dense`` (B, D) and
        ``logits`` (B, K).
        """
        conv = self.conv(features.unsqueeze(1))  # (B, D, F', M')
        sequence = conv.permute(0, 2, 1, 3).flatten(2)  # (B, F', D * M')
        yield "conv", sequence.transpose(1, 2)
        states1 = self._recur(self.lstm1, sequence)
        yield "lstm1", states1.transpose(1, 2)
        states2 = self._recur(self.lstm2, self.dropout(states1))
        yield "lstm2", states2.transpose(1, 2)
        attended = torch.einsum("bf,bfh->bh", self._weigh(states2), states2)
        yield "attention", attended
        dense = self.dropout(attended)
        for layer in self.dense:
            dense = torch.relu(layer(dense))
        yield "dense", dense
        yield "logits", self.output(dense)

    def _weigh(self, states):
        """Return the attention weights of the frames: (B, F', 2H) to (B, F')."""
        query = self.query(states[:, -1])  # (B, 2H)
        scores = torch.einsum("bfh,bh->bf", states, query) / states.shape[2] ** 0.5
        return torch.softmax(scores, dim=1)

    def attention(self, waveform):
        """Return the weight of each frame in the attention head: (B, S) to (B, F')."""
        layers = dict(self._network().layers(self.frontend(waveform)))
        return self._weigh(layers["lstm2"].transpose(1, 2))

    def _recur(self, lstm, sequence):
        if sequence.requires_grad and sequence.device.type == "cpu" and not lstm.weight_ih_l0.requires_grad:
            return frozen_bilstm(lstm, sequence)
        if self.training or not torch.is_grad_enabled() or sequence.device.type != "cuda":
            return lstm(sequence)[0]
        # cuDNN has no backward pass for a recurrent layer in eval mode, where a frozen model stays.
        with without_cudnn():
            return lstm(sequence)[0]
