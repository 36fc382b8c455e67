import numpy as np
import pytest
import torch
from aeon.datasets import load_basic_motions

from v2s_sklearn import V2SFeatures, load_acoustic_model
from v2s_sklearn.views import Voice
from v2s_sklearn.views.modulation import ModulationReprogram


def test_features_are_the_embeddings_of_the_reprogrammed_series(gunpoint):
    X = gunpoint[0][:5]
    features = V2SFeatures("tiny", voices=[Voice(900, deviation=300)]).fit(X)
    scaled = torch.from_numpy(((X - X.mean()) / X.std()).astype(np.float32))
    model = load_acoustic_model("tiny").at_half_rate()
    reprogram = ModulationReprogram(*model.window, [Voice(900, deviation=300)])
    waveforms = reprogram(scaled, torch.full((5,), 150)).detach()[:, 0]
    expected = model.embed(waveforms).numpy()
    np.testing.assert_allclose(features.transform(X), expected, atol=5e-3)


def test_one_set_of_features_for_each_voice_and_channel():
    X, _ = load_basic_motions(split="train")
    one = V2SFeatures("tiny", voices=[Voice(900)]).fit_transform(X[:4, :1]).shape[1]
    two_voices = {"acoustic_model": "tiny", "voices": [Voice(900), Voice(500)]}
    assert V2SFeatures(**two_voices).fit_transform(X[:4, :3]).shape == (4, 2 * 3 * one)
    assert V2SFeatures(**two_voices).fit_transform(X[:4]).shape == (4, 2 * 4 * one)  # four mixtures of six channels


def test_scaling_is_that_of_fit(gunpoint):
    X = gunpoint[0]
    features = V2SFeatures("tiny").fit(X[:10])
    np.testing.assert_allclose(features.series_mean_, [X[:10].mean()])
    np.testing.assert_allclose(features.series_scale_, [X[:10].std()])
    np.testing.assert_array_equal(features.transform(X)[:3], features.transform(X[:3]))
    raw = V2SFeatures("tiny", standardize=False).fit(X)
    assert raw.series_scale_ == [1.0]


def test_the_network_hears_decorrelated_channels():
    X, _ = load_basic_motions(split="train")
    features = V2SFeatures("tiny").fit(X)
    channels = (X - features.series_mean_[:, None]) / features.series_scale_[:, None]
    heard = features.scaler_.transform(X).series
    np.testing.assert_allclose(heard, np.matmul(features.channel_mixture_, channels), atol=1e-5)
    largest = [np.abs(np.corrcoef(np.hstack(list(series))) - np.eye(6)).max() for series in (X, heard)]
    assert largest[1] < largest[0] / 2
    np.testing.assert_array_equal(V2SFeatures("tiny", standardize=False).fit(X).channel_mixture_, np.eye(6))


def test_bad_parameters(gunpoint):
    with pytest.raises(ValueError, match="'reprogramming' parameter of V2SFeatures.*Got 'fm'"):
        V2SFeatures("tiny", reprogramming="fm").fit(gunpoint[0])
    with pytest.raises(ValueError, match="3 channels, but V2SFeatures was fitted with 1"):
        V2SFeatures("tiny").fit(gunpoint[0]).transform([np.zeros((3, 10))])
