"""Figures by name, on values that were computed by hand, and their places in a text."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from benchmarks.paths import DOCS, RESULTS, ROOT
from benchmarks.reports import headline, numbers
from benchmarks.run.tables import read_table


@pytest.fixture(scope="module")
def made():
    return numbers.make_numbers()


def test_figures_are_those_of_the_tables(made):
    runs = read_table(RESULTS, "default")
    runs = runs[(runs["split"] == "TEST") & (runs["seed"] == 0)]
    first = runs[runs["resample"] == 0].set_index("classifier")
    assert made["split_v2s"] == f"{100 * first.loc['V2S', 'accuracy'].mean():.2f}"
    times = (first["fit_time"] + first["predict_time"]).groupby(level=0).sum()
    assert made["time_v2s_of_minirocket"] == f"{times['V2S'] / times['MiniRocket']:.1f}"
    means = runs[runs["classifier"] == "V2S"].groupby("dataset")["accuracy"].mean()
    assert made["resampled_v2s"] == f"{100 * means.mean():.2f}"
    assert made["outside_v2s"] == f"{100 * read_table(RESULTS, 'outside')['accuracy'].mean():.2f}"
    few = read_table(RESULTS, "outside_few_labels").set_index(["classifier", "per_class"])["accuracy"]
    lead = few["V2S", 5] - few["MultiRocketHydra", 5]
    assert float(made["few_outside_lead_5"]) == pytest.approx(lead, abs=0.015)
    assert float(made["few_labelled_only_lead_2"]) > 0


def test_every_constant_has_a_source():
    constants = read_table(RESULTS, "constants")
    assert constants["name"].is_unique
    assert constants["source"].str.match("measured: |published: ").all()


def test_p_values_in_words():
    assert [numbers.p_text(p) for p in (0.0004, 0.0056, 0.513)] == ["p < 0.001", "p = 0.0056", "p = 0.51"]


def test_figures_of_a_text_are_renewed():
    text = "It has **87.7<!--ours--> %**, (+1<!--lead-->) and 3 <!-- a comment -->."
    filled = numbers.fill(text, {"ours": "88.0", "lead": "+2.5"})
    assert filled == "It has **88.0<!--ours--> %**, (+2.5<!--lead-->) and 3 <!-- a comment -->."
    with pytest.raises(KeyError, match="no figure 'lead'"):
        numbers.fill(text, {"ours": "88.0"})


def test_each_mark_of_the_readme_is_found(made):
    text = (ROOT / "README.md").read_text()
    marks = re.findall(r"<!--([a-z0-9_]+)-->", text)
    assert len(marks) > 20 and marks == [name for _, name in numbers.MARK.findall(text)]
    assert not [name for name in marks if " " in made[name]]


def test_the_file_of_the_site_is_the_made_one(made):
    assert json.loads((DOCS / "numbers.json").read_text()) == made


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
    assert len(rows) == 9 and {len(row) for row in rows} == {6}
    sources = {row[0].strip("*"): row[2] for row in rows}
    assert sources["V2SClassifier()"] == sources["V2SClassifier.fast()"] == sources["MiniRocket"] == "measured"
    assert sources["HIVE-COTE 2"] == sources["MultiRocket-Hydra"] == "published"
    accuracies = [float(row[1].strip("*")) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_time_of_hive_cote_is_scaled_by_published_times():
    points = headline.times_and_accuracies(RESULTS)
    assert points["HC2"][0] / points["MiniRocket"][0] == pytest.approx(340 * 3600 / 112 / (483 / 109))
    assert set(points) == {*headline.TIMED, "HC2"}
