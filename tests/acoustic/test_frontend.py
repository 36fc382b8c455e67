import numpy as np
import pytest
import torch
from scipy.signal import get_window

from v2s_sklearn.acoustic.frontend import LogMel, mel_filter_bank


@pytest.fixture
def waveforms():
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (3, 16000)).astype(np.float32))


def test_agrees_with_a_direct_computation(waveforms):
    frontend = LogMel()
    window = get_window("hann", 480)
    filters = mel_filter_bank(40, 512, 16000, 0, 4000)
    audio = waveforms.numpy().astype(np.float64) * 32768
    expected = np.empty((3, 98, 40))
    for clip in range(3):
        for frame in range(98):
            segment = audio[clip, 160 * frame : 160 * frame + 480] * window
            power = np.abs(np.fft.rfft(segment, 512)) ** 2
            expected[clip, frame] = (np.log(power @ filters + 300) - 14.43) / 5.15
    np.testing.assert_allclose(frontend(waveforms).numpy(), expected, atol=2e-5)
    assert frontend.n_frames(16000) == 98


def test_mel_filters_peak_at_equal_mel_steps():
    filters = mel_filter_bank(40, 8192, 16000, 0, 4000)
    peaks = filters.argmax(axis=0) * 16000 / 8192
    mel = 2595 * np.log10(1 + peaks / 700)
    np.testing.assert_allclose(np.diff(mel), np.diff(mel).mean(), rtol=0.05)
    assert filters.min() >= 0
    assert filters.max() <= 1


def test_stft_is_linear(waveforms):
    frontend = LogMel()
    theta = torch.randn(16000, generator=torch.Generator().manual_seed(0)) * 0.05
    apart = frontend.from_stft(frontend.stft(waveforms) + frontend.stft(theta))
    torch.testing.assert_close(apart, frontend(waveforms + theta), rtol=1e-4, atol=1e-4)


def test_gradient_agrees_with_finite_differences():
    frontend = LogMel(win_length=16, hop_length=8, n_fft=16, n_mels=4, f_max=8000).double()
    waveform = torch.randn(1, 48, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.1
    assert torch.autograd.gradcheck(frontend, waveform.requires_grad_())


def test_half_the_rate_gives_the_same_features_of_sound_below_its_nyquist_frequency():
    time = np.arange(16000) / 16000
    sound = sum(0.05 * np.sin(2 * np.pi * f * time + f) for f in (210, 900, 1730, 3200))
    full, half = LogMel(), LogMel().at_half_rate()
    assert half.sample_rate == 8000
    features = [
        frontend(torch.from_numpy(audio).float()[None]) for frontend, audio in ((full, sound), (half, sound[::2]))
    ]
    assert features[0].shape == features[1].shape
    assert (features[0] - features[1]).abs().mean() < 0.02
    loud = features[0] > features[0].mean()
    assert (features[0] - features[1])[loud].abs().max() < 0.02


@pytest.mark.parametrize("options", [{"f_max": 4100}, {"hop_length": 161}])
def test_what_cannot_be_heard_at_half_the_rate(options):
    assert LogMel().reads_half_of_the_spectrum
    assert not LogMel(**options).reads_half_of_the_spectrum

    class Louder(LogMel):
        def forward(self, waveform):
            return super().forward(2 * waveform)

    assert not Louder().reads_half_of_the_spectrum
