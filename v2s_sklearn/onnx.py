"""Fitted estimators as ONNX graphs: scaling, views, frozen networks, pooling and mapping, from series to probabilities.

Shape legend: B batch, C channels, T time points of the fitted series, S waveform samples, N frequency bins, H states of
one direction, K class probabilities.
"""

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class _Spectrum:
    """Real and imaginary part of a spectrum, for what the package asks of a complex tensor."""

    def __init__(self, real, imag):
        self.real, self.imag = real, imag

    def __getitem__(self, index):
        return _Spectrum(self.real[index], self.imag[index])


def _fourier_transform(values, n=None):
    """Return what ``torch.fft.rfft`` does, as two matrix products."""
    n_values = values.shape[-1]
    n = n_values if n is None else n
    angle = 2 * torch.pi * torch.outer(torch.arange(n_values), torch.arange(n // 2 + 1)).remainder(n).double() / n
    return _Spectrum(values @ angle.cos().to(values.dtype), values @ -angle.sin().to(values.dtype))


def _unfold(values, dimension, size, step):
    """Return what ``Tensor.unfold`` does over the last dimension, by indices."""
    starts = torch.arange(0, values.shape[-1] - size + 1, step)
    return values[..., starts[:, None] + torch.arange(size)]


def _as_strided(values, size, stride, storage_offset=None):
    """Return patches along one dimension, which is all that the package uses ``as_strided`` for."""
    raise NotImplementedError


def _adaptive_average(values, n_segments):
    """Return what ``adaptive_avg_pool1d`` does, as a matrix product."""
    n_values = values.shape[-1]
    weights = torch.zeros(n_values, n_segments)
    for segment in range(n_segments):
        start, stop = segment * n_values // n_segments, -(-(segment + 1) * n_values // n_segments)
        weights[start:stop, segment] = 1 / (stop - start)
    return values @ weights.to(values.dtype)


def _lstm(sequence, states, weights, has_biases, n_layers, dropout, train, bidirectional, batch_first):
    """Return what a bidirectional LSTM layer does, as ONNX's own operator; its gates stand in another order."""
    n_states = weights[1].shape[1]
    order = torch.tensor([0, 3, 1, 2])  # input, forget, cell, output to input, output, forget, cell

    def gates(tensor):
        return tensor.unflatten(0, (4, n_states))[order].flatten(0, 1)

    w, r, bias, other = (torch.stack([gates(weights[index]), gates(weights[index + 4])]) for index in range(4))
    x = sequence.transpose(0, 1)
    y = torch.onnx.ops.symbolic(
        "LSTM",
        (x, w, r, torch.cat([bias, other], 1)),
        attrs={"direction": "bidirectional", "hidden_size": n_states},
        dtype=x.dtype,
        shape=(x.shape[0], 2, x.shape[1], n_states),
        version=18,
    )
    return y.permute(2, 0, 1, 3).flatten(2), None, None


class _Exportable(TorchFunctionMode):
    """Replaces what ONNX has no operator for, or only a slow one."""

    REPLACED = {
        torch.fft.rfft: _fourier_transform,
        torch.Tensor.unfold: _unfold,
        nn.functional.adaptive_avg_pool1d: _adaptive_average,
        torch.nn.functional.adaptive_avg_pool1d: _adaptive_average,
        torch._VF.lstm: _lstm,
    }

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.REPLACED.get(function, function)(*args, **(kwargs or {}))
