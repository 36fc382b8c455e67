"""Short runs of random calls and sequences, that they find what is wrong, and how values are left out."""

import re
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.robustness import fuzz, gaps, sequences
from v2s_sklearn import V2SClassifier
from v2s_sklearn.base import BaseV2S


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


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_sequence_leaves_the_state_that_it_has_to(seed):
    with fuzz.quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sequences.random_sequence(seed) == "held"


def leave_half_fitted(self):
    """Fit in place, so that a fit that is refused leaves something behind."""
    yield self


@pytest.mark.parametrize(
    ("owner", "name", "broken", "said"),
    [
        (BaseV2S, "_fitting", contextmanager(leave_half_fitted), "other |fitted or not"),
        (sequences, "load", lambda path: V2SClassifier(), "was loaded|other parameters"),
        (sequences, "pickle", SimpleNamespace(dumps=id, loads=lambda pickled: V2SClassifier()), "other parameters"),
        (sequences, "clone", lambda estimator: estimator, "a clone of another state"),
    ],
    ids=["fit", "file", "pickle", "clone"],
)
def test_a_state_that_is_another_one_is_found(owner, name, broken, said, monkeypatch, capsys):
    monkeypatch.setattr(owner, name, broken)
    monkeypatch.setattr(fuzz.warnings, "simplefilter", lambda *args, **options: None)
    assert fuzz.main(["--sequences", "6", "--seed", "0"]) > 0
    printed = capsys.readouterr().out
    assert "sequence " in printed and re.search(said, printed)


def test_the_share_of_values_that_is_left_out():
    X = np.random.default_rng(0).normal(size=(200, 2, 50))
    for how, share in gaps.CONDITIONS.values():
        found, again = (gaps.leave_out(X, how, share) for _ in range(2))
        np.testing.assert_array_equal(found, again)
        missing = np.isnan(found)
        np.testing.assert_array_equal(found[~missing], X[~missing])
        np.testing.assert_allclose(missing.mean(), share, atol=0.02)
        if how == "block":  # one a case, in all channels, anywhere
            assert (np.abs(np.diff(missing.astype(int), axis=2)).sum(axis=2) <= 2).all()
            assert (missing[:, 0] == missing[:, 1]).all() and missing.any(axis=(0, 1)).all()
