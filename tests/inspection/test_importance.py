import numpy as np
import pandas as pd
import pytest
import torch
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.datasets import load_basic_motions, load_japanese_vowels
from aeon.transformations.collection import Normalizer
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from v2s_sklearn import TransferClassifier, V2SClassifier
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError
from v2s_sklearn.inspection import class_activation_maps, importance
from v2s_sklearn.inspection.saliency import _conductance, _with_private_sources

MOTIF = 20


def planted(n_cases, n_points=100, seed=0):
    """Return noise with a wave or its negative somewhere, the classes, and where it begins."""
    rng = np.random.default_rng(seed)
    y, starts = np.arange(n_cases) % 2, rng.integers(5, n_points - MOTIF - 5, n_cases)
    X = rng.normal(0, 0.3, (n_cases, 1, n_points))
    for x, label, start in zip(X, y, starts, strict=True):
        x[0, start : start + MOTIF] += 2.5 * (1 if label else -1) * np.sin(np.linspace(0, 2 * np.pi, MOTIF))
    return X, y, starts


def fall(clf, X, y, marked, fill):
    """Return the mean fall of the probability of the true class when marked points, (N, T) bool, are deleted."""
    columns = np.arange(len(X)), np.searchsorted(clf.classes_, y)
    deleted = X.copy()
    for x, gone in zip(deleted, marked, strict=True):
        points = np.arange(len(gone))
        x[0, gone] = clf.series_mean_[0] if fill == "mean" else np.interp(points[gone], points[~gone], x[0, ~gone])
    return (clf.predict_proba(X)[columns] - clf.predict_proba(deleted)[columns]).mean()


def assert_faithful(clf, X, y, values, share=0.2):
    """Deleting what is marked costs more than deleting as many points at random, and than a random window as long.

    Points are deleted by interpolation: single points at the training mean would be spikes, unlike any series, which
    cost more than anything that is marked. Windows are deleted by the training mean.
    """
    n_points, rng = X.shape[2], np.random.default_rng(0)
    n_gone = int(share * n_points)
    marked = np.argsort(np.argsort(-values, axis=1), axis=1) < n_gone
    points = [np.stack([rng.permutation(n_points) < n_gone for _ in X]) for _ in range(4)]
    windows = [(np.arange(n_points) - rng.integers(0, n_points, (len(X), 1))) % n_points < n_gone for _ in range(4)]
    # A line through the neighbours leaves much of a smooth series, so this fall is small.
    assert fall(clf, X, y, marked, "line") > 3 * np.mean([fall(clf, X, y, gone, "line") for gone in points]) + 0.003
    assert fall(clf, X, y, marked, "mean") > np.mean([fall(clf, X, y, gone, "mean") for gone in windows]) + 0.05


def total(maps):
    """Return the positive parts of the maps of all layers together."""
    return sum(np.maximum(values, 0) for values in maps.values())


@pytest.fixture(scope="module")
def on_gunpoint(gunpoint):
    return V2SClassifier(random_state=0).fit(*gunpoint[:2])


@pytest.fixture(scope="module")
def on_motifs():
    X, y, _ = planted(40)
    return V2SClassifier(random_state=0).fit(X, y)


def test_importance_is_faithful_on_gunpoint(on_gunpoint, gunpoint):
    X, y = gunpoint[2][:8], gunpoint[3][:8]
    assert_faithful(on_gunpoint, X, y, importance(on_gunpoint, X, y, windows=[10, 30])[:, 0])


def test_importance_finds_the_motif(on_motifs):
    X, y, starts = planted(8, seed=1)
    values = importance(on_motifs, X, y, windows=[10, 20])[:, 0]
    assert_faithful(on_motifs, X, y, values)
    inside = (np.arange(100) >= starts[:, None]) & (np.arange(100) < starts[:, None] + MOTIF)
    assert (values[inside].mean() > 3 * np.abs(values[~inside]).mean()) and inside[np.arange(8), values.argmax(1)].all()


def test_saliency_is_faithful_on_gunpoint(on_gunpoint, gunpoint):
    X, y = gunpoint[2][:8], gunpoint[3][:8]
    assert_faithful(on_gunpoint, X, y, total(class_activation_maps(on_gunpoint, X, y)))


def test_saliency_finds_the_motif(on_motifs):
    X, y, starts = planted(8, seed=1)
    values = total(class_activation_maps(on_motifs, X, y))
    assert_faithful(on_motifs, X, y, values)
    inside = (np.arange(100) >= starts[:, None]) & (np.arange(100) < starts[:, None] + MOTIF)
    assert values[inside].mean() > 3 * values[~inside].mean()


class Spy(ClassifierMixin, BaseEstimator):
    """A classifier that looks at one point, and remembers how many cases it was shown at a time."""

    def __init__(self, point=7):
        self.point = point

    def fit(self, X, y):
        self.classes_, self.calls_ = np.unique(y), []
        return self

    def predict_proba(self, X):
        self.calls_.append(len(X))
        values = np.array([np.atleast_2d(x)[0, self.point] for x in X])
        probability = 1 / (1 + np.exp(-values))
        return np.stack([1 - probability, probability], axis=1)


def test_one_point_that_matters():
    X = np.ones((3, 2, 30))
    spy = Spy().fit(X, [0, 1, 1])
    values = importance(spy, X, [1, 1, 0], background=[0.0, 0.0], windows=[1, 2])
    assert values.shape == (3, 2, 30)
    gain = np.log(1 / (1 + np.exp(-1.0))) - np.log(0.5)
    loss = np.log(1 - 1 / (1 + np.exp(-1.0))) - np.log(0.5)
    np.testing.assert_allclose(values[:2, 0, 7], gain)  # every window that covers it takes it out
    np.testing.assert_allclose(values[2, 0, 7], loss)
    assert (values[:, 1] == 0).all()
    assert (np.delete(values[0, 0], [6, 7, 8]) == 0).all()
    assert len(spy.calls_) == 2  # all copies of all cases together


@pytest.mark.parametrize("windows", [[1], [3], [7, 50], [200]])
def test_every_point_is_covered(windows):
    X = np.ones((2, 23))
    values = importance(Spy().fit(X, [0, 1]), X, [0, 1], background=[0.0], windows=windows, random_state=3)
    assert np.isfinite(values).all() and values.shape == (2, 1, 23)


def test_every_mode(tiny, gunpoint):
    X, y = gunpoint[0][:6], gunpoint[1][:6]
    clf = clone(tiny).fit(X, y)
    values = importance(clf, X[:2], y[:2], windows=[50])
    assert values.shape == (2, 1, 150) and np.isfinite(values).all() and values.any()
    np.testing.assert_array_equal(values, importance(clf, X[:2], y[:2], windows=[50]))
    assert (values != importance(clf, X[:2], y[:2], windows=[50], random_state=1)).any()
    np.testing.assert_allclose(importance(clf, X[:1], y[:1], windows=[50])[0], values[0], atol=1e-12)


def test_other_classifiers(gunpoint):
    X, y = gunpoint[0][:10], gunpoint[1][:10]
    transfer = TransferClassifier("tiny", max_epochs=1).fit(X, y)
    assert importance(transfer, X[:2], windows=[75]).shape == (2, 1, 150)
    rocket = MiniRocketClassifier(n_kernels=84, random_state=0).fit(X, y)
    assert importance(rocket, X[:2], y[:2], windows=[75], background=[0.0]).shape == (2, 1, 150)
    linear = LogisticRegression().fit(X[:, 0], y)
    assert importance(linear, X[:2, 0], y[:2], windows=[75], background=[0.0]).any()
    with pytest.raises(InvalidParameterError, match=r"MiniRocketClassifier does not know.*X_train.mean"):
        importance(rocket, X[:2])


def test_the_training_mean_replaces(gunpoint):
    """In paper mode series are not standardised, and the mean is known all the same."""
    X, y = gunpoint[0] + 3.0, gunpoint[1]
    clf = V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=0, random_state=0).fit(X, y)
    np.testing.assert_allclose(clf.scaler_.training_mean_, X.mean(axis=(0, 2)))
    given = importance(clf, X[:1], background=X.mean(axis=(0, 2)), windows=[30])
    np.testing.assert_allclose(importance(clf, X[:1], windows=[30]), given, atol=1e-6)


def test_multivariate_and_unequal_length():
    X, y = load_basic_motions(split="train")
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    assert importance(clf, X[:1], y[:1], windows=[50]).shape == (1, 6, 100)
    X, y = load_japanese_vowels(split="train")
    X, y = list(X[::9]), y[::9]
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    values = importance(clf, X[:2], y[:2], windows=[8])
    assert [value.shape for value in values] == [case.shape for case in X[:2]]
    maps = class_activation_maps(clf, X[:1], y[:1])
    assert all(value.shape == (1, X[0].shape[1]) for value in maps.values())


def long_frame(X):
    """Return series as a frame with a row a time point, cases named against the order of the rows."""
    ids = [f"case {len(X) - number}" for number in range(len(X))]
    index = pd.MultiIndex.from_product([ids, range(X.shape[2])], names=["case", "time"])
    return pd.DataFrame({f"channel {c}": X[:, c].ravel() for c in range(X.shape[1])}, index=index)


def test_frames(gunpoint):
    X, y = gunpoint[0][:6, :, :40], gunpoint[1][:6]
    both = np.concatenate([X, X[:, :, ::-1]], axis=1)
    for series in (X, both):
        frame = long_frame(series)
        labels = pd.Series(y, index=frame.index.unique("case")).sort_index()  # in another order than the cases
        clf = V2SClassifier("tiny", random_state=0).fit(frame, labels)
        expected = importance(clf, series, y)
        assert expected.shape == series.shape and np.abs(expected).max() > 0
        np.testing.assert_array_equal(importance(clf, frame, labels), expected)
        np.testing.assert_array_equal(importance(clf, frame, y), expected)
        maps = class_activation_maps(clf, frame, labels)
        for layer, values in class_activation_maps(clf, series, y).items():
            np.testing.assert_array_equal(maps[layer], values)
    with pytest.raises(InvalidParameterError, match=r"y has shape \(2,\); needed is a label for each of 6 series"):
        importance(clf, frame, y[:2])


def test_searches_and_pipelines(gunpoint):
    X, y = gunpoint[0][:12], gunpoint[1][:12]
    pipeline = make_pipeline(Normalizer(), V2SClassifier("tiny", random_state=0)).fit(X, y)
    search = GridSearchCV(pipeline, {"v2sclassifier__n_replicates": [1]}, cv=2).fit(X, y)
    normalised = pipeline[:-1].transform(X)
    expected = importance(pipeline[-1], normalised, y)
    for whole in (pipeline, search):
        np.testing.assert_array_equal(importance(whole, X, y), expected)
        maps = class_activation_maps(whole, X[:2], y[:2])
        for layer, values in class_activation_maps(pipeline[-1], normalised[:2], y[:2]).items():
            np.testing.assert_array_equal(maps[layer], values)
    # As it is, for the points of the series that it is given, where what replaces them is given, too.
    as_it_is = importance(pipeline, X, y, background=[X.mean()])
    assert as_it_is.shape == X.shape and not np.array_equal(as_it_is, expected)


def test_what_cannot_be_used(gunpoint):
    X, y = gunpoint[0][:6], gunpoint[1][:6]
    clf = V2SClassifier("tiny", random_state=0)
    with pytest.raises(NotFittedError):
        importance(clf, X)
    clf.fit(X, y)
    with pytest.raises(InvalidParameterError, match=r"'3'.*none of the classes"):
        importance(clf, X, ["3"] * 6)
    with pytest.raises(InvalidParameterError, match="y has shape"):
        importance(clf, X, y[:2])
    with pytest.raises(InvalidParameterError, match=r"windows=\[0\]"):
        importance(clf, X, y, windows=[0])
    with pytest.raises(InvalidParameterError, match="1 channels"):
        importance(clf, X, y, background=[0.0, 1.0])
    with pytest.raises(InvalidSeriesError, match=r"X\[None\]"):
        importance(clf, X[0, 0])


# Class activation maps


def test_a_map_sums_to_what_the_class_gains(gunpoint):
    """All that a source hears goes through its first convolution, whose map sums to the gain over the training mean."""
    X, y = gunpoint[:2]
    clf = V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=0, n_replicates=10, random_state=0).fit(X, y)
    X, columns = X[:3], np.searchsorted(clf.classes_, y[:3])
    mean = np.broadcast_to(clf.scaler_.training_mean_[:, None], X.shape)
    steps = [clf.scaler_.transform(mean + share * (X - mean)) for share in np.linspace(0, 1, 65)]
    with torch.no_grad():
        first, last = (
            clf.net_.module_(torch.as_tensor(step.series), torch.as_tensor(step.lengths)).numpy()
            for step in (steps[0], steps[-1])
        )
    gain = (last - first)[np.arange(3), columns]
    network, convolutions = _with_private_sources(clf.net_.module_)
    maps = _conductance(network, convolutions, steps, columns)
    assert np.abs(gain).max() > 1e-4
    np.testing.assert_allclose(maps[0, "conv.0", 0].sum(axis=1), gain, atol=0.05 * np.abs(gain).max())


def test_maps_of_playback_alone_are_refused(gunpoint):
    clf = V2SClassifier("wav2vec", random_state=0).fit(gunpoint[0][:10], gunpoint[1][:10])
    with pytest.raises(InvalidParameterError, match=r"No convolution of wav2vec.*importance\(\)"):
        class_activation_maps(clf, gunpoint[0][:1])


def test_maps_of_unequal_length_and_unknown_labels(gunpoint):
    X, y = gunpoint[0][:6], gunpoint[1][:6]
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    with pytest.raises(InvalidParameterError, match="differ in length"):
        class_activation_maps(clf, [X[0], X[1][:, :100]])
    with pytest.raises(InvalidParameterError, match=r"y has \['3'\], which are none of the classes \['1', '2'\]"):
        class_activation_maps(clf, X, ["3"] * 6)
