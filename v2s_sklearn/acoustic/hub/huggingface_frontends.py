"""The feature extractors of Hugging Face audio models as torch modules, differentiable in the waveform.

Shape legend: B batch, S waveform samples, F frames, N frequency bins, M mel bands.

Each front end states its ``sample_rate`` in Hz and the windows it takes, in samples: ``n_samples``, the default, and
``shortest`` and ``longest``.
"""

import math

import numpy as np
import torch
from torch import nn

from v2s_sklearn.errors import WeightsError
from v2s_sklearn.runtime.portable_modules import to_tensor


class KaldiFilterBank(nn.Module):
    """The filter bank of ``ASTFeatureExtractor``: Kaldi's log-mel energies, padded to a fixed number of frames.

    Frames of 400 samples every 160 (25 ms and 10 ms at 16 kHz), each without its mean, pre-emphasised by 0.97 and under
    a symmetric Hann window; power spectrum of 512 points; triangles on Kaldi's mel scale from 20 Hz. The energies are
    as low as 1e-10 of the loudest, so they are computed in double precision.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_mels : int
        Number of mel bands M.
    n_frames : int
        F. A shorter waveform's missing frames are zero before the scaling, as in the extractor.
    mean, std : float
        The log energies become ``(x - mean) / (2 std)``.

    Notes
    -----
    ``ASTFeatureExtractor`` computes with torchaudio where it is installed and with numpy otherwise. Both give the same
    features at 16 kHz; at other rates torchaudio's frames are 25 ms long, and these, like numpy's, 400 samples.

    References
    ----------
    .. [1] Y. Gong, Y.-A. Chung, J. Glass, AST: Audio Spectrogram Transformer, Interspeech 2021.
    """

    FRAME_LENGTH, HOP_LENGTH, N_FFT = 400, 160, 512
    PREEMPHASIS = 0.97
    FLOOR = 1.192092955078125e-07  # of an energy, Kaldi's

    def __init__(self, sample_rate, n_mels, n_frames, mean, std):
        from transformers.audio_utils import mel_filter_bank

        super().__init__()
        self.sample_rate, self.n_frames, self.mean, self.std = sample_rate, n_frames, mean, std
        self.n_samples = self.longest = self.FRAME_LENGTH + (n_frames - 1) * self.HOP_LENGTH
        self.shortest = self.FRAME_LENGTH
        filters = mel_filter_bank(
            num_frequency_bins=self.N_FFT // 2 + 1,
            num_mel_filters=n_mels,
            min_frequency=20,
            max_frequency=sample_rate // 2,
            sampling_rate=sample_rate,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        window = torch.hann_window(self.FRAME_LENGTH, periodic=False, dtype=torch.float64)
        self.register_buffer("filters", to_tensor(filters), persistent=False)  # (N, M)
        self.register_buffer("window", window, persistent=False)

    def forward(self, waveform):
        """Return the features of waveforms: (B, S) to (B, F, M)."""
        frames = waveform.double().unfold(-1, self.FRAME_LENGTH, self.HOP_LENGTH)[:, : self.n_frames]
        frames = frames - frames.mean(-1, keepdim=True)
        # The first sample of a frame is its own predecessor.
        frames = frames - self.PREEMPHASIS * torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        spectrum = torch.fft.rfft(frames * self.window, self.N_FFT)
        power = spectrum.real.square() + spectrum.imag.square()
        energies = torch.log((power @ self.filters).clamp(min=self.FLOOR))
        energies = nn.functional.pad(energies, (0, 0, 0, self.n_frames - energies.shape[1]))
        return ((energies - self.mean) / (2 * self.std)).to(waveform.dtype)


class RawWaveform(nn.Module):
    """The input of wav2vec 2.0 and its relatives: the waveform, standardised if ``Wav2Vec2FeatureExtractor`` does so.

    All waveforms of a batch have one length, so there is no padding and no attention mask.

    Parameters
    ----------
    sample_rate : int
        In Hz; the default window is one second.
    standardise : bool
        Subtract the mean of each waveform and divide by its standard deviation.
    shortest : int
        Samples that give the convolutions of the model one frame.

    References
    ----------
    .. [1] A. Baevski et al., wav2vec 2.0, NeurIPS 2020.
    """

    def __init__(self, sample_rate, standardise, shortest):
        super().__init__()
        self.sample_rate, self.standardise = sample_rate, standardise
        self.n_samples, self.shortest, self.longest = max(sample_rate, shortest), shortest, math.inf

    def forward(self, waveform):
        """Return the model's input: waveforms (B, S) to (B, S)."""
        if not self.standardise:
            return waveform
        variance, mean = torch.var_mean(waveform, dim=1, correction=0, keepdim=True)
        return (waveform - mean) / torch.sqrt(variance + 1e-7)


class WhisperLogMel(nn.Module):
    """The log-mel spectrogram of ``WhisperFeatureExtractor``, of a waveform padded to the model's window.

    Base-10 logarithms, cut at 8 below the loudest of the waveform. The extractor's optional dither, random noise, is
    left out.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    filters : ndarray of shape (N, M)
        Mel filters.
    n_fft, hop_length : int
        Length and step of the Fourier transform in samples.
    n_samples : int
        The window S in samples; shorter waveforms are padded at the end.
    padding_value : float
        What they are padded with.

    References
    ----------
    .. [1] A. Radford et al., Robust speech recognition via large-scale weak supervision, 2022, section 2.2.
    """

    def __init__(self, sample_rate, filters, n_fft, hop_length, n_samples, padding_value):
        super().__init__()
        self.sample_rate, self.padding_value = sample_rate, padding_value
        self.n_fft, self.hop_length = n_fft, hop_length
        self.n_samples = self.longest = n_samples
        self.shortest = 1
        self.register_buffer("filters", to_tensor(filters.astype(np.float32)), persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32), persistent=False)

    def forward(self, waveform):
        """Return the features of waveforms: (B, S) to (B, F, M)."""
        padding = (0, self.n_samples - waveform.shape[1])
        waveform = nn.functional.pad(waveform, padding, value=self.padding_value)
        spectrum = torch.stft(waveform, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        energies = power[..., :-1].transpose(1, 2) @ self.filters  # the extractor drops the last frame, too
        energies = torch.log10(energies.clamp(min=1e-10))
        energies = torch.maximum(energies, energies.amax((1, 2), keepdim=True) - 8.0)
        return (energies + 4.0) / 4.0


def _check_shapes(extractor, given, config, needed):
    if given != needed:
        raise WeightsError(
            f"{type(extractor).__name__} gives (frames, mel bands) {given}, but the {config.model_type} model takes "
            f"{needed}: preprocessor_config.json and config.json do not belong together. Restore the checkpoint's own."
        )


def _kaldi_filter_bank(extractor, config):
    given = (extractor.max_length, extractor.num_mel_bins)
    _check_shapes(extractor, given, config, (config.max_length, config.num_mel_bins))
    mean, std = (extractor.mean, extractor.std) if extractor.do_normalize else (0.0, 0.5)
    return KaldiFilterBank(extractor.sampling_rate, extractor.num_mel_bins, extractor.max_length, mean, std)


def _raw_waveform(extractor, config):
    shortest = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        shortest = (shortest - 1) * stride + kernel
    # SEW halves the number of frames once more.
    last_stride = getattr(config, "squeeze_factor", 1)
    shortest += (last_stride - 1) * math.prod(config.conv_stride)
    return RawWaveform(extractor.sampling_rate, extractor.do_normalize, shortest)


def _whisper_log_mel(extractor, config):
    # The encoder's second convolution has stride 2.
    given = (extractor.nb_max_frames, extractor.feature_size)
    _check_shapes(extractor, given, config, (2 * config.max_source_positions, config.num_mel_bins))
    return WhisperLogMel(
        extractor.sampling_rate,
        extractor.mel_filters,
        extractor.n_fft,
        extractor.hop_length,
        extractor.n_samples,
        extractor.padding_value,
    )


_FRONTENDS = {
    "ASTFeatureExtractor": _kaldi_filter_bank,
    "Wav2Vec2FeatureExtractor": _raw_waveform,
    "WhisperFeatureExtractor": _whisper_log_mel,
}
# model_type of a transformers configuration -> its feature extractor.
MODEL_TYPES = {
    "audio-spectrogram-transformer": "ASTFeatureExtractor",
    "data2vec-audio": "Wav2Vec2FeatureExtractor",
    "hubert": "Wav2Vec2FeatureExtractor",
    "sew": "Wav2Vec2FeatureExtractor",
    "sew-d": "Wav2Vec2FeatureExtractor",
    "unispeech": "Wav2Vec2FeatureExtractor",
    "unispeech-sat": "Wav2Vec2FeatureExtractor",
    "wav2vec2": "Wav2Vec2FeatureExtractor",
    "wav2vec2-conformer": "Wav2Vec2FeatureExtractor",
    "wavlm": "Wav2Vec2FeatureExtractor",
    "whisper": "WhisperFeatureExtractor",
}


def make_frontend(extractor, config):
    """Return the front end that computes what a transformers feature extractor does.

    Parameters
    ----------
    extractor : transformers.FeatureExtractionMixin
    config : transformers.PreTrainedConfig
        Of the model; its ``model_type`` is a key of ``MODEL_TYPES``.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    WeightsError
        If the extractor is of another class, or does not fit the model.
    """
    name, needed = type(extractor).__name__, MODEL_TYPES[config.model_type]
    if name != needed:
        raise WeightsError(
            f"The checkpoint's feature extractor is {name}, but {config.model_type} models need {needed} here. "
            f"Supported feature extractors: {', '.join(_FRONTENDS)}. Take a checkpoint that has one of them."
        )
    return _FRONTENDS[name](extractor, config)
