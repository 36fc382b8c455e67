"""The module of the transfer-learning baseline: a trainable copy of an acoustic model behind a padded series.

Shape legend: B batch, C channels, T time points, S waveform samples, F' frames, D channels of a layer.
"""

import torch
from torch import nn

from v2s_sklearn.network.reprogrammed import CHUNK_WAVEFORMS
from v2s_sklearn.runtime.portable_modules import ArrayModule, Linear
from v2s_sklearn.views.pad import PadReprogram


class FineTunedModel(ArrayModule):
    """Padding -> trainable copy of an acoustic model, up to its last layer before the logits -> dense layer.

    Parameters
    ----------
    acoustic : AcousticModel
        Frozen; it is copied and stays as it is.
    n_replicates : int
        Of the series in the padded waveform, whose other samples are zero.
    n_target : int
        Number of target classes.
    """

    chunk_cases = CHUNK_WAVEFORMS  # the channels of a case share one

    def __init__(self, acoustic, n_replicates, n_target):
        super().__init__()
        self.padding = PadReprogram(acoustic.n_samples, n_replicates)
        silence = torch.zeros_like(self.padding.theta.data)
        del self.padding.theta
        self.padding.register_buffer("theta", silence, persistent=False)
        device = next(acoustic.parameters()).device
        self.acoustic = acoustic.trainable_copy()
        with torch.no_grad():
            n_embedding = self.embed(silence.unsqueeze(0).to(device)).shape[1]
        # Zero at first: all classes alike, whatever the seed, and no random state is read.
        self.dense = nn.utils.skip_init(Linear, n_embedding, n_target, dtype=torch.float32)
        nn.init.zeros_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def for_inference(self):
        """Return the module itself: it is looked up as it is."""
        return self

    def train(self, mode=True):
        """Switch to training mode, but for the acoustic model, whose normalisation keeps the source's statistics.

        A batch may hold one case, which has no statistics of its own. The dropout of the source stays off, too.
        """
        super().train(mode)
        self.acoustic.eval()
        return self

    def embed(self, waveform):
        """Return the last layer before the logits, its mean over time: (B, S) to (B, D)."""
        activations = self.acoustic.activations(self.acoustic.frontend(waveform))
        last = [activation for name, activation in activations.items() if name != "logits"][-1]
        return last.mean(2) if last.ndim == 3 else last

    def forward(self, series, lengths):
        """Return the log-probabilities of the target classes: (B, C, T), (B,) to (B, n_classes)."""
        return torch.log_softmax(self.dense(self.embed(self.padding(series, lengths).squeeze(1))), dim=1)
