import numpy as np
import pytest
import torch

from v2s_sklearn.reprogram import DEFAULT_VOICES, ModulationReprogram, PadReprogram, Voice, stretch


def paper_input(x, m, n_samples):
    """Pad(x) and M as the paper and its script place them, one case at a time."""
    padded, mask = np.zeros(n_samples), np.ones(n_samples)
    n_slots = n_samples // len(x)
    m = min(m, n_slots)
    for copy in range(m):
        start = copy * (n_slots // m) * len(x)
        padded[start : start + len(x)] = x
        mask[start : start + len(x)] = 0
    return padded, mask


@pytest.mark.parametrize("m", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("n_points", [1, 24, 150, 1639])
def test_pad_places_series_and_mask_as_the_paper(m, n_points):
    x = np.random.default_rng(0).normal(size=n_points).astype(np.float32)
    reprogram = PadReprogram(16000, n_replicates=m, gain=1.0)
    padded, mask = reprogram.pad(torch.from_numpy(x)[None, None], torch.tensor([n_points]))
    expected_padded, expected_mask = paper_input(x, m, 16000)
    np.testing.assert_array_equal(padded[0].numpy(), expected_padded.astype(np.float32))
    np.testing.assert_array_equal(mask[0].numpy(), expected_mask)
    # H(x; theta) = Pad(x) + M * theta
    waveform = reprogram(torch.from_numpy(x)[None, None], torch.tensor([n_points]))
    expected = expected_padded + expected_mask * reprogram.theta.detach().numpy()
    np.testing.assert_allclose(waveform[0, 0].detach().numpy(), expected, rtol=1e-6)


def test_pad_takes_series_of_unequal_length():
    series = torch.tensor([[[1.0, 2, 3, 0, 0]], [[4.0, 5, 6, 7, 8]]])
    padded, mask = PadReprogram(12, n_replicates=2).pad(series, torch.tensor([3, 5]))
    for row, x in enumerate(([1, 2, 3], [4, 5, 6, 7, 8])):
        expected_padded, expected_mask = paper_input(x, 2, 12)
        np.testing.assert_array_equal(padded[row].numpy(), expected_padded)
        np.testing.assert_array_equal(mask[row].numpy(), expected_mask)


def test_pad_puts_channels_in_a_row():
    series = torch.tensor([[[1.0, 2], [3, 4]]])
    padded, _ = PadReprogram(10, n_replicates=2).pad(series, torch.tensor([2]))
    assert padded[0].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 0, 0]


def test_no_gradient_reaches_theta_where_the_series_stands():
    reprogram = PadReprogram(100, n_replicates=2)
    reprogram(torch.ones(1, 1, 30), torch.tensor([30])).sum().backward()
    _, mask = reprogram.pad(torch.ones(1, 1, 30), torch.tensor([30]))
    np.testing.assert_array_equal((reprogram.theta.grad != 0).numpy(), mask[0].bool().numpy())


def test_dropout_on_theta_in_training_only():
    reprogram = PadReprogram(10000, dropout=0.3, gain=1.0)
    series, lengths = torch.zeros(2, 1, 1), torch.tensor([1, 1])
    reprogram.eval()
    torch.testing.assert_close(reprogram(series, lengths)[0, 0, 1:], reprogram.theta[1:])
    reprogram.train()
    waveforms = reprogram(series, lengths)[:, 0, 1:]
    kept = waveforms[0] != 0
    assert abs(kept.float().mean() - 0.7) < 0.02
    torch.testing.assert_close(waveforms[0][kept], reprogram.theta[1:][kept] / 0.7)
    torch.testing.assert_close(waveforms[0], waveforms[1])  # one theta for the batch


def test_stretch_interpolates_each_series_over_its_own_length():
    series = torch.tensor([[[0.0, 10, 99]], [[0.0, 1, 2]]])
    stretched = stretch(series, torch.tensor([2, 3]), 5)
    torch.testing.assert_close(stretched[:, 0], torch.tensor([[0, 2.5, 5, 7.5, 10], [0, 0.5, 1, 1.5, 2]]))
    assert stretch(series, torch.tensor([1, 1]), 4)[0, 0].tolist() == [0, 0, 0, 0]


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
    voices = [Voice(200.0, loudness=0.7, n_harmonics=10), Voice(1500.0, deviation=500.0)]
    reprogram = ModulationReprogram(4000, 16000, voices)
    series, lengths = torch.randn(3, 2, 30, generator=torch.Generator().manual_seed(0)), torch.tensor([30, 30, 20])
    with torch.no_grad():
        waveforms = reprogram(series, lengths)
    assert torch.equal(reprogram(series, lengths), waveforms)
