"""The one interface of all views.

Shape legend: B batch, N cases, C channels, T time points, G waveforms of a case, S waveform samples, D embedding,
K source classes.
"""

import copy

import numpy as np
import torch

from v2s_sklearn.acoustic.pooling import pool_over_time
from v2s_sklearn.acoustic.registry import load_acoustic_model
from v2s_sklearn.runtime.flops import count_flops
from v2s_sklearn.runtime.portable_modules import ArrayModule


class View(ArrayModule):
    """A view: an input transformation of the series, a frozen model, and the pooling of its activations to features.

    A new kind of view is a subclass, which :func:`register_view` gives a name.

    Parameters
    ----------
    acoustic : AcousticModel
        Frozen. It is no submodule: not among the parameters, in eval mode when this module is trained, and pickled as a
        reference to its weights.
    transformation : torch.nn.Module
        Series (B, C, T) and lengths (B,) to waveforms (B, G, S); its parameters are theta. Views whose models hear the
        same waveforms share one.

    Examples
    --------
    >>> import numpy as np
    >>> from v2s_sklearn import load_acoustic_model
    >>> from v2s_sklearn.views import ModulationView
    >>> view = ModulationView(load_acoustic_model("v2sa"))
    >>> series, lengths = np.zeros((4, 1, 50), dtype=np.float32), np.full(4, 50)
    >>> view = view.fit(series, lengths)
    >>> waveforms = view.waveforms(series, lengths)
    >>> tuple(waveforms.shape), view.embed(waveforms).shape[1] == view.n_features
    ((4, 3, 8000), True)
    """

    #: Keyword arguments of the constructor that `plan_views` passes on.
    options: tuple[str, ...] = ()
    #: What it needs of mapping and source, for the error where it has not got it.
    needs = "nothing"
    #: Whether the source hears waveforms whole and names its classes, so that `source_logits` means something.
    names_words = True
    #: Whether series keep their length where those of training are of unequal length: zeros behind them make all
    #: as long as the longest. Otherwise the input transformation is told their lengths.
    keeps_length = True
    #: Time points that a series has at least, with the zeros behind it; 0 where the training series are of one length.
    least_points = 0
    _size: tuple[int, int] | None = None

    def __init__(self, acoustic, transformation):
        super().__init__()
        # A tuple, so that torch does not register the frozen model as a submodule.
        self._acoustic = (acoustic,)
        self.transformation = transformation
        self.eval()

    @classmethod
    def hears_with(cls, acoustic, learned_mapping):
        """Return whether an acoustic model can be heard in this way, with a learned mapping or a many-to-one one."""
        return True

    @classmethod
    def max_points(cls, acoustic, n_channels):
        """Return how many time points of a series fit."""
        raise NotImplementedError

    @property
    def acoustic(self):
        """The frozen acoustic model, on the device of theta."""
        (acoustic,) = self._acoustic
        if acoustic._resolved:
            return acoustic
        device = next(self.transformation.parameters()).device
        if acoustic.lies_on(device):
            return acoustic
        return load_acoustic_model(acoustic, device=device)

    def for_inference(self):
        """Return a view that embeds the same, in which what does not change between calls is looked up once."""
        twin = copy.copy(self)
        twin._acoustic = (self.acoustic.for_inference(),)
        return twin

    def fit(self, series, lengths, sample_weight=None):
        """Learn what the view needs from the training series, without labels.

        Parameters
        ----------
        series : array of shape (N, C, T)
            Scaled, see `v2s_sklearn.series.scaling.SeriesScaler`.
        lengths : array of shape (N,)
        sample_weight : array of shape (N,), optional

        Returns
        -------
        self
        """
        self.fit_transformation(series, lengths, sample_weight)
        return self.fit_embedding(series, lengths)

    def fit_transformation(self, series, lengths, sample_weight=None):
        """Do the first part of `fit`: one of views that share an input transformation fits it."""
        self.transformation.fit(series, np.maximum(lengths, self._least_points(lengths)), sample_weight)

    def fit_embedding(self, series, lengths):
        """Do the rest of `fit`, whose parameters these are, with a fitted transformation; return self."""
        self.least_points = self._least_points(lengths)
        self._shape = (series.shape[1], int(max(lengths)))
        self._fit_pooling(series, lengths)
        self._size = self.for_inference()._measure()
        return self

    def _least_points(self, lengths):
        if not self.keeps_length:
            return self.least_points
        return int(max(lengths)) if min(lengths) < max(lengths) else 0

    @torch.no_grad()
    def _silence(self):
        n_channels, n_points = self._shape
        return self.waveforms(np.zeros((1, n_channels, n_points), dtype=np.float32), np.array([n_points]))

    @property
    def n_waveforms(self):
        """Number of waveforms G of a case like those of fit."""
        return self._measured()[0]

    @property
    def n_features(self):
        """Size D of the embedding of a case like those of fit."""
        return self._measured()[1]

    @torch.no_grad()
    def _measure(self):
        """Return G and D, by embedding silence."""
        silence = self._silence()
        return silence.shape[1], self.embed(silence).shape[1]

    def _measured(self):
        """Return G and D as of fit; files of older versions do not hold them."""
        if self._size is None:
            self._size = self._measure()
        return self._size

    def _fit_pooling(self, series, lengths):
        """Learn the pooling; the base has nothing to learn."""

    def cost(self):
        """Return the floating-point operations for a case like those of fit, see `v2s_sklearn.runtime.flops`."""
        return count_flops(lambda: self.embed(self._silence()))

    def blocks(self):
        """Return the parts of the embedding that a stacked mapping takes for a view each: a dict of name to slice."""
        return {type(self).__name__.removesuffix("View").lower(): slice(0, self.n_features)}

    def waveforms(self, series, lengths):
        """Return what the model hears: (B, C, T), (B,) to (B, G, S)."""
        return self.transformation(*self._tensors(series, lengths))

    def _tensors(self, series, lengths):
        """Return arrays as tensors on the device of theta, with ``least_points``."""
        device = next(self.transformation.parameters()).device
        series, lengths = torch.as_tensor(series).to(device), torch.as_tensor(lengths).to(device)
        missing = self.least_points - series.shape[2]
        series = torch.nn.functional.pad(series, (0, missing)) if missing > 0 else series
        return series, lengths.clamp(min=self.least_points)

    @torch.no_grad()
    def layers(self):
        """Return which embedding values come from which layer of the source: a dict of name to indices."""
        acoustic, silence = self.acoustic, self._silence()
        activations = acoustic.activations(acoustic.frontend(silence[0, :1]))
        names = acoustic.embedded_layers or [name for name in activations if name != "logits"]
        sizes = [pool_over_time(activations[name]).shape[1] for name in names]
        columns = np.arange(silence.shape[1] * sum(sizes)).reshape(silence.shape[1], -1)
        parts = np.split(columns, np.cumsum(sizes)[:-1], axis=1)
        return {name: part.ravel() for name, part in zip(names, parts, strict=True)}

    def time_points(self, n_points):
        """Return which time point of a series of ``n_points`` each sample of a waveform plays: floats (S,).

        NaN where none does. Here the series is stretched over the waveform.
        """
        return np.linspace(0, n_points - 1, self._silence().shape[2])

    def embed(self, waveforms):
        """Return the embedding of the waveforms of each case: (B, G, S) to (B, D)."""
        return self.acoustic.embed(waveforms.flatten(0, 1)).reshape(len(waveforms), -1)

    def precompute(self, series, lengths):
        """Return what training steps need not compute again, arrays with a row a case, by name; nothing here."""
        return {}

    def differentiable_logits(self, series, lengths, spectra=None):
        """Return the source logits for a training step: (B, C, T), (B,) to (B, K).

        ``spectra``: what `precompute` returned for these cases.
        """
        return self.source_logits(self.waveforms(series, lengths))

    def source_logits(self, waveforms):
        """Return the source logits, the mean over the waveforms of a case: (B, G, S) to (B, K)."""
        return self.acoustic(waveforms.flatten(0, 1)).reshape(*waveforms.shape[:2], -1).mean(1)
