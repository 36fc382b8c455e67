import numpy as np
import pytest

from v2s_sklearn.collection import decorrelation, difference_scale, merge_copies, pad_collection, shorten
from v2s_sklearn.errors import InvalidSeriesError


def test_padding_keeps_the_values_and_the_lengths():
    series, lengths = pad_collection([np.ones((2, 3)), np.full((2, 5), 2.0)], max_points=10)
    assert series.shape == (2, 2, 5)
    assert lengths.tolist() == [3, 5]
    assert series[0, 1].tolist() == [1, 1, 1, 0, 0]


def test_long_series_are_averaged_down():
    case = np.arange(10.0)[None]
    assert shorten(case, 5).tolist() == [[0.5, 2.5, 4.5, 6.5, 8.5]]
    assert shorten(case, 10) is case
    series, lengths = pad_collection(np.arange(10.0).reshape(1, 1, 10), max_points=3)
    assert lengths.tolist() == [3]
    np.testing.assert_allclose(series.mean(), 4.5, atol=0.5)


def test_the_scale_of_differences_is_over_the_true_points_only():
    rng = np.random.default_rng(0)
    series = rng.normal(size=(6, 2, 20))
    lengths = np.array([20, 20, 5, 20, 9, 1])
    weight = np.array([1.0, 2, 3, 1, 1, 5])
    differences = [
        np.repeat(np.diff(x[:, :n]), int(w), axis=1) for x, n, w in zip(series, lengths, weight, strict=True)
    ]
    expected = np.concatenate(differences, axis=1).std(axis=1)
    np.testing.assert_allclose(difference_scale({"series": series, "lengths": lengths}, weight), expected)
    assert difference_scale({"series": np.ones((2, 1, 1)), "lengths": np.ones(2, int)}, np.ones(2)) == [1.0]


def test_copies_are_merged_in_any_order():
    a, b = np.array([[1.0, 2]]), np.array([[3.0, 4]])
    X, labels, weight = merge_copies([a, b, a, a, b], np.array([0, 1, 0, 1, 1]), np.array([1.0, 2, 3, 4, 0]))
    found = {(case.tobytes(), label): w for case, label, w in zip(X, labels, weight, strict=True)}
    assert found == {(a.tobytes(), 0): 4, (b.tobytes(), 1): 2, (a.tobytes(), 1): 4}
    again, *_ = merge_copies([b, a, a, a], np.array([1, 1, 0, 0]), np.ones(4))
    assert all((x == y).all() for x, y in zip(X, again, strict=True))
    with pytest.raises(InvalidSeriesError, match="All cases have sample_weight 0"):
        merge_copies([a], np.array([0]), np.zeros(1))


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
