"""Floating-point operations of frozen networks, counted while they compute.

Shape legend: B batch, I inputs of a layer, T time steps.
"""

import math

import torch
from torch.utils.flop_counter import FlopCounterMode

from v2s_sklearn.runtime.compilation import torch_alone


def _lstm_flops(input_shape, input_weights, state_weights, *args, **kwargs):
    """Return the operations of one direction of an LSTM layer; the input is (T, B, I)."""
    n_steps, n_cases, _ = input_shape
    return 2 * n_steps * n_cases * (math.prod(input_weights) + math.prod(state_weights))


def _fourier_flops(input_shape, *args, **kwargs):
    """Return the operations of fast Fourier transforms of real numbers, 2.5 n log2 n each."""
    n_samples = input_shape[-1]
    return int(math.prod(input_shape[:-1]) * 2.5 * n_samples * math.log2(n_samples))


def count_flops(function, *inputs):
    """Return the floating-point operations of one call: two for each multiplication of convolutions and products.

    Pointwise operations are not counted.
    """
    formulas = {
        torch.ops.aten.mkldnn_rnn_layer: _lstm_flops,
        torch.ops.aten._fft_r2c: _fourier_flops,
    }
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    with torch.no_grad(), torch_alone(), counter:
        function(*inputs)
    return counter.get_total_flops()
