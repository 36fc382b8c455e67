"""Torch modules as numpy arrays: pickles, and trees for files, small, the same bytes each time, for any device."""

import numpy as np
import torch
from torch import nn

from v2s_sklearn.errors import SavedFileError


def to_tensor(array):
    """Return an array as a tensor on the CPU, in memory of torch's own.

    Torch aligns it to cache lines, numpy does not, and products of matrices (MKL's, without AVX-512) round according to
    where a matrix lies. Also the array may be memory that must not be written.
    """
    return torch.from_numpy(np.array(array)).clone()


# What every torch module has; the rest of its attributes is its own.
TORCH_ATTRIBUTES = frozenset(vars(nn.Module()))
# Modules that can be made again from a file: no subclasses from elsewhere, which a reader does not know.
PACKAGE = __name__.partition(".")[0] + "."


def module_tree(module, name, writer):
    """Return a module as an object of JSON: class, attributes, parameters, buffers and children.

    Parameters
    ----------
    module : torch.nn.Module
    name : str
        Where in the tree it stands.
    writer : TreeWriter
        See `v2s_sklearn.files.trees`.

    Raises
    ------
    SavedFileError
        If its class, or that of one of its children, is not of this package.
    """
    number, known = writer.number(module)
    if known:
        return {"again": number}
    if type(module) is not nn.ModuleList and not type(module).__module__.startswith(PACKAGE):
        raise SavedFileError(
            f"{name} holds a {type(module).__name__} of {type(module).__module__}, which is no class of this package: "
            "what reads a saved file could not make it. Use pickle, and import that module where it is unpickled."
        )
    state = module.__getstate__() if hasattr(module, "__getstate__") else vars(module)
    parts = {
        "attributes": {key: value for key, value in state.items() if key not in TORCH_ATTRIBUTES},
        "parameters": dict(module._parameters),
        "buffers": dict(module._buffers),
        "not persistent": sorted(module._non_persistent_buffers_set),
        "children": dict(module._modules),
    }
    encoded = {part: writer.encode(value, name) for part, value in parts.items()}
    return {"module": type(module).__name__, "number": number, **encoded}


class ArrayModule(nn.Module):
    """A module whose parameters and buffers are pickled, and copied, as numpy arrays; they are restored on the CPU.

    Examples
    --------
    >>> import copy
    >>> import torch
    >>> from v2s_sklearn.views import ArrayModule
    >>> class Gain(ArrayModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.gain = torch.nn.Parameter(torch.tensor([0.5, 2.0]))
    >>> module = Gain()
    >>> module.__getstate__()["_parameters"]  # what a pickle holds
    {'gain': array([0.5, 2. ], dtype=float32)}
    >>> type(copy.deepcopy(module).gain).__name__  # what is restored
    'Parameter'
    """

    def __getstate__(self):
        state = dict(vars(self))
        for kind in ("_parameters", "_buffers"):
            state[kind] = {
                name: None if tensor is None else tensor.detach().cpu().numpy() for name, tensor in state[kind].items()
            }
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        for kind, make in (("_parameters", nn.Parameter), ("_buffers", lambda tensor: tensor)):
            restored = {name: None if array is None else make(to_tensor(array)) for name, array in state[kind].items()}
            vars(self)[kind] = restored

    to_tree = module_tree

    def __copy__(self):
        """Return a module of the same parameters, buffers and submodules, where they lie."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        for kind in ("_parameters", "_buffers", "_modules"):
            vars(twin)[kind] = dict(vars(self)[kind])
        return twin


class Linear(ArrayModule, nn.Linear):
    """torch's, pickled as arrays."""
