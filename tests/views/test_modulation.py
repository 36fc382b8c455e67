import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from v2s_sklearn.views import DEFAULT_VOICES, Voice
from v2s_sklearn.views.modulation import ModulationReprogram, difference_scale
from v2s_sklearn.views.waveforms import stretch


def test_stretch_interpolates_each_series_over_its_own_length():
    series = torch.tensor([[[0.0, 10, 99]], [[0.0, 1, 2]]])
    stretched = stretch(series, torch.tensor([2, 3]), 5)
    torch.testing.assert_close(stretched[:, 0], torch.tensor([[0, 2.5, 5, 7.5, 10], [0, 0.5, 1, 1.5, 2]]))
    assert stretch(series, torch.tensor([1, 1]), 4)[0, 0].tolist() == [0, 0, 0, 0]


def test_the_scale_of_differences_is_over_the_true_points_only():
    rng = np.random.default_rng(0)
    series = rng.normal(size=(6, 2, 20))
    lengths = np.array([20, 20, 5, 20, 9, 1])
    weight = np.array([1.0, 2, 3, 1, 1, 5])
    differences = [
        np.repeat(np.diff(x[:, :n]), int(w), axis=1) for x, n, w in zip(series, lengths, weight, strict=True)
    ]
    expected = np.concatenate(differences, axis=1).std(axis=1)
    np.testing.assert_allclose(difference_scale(series, lengths, weight), expected)
    assert difference_scale(np.ones((2, 1, 1)), np.ones(2, int)) == [1.0]


@settings(max_examples=20, deadline=None)
@given(st.integers(-60, 60), st.sampled_from(["walk", "line", "constant", "offset"]))
def test_the_scale_of_differences_has_the_unit_of_the_series(exponent, kind):
    walk = np.random.default_rng(0).normal(size=(3, 1, 9)).cumsum(axis=2)
    series = {"walk": walk, "line": np.arange(9.0) / 7, "constant": np.full(9, 0.1), "offset": walk + 1000}[kind]
    series = np.broadcast_to(series, walk.shape).astype(np.float32)
    lengths, unit = np.array([9, 7, 9]), np.float32(2.0**exponent)
    plain, scaled = (difference_scale(values, lengths) for values in (series, series * unit))
    np.testing.assert_array_equal(scaled, plain * unit)
    differences = np.abs(np.diff(series.astype(float), axis=2))
    assert (differences / plain).max() < (4 if kind in ("walk", "offset") else 1 if kind == "line" else 1e-6)


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.5])
def test_a_voice_sounds_at_carrier_plus_deviation_times_the_series(level):
    reprogram = ModulationReprogram(16000, 16000, [Voice(1500, deviation=500), Voice(200, loudness=0.5)])
    waveforms = reprogram(torch.full((1, 1, 50), level), torch.tensor([50])).detach().numpy()[0]
    spectra = np.abs(np.fft.rfft(waveforms))
    assert abs(spectra[0].argmax() - (1500 + 500 * level)) <= 1
    assert spectra[1].argmax() == 200
    np.testing.assert_allclose(np.abs(waveforms[1]).max(), 0.1 * np.exp(0.5 * level), rtol=1e-3)


def test_harmonics_have_falling_amplitudes():
    reprogram = ModulationReprogram(16000, 16000, [Voice(200, n_harmonics=4)])
    spectrum = np.abs(np.fft.rfft(reprogram(torch.zeros(1, 1, 2), torch.tensor([2])).detach().numpy()[0, 0]))
    np.testing.assert_allclose(spectrum[[200, 400, 600, 800]] / spectrum[200], [1, 1 / 2, 1 / 3, 1 / 4], rtol=1e-2)


def test_replicates_sound_in_equal_parts():
    series = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(0))
    once = ModulationReprogram(400, 16000, [Voice(1, loudness=1.0)], n_replicates=1)
    twice = ModulationReprogram(800, 16000, [Voice(1, loudness=1.0)], n_replicates=2)
    envelope = [m.sound(stretch(series, torch.tensor([40]), 400), 0) for m in (once, twice)]
    torch.testing.assert_close(envelope[0], envelope[1])
    assert twice(series, torch.tensor([40])).shape == (1, 1, 800)


def test_all_of_theta_gets_a_gradient():
    reprogram = ModulationReprogram(1000, 16000, DEFAULT_VOICES)
    series = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0))
    waveforms = reprogram(series, torch.tensor([20, 15]))
    assert waveforms.shape == (2, 3 * len(DEFAULT_VOICES), 1000)
    waveforms.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in reprogram.parameters())
    assert set(reprogram.theta_numpy()) == {"carrier", "deviation", "loudness", "additive"}
    np.testing.assert_allclose(reprogram.theta_numpy()["carrier"], [voice.carrier for voice in DEFAULT_VOICES])


def test_a_steady_voice_is_the_same_with_and_without_gradients():
    voices = [Voice(200.0, loudness=0.7, n_harmonics=10), Voice(1500.0, deviation=500.0), Voice(900.0)]
    reprogram = ModulationReprogram(4000, 16000, voices)
    series, lengths = torch.randn(3, 2, 30, generator=torch.Generator().manual_seed(0)), torch.tensor([30, 30, 20])
    with torch.no_grad():
        waveforms = reprogram(series, lengths)
    assert torch.equal(reprogram(series, lengths), waveforms)
