"""Labels and weights as tensors; training cases: copies, weights, an order that no label changes."""

import numpy as np
import pytest
import sklearn
import torch

from v2s_sklearn import V2SClassifier
from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.series.cases import merge_cases


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float32, torch.bfloat16])
def test_labels_may_be_tensors(dispatch, dtype):
    X, y = np.random.default_rng(0).normal(size=(8, 1, 9)), torch.arange(8).remainder(2).to(dtype)
    weights = torch.ones(8, requires_grad=True)
    expected = V2SClassifier("tiny", random_state=0).fit(X, [0, 1] * 4, sample_weight=np.ones(8)).predict_proba(X)
    with sklearn.config_context(array_api_dispatch=dispatch):
        for series in (X, torch.tensor(X)):
            clf = V2SClassifier("tiny", random_state=0).fit(series, y, sample_weight=weights)
            np.testing.assert_array_equal(clf.predict_proba(series), expected)
            assert clf.score(series, y, sample_weight=weights) == (clf.predict(X) == [0, 1] * 4).mean()


@pytest.mark.parametrize(
    ("values", "message"),
    [(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged), "is a nested tensor"),
     (torch.ones(4, device="meta"), "is a tensor on the meta device"),
     (torch.ones(4).to_sparse(), "is a tensor of layout torch.sparse_coo")],
    ids=["nested", "meta", "sparse"],
)  # fmt: skip
@pytest.mark.parametrize("dispatch", [False, True])
def test_tensors_without_values_at_hand_are_named(values, message, dispatch):
    X = np.random.default_rng(0).normal(size=(4, 1, 9))
    clf = V2SClassifier("tiny", random_state=0)
    with sklearn.config_context(array_api_dispatch=dispatch):
        with pytest.raises(TypeError, match=f"y {message}"):
            clf.fit(X, values)
        with pytest.raises(TypeError, match=f"sample_weight {message}"):
            clf.fit(X, [0, 1, 0, 1], sample_weight=values)


A, B, C = (np.array([values], dtype=float) for values in ([1, 2], [3, 4], [5]))
EVEN = np.ones(2)


def pairs(cases):
    """Return the weight of each pair of a series and a label."""
    return {
        (cases.series[row].tobytes(), label): weight
        for row, label, weight in zip(cases.rows, cases.labels.tolist(), cases.weights, strict=True)
    }


def test_copies_are_merged_in_any_order():
    cases = merge_cases([A, B, A, A, B], np.array([0, 1, 0, 1, 1]), np.array([1.0, 2, 3, 4, 0]), EVEN)
    assert pairs(cases) == {(A.tobytes(), 0): 1, (B.tobytes(), 1): 0.5, (A.tobytes(), 1): 1}
    assert sorted(cases.series_weight) == [0.5, 2]
    again = merge_cases([B, A, A, A], np.array([1, 1, 0, 0]), np.ones(4), EVEN)
    assert all((x == y).all() for x, y in zip(cases.series, again.series, strict=True))
    np.testing.assert_array_equal(cases.rows, again.rows)


def test_series_and_their_weights_depend_on_no_label():
    X, weight, rng = [C, A, B, A, C, B], np.array([1.0, 2, 0, 3, 4, 5]), np.random.default_rng(0)
    expected = merge_cases(X, np.zeros(6, dtype=int), weight, EVEN)
    assert len(expected.series) == 3
    for number in range(9):
        cases = merge_cases(X, rng.integers(0, 2, 6), weight, np.array([number % 2, rng.random()]))
        assert [case.tolist() for case in cases.series] == [case.tolist() for case in expected.series]
        np.testing.assert_array_equal(cases.series_weight, expected.series_weight)
        assert (np.diff(cases.labels) >= 0).all()


def test_what_has_no_weight_is_left_out():
    cases = merge_cases([A, B, C], np.array([0, 1, 1]), np.array([1.0, 1, 0]), np.array([0.0, 2.0]))
    assert pairs(cases) == {(B.tobytes(), 1): 1}
    assert len(cases.series) == 2  # the class has no weight, the series has
    for sample_weight, class_weight in ((np.zeros(1), EVEN), (np.ones(1), np.zeros(2))):
        with pytest.raises(InvalidSeriesError, match="All cases with a label have sample_weight 0"):
            merge_cases([A], np.array([0]), sample_weight, class_weight)


def test_a_series_without_label_is_a_series():
    labels, weight = np.array([0, -1, -1, 1, -1]), np.array([1.0, 2, 1, 2, 0])
    cases = merge_cases([A, B, A, A, C], labels, weight, np.array([2.0, 1.0]))
    assert pairs(cases) == {(B.tobytes(), -1): 1, (A.tobytes(), -1): 0.5, (A.tobytes(), 0): 0.5, (A.tobytes(), 1): 0.5}
    assert sorted(cases.series_weight) == [1, 2]
    labelled = cases.labelled()
    assert labelled.labels.tolist() == [0, 1] and labelled.series is cases.series
    with pytest.raises(InvalidSeriesError, match="All cases with a label have sample_weight 0"):
        merge_cases([A, B], np.array([0, -1]), np.array([0.0, 1.0]), EVEN)
