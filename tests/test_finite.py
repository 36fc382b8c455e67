"""Finite in, finite out: values, weights and voices of any size give finite answers, or a clear error."""

import numpy as np
import pytest
import torch
from conftest import MODES
from hypothesis import given, settings
from hypothesis import strategies as st

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, register_acoustic_model
from v2s_sklearn.acoustic.frontend import LogMel
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError, TrainingDivergedError
from v2s_sklearn.series.scaling import SeriesScaler
from v2s_sklearn.views import Voice

ESTIMATORS = {
    "default": V2SClassifier(("tiny", "tiny-wave"), random_state=0),
    "trained": V2SClassifier("tiny", **MODES["trained"], random_state=0),
    "paper": V2SClassifier("tiny", **MODES["paper"], random_state=0),
    "contour": V2SClassifier("v2sc", random_state=0),
    "transfer": TransferClassifier("tiny", max_epochs=1, random_state=0),
}


def check(clf, X):
    probabilities = clf.predict_proba(X)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.fixture(params=ESTIMATORS)
def clf(request):
    return ESTIMATORS[request.param]


def walks(n_cases=12, n_points=20, n_channels=1, seed=0):
    return np.random.default_rng(seed).normal(size=(n_cases, n_channels, n_points)).cumsum(axis=2)


@pytest.mark.parametrize("size", [1e-320, 1e-12, 1e155, 1e307])
def test_the_unit_of_the_series_does_not_matter(clf, size):
    X, y = walks(n_channels=2), np.arange(12) % 2
    expected = clf.fit(X, y).predict_proba(X)
    with np.errstate(all="raise", under="ignore"):
        clf.fit(X * size, y)
        found = clf.predict_proba(X * size)
    if size > 1e-300:  # below, few digits are left
        np.testing.assert_allclose(found, expected, atol=5e-3)
    check(clf, X * size)


def test_an_offset_does_not_matter(gunpoint):
    X, y, X_test, y_test = gunpoint
    clf = V2SClassifier("tiny", random_state=0)
    expected = clf.fit(X, y).score(X_test, y_test)
    for small in (1e-12, 1e-30):
        assert clf.fit(X * small, y).score(X_test * small, y_test) == expected


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_finite_values_have_finite_answers(data):
    clf = ESTIMATORS[data.draw(st.sampled_from([*ESTIMATORS]))]
    exponents = st.floats(-320, 308)
    X = walks(8, 10) * 10.0 ** data.draw(exponents)
    spikes = data.draw(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9), exponents), max_size=3))
    for case, time, exponent in spikes:
        X[case, 0, time] = (-1) ** time * 10.0**exponent
    X = np.clip(X, -1.7e308, 1.7e308)
    weights = 10.0 ** np.array(data.draw(st.lists(exponents, min_size=8, max_size=8)))
    clf.fit(X, [0, 1] * 4, sample_weight=weights)
    check(clf, X)
    check(clf, np.clip(walks(3, 10, seed=1) * 10.0 ** data.draw(exponents), -1.7e308, 1.7e308))


@pytest.mark.parametrize("value", [1e18, -1e300])
def test_one_huge_value_in_a_new_case(clf, value):
    X, y = walks(), np.arange(12) % 2
    clf.fit(X, y)
    new = walks(3, seed=1)
    new[1, 0, 5] = value
    check(clf, new)
    np.testing.assert_array_equal(clf.predict_proba(new)[[0, 2]], clf.predict_proba(new[[0, 2]]))


def test_without_standardisation_values_that_cannot_be_heard_are_refused(clf):
    X, y = walks(), np.arange(12) % 2
    clf.set_params(standardize=False)
    try:
        check(clf.fit(X * 1e7, y), X * 1e7)
        X[7, 0, 3] = 1e10
        with pytest.raises(
            InvalidSeriesError, match=r"Series 7 of X has values of size 1e\+10; with standardize=False"
        ):
            clf.fit(X, y)
        clf.fit(X[:4], y[:4])
        with pytest.raises(InvalidSeriesError, match="Series 3 of X has values"):
            clf.predict_proba(X[4:])
    finally:
        clf.set_params(standardize=True)


@pytest.mark.parametrize("weight", [5e-324, 1e308])
def test_weights_of_any_size(clf, weight):
    X, y = walks(), np.arange(12) % 2
    expected = clf.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(clf.fit(X, y, sample_weight=np.full(12, weight)).predict_proba(X), expected, atol=1e-5)
    mixed = np.ones(12)
    mixed[3] = weight
    check(clf.fit(X, y, sample_weight=mixed), X)


def test_a_class_without_weight():
    X, y = walks(), np.arange(12) % 3
    for mapping in ("ridge", "random", "frequency"):
        clf = V2SClassifier("tiny", mapping=mapping, class_weight={0: 0.0}, random_state=0).fit(X, y)
        check(clf, X)
        assert clf.predict_proba(X).shape == (12, 3)


@pytest.mark.parametrize("parameters", [{"learning_rate": 1e6}, {"learning_rate": 1e3, "weight_decay": 1e6}], ids=str)
@pytest.mark.parametrize("mode", ["trained", "paper", "transfer"])
def test_training_that_diverges_says_so(mode, parameters):
    X, y = walks(), np.arange(12) % 2
    clf = ESTIMATORS[mode].__sklearn_clone__().set_params(max_epochs=8, batch_size=3, **parameters)
    try:
        check(clf.fit(X, y), X)
    except (TrainingDivergedError, InvalidSeriesError) as error:
        assert "learning_rate" in str(error) or "acoustic_model" in str(error)
        assert not clf.is_fitted


def test_divergence_names_the_parameters():
    X, y = walks(), np.arange(12) % 2
    clf = TransferClassifier("tiny", learning_rate=1e6, weight_decay=1e6, max_epochs=8)
    with pytest.raises(TrainingDivergedError, match=r"learning_rate=1e\+06 may be too large, or weight_decay=1e\+06"):
        clf.fit(X, y)
    for name in ("learning_rate", "weight_decay"):
        for value in (np.inf, np.nan, 1e300):
            with pytest.raises(ValueError, match=name):
                V2SClassifier("tiny", max_epochs=1, **{name: value}).fit(X, y)


class Deaf(AcousticModel):
    """Answers loud waveforms with NaN."""

    def __init__(self):
        super().__init__(["a", "b"], LogMel(), n_samples=4000)
        self.weight = torch.nn.Parameter(torch.ones(1))

    def activations(self, features):
        mean = features.mean((1, 2))[:, None] * self.weight
        heard = torch.where(mean > -1, torch.nan, mean)
        return {"hidden": heard, "logits": torch.cat([heard, -heard], 1)}


def test_answers_that_are_not_finite_are_never_given():
    register_acoustic_model("deaf", Deaf, overwrite=True)
    X, y = walks(), np.arange(12) % 2
    for mapping in ("ridge", "frequency"):
        with pytest.raises(InvalidSeriesError, match="acoustic_model answers a training series of X with NaN"):
            V2SClassifier("deaf", mapping=mapping).fit(X, y)
    with pytest.raises(InvalidSeriesError, match="acoustic_model answers series 0 of X with NaN"):
        V2SClassifier("deaf", mapping="random").fit(X, y).predict_proba(X)
    with pytest.raises(InvalidSeriesError, match="acoustic_model answers series 0 of X with NaN"):
        V2SFeatures("deaf").fit_transform(X)


@pytest.mark.parametrize("name", ["carrier", "deviation", "loudness", "n_harmonics", "order"])
def test_voices_that_cannot_sound(name):
    for value in (
        np.nan,
        np.inf,
        -np.inf,
        1e9,
        "high",
        None,
        *([2.5, -1, 0.5] if name in ("n_harmonics", "order") else []),
    ):
        with pytest.raises(InvalidParameterError, match=f"{name} of a Voice must be"):
            Voice(**{"carrier": 500.0, name: value})
    for order, n_harmonics in ((2, 1), (0, 0)):
        with pytest.raises(InvalidParameterError):
            Voice(500.0, order=order, n_harmonics=n_harmonics)


@settings(max_examples=8, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-5, 5), st.integers(1, 100), st.integers(0, 1))
def test_every_voice_that_can_be_made_sounds(carrier, deviation, loudness, n_harmonics, order):
    X = walks(6, 8)
    X[0, 0, 3] = 1e3
    clf = V2SClassifier("tiny", voices=[Voice(carrier, deviation, loudness, n_harmonics, order)], random_state=0)
    check(clf.fit(X, [0, 1] * 3), X * 1e9)


@given(st.floats(-307, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_scaling_keeps_every_digit_in_other_units_of_two(exponent, seed):
    X = walks(5, 6, n_channels=2, seed=seed)
    unit = 2.0 ** np.floor(exponent / np.log10(2))
    plain, other = SeriesScaler().fit_transform(X), SeriesScaler().fit_transform(X * unit)
    np.testing.assert_array_equal(plain.series, other.series)
