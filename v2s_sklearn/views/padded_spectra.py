"""Padding heard by way of the linear short-time Fourier transform: the data's spectra once, theta's each step.

H(x; theta) = gain * Pad(x) + gain * M * theta (Voice2Series, ICML 2021, section 3), and the transform of a sum is the
sum of the transforms. So a training step transforms one waveform for each length of series, not one for each case, and
no gradient goes through the data's part. Frames in which no series sounds are the same for all cases of one length.

Shape legend: N cases, B batch, C channels, T time points, S waveform samples, U distinct lengths, F frames, F' frames
in which a series sounds, N' frequency bins that the front end reads, M mel bands.
"""

import torch

from v2s_sklearn.acoustic.frontend import BLOCK_WAVEFORMS, LogMel


def has_linear_spectrum(frontend):
    """Return whether a front end is ``from_stft`` of a linear ``stft``."""
    return isinstance(frontend, LogMel) and type(frontend).forward is LogMel.forward


def _masks(reprogram, series, lengths):
    """Return the mask M of each distinct length, (U, S), and which of them each series has, (B,)."""
    distinct, positions = lengths.unique(return_inverse=True)
    silence = reprogram.theta.new_zeros(()).expand(len(distinct), *series.shape[1:])
    return reprogram.pad(silence, distinct)[1], positions


def heard_frames(reprogram, series, lengths, frontend):
    """Return the frames in which at least one of the series sounds.

    Parameters
    ----------
    reprogram : PadReprogram
    series : tensor of shape (B, C, T)
        Only its shape is used.
    lengths : tensor of shape (B,)
    frontend : LogMel

    Returns
    -------
    int64 tensor of shape (F',)
    """
    masks, _ = _masks(reprogram, series, lengths)
    sounds = (masks == 0).any(0).unfold(0, frontend.win_length, frontend.hop_length).any(1)
    return sounds.nonzero().squeeze(1)


def spectra_bytes(n_cases, frames, frontend):
    """Return how many bytes the spectra of ``n_cases`` cases in ``frames`` (F',) take."""
    return n_cases * len(frames) * frontend.n_bins * 2 * frontend.window.element_size()


@torch.no_grad()
def data_spectra(reprogram, series, lengths, frames, frontend):
    """Return the spectra of the padded series without theta.

    Parameters
    ----------
    reprogram : PadReprogram
    series : tensor of shape (N, C, T)
    lengths : tensor of shape (N,)
    frames : tensor of shape (F',)
        From `heard_frames`.
    frontend : LogMel

    Returns
    -------
    complex tensor of shape (N, F', N')
        In the precision of the front end.
    """
    series = series.to(frontend.window.dtype)
    spectra = torch.empty(
        len(series), len(frames), frontend.n_bins, dtype=series.dtype.to_complex(), device=series.device
    )
    for rows in torch.arange(len(series), device=series.device).split(BLOCK_WAVEFORMS):
        padded, _ = reprogram.pad(series[rows], lengths[rows])
        spectra[rows] = frontend.stft(reprogram.gain * padded, frames)
    return spectra


def padded_features(reprogram, series, lengths, frontend, frames=None, spectra=None):
    """Return the features of the reprogrammed series, as ``frontend(reprogram(series, lengths)[:, 0])``.

    In training mode with the dropout of one step, one for the batch.

    Parameters
    ----------
    reprogram : PadReprogram
        Its theta gets the gradient.
    series : tensor of shape (B, C, T)
        Without ``spectra``; otherwise only its shape is used.
    lengths : tensor of shape (B,)
    frontend : LogMel
        One that `has_linear_spectrum`.
    frames : tensor of shape (F',), optional
        From `heard_frames` of these series and maybe others.
    spectra : complex tensor of shape (B, F', N'), optional
        From `data_spectra` with these ``frames``.

    Returns
    -------
    tensor of shape (B, F, M)
    """
    if frames is None:
        frames = heard_frames(reprogram, series, lengths, frontend)
    masks, positions = _masks(reprogram, series, lengths)
    theta = frontend.stft(reprogram.gain * (masks * reprogram.dropout(reprogram.theta)))  # (U, F, N')
    if spectra is None:
        spectra = data_spectra(reprogram, series, lengths, frames, frontend)
    if len(frames) == theta.shape[1]:
        return frontend.from_stft(spectra + _for_each(theta, positions))
    heard = frontend.from_stft(spectra + _for_each(theta[:, frames], positions))
    return _for_each(frontend.from_stft(theta), positions).index_copy(1, frames, heard)


def _for_each(values, positions):
    """Return the values of each case's length: (U, ...), (B,) to (B, ...)."""
    # One length is no copy for each case, and the gradients of the cases are just added.
    return values.expand(len(positions), -1, -1) if len(values) == 1 else values[positions]
