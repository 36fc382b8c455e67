"""The estimator check suites of scikit-learn and aeon, in full, without expected failures."""

import pytest
from aeon.testing.estimator_checking import check_estimator as check_aeon_estimator
from sklearn.utils.estimator_checks import check_estimator as check_sklearn_estimator

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures


@pytest.mark.parametrize(
    "estimator",
    [
        V2SClassifier("tiny"),
        V2SClassifier(("tiny", "tiny-wave")),
        V2SFeatures(("tiny", "tiny-wave")),
        TransferClassifier("tiny", max_epochs=2),
    ],
    ids=str,
)
def test_scikit_learn_check_estimator(estimator):
    results = check_sklearn_estimator(estimator, on_fail=None, on_skip=None)
    failed = [(r["check_name"], r["status"], r["exception"]) for r in results if r["status"] != "passed"]
    assert len(results) > 40
    assert failed == []


@pytest.mark.parametrize("estimator", [V2SClassifier, V2SFeatures, TransferClassifier])
def test_aeon_check_estimator(estimator):
    results = check_aeon_estimator(estimator)
    assert len(results) > 20
    assert set(results.values()) == {"PASSED"}
    for capability in ("multivariate", "unequal_length", "multithreading"):
        assert estimator.get_class_tag(f"capability:{capability}")
