"""What ONNX has no operator for, or another one than torch: the same values by others that it has.

All shapes are constants of the graph. The answers are those of torch, to the last bit where that decides something.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode


def _constant(array, like):
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.dtype)


class _Spectrum:
    """Real and imaginary part of a spectrum, for what the package asks of a complex tensor."""

    def __init__(self, real, imag):
        self.real, self.imag = real, imag

    def __getitem__(self, index):
        return _Spectrum(self.real[index], self.imag[index])


def _fourier_transform(values, n=None):
    """Return what ``torch.fft.rfft`` does, as two matrix products; ``n`` is at least the number of values.

    In double precision: a plain sum of so many terms is less exact than the fast transform, which shows in faint bands.
    """
    n_values = values.shape[-1]
    n = int(n_values if n is None else n)
    angle = 2 * np.pi * (np.outer(np.arange(int(n_values)), np.arange(n // 2 + 1)) % n) / n
    parts = (values.double() @ torch.from_numpy(part) for part in (np.cos(angle), -np.sin(angle)))
    return _Spectrum(*(part.to(values.dtype) for part in parts))


def _gather(values, axis, index):
    """Return values at indices along an axis, which becomes the axes of the indices."""
    flat = values.index_select(axis, torch.from_numpy(index.ravel()))
    return flat.unflatten(axis, index.shape)


def _unfold(values, dimension, size, step):
    """Return what ``Tensor.unfold`` does over the last dimension."""
    starts = np.arange(0, int(values.shape[-1]) - size + 1, step)
    return _gather(values, values.ndim - 1, starts[:, None] + np.arange(size))


def _as_strided(values, size, stride, storage_offset=None):
    """Return what ``as_strided`` does where it makes two axes of one, such as the patches along it."""
    own = values.stride()
    for axis in range(values.ndim):
        before, (first, second), after = stride[:axis], stride[axis : axis + 2], stride[axis + 2 :]
        divides = first % own[axis] == second % own[axis] == 0
        if divides and tuple(before) == own[:axis] and tuple(after) == own[axis + 1 :]:
            rows, columns = np.arange(int(size[axis])), np.arange(int(size[axis + 1]))
            index = rows[:, None] * (first // own[axis]) + columns * (second // own[axis])
            if index.max() < int(values.shape[axis]):
                return _gather(values, axis, index)
    raise NotImplementedError(f"as_strided to {tuple(size)} by {tuple(stride)}")


def _means(values, starts, stops):
    """Return the means of intervals along the last axis, as a matrix product."""
    place = np.arange(int(values.shape[-1]))[:, None]
    inside = (place >= starts) & (place < stops)
    return values @ _constant(inside / inside.sum(0), values)


def _adaptive_average(values, n_segments):
    """Return what ``adaptive_avg_pool1d`` does."""
    n_values, segments = int(values.shape[-1]), np.arange(n_segments)
    return _means(values, segments * n_values // n_segments, -(-(segments + 1) * n_values // n_segments))


def _adaptive_average_2d(values, sizes):
    """Return what ``adaptive_avg_pool2d`` does."""
    rows, columns = (int(size) for size in sizes)
    return _adaptive_average(_adaptive_average(values, columns).transpose(2, 3), rows).transpose(2, 3)


def _average(values, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Return what ``avg_pool1d`` without padding does."""
    n_values, size = int(values.shape[-1]), np.ravel(kernel_size)[0]
    step = size if stride is None else np.ravel(stride)[0]
    last = n_values - 1 if ceil_mode else n_values - size
    starts = np.arange(0, last + 1, step)
    return _means(values, starts, np.minimum(starts + size, n_values))


def _differences(values, n=1, dim=-1, prepend=None):
    """Return what ``diff`` does, once."""
    if prepend is not None:
        values = torch.cat([prepend, values], dim)
    length = int(values.shape[dim]) - 1
    return values.narrow(dim, 1, length) - values.narrow(dim, 0, length)


def _in_double(function):
    """Return a function computed in double precision: torch adds so in ``cumsum``, and reduces large angles well."""

    def compute(values, *args, dtype=None, **kwargs):
        """Return what the function gives in double precision, in that of the values or the one that is asked for."""
        return function(values.double(), *args, **kwargs).to(dtype or values.dtype)

    return compute


def _cosine(values):
    """Return the cosine as a sine: older onnxruntimes have no cosine in double precision."""
    return torch.sin(values.double() + math.pi / 2).to(values.dtype)


def _interpolate(start, end, weight):
    """Return what ``lerp`` does: rounded once, from the nearer end. The phase of a voice shows the last bit."""
    near = (weight < 0.5).to(weight.dtype)
    base = near * start + (1 - near) * end
    return (base.double() + (weight - (1 - near)).double() * (end - start).double()).to(start.dtype)


def _pad(values, pad, mode="constant", value=None):
    return torch.constant_pad_nd(values, tuple(int(size) for size in pad), value or 0.0)


def _compare(function):
    def compare(values, other, out=None):
        """Return the comparison, as numbers where torch was given a tensor for them."""
        found = function(values, other)
        return found if out is None else found.to(values.dtype)

    return compare


class Exportable(TorchFunctionMode):
    """Replaces what ONNX has no operator for, while a module is traced."""

    REPLACED = {
        nn.functional.adaptive_avg_pool1d: _adaptive_average,
        nn.functional.adaptive_avg_pool2d: _adaptive_average_2d,
        nn.functional.avg_pool1d: _average,
        nn.functional.pad: _pad,
        torch.cos: _cosine,
        torch.cumsum: _in_double(torch.cumsum),
        torch.diff: _differences,
        torch.eq: _compare(torch.eq),
        torch.fft.rfft: _fourier_transform,
        torch.gt: _compare(torch.gt),
        torch.lerp: _interpolate,
        torch.relu_: torch.relu,
        torch.sin: _in_double(torch.sin),
        torch.Tensor.as_strided: _as_strided,
        torch.Tensor.cumsum: _in_double(torch.cumsum),
        torch.Tensor.diff: _differences,
        torch.Tensor.unfold: _unfold,
    }

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.REPLACED.get(function, function)(*args, **(kwargs or {}))
