"""Labels and weights as torch tensors, with and without scikit-learn's dispatch to other libraries' arrays."""

import numpy as np
import pytest
import sklearn
import torch

from v2s_sklearn import V2SClassifier


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
