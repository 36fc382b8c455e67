"""Voice2Series in plain PyTorch, as one would write it from the paper: the rival of our paper mode in `ratios`.

Every step pads the batch, adds theta, transforms the whole waveform and differentiates everything, the weights of the
acoustic model included; only theta is changed. The spectrogram is computed as ``torchaudio`` does it.

Shape legend: N cases, B batch, L points of a series, S waveform samples, F frames, M mel bands, K source classes,
C target classes.
"""

import torch
from torch import nn


class PlainLogMel(nn.Module):
    """The features of a `LogMel`, from all frequency bins: (B, S) to (B, F, M)."""

    def __init__(self, frontend):
        super().__init__()
        self.frontend = frontend
        n_unread = frontend.n_fft // 2 + 1 - len(frontend.filters)
        self.filters = nn.functional.pad(frontend.filters, (0, 0, 0, n_unread))

    def forward(self, waveform):
        """Return the features."""
        frontend = self.frontend
        frames = waveform.unfold(-1, frontend.win_length, frontend.hop_length) * frontend.window
        power = torch.fft.rfft(frames, frontend.n_fft).abs().pow(2)
        return (torch.log(power @ self.filters + frontend.log_offset) - frontend.mean) / frontend.std


class PlainV2S(nn.Module):
    """Padding, theta, acoustic model and many-to-one mapping: series (B, L) to log-probabilities (B, C).

    Parameters
    ----------
    acoustic : AcousticModel
        With weights of its own, which take gradients and are not changed.
    theta : tensor of shape (S,)
        Initial value.
    assignment : tensor of shape (C, floor(K / C)), int
        Source classes of each target class.
    n_replicates : int, default=10
        m, the number of copies of the series.
    gain : float, default=0.1
        Amplitude that one unit of the series and of theta stands for.
    """

    def __init__(self, acoustic, theta, assignment, n_replicates=10, gain=0.1):
        super().__init__()
        # The order of memory in which torch creates weights.
        self.acoustic = acoustic.to(memory_format=torch.contiguous_format).requires_grad_(True).eval()
        self.features = PlainLogMel(acoustic.frontend)
        self.theta = nn.Parameter(theta.clone())
        self.assignment, self.n_replicates, self.gain = assignment, n_replicates, gain

    def forward(self, series):
        """Return the log-probabilities."""
        n_cases, n_points = series.shape
        padded = torch.zeros(n_cases, len(self.theta), dtype=self.theta.dtype)
        mask = torch.ones(len(self.theta), dtype=self.theta.dtype)
        n_slots = len(self.theta) // n_points
        copies = min(self.n_replicates, n_slots)
        for copy in range(copies):
            start = copy * (n_slots // copies) * n_points
            padded[:, start : start + n_points] = series
            mask[start : start + n_points] = 0
        waveform = self.gain * (padded + mask * self.theta)
        source = torch.softmax(self.acoustic.activations(self.features(waveform))["logits"], dim=1)
        return torch.log(source[:, self.assignment].mean(dim=2))


class PlainTrainer:
    """Training of a `PlainV2S` with AdamW, in shuffled batches.

    Parameters
    ----------
    model : PlainV2S
    learning_rate, weight_decay, batch_size : default=0.05, 0.04 and 32
        Those of the paper.
    """

    def __init__(self, model, learning_rate=0.05, weight_decay=0.04, batch_size=32):
        self.model, self.batch_size = model, batch_size
        self.optimizer = torch.optim.AdamW([model.theta], lr=learning_rate, weight_decay=weight_decay)
        self.generator = torch.Generator().manual_seed(0)

    def epoch(self, series, labels):
        """Take one step a batch: (N, L), (N,); return the mean loss."""
        total = 0.0
        for rows in torch.randperm(len(series), generator=self.generator).split(self.batch_size):
            self.model.zero_grad()
            loss = nn.functional.nll_loss(self.model(series[rows]), labels[rows])
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(rows)
        return total / len(series)

    @torch.no_grad()
    def predict(self, series):
        """Return the predicted classes: (N, L) to (N,)."""
        return torch.cat([self.model(batch).argmax(dim=1) for batch in series.split(self.batch_size)])
