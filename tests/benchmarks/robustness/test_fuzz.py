"""A short run of benchmarks/fuzz.py, and that it finds what is wrong."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2s_sklearn import V2SClassifier

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import fuzz

        fuzz.register_sources()
        yield fuzz
    del sys.modules["fuzz"], sys.modules["draws"]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_call_ends_in_a_result_or_a_clear_error(fuzz, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert fuzz.random_call(seed) in ("valid", "refused")


@pytest.mark.parametrize(
    "method",
    [lambda self, X: np.full((len(X), 2), np.nan), lambda self, X: np.zeros((len(X), 2)), lambda self, X: 1 / 0],
)
def test_wrong_answers_are_found(method, fuzz, monkeypatch, capsys):
    monkeypatch.setattr(V2SClassifier, "_predict_proba", method)
    monkeypatch.setattr(fuzz.warnings, "simplefilter", lambda *args, **options: None)
    assert fuzz.main(["--calls", "25", "--seed", "0"]) > 0
    assert "call " in capsys.readouterr().out
