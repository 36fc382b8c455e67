"""A short run of the random calls, and that they find what is wrong."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.robustness import fuzz
from v2s_sklearn import V2SClassifier


@pytest.fixture(scope="module", autouse=True)
def sources():
    fuzz.register_sources()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_call_ends_in_a_result_or_a_clear_error(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert fuzz.random_call(seed) in ("valid", "refused")


@pytest.mark.parametrize(
    "method",
    [lambda self, X: np.full((len(X), 2), np.nan), lambda self, X: np.zeros((len(X), 2)), lambda self, X: 1 / 0],
)
def test_wrong_answers_are_found(method, monkeypatch, capsys):
    monkeypatch.setattr(V2SClassifier, "_predict_proba", method)
    monkeypatch.setattr(fuzz.warnings, "simplefilter", lambda *args, **options: None)
    assert fuzz.main(["--calls", "25", "--seed", "0"]) > 0
    assert "call " in capsys.readouterr().out
