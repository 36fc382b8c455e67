"""How far the forward of a frozen source is from the hardware: operations counted, rates measured, a profile.

Shape legend: B batch, S waveform samples.
"""

import time

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from v2s_sklearn.runtime.flops import count_flops

MATRIX_SIZE = 1024


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
