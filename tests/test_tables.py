import numpy as np
import pytest

from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.tables import merge_copies, shorten


def test_long_series_are_averaged_down():
    case = np.arange(10.0)[None]
    assert shorten(case, 5).tolist() == [[0.5, 2.5, 4.5, 6.5, 8.5]]
    assert shorten(case, 10) is case


def test_copies_are_merged_in_any_order():
    a, b = np.array([[1.0, 2]]), np.array([[3.0, 4]])
    X, labels, weight = merge_copies([a, b, a, a, b], np.array([0, 1, 0, 1, 1]), np.array([1.0, 2, 3, 4, 0]))
    found = {(case.tobytes(), label): w for case, label, w in zip(X, labels, weight, strict=True)}
    assert found == {(a.tobytes(), 0): 4, (b.tobytes(), 1): 2, (a.tobytes(), 1): 4}
    again, *_ = merge_copies([b, a, a, a], np.array([1, 1, 0, 0]), np.ones(4))
    assert all((x == y).all() for x, y in zip(X, again, strict=True))
    with pytest.raises(InvalidSeriesError, match="All cases have sample_weight 0"):
        merge_copies([a], np.array([0]), np.zeros(1))
