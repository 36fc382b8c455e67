import numpy as np
import pytest
import torch

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.views.pad import PadReprogram, PadView


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


@pytest.mark.parametrize("length", [30, None])
def test_training_steps_by_spectra_are_those_by_waveforms(length):
    lengths = np.full(3, length) if length else np.array([30, 12, 25])
    series = np.random.default_rng(0).normal(size=(3, 1, 30)).astype(np.float32)
    view = PadView(load_acoustic_model("v2st"), n_replicates=3).fit(series, lengths)
    expected = view.source_logits(view.waveforms(series, lengths))
    given = view.precompute(series, lengths)
    assert given["spectra"].shape[:2] == (3, len(view.frames))
    rows = [2, 0]
    logits = view.differentiable_logits(series[rows], lengths[rows], torch.as_tensor(given["spectra"][rows]))
    torch.testing.assert_close(logits, expected[rows], rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(logits.sum(), view.transformation.theta)
    (reference,) = torch.autograd.grad(expected[rows].sum(), view.transformation.theta)
    torch.testing.assert_close(gradient, reference, rtol=1e-2, atol=1e-3 * reference.abs().max().item())


def test_spectra_that_are_too_large_are_computed_batch_by_batch(monkeypatch, gunpoint):
    X, y = gunpoint[0][:6], gunpoint[1][:6]

    def train():
        clf = V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=2, batch_size=4, dropout=0.2, random_state=0)
        return clf.fit(X, y).theta_

    held = train()
    monkeypatch.setattr("v2s_sklearn.views.pad.MAX_SPECTRA_BYTES", 0)
    np.testing.assert_array_equal(train(), held)


def test_a_source_without_a_spectrogram_trains_by_waveforms():
    series, lengths = np.zeros((2, 1, 30), dtype=np.float32), np.full(2, 30)
    view = PadView(load_acoustic_model("wav2vec")).fit(series, lengths)
    assert view.precompute(series, lengths) == {}
    logits = view.differentiable_logits(series, lengths)
    torch.testing.assert_close(logits, view.source_logits(view.waveforms(series, lengths)))
