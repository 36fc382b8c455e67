"""The table of the ranking benchmark on made-up results."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from v2s_sklearn.alignment import CRITERIA

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def ranking(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import ranking

    yield ranking
    for name in ("ranking", "report", "run"):
        sys.modules.pop(name, None)


@pytest.fixture
def results():
    """Three sets on which the log loss is right in default mode and wrong in paper mode."""
    rows = []
    for dataset in ("a", "b", "c"):
        for source in range(5):
            row = {"dataset": dataset, "source": source, "default": 0.9 - 0.1 * source, "paper": 0.1 * source}
            rows.append(row | dict.fromkeys(CRITERIA, float(source)))
    return pd.DataFrame(rows)


def test_correlations_are_positive_where_a_criterion_is_right(ranking, results):
    found = ranking.correlations(results, "default")
    np.testing.assert_allclose(found["loo_log_loss"], 1)
    np.testing.assert_allclose(found["mi_labelled"], -1)
    np.testing.assert_allclose(ranking.correlations(results, "paper")["loo_log_loss"], -1)


def test_sets_on_which_all_sources_are_alike_do_not_count(ranking, results):
    results.loc[results["dataset"] == "b", "paper"] = 1.0
    assert list(ranking.correlations(results, "paper").index) == ["a", "c"]


def test_only_complete_sets_are_in_the_table(ranking, results):
    table = ranking.make_table(results.iloc[:-1])
    assert "default mode, 2 data sets" in table and "| loo_log_loss | +1.00 [+1.00, +1.00] |" in table


def test_interval(ranking):
    mean, low, high = ranking.interval([0.0, 1.0, 2.0])
    np.testing.assert_allclose([mean, low, high], [1, 1 - 4.30265 / np.sqrt(3), 1 + 4.30265 / np.sqrt(3)], rtol=1e-5)
