"""The one interface behind which every acoustic model stands.

Shape legend: B batch, S waveform samples, F frames, M mel bands, D channels of a layer, K source classes.
"""

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn

from v2s_sklearn.acoustic.folding import fold
from v2s_sklearn.arrays import to_tensor
from v2s_sklearn.errors import InvalidParameterError

N_SEGMENTS = 8


def _at_half_rate(model):
    return model.at_half_rate()


def ones_above(values, levels, out=None):
    """Return 1.0 where values are above levels and 0.0 elsewhere, without gradients; faster than by way of booleans."""
    values, levels = values.detach(), levels.detach()
    return torch.gt(values, levels, out=torch.empty_like(values) if out is None else out)


def pool_over_time(activation):
    """Return statistics of each channel over time: (B, D, F') to (B, (7 + N_SEGMENTS) D); (B, D) unchanged.

    Mean, maximum, standard deviation, mean absolute change from frame to frame, shares of the frames above the mean and
    above the middle of the range, share of the steps that cross the mean, and the means of ``N_SEGMENTS`` equal parts.
    """
    if activation.ndim == 2:
        return activation
    mean, maximum = activation.mean(2, keepdim=True), activation.amax(2, keepdim=True)
    middle = (activation.amin(2, keepdim=True) + maximum) / 2
    # torch.std takes ten times as long. The floor keeps the gradient of a constant channel finite.
    variance = (activation - mean).square().mean(2).clamp(min=1e-12)
    above = ones_above(activation, mean)
    if activation.shape[2] > 1:
        change = activation.diff(dim=2).abs().mean(2)
        crossings = above.diff(dim=2).abs().mean(2)
    else:
        change = crossings = torch.zeros_like(activation[:, :, 0])
    pooled = [
        mean.squeeze(2),
        maximum.squeeze(2),
        variance.sqrt(),
        change,
        above.mean(2),
        ones_above(activation, middle).mean(2),
        crossings,
        nn.functional.adaptive_avg_pool1d(activation, N_SEGMENTS).flatten(1),
    ]
    return torch.cat(pooled, dim=1)


def bands_as_channels(x, n_values=96):
    """Return a 2-D map as a layer over time: (B, D, F, M) to (B, D * bands, F).

    The frequency axis is averaged to as many bands as keep at most ``n_values`` values a frame, at least one.
    """
    bands = max(1, min(x.shape[3], n_values // x.shape[1]))
    return nn.functional.adaptive_avg_pool2d(x, (x.shape[2], bands)).transpose(2, 3).flatten(1, 2)


def _own_modules(module):
    """Return a module and those inside it, without the acoustic models there, which may be shared."""
    inner = (child for child in module.children() if not isinstance(child, AcousticModel))
    return [module, *(own for child in inner for own in _own_modules(child))]


def _recurrent_layers(model):
    """Return the layers of torch's that hold their weights a second time."""
    return [module for module in _own_modules(model) if isinstance(module, nn.RNNBase)]


def _places(model):
    """Return the dict of each parameter and buffer of a model, and its name there."""
    tensors = (tensors for module in _own_modules(model) for tensors in (module._parameters, module._buffers))
    return [(one, name) for one in tensors for name in one]


def _take_tensor(tensors, name):
    """Leave None instead of a parameter or buffer; return it as what `_put_tensor` makes it again from."""
    tensor, tensors[name] = tensors[name], None
    if tensor is None:
        return None
    last = tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.detach().cpu().numpy(), last, isinstance(tensor, nn.Parameter), tensor.requires_grad


def _put_tensor(tensors, name, content):
    if content is not None:
        array, last, is_parameter, requires_grad = content
        tensor = to_tensor(array)
        tensor = tensor.contiguous(memory_format=torch.channels_last) if last else tensor
        tensors[name] = nn.Parameter(tensor, requires_grad) if is_parameter else tensor


class AcousticModel(nn.Module):
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
    source : ModelReference or None
        Name or path, and sha256, of the weights file the model was loaded from, set by what loads it. A loaded model is
        pickled as this reference, not as weights.
    full_rate : AcousticModel or None
        The model whose weights this one shares, see `at_half_rate`.
    """

    filters: torch.Tensor | None = None
    embedded_layers: Sequence[str] | None = None
    #: The axis of a 2-D convolution's output (B, D, ., .) that is time.
    time_axis = 2
    _folded = None

    def __init__(self, source_labels, frontend, sample_rate=16000, n_samples=16000):
        super().__init__()
        self.source_labels = tuple(source_labels)
        self.frontend = frontend
        self.sample_rate = sample_rate
        self.n_samples = n_samples
        self.source: Any = None  # a ModelReference, once it is loaded
        self.full_rate = None

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

    def logits(self, waveform):
        """Return the source logits: waveforms (B, S) in [-1, 1] to (B, K)."""
        return self(waveform)

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
            f"{self.source.name if self.source else type(self).__name__!r} has no attention. Take a source that has: "
            "'v2sa', 'v2su', or a transformer, 'hf:...'."
        )

    def _network(self):
        """Return what computes the layers: this model, or, while it is frozen, its faster twin."""
        tensors = [*chain(self.parameters(), self.buffers())]
        if self.training or any(tensor.requires_grad or tensor.is_inference() for tensor in tensors):
            return self
        # The tensors and how often each was written to: a twin of other weights is not used.
        state = [(id(tensor), tensor._version) for tensor in tensors]
        if self._folded is None or self._folded[0] != state:
            # With the tensors, so that no other one is given their ids; in a tuple, so that it becomes no submodule.
            self._folded = (state, tensors, fold(self))
        return self._folded[2]

    def _apply(self, fn, recurse=True):
        self._folded = None  # another device or precision
        # A loaded model inside this one is shared: it stays where it is, and one of the other device takes its place.
        for module in _own_modules(self):
            for name, child in module._modules.items():
                loaded = isinstance(child, AcousticModel) and (child.full_rate or child).source
                if loaded:
                    place = fn(next(child.parameters()).detach()[:0]).device
                    if not child.lies_on(place):
                        model = loaded.load(place)
                        module._modules[name] = model if child.full_rate is None else model.at_half_rate()
        return super()._apply(fn, recurse)

    def __getstate__(self):
        return {**self.__dict__, "_folded": None}

    def lies_on(self, device):
        """Return whether all of it is on a device: it may have been moved, alone or inside another module."""
        return all(tensor.device == device for tensor in chain(self.parameters(), self.buffers()))

    def n_parameters(self):
        """Return the number of weights of the network."""
        return sum(p.numel() for p in self.parameters())

    def freeze(self):
        """Switch to eval mode and stop gradients to all weights; return self."""
        self.requires_grad_(False)
        # 2-D convolutions of few channels are up to twice as fast in this layout of memory.
        return self.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]  # torch forgot it

    def trainable_copy(self):
        """Return a copy in eval mode with weights of its own, which take gradients; this model stays as it is.

        ``copy.deepcopy`` gives the shared, frozen model again where the model was loaded.
        """
        # A loaded model inside this one would be copied as a reference, too.
        inner = (module for module in self.modules() if isinstance(module, AcousticModel) and module is not self)
        twin = self._copy({id(module): module.trainable_copy() for module in inner})
        return twin.requires_grad_(True).eval()

    def _copy(self, memo):
        """Return a copy without a name; ``memo`` has what stands for modules inside it, as `copy.deepcopy` takes it."""
        twin = object.__new__(type(self))
        state = {**self.__getstate__(), "full_rate": None, "source": None}
        twin.__setstate__(copy.deepcopy(state, {id(self): twin} | memo))
        return twin

    def at_half_rate(self):
        """Return this network for waveforms of half the sample rate, which cost half as much to make and to analyse.

        With the same weights, not copies. The model itself if its front end is no `LogMel` or reads the upper half of
        the spectrum.
        """
        if not getattr(self.frontend, "reads_half_of_the_spectrum", False) or self.n_samples % 2:
            return self
        twin = object.__new__(type(self))
        # Not by attribute, which would make the model a submodule of its twin.
        twin.__dict__.update(vars(self), full_rate=self, n_samples=self.n_samples // 2, _folded=None)
        twin.sample_rate = self.sample_rate // 2
        twin._modules = {**self._modules, "frontend": self.frontend.at_half_rate()}
        return twin

    def __reduce_ex__(self, protocol):
        """Pickle and copy a loaded model as a reference to its weights file, one on a GPU for any device."""
        if self.full_rate is not None:
            return _at_half_rate, (self.full_rate,)
        if self.source is not None:
            return self.source.load, ()
        if self.lies_on(torch.device("cpu")):
            return super().__reduce_ex__(protocol)
        twin = self._copy({})
        for layer in _recurrent_layers(twin):
            layer._flat_weights = []
        arrays = [_take_tensor(*place) for place in _places(twin)]
        reduced: Any = super(AcousticModel, twin).__reduce_ex__(protocol)
        return *reduced[:2], {**reduced[2], "_arrays": arrays}, *reduced[3:]

    def __setstate__(self, state):
        state = dict(state)
        arrays = state.pop("_arrays", None)
        super().__setstate__(state)
        for (tensors, name), content in zip(_places(self), arrays or (), strict=arrays is not None):
            _put_tensor(tensors, name, content)
        for layer in _recurrent_layers(self) if arrays else ():
            layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]

    @torch.no_grad()
    def predict_proba(self, waveform):
        """Return the probabilities of the source classes: waveforms (B, S) to (B, K)."""
        return torch.softmax(self(waveform), dim=1)
