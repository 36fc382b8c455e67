"""Tables of acoustic models on made-up results."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.reports.sources import WEIGHTS, controls_table, correlations, interval, ranking_table
from v2s_sklearn.alignment import CRITERIA


@pytest.fixture
def results():
    """Three sets on which the log loss is right in default mode and wrong in paper mode."""
    rows = []
    for dataset in ("a", "b", "c"):
        for source in range(5):
            row = {"dataset": dataset, "source": source, "default": 0.9 - 0.1 * source, "paper": 0.1 * source}
            rows.append(row | dict.fromkeys(CRITERIA, float(source)))
    return pd.DataFrame(rows)


def test_correlations_are_positive_where_a_criterion_is_right(results):
    found = correlations(results, "default")
    np.testing.assert_allclose(found["loo_log_loss"], 1)
    np.testing.assert_allclose(found["mi_labelled"], -1)
    np.testing.assert_allclose(correlations(results, "paper")["loo_log_loss"], -1)


def test_sets_on_which_all_sources_are_alike_do_not_count(results):
    results.loc[results["dataset"] == "b", "paper"] = 1.0
    assert list(correlations(results, "paper").index) == ["a", "c"]


def test_only_complete_sets_are_in_the_table(results):
    table = ranking_table(results.iloc[:-1])
    assert "default mode, 2 data sets" in table and "| loo_log_loss | +1.00 [+1.00, +1.00] |" in table


def test_interval():
    mean, low, high = interval([0.0, 1.0, 2.0])
    np.testing.assert_allclose([mean, low, high], [1, 1 - 4.30265 / np.sqrt(3), 1 + 4.30265 / np.sqrt(3)], rtol=1e-5)


def test_controls_are_paired_where_both_have_a_score():
    rows = []
    for weights, accuracy in zip(WEIGHTS, (0.9, 0.8, 0.7, 0.6), strict=True):
        for index, dataset in enumerate("abc"):
            row = {"source": "v2sc", "weights": weights, "dataset": dataset}
            for suffix in ("", "_2", "_5", "_10"):
                few = suffix == "_10" and dataset == "c"
                row |= {f"accuracy{suffix}": np.nan if few else accuracy + 0.01 * index, f"log_loss{suffix}": 0.5}
            rows.append(row)
    lines = controls_table(pd.DataFrame(rows)).splitlines()
    assert len(lines) == 2 + len(WEIGHTS)
    assert lines[2].startswith("| v2sc | trained | 91.00 (0.500) |") and lines[2].endswith("| 90.50 (0.500) |")
    assert lines[3].startswith("| v2sc | random 0 | 81.00 (0.500), trained +10.00 (p 0.25) |")
    assert lines[3].endswith("| 80.50 (0.500), trained +10.00 (p 0.5) |")
