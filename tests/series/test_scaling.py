import numpy as np

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
