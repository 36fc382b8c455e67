"""Torch modules that are pickled as numpy arrays: small, the same bytes each time, for any device."""

import numpy as np
import torch
from torch import nn


def to_tensor(array):
    """Return an array as a tensor on the CPU, in memory of torch's own.

    Torch aligns it to cache lines, numpy does not, and products of matrices (MKL's, without AVX-512) round according to
    where a matrix lies. Also the array may be memory that must not be written.
    """
    return torch.from_numpy(np.array(array)).clone()


class ArrayModule(nn.Module):
    """A module whose parameters and buffers are pickled, and copied, as numpy arrays; they are restored on the CPU."""

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

    def __copy__(self):
        """Return a module of the same parameters, buffers and submodules, where they lie."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        for kind in ("_parameters", "_buffers", "_modules"):
            vars(twin)[kind] = dict(vars(self)[kind])
        return twin


class Linear(ArrayModule, nn.Linear):
    """torch's, pickled as arrays."""
