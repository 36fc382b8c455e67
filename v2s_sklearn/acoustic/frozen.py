"""What every acoustic model has as a frozen network: a faster twin, half the rate, copies, pickles by reference.

Nothing here knows what a model hears or says, see `v2s_sklearn.acoustic.interface`.
"""

import copy
from itertools import chain
from typing import Any

import torch
from torch import nn

from v2s_sklearn.acoustic.folding import fold
from v2s_sklearn.errors import SavedFileError
from v2s_sklearn.runtime.portable_modules import to_tensor


def _at_half_rate(model):
    return model.at_half_rate()


def _own_modules(module):
    """Return a module and those inside it, without the acoustic models there, which may be shared."""
    inner = (child for child in module.children() if not isinstance(child, FrozenNetwork))
    return [module, *(own for child in inner for own in _own_modules(child))]


def _recurrent_layers(model):
    """Return the layers of torch's that hold their weights a second time."""
    return [module for module in _own_modules(model) if isinstance(module, nn.RNNBase)]


def _places(model):
    """Return the dict of each parameter and buffer of a model, and its name there."""
    tensors = (tensors for module in _own_modules(model) for tensors in (module._parameters, module._buffers))
    return [(one, name) for one in tensors for name in one]


def _as_content(tensor):
    """Return a parameter or buffer as what `_as_tensor` makes it again from."""
    if tensor is None:
        return None
    # In its order of memory, according to which convolutions round.
    values = tensor.detach().cpu().clone()
    return values.numpy(), values.stride(), isinstance(tensor, nn.Parameter), tensor.requires_grad


def _as_tensor(content):
    if content is None:
        return None
    array, stride, is_parameter, requires_grad = content
    tensor = to_tensor(array)
    if isinstance(stride, tuple):  # older versions noted less
        tensor = torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype).copy_(tensor)
    return nn.Parameter(tensor, requires_grad) if is_parameter else tensor


def _each_once(function, values):
    """Return what a function gives for each value, the same for the same object: weights that are shared stay so."""
    found = {id(value): function(value) for value in {id(value): value for value in values}.values()}
    return [found[id(value)] for value in values]


class FrozenNetwork(nn.Module):
    """A network whose weights are shared and do not change.

    Attributes
    ----------
    source : ModelReference or None
        Name or path, and sha256, of the weights file it was loaded from, set by what loads it. A loaded network is
        pickled as this reference, not as weights.
    full_rate : FrozenNetwork or None
        The network whose weights this one shares, see `at_half_rate`.
    """

    _folded = None
    _resolved = False
    # The network that this one is a trainable copy of, in a tuple, so that it becomes no submodule.
    _copied_from: tuple = ()

    def __init__(self):
        super().__init__()
        self.source: Any = None  # a ModelReference, once it is loaded
        self.full_rate = None

    @property
    def name(self) -> str:
        """Name or path that it was loaded by; that of its class if it was not."""
        return self.source.name if self.source else type(self).__name__

    def _network(self):
        """Return what computes the layers: this model, or, while it is frozen, its faster twin."""
        if self._resolved:
            return self
        tensors = [*chain(self.parameters(), self.buffers())]
        if self.training or any(tensor.requires_grad or tensor.is_inference() for tensor in tensors):
            return self
        # The tensors and how often each was written to: a twin of other weights is not used.
        state = [(id(tensor), tensor._version) for tensor in tensors]
        if self._folded is None or self._folded[0] != state:
            # The tensors are kept, so that no other one is given their ids. In a tuple the twin becomes no submodule.
            self._folded = (state, tensors, fold(self))
        return self._folded[2]

    @torch.no_grad()
    def for_inference(self):
        """Return the faster twin for many calls, in which it is not looked up again; its weights must not change."""
        twin = object.__new__(type(self))
        twin.__dict__.update(vars(self._network()), _resolved=True)
        return twin

    def _apply(self, fn, recurse=True):
        self._folded = None  # another device or precision
        # A loaded model inside this one is shared: it stays where it is, and one of the other device takes its place.
        for module in _own_modules(self):
            for name, child in module._modules.items():
                loaded = isinstance(child, FrozenNetwork) and (child.full_rate or child).source
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
        return self.to(memory_format=torch.channels_last).eval()

    def trainable_copy(self):
        """Return a copy in eval mode with weights of its own, which take gradients; this model stays as it is.

        ``copy.deepcopy`` gives the shared, frozen model again where the model was loaded.
        """
        # A loaded model inside this one would be copied as a reference, too.
        inner = (module for module in self.modules() if isinstance(module, FrozenNetwork) and module is not self)
        twin = self._copy({id(module): module.trainable_copy() for module in inner})
        twin._copied_from = (self,)
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
        """Pickle and copy a loaded model as a reference to its weights file, another one as arrays, for any device."""
        if self.full_rate is not None:
            return _at_half_rate, (self.full_rate,)
        if self.source is not None:
            return self.source.load, ()
        twin = self._copy({})
        for layer in _recurrent_layers(twin):
            layer._flat_weights = []
        places = _places(twin)
        arrays = _each_once(_as_content, [tensors[name] for tensors, name in places])
        for tensors, name in places:
            tensors[name] = None
        # A set would be pickled in another order in each process.
        passing = [sorted(module._non_persistent_buffers_set) for module in _own_modules(twin)]
        for module in _own_modules(twin):
            module._non_persistent_buffers_set = set()
        reduced: Any = super(FrozenNetwork, twin).__reduce_ex__(protocol)
        return *reduced[:2], {**reduced[2], "_arrays": arrays, "_passing": passing}, *reduced[3:]

    def __setstate__(self, state):
        state = dict(state)
        arrays, passing = state.pop("_arrays", None), state.pop("_passing", None)
        super().__setstate__(state)
        for module, names in zip(_own_modules(self), passing or (), strict=passing is not None):
            module._non_persistent_buffers_set = set(names)
        made = _each_once(_as_tensor, arrays or [])
        for (tensors, name), tensor in zip(_places(self), made, strict=arrays is not None):
            tensors[name] = tensor
        for layer in _recurrent_layers(self) if arrays else ():
            layer._init_flat_weights()

    def to_tree(self, name, writer):
        """Return what the network is made again from, as an object of JSON, see `v2s_sklearn.files.trees`."""
        if self.full_rate is not None:
            return {"half rate": writer.encode(self.full_rate, name)}
        if self.source is not None:
            return {"source": list(self.source)}
        if self._copied_from and any(parameter.requires_grad for parameter in self.parameters()):
            return {
                "trained": [writer.encode(self._copied_from[0], name), writer.encode(dict(self.state_dict()), name)]
            }
        raise SavedFileError(
            f"{name} is an acoustic model without a name. Give it one with register_acoustic_model, or write its "
            "weights with v2s_sklearn.acoustic.storage.save_weights and give the path, and fit with that."
        )
