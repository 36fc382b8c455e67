"""How far the forward of a frozen source is from the hardware: operations counted, rates measured, a profile.

Shape legend: B batch, S waveform samples, T time steps.
"""

import math
import time

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

MATRIX_SIZE = 1024


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
    with torch.no_grad(), counter:
        function(*inputs)
    return counter.get_total_flops()


def seconds_of(function, *inputs):
    """Return the processor time of one call."""
    start = time.process_time()
    function(*inputs)
    return time.process_time() - start


@torch.no_grad()
def measure_forward(model, n_waveforms=64, n_repeats=9):
    """Compare the forward of a frozen model, waveforms to logits, with matrix products measured in turns with it.

    Parameters
    ----------
    model : AcousticModel
    n_waveforms : int, default=64
        B, those of a chunk of our inference.
    n_repeats : int, default=9

    Returns
    -------
    dict
        ``mflop`` of a waveform, ``milliseconds`` of a waveform and of its ``frontend`` alone, ``gflops`` reached,
        ``matrix_gflops`` and ``fraction``, the median of their ratios in each turn.
    """
    generator = torch.Generator().manual_seed(0)
    waveforms = 0.1 * torch.randn(n_waveforms, model.n_samples, generator=generator)
    matrix = torch.randn(MATRIX_SIZE, MATRIX_SIZE, generator=generator)
    flops = count_flops(model, waveforms)
    turns = []
    for _ in range(n_repeats + 1):
        forward = seconds_of(model, waveforms)
        product = min(seconds_of(torch.mm, matrix, matrix) for _ in range(5))
        turns.append((forward, seconds_of(model.frontend, waveforms), product))
    forward, frontend, product = np.array(turns[1:]).T
    rate, matrix_rate = flops / forward / 1e9, 2 * MATRIX_SIZE**3 / product / 1e9
    return {
        "mflop": flops / n_waveforms / 1e6,
        "milliseconds": 1e3 * np.median(forward) / n_waveforms,
        "frontend": 1e3 * np.median(frontend) / n_waveforms,
        "gflops": np.median(rate),
        "matrix_gflops": np.median(matrix_rate),
        "fraction": np.median(rate / matrix_rate),
    }


@torch.no_grad()
def profile_forward(model, n_waveforms=64, n_operations=6):
    """Return the operations that take the most time of a forward: list of (name, share)."""
    waveforms = 0.1 * torch.randn(n_waveforms, model.n_samples, generator=torch.Generator().manual_seed(0))
    model(waveforms)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            model(waveforms)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [(event.key.removeprefix("aten::"), event.self_cpu_time_total / total) for event in events[:n_operations]]
