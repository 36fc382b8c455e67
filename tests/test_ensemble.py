"""Several acoustic models in one estimator, with one window or several, and a user's own network."""

import pickle

import numpy as np
import pytest
import torch
from conftest import TINY_CONFIG

from v2s_sklearn import V2SClassifier, V2SFeatures, load_acoustic_model, register_acoustic_model
from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.networks.tcn import TemporalConvNet
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.views import DEFAULT_VOICES


def tcn(**config):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        return TemporalConvNet(channels=[8, 12], **config)


class OwnModel(AcousticModel):
    """A user's adapter, as in docs/acoustic_models.md."""

    def __init__(self, network, source_labels):
        super().__init__(source_labels, LogMel(sample_rate=8000), sample_rate=8000, n_samples=4000)
        self.network = network

    def activations(self, features):
        hidden = torch.relu(self.network[0](features.transpose(1, 2)))
        return {"hidden": hidden, "logits": self.network[1](hidden.mean(2))}


def own_model():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2)
        network = torch.nn.ModuleList([torch.nn.Conv1d(40, 12, 5), torch.nn.Linear(12, 5)])
    return OwnModel(network, [f"sound{index}" for index in range(5)])


register_acoustic_model("same-window", lambda: tcn(**TINY_LABELS, n_samples=4000), overwrite=True)
register_acoustic_model("own", own_model, overwrite=True)
TINY_LABELS = {"source_labels": TINY_CONFIG["source_labels"][:7]}


@pytest.mark.parametrize("other", ["same-window", "own"])
def test_embeddings_of_several_models_are_those_of_each(other, gunpoint):
    X = gunpoint[0][:5]
    together = V2SFeatures(["tiny", other]).fit_transform(X)
    apart = [V2SFeatures(name).fit_transform(X) for name in ("tiny", other)]
    assert np.array_equal(together, np.hstack(apart))


def test_models_with_one_window_share_theta(italy):
    X, y, _, _ = italy
    one = V2SClassifier(["tiny", "same-window"], random_state=0).fit(X, y)
    two = V2SClassifier(["tiny", "own"], random_state=0).fit(X, y)
    assert one.theta_["additive"].shape == (2000,)  # heard at half the sample rate
    assert len(two.theta_) == 2
    assert one.acoustic_model_ == (load_acoustic_model("tiny"), load_acoustic_model("same-window"))
    assert one.score(X, y) > 0.8


@pytest.mark.parametrize("mapping", ["random", "frequency"])
def test_many_to_one_mapping_over_the_classes_of_all_models(mapping, italy):
    X, y, X_test, _ = italy
    clf = V2SClassifier.icml2021(
        acoustic_model=["tiny", "own"], mapping=mapping, max_epochs=2, n_replicates=2, random_state=0
    ).fit(X, y)
    assert clf.label_mapping_.shape == (2, (12 + 5) // 2)
    assert clf.label_mapping_.max() >= 12
    assert len(clf.theta_) == 2
    # Each model gets half of the probability, and a target class the mean over its source classes.
    module, batch = clf.net_.module_, clf.scaler_.transform(X_test[:4].reshape(4, 1, -1))
    series, lengths = torch.as_tensor(batch.series), torch.as_tensor(batch.lengths)
    waveforms = [view.waveforms(series, lengths).flatten(0, 1) for view in module.views]
    sources = torch.cat([m.predict_proba(w) for m, w in zip(clf.acoustic_model_, waveforms, strict=True)], dim=1)
    expected = sources[:, clf.label_mapping_].mean(2)
    expected = expected / expected.sum(1, keepdim=True)
    assert np.allclose(clf.predict_proba(X_test[:4]), expected, atol=1e-5)


def test_theta_of_every_model_is_trained(italy):
    X, y, _, _ = italy
    options = {"acoustic_model": ["tiny", "own"], "n_replicates": 2, "random_state": 0}
    start, end = (V2SClassifier.icml2021(max_epochs=n, **options).fit(X, y).theta_ for n in (0, 2))
    assert all(not np.array_equal(a, b) for a, b in zip(start, end, strict=True))


@pytest.mark.parametrize("options", [{}, {"max_epochs": 1}, {"reprogramming": "pad", "mapping": "random"}])
def test_pickle_and_seed(options, italy):
    X, y, X_test, _ = italy
    clf, again = (V2SClassifier(["tiny", "own"], random_state=0, **options).fit(X, y) for _ in range(2))
    expected = clf.predict_proba(X_test)
    assert np.array_equal(expected, again.predict_proba(X_test))
    content = pickle.dumps(clf)
    assert np.array_equal(expected, pickle.loads(content).predict_proba(X_test))


def test_two_packaged_models(italy):
    X, y, X_test, y_test = italy
    clf = V2SClassifier(acoustic_model=["v2sa", "v2st"]).fit(X[:30], y[:30])
    assert clf.score(X_test, y_test) > 0.85


@pytest.mark.parametrize("models", [[], ["tiny", "tiny"], ("tiny", load_acoustic_model("tiny"))])
def test_bad_lists(models, italy):
    with pytest.raises(InvalidParameterError, match="a list of at least one, each once"):
        V2SClassifier(models).fit(*italy[:2])


def test_a_network_of_ones_own(italy):
    X, y, X_test, y_test = italy
    model = own_model()
    clf = V2SClassifier(model, random_state=0).fit(X, y)
    assert clf.score(X_test, y_test) > 0.8
    assert np.array_equal(clf.predict_proba(X_test), pickle.loads(pickle.dumps(clf)).predict_proba(X_test))
    # 8 kHz, half a second: the highest frequency a voice may have is below 4 kHz.
    paper = V2SClassifier.icml2021(acoustic_model="own", max_epochs=1, n_replicates=2, random_state=0).fit(X, y)
    assert paper.theta_.shape == (4000,)


def test_the_default_is_four_sources_and_three_kinds_of_view(italy):
    X, y, X_test, y_test = italy
    clf = V2SClassifier(random_state=0).fit(X, y)
    kinds = [type(view).__name__ for view in clf.net_.module_.views]
    assert kinds == ["ModulationView", "PlaybackView", "ContourView", "ContourView"]
    modulation, playback, contour = clf.theta_
    assert set(modulation) == {"carrier", "deviation", "loudness", "additive"}
    assert len(modulation["carrier"]) == 1
    assert playback.shape == (24,)
    assert contour.shape == (128,)
    assert clf.score(X_test, y_test) > 0.94
    # Four waveforms, two octaves, 64 channels: three quantiles, largest and smallest in groups of two sizes.
    heard = V2SFeatures("wav2vec").fit_transform(X)
    assert heard.shape == (len(X), 4 * 2 * 64 * (3 + 2 * 2))
    assert ((heard >= 0) & (heard <= 1)).all()
    apart = [
        V2SFeatures("v2sa", voices=DEFAULT_VOICES[1:2]).fit_transform(X),
        heard,
        *(V2SFeatures(name).fit_transform(X) for name in ("v2sc", "v2sc-varied")),
    ]
    # Chunks of other sizes have other last bits.
    np.testing.assert_allclose(V2SFeatures().fit_transform(X), np.hstack(apart), atol=1e-4)


def test_seeds_mix_the_channels(italy):
    X, y, X_test, _ = italy
    one, again, other = (V2SClassifier("tiny-wave", random_state=seed).fit(X, y) for seed in (0, 0, 1))
    assert np.array_equal(one.predict_proba(X_test), again.predict_proba(X_test))
    assert not np.array_equal(one.predict_proba(X_test), other.predict_proba(X_test))


@pytest.mark.parametrize("options", [{"acoustic_model": "tiny"}, {"acoustic_model": "tiny-wave", "mapping": "random"}])
def test_playback_needs_a_source_with_filters_on_the_waveform(options, italy):
    with pytest.raises(InvalidParameterError, match="reprogramming='playback' needs mapping='ridge' and a source"):
        V2SClassifier(reprogramming="playback", **options).fit(*italy[:2])


def test_series_of_many_lengths_are_played_back():
    random_state = np.random.RandomState(0)
    for n_points in (2, 3, 30, 500, 1700, 3500):
        X = random_state.normal(size=(6, 1, n_points)).cumsum(axis=2)
        clf = V2SClassifier("tiny-wave", random_state=0).fit(X, [0, 1] * 3)
        assert len(clf.theta_) == min(n_points, 3000)
        assert clf.predict_proba(X).shape == (6, 2)
        shorter = [case[:, : n_points - index] for index, case in enumerate(X[:2])]
        assert clf.predict_proba(shorter).shape == (2, 2)
