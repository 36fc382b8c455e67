"""The one interface behind which every acoustic model stands.

Shape legend: B batch, S waveform samples, F frames, M mel bands, D channels of a layer, K source classes.
"""

from collections.abc import Sequence

import torch

from v2s_sklearn.acoustic.frozen import FrozenNetwork
from v2s_sklearn.acoustic.pooling import pool_over_time
from v2s_sklearn.errors import InvalidParameterError


class AcousticModel(FrozenNetwork):
    """A source model: 1-D waveforms in, logits of the source classes out.

    A subclass sets ``frontend`` (waveform to features, differentiable) and implements ``activations`` or, so that they
    are computed only as far as they are needed, ``layers``. Everything
    else of the project reads a source model through this class only.

    Parameters
    ----------
    source_labels : sequence of str
        Names of the K source classes.
    frontend : torch.nn.Module
        Waveform (B, S) to features.
    sample_rate : int, default=16000
        In Hz.
    n_samples : int, default=16000
        Length S of the input window in samples.

    Attributes
    ----------
    n_classes : int
        Number of source classes K.
    embedded_layers : tuple of str or None
        The layers that `embed` takes when none are given; None for all but the logits.
    filters : tensor of shape (D, n) or None
        Linear filters of n samples that the network starts with on the raw waveform, if it has such; series are played
        back to them as waveforms of any length.
    source, full_rate
        See `v2s_sklearn.acoustic.frozen.FrozenNetwork`.
    """

    filters: torch.Tensor | None = None
    embedded_layers: Sequence[str] | None = None
    #: The axis of a 2-D convolution's output (B, D, ., .) that is time.
    time_axis = 2

    def __init__(self, source_labels, frontend, sample_rate=16000, n_samples=16000):
        super().__init__()
        self.source_labels = tuple(source_labels)
        self.frontend = frontend
        self.sample_rate = sample_rate
        self.n_samples = n_samples

    @property
    def n_classes(self) -> int:
        """Number of source classes K."""
        return len(self.source_labels)

    @property
    def window(self) -> tuple[int, int]:
        """What a waveform for this model has to be: (n_samples, sample_rate)."""
        return self.n_samples, self.sample_rate

    def activations(self, features):
        """Return the activations of every named layer for features from ``frontend``.

        Parameters
        ----------
        features : tensor of shape (B, F, ...)
            What ``frontend`` returns.

        Returns
        -------
        dict of str to tensor
            In the order of computation; (B, D, F') for a layer over time, (B, D) for a pooled one. The last is
            ``"logits"``, (B, K).
        """
        if type(self).layers is AcousticModel.layers:
            raise NotImplementedError(f"{type(self).__name__} must implement activations(features)")
        return dict(self.layers(features))

    def layers(self, features):
        """Yield name and activation of every layer in the order of computation, which goes no further than asked for.

        As in the dict that `activations` returns.
        """
        yield from self.activations(features).items()

    def forward(self, waveform):
        """Return the source logits: waveforms (B, S) in [-1, 1] to (B, K)."""
        return self.classify(self.frontend(waveform))

    def classify(self, features):
        """Return the source logits of features from ``frontend``: (B, F, ...) to (B, K)."""
        return self._network().activations(features)["logits"]

    def embed(self, waveform, layers=None):
        """Return one vector a waveform: the activations pooled over time.

        A layer over time is pooled by `pool_over_time`; one that has no time stands as it is. The logits are left out.

        Parameters
        ----------
        waveform : tensor of shape (B, S)
            In [-1, 1].
        layers : sequence of str, optional
            Which layers; ``embedded_layers`` by default, or all but the logits.

        Returns
        -------
        tensor of shape (B, n_embedding)
        """
        layers = self.embedded_layers if layers is None else layers
        pooled = {}
        for name, activation in self._network().layers(self.frontend(waveform)):
            if name != "logits" if layers is None else name in layers:
                pooled[name] = pool_over_time(activation)
            if layers is not None and len(pooled) == len(set(layers)):
                break
        return torch.cat([pooled[name] for name in layers or pooled], dim=1)

    def attention(self, waveform):
        """Return how much the network attends to each frame: (B, S) to (B, F'), of sum 1.

        Raises
        ------
        InvalidParameterError
            If it has no attention.
        """
        raise InvalidParameterError(
            f"{self.name!r} has no attention. Take a source that has: 'v2sa', 'v2su', or a transformer, 'hf:...'."
        )

    @torch.no_grad()
    def predict_proba(self, waveform):
        """Return the probabilities of the source classes: waveforms (B, S) to (B, K)."""
        return torch.softmax(self(waveform), dim=1)
