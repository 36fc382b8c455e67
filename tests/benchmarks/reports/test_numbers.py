"""Figures by name, on values that were computed by hand, and their places in a text."""

import json
import re

import pytest

from benchmarks.paths import DOCS, RESULTS, ROOT
from benchmarks.reports import numbers
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
    assert made["resampled_v2s"] == f"{100 * runs.loc[runs['classifier'] == 'V2S', 'accuracy'].mean():.2f}"
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
