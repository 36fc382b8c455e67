"""Scaling by the training cases; what varies by no more than rounding does not vary."""

import numpy as np
import pytest
from aeon.datasets import load_basic_motions
from hypothesis import given, settings
from hypothesis import strategies as st

import v2s_sklearn
from v2s_sklearn import V2SClassifier
from v2s_sklearn.series.scaling import BLOCK_CASES, SeriesScaler, decorrelation


def test_padding_keeps_the_values_and_the_lengths():
    data = SeriesScaler(standardize=False, max_points=10).fit_transform([np.ones((2, 3)), np.full((2, 5), 2.0)])
    assert data.series.shape == (2, 2, 5)
    assert data.lengths.tolist() == [3, 5]
    assert data.series[0, 1].tolist() == [1, 1, 1, 0, 0]


def test_long_series_are_averaged_down():
    X = np.arange(10.0).reshape(1, 1, 10)
    data = SeriesScaler(standardize=False, max_points=5).fit_transform(X)
    assert data.lengths.tolist() == [5]
    assert data.series[0, 0].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]


def test_a_block_is_scaled_like_the_whole():
    rng = np.random.default_rng(0)
    X = [3 + rng.normal(size=(2, n)) for n in rng.integers(4, 9, BLOCK_CASES + 20)]
    scaler = SeriesScaler(max_points=8).fit(X)
    whole = scaler.transform(X)
    part = scaler.transform(X[-30:])
    n_points = part.series.shape[2]
    np.testing.assert_array_equal(whole.series[-30:, :, :n_points], part.series)
    np.testing.assert_array_equal(whole.lengths[-30:], part.lengths)


def test_scaled_series_are_standard_over_all_cases_and_points_with_weights():
    rng = np.random.default_rng(0)
    X = [5 + 3 * rng.normal(size=(2, n)) for n in (7, 30, 4, 18)]
    weight = np.array([1, 2, 0, 3])
    scaler = SeriesScaler().fit(X, weight)
    points = np.hstack([np.hstack([case] * w) for case, w in zip(X, weight, strict=True) if w])
    np.testing.assert_allclose(scaler.mean_, points.mean(axis=1))
    np.testing.assert_allclose(scaler.scale_, points.std(axis=1))


def test_decorrelated_channels_stay_near_to_what_they_were():
    rng = np.random.default_rng(0)
    common = rng.normal(size=5000)
    channels = np.stack([common, common + 0.5 * rng.normal(size=5000), rng.normal(size=5000)])
    correlation = np.corrcoef(channels)
    mixture = decorrelation(correlation, shrinkage=0.0)
    np.testing.assert_allclose(mixture @ correlation @ mixture.T, np.eye(3), atol=1e-9)
    assert (np.diag(mixture @ correlation) > 0.8).all()  # correlation with the channel it comes from
    np.testing.assert_allclose(decorrelation(np.eye(3)), np.eye(3), atol=1e-12)
    twins = decorrelation(np.ones((2, 2)))  # equal channels: their difference, which is noise, is not blown up
    assert np.abs(twins @ [1.0, -1.0]).max() < 2


# What stands still


def flat(levels, n_points=150):
    """Return a constant series for each level, (N, 1, T)."""
    return np.repeat(np.asarray(levels, dtype=np.float64)[:, None, None], n_points, axis=2)


@pytest.fixture(scope="module", params=["fast", "default", "contour", "paper"])
def on_gunpoint(request, gunpoint):
    clf = {
        "fast": V2SClassifier.fast(random_state=0),
        "default": V2SClassifier(random_state=0),
        "contour": V2SClassifier("v2sc", random_state=0),
        "paper": V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=1, random_state=0),
    }[request.param]
    return clf.fit(*gunpoint[:2])


def test_answers_for_constant_series_change_smoothly_with_the_level(on_gunpoint):
    levels = np.linspace(0.1, 1, 91)
    probabilities = on_gunpoint.predict_proba(flat(levels))
    assert np.abs(np.diff(probabilities, axis=0)).max() < 0.05
    tenths = on_gunpoint.predict_proba(flat(np.arange(1, 11) / 10))
    assert np.abs(np.diff(tenths, axis=0)).max() < 0.1


def test_single_and_double_precision_agree_on_constant_series(on_gunpoint):
    X = flat(np.random.default_rng(0).uniform(-1, 1, 200))
    single, double = on_gunpoint.predict_proba(X.astype(np.float32)), on_gunpoint.predict_proba(X)
    np.testing.assert_allclose(single, double, atol=0.02)
    assert (single.argmax(axis=1) == double.argmax(axis=1)).all()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_noise_of_rounding_is_none(on_gunpoint, data):
    level = data.draw(st.floats(-5, 5))
    size = data.draw(st.sampled_from([1e-16, 1e-9, 1e-7, 1e-6])) * abs(level)
    noise = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).normal(size=(4, 1, 150))
    noisy = flat([level] * 4) + size * noise
    for X in (noisy, noisy.astype(np.float32)):
        found = on_gunpoint.predict_proba(X)
        np.testing.assert_allclose(found, on_gunpoint.predict_proba(flat([level])).repeat(4, 0), atol=0.02)


def test_a_channel_that_stands_still_is_one_in_fit_and_predict(tmp_path):
    X, y = load_basic_motions(split="train")
    rng = np.random.default_rng(0)
    X, X_test = X[::2], load_basic_motions(split="test")[0][::4]
    y = y[::2]
    still, noisy = X.copy(), X.copy()
    dead = rng.random(len(X)) < 0.5  # of some cases, one channel
    still[dead, 2] = rng.normal(size=(dead.sum(), 1))
    noisy[dead, 2] = still[dead, 2] * (1 + 1e-7 * rng.normal(size=still[dead, 2].shape))
    clfs = [V2SClassifier(("tiny", "tiny-wave", "v2sc"), random_state=0).fit(part, y) for part in (still, noisy)]
    np.testing.assert_allclose(clfs[0].predict_proba(X_test), clfs[1].predict_proba(X_test), atol=0.02)
    # In all cases the same channel, or all channels of a case.
    for clf in clfs:
        for channels in ([2], range(6)):
            new, rounded = X_test.copy(), X_test.copy()
            for channel in channels:
                new[:, channel] = rng.normal(size=(len(new), 1))
            rounded = new * np.where(np.isin(np.arange(6), channels)[:, None], 1 + 1e-7 * rng.normal(size=new.shape), 1)
            np.testing.assert_allclose(clf.predict_proba(new), clf.predict_proba(rounded), atol=0.02)
    clfs[0].save(tmp_path / "x")
    np.testing.assert_array_equal(v2s_sklearn.load(tmp_path / "x").predict_proba(new), clfs[0].predict_proba(new))


@given(st.floats(-300, 300), st.integers(0, 2**32 - 1), st.sampled_from([1e-16, 1e-9, 1e-7]))
@settings(max_examples=25, deadline=None)
def test_what_stands_still_is_exactly_constant_for_what_hears_it(exponent, seed, noise):
    rng = np.random.default_rng(seed)
    unit = 10.0**exponent
    X = [unit * (rng.normal(size=(3, 1)) + rng.normal(size=(3, n))) for n in (7, 12, 9)]
    scaler = SeriesScaler(max_points=8).fit(X)
    new = unit * rng.uniform(0.1, 3, size=(4, 3, 1)) * (1 + noise * rng.normal(size=(4, 3, 30)))
    batch = scaler.transform([*new, X[1]])
    assert (np.ptp(batch.series[:4, :, :8], axis=2) == 0).all()
    assert (np.ptp(batch.series[4], axis=1) > 0).all()


def test_a_dead_channel_of_all_training_cases_is_no_noise():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 2, 30)).cumsum(axis=2)
    X[:, 1] = 0.1
    noisy = X.copy()
    noisy[:, 1] *= 1 + 1e-8 * rng.normal(size=(12, 30))
    with pytest.warns(UserWarning, match="Channel 1 of X varies by less than seven digits tell apart"):
        found = SeriesScaler().fit_transform(noisy)
    np.testing.assert_allclose(found.series, SeriesScaler().fit_transform(X).series, atol=1e-6)


def test_what_varies_far_from_zero_is_heard():
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(12, 1, 30)).cumsum(axis=2)
    expected = SeriesScaler().fit_transform(walks).series
    np.testing.assert_allclose(SeriesScaler().fit_transform(walks + 1e9).series, expected, atol=1e-5)
    whole = rng.integers(0, 5, size=(12, 1, 30)).astype(float)  # whole numbers beside another channel
    both = SeriesScaler().fit_transform(np.concatenate([walks, whole + 1e9], axis=1)).series
    assert np.ptp(both[:, 1], axis=1).min() > 1


def test_scalers_of_older_versions_scale_as_before():
    X = np.random.default_rng(0).normal(size=(5, 2, 9))
    for standardize in (True, False):
        scaler = SeriesScaler(standardize).fit(X)
        expected = scaler.transform(X).series
        del scaler.deviation_
        np.testing.assert_array_equal(scaler.transform(X).series, expected)
