"""The headline table and what its pictures show, on values with known outcomes."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from benchmarks.paths import RESULTS
from benchmarks.reports import headline


def test_the_front_is_what_no_other_point_beats_in_both():
    points = [(10, 80.0), (20, 79.0), (20, 85.0), (30, 85.0), (40, 86.0), (50, 85.5)]
    assert headline.front(points) == [(10, 80.0), (20, 85.0), (40, 86.0)]


def test_cliques_are_runs_without_a_difference():
    p_values = np.ones((4, 4))
    p_values[0, 2:] = p_values[2:, 0] = 0.01
    p_values[1, 3] = p_values[3, 1] = 0.049
    assert headline.cliques(p_values) == [(0, 1), (1, 2), (2, 3)]
    p_values[0, 2] = p_values[2, 0] = 0.05
    assert headline.cliques(p_values) == [(0, 2), (2, 3)]
    assert headline.cliques(np.zeros((3, 3))) == []


def test_tests_are_two_sided_and_corrected_over_all_pairs():
    generator = np.random.default_rng(0)
    base = generator.uniform(0.6, 0.8, 20)
    table = pd.DataFrame({"worst": base - 0.1, "best": base, "near": base + generator.normal(-0.001, 0.02, 20)})
    ranks, joined = headline.ranks_and_cliques(table)
    assert ranks.index[-1] == "worst" and ranks["worst"] == 3
    assert joined == [(0, 1)]
    difference = (table["best"] - table["near"]).round(6)
    lead, wins, ties, losses, p = headline.pair(table["best"], table["near"])
    assert p == wilcoxon(difference, zero_method="pratt", alternative="two-sided").pvalue
    assert (wins + ties + losses, lead) == (20, pytest.approx(100 * difference.mean()))


def test_every_row_of_the_headline_is_measured_or_published():
    lines = headline.headline_table(RESULTS).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert len(rows) == 8 and {len(row) for row in rows} == {6}
    sources = {row[0].strip("*"): row[2] for row in rows}
    assert sources["V2SClassifier()"] == sources["MiniRocket"] == "measured"
    assert sources["HIVE-COTE 2"] == sources["MultiRocket-Hydra"] == "published"
    accuracies = [float(row[1].strip("*")) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_time_of_hive_cote_is_scaled_by_published_times():
    points = headline.times_and_accuracies(RESULTS)
    assert points["HC2"][0] / points["MiniRocket"][0] == pytest.approx(340 * 3600 / 112 / (483 / 109))
    assert set(points) == {*headline.TIMED, "HC2"}
