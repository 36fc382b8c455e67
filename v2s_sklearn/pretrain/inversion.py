"""Waveforms from log-mel features: non-negative inversion of the mel filters, then the fast Griffin-Lim algorithm.

Shape legend: B batch, S waveform samples, F frames, N frequency bins, M mel bands.
"""

import math

import torch

from v2s_sklearn.acoustic.frontend import INT16_FULL_SCALE

TINY = 1e-10


def invert_mel(frontend, features, n_iterations=10):
    """Return the amplitudes of the short-time spectrum: features (B, F, M) to (B, F, N).

    Multiplicative updates [1]_ keep the power non-negative; they start at the energies spread over each filter.

    References
    ----------
    .. [1] D. D. Lee, H. S. Seung, Algorithms for non-negative matrix factorization, NIPS 2000.
    """
    filters = frontend.filters  # (N, M)
    energy = torch.exp(features * frontend.std + frontend.mean) - frontend.log_offset
    energy = energy.clamp(min=0.0)
    power = (energy / filters.sum(0)) @ filters.T
    numerator = energy @ filters.T
    gram = filters @ filters.T
    for _ in range(n_iterations):
        power = power * numerator / (power @ gram + TINY)
    return power.sqrt()


def overlap_add(frames, window, hop_length):
    """Return the waveforms whose windowed frames are nearest to the given ones: (B, F, win_length) to (B, S)."""
    win_length, n_frames = frames.shape[2], frames.shape[1]
    n_samples = (n_frames - 1) * hop_length + win_length

    def add(values):
        """Return the sum of overlapping frames: (B, F, W) to (B, S)."""
        folded = torch.nn.functional.fold(
            values.transpose(1, 2), (1, n_samples), kernel_size=(1, win_length), stride=(1, hop_length)
        )
        return folded.flatten(1)

    weight = add((window**2).expand(1, n_frames, -1))
    # Only the outermost samples lie under a window near zero.
    return add(frames * window) / weight.clamp(min=1e-2 * weight.max().item())


@torch.no_grad()
def griffin_lim(frontend, amplitudes, generator, n_iterations=16, momentum=0.99):
    """Return waveforms with these short-time amplitudes: (B, F, N) to (B, S), full scale 1.

    Parameters
    ----------
    frontend : LogMel
    amplitudes : tensor of shape (B, F, N)
        Up to the front end's highest frequency; above it the waveforms have nothing.
    generator : torch.Generator
        Of the initial phases.
    n_iterations : int, default=16
    momentum : float, default=0.99

    References
    ----------
    .. [1] N. Perraudin, P. Balazs, P. Soendergaard, A fast Griffin-Lim algorithm, WASPAA 2013.
    """
    window = frontend.window / INT16_FULL_SCALE
    amplitudes = amplitudes / INT16_FULL_SCALE
    phases = torch.polar(amplitudes, 2 * math.pi * torch.rand(amplitudes.shape, generator=generator))
    spectrum, previous = phases, torch.zeros_like(phases)

    def to_waveform(spectrum):
        """Return the waveform of a spectrum, (B, S)."""
        missing = frontend.n_fft // 2 + 1 - frontend.n_bins
        spectrum = torch.nn.functional.pad(torch.view_as_real(spectrum), (0, 0, 0, missing))
        frames = torch.fft.irfft(torch.view_as_complex(spectrum), frontend.n_fft)[..., : frontend.win_length]
        return overlap_add(frames, window, frontend.hop_length)

    for _ in range(n_iterations):
        consistent = frontend.stft(to_waveform(spectrum)) / INT16_FULL_SCALE
        accelerated = consistent + momentum * (consistent - previous)
        previous = consistent
        spectrum = amplitudes * accelerated / (accelerated.abs() + TINY)
    return to_waveform(spectrum)


def invert_log_mel(frontend, features, generator):
    """Return waveforms of log-mel features: (B, F, M) to (B, S), full scale 1."""
    return griffin_lim(frontend, invert_mel(frontend, features), generator)
