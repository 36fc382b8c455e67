"""The split of padding into the spectra of the data and of theta."""

import pytest
import torch

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.views.pad import PadReprogram
from v2s_sklearn.views.padded_spectra import (
    data_spectra,
    has_linear_spectrum,
    heard_frames,
    padded_features,
    spectra_bytes,
)

UNEQUAL = torch.tensor([40, 25, 40, 7])
EQUAL = torch.tensor([40, 40, 40, 40])


@pytest.fixture
def frontend():
    return LogMel().double()


def reprogram(**options):
    return PadReprogram(16000, **options).double()


def collection(n_channels=2):
    return torch.randn(4, n_channels, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("lengths", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize("n_replicates", [1, 10])
def test_features_and_gradient_are_those_of_the_waveforms(frontend, lengths, n_replicates):
    series, pad = collection(), reprogram(n_replicates=n_replicates)
    weights = torch.randn(4, 98, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = frontend(pad(series, lengths)[:, 0])
    (expected,) = torch.autograd.grad((whole * weights).sum(), pad.theta)
    frames = heard_frames(pad, series, lengths, frontend)
    for given in ((frames, data_spectra(pad, series, lengths, frames, frontend)), (frames,), ()):
        features = padded_features(pad, series, lengths, frontend, *given)
        torch.testing.assert_close(features, whole, rtol=1e-10, atol=1e-10)
        (gradient,) = torch.autograd.grad((features * weights).sum(), pad.theta)
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def test_a_batch_may_be_any_rows_of_the_spectra(frontend):
    series, pad = collection(), reprogram()
    frames, rows = heard_frames(pad, series, UNEQUAL, frontend), torch.tensor([3, 1])
    spectra = data_spectra(pad, series, UNEQUAL, frames, frontend)
    features = padded_features(pad, series[rows], UNEQUAL[rows], frontend, frames, spectra[rows])
    torch.testing.assert_close(features, frontend(pad(series[rows], UNEQUAL[rows])[:, 0]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("lengths", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
def test_dropout_of_theta_is_drawn_once_a_step(frontend, lengths):
    series = collection()
    features = [
        padded_features(reprogram(dropout=0.5, seed=3).train(), series, lengths, frontend),
        frontend(reprogram(dropout=0.5, seed=3).train()(series, lengths)[:, 0]),
        frontend(reprogram(dropout=0.5, seed=3).eval()(series, lengths)[:, 0]),
    ]
    torch.testing.assert_close(features[0], features[1], rtol=1e-10, atol=1e-10)
    assert (features[0] - features[2]).abs().max() > 0.1


def test_frames_in_which_a_series_sounds(frontend):
    """Two copies of 80 points at samples 0 and 8000; frames of 480 samples, one every 160."""
    frames = heard_frames(reprogram(n_replicates=2), collection(), EQUAL, frontend)
    sounding = [i for i in range(98) if any(160 * i < at + 80 and 160 * i + 480 > at for at in (0, 8000))]
    assert frames.tolist() == sounding


def test_spectra_have_the_precision_of_the_front_end_and_the_size_that_is_stated():
    series, frontend, pad = collection().float(), LogMel(), PadReprogram(16000)
    frames = heard_frames(pad, series, EQUAL, frontend)
    spectra = data_spectra(pad, series, EQUAL, frames, frontend)
    assert spectra.dtype == torch.complex64
    assert spectra.untyped_storage().nbytes() == spectra_bytes(4, frames, frontend)
    assert data_spectra(pad, series, EQUAL, frames, LogMel().double()).dtype == torch.complex128


def test_which_front_ends_are_split():
    assert has_linear_spectrum(load_acoustic_model("v2sa").frontend)
    assert not has_linear_spectrum(load_acoustic_model("wav2vec").frontend)

    class Louder(LogMel):
        def forward(self, waveform):
            return super().forward(2 * waveform)

    assert not has_linear_spectrum(Louder())
