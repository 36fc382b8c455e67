"""Paired differences against published means, on known numbers."""

import pandas as pd
import pytest
from scipy.stats import wilcoxon

from benchmarks.reports import published


@pytest.fixture
def runs():
    """A has two seeds on resample 0 of a, one on resample 1, and a resample beyond the published ones."""
    rows = [
        ("A", 0, "a", 0, 0.7),
        ("A", 1, "a", 0, 0.9),
        ("A", 0, "a", 1, 0.6),
        ("A", 0, "a", 30, 0.0),
        ("A", 0, "b", 0, 0.5),
        ("A", 0, "c", 0, 0.9),
        ("A", 0, "ours only", 0, 0.1),
        ("B", 0, "a", 0, 0.0),
    ]
    return pd.DataFrame(rows, columns=["classifier", "seed", "dataset", "resample", "accuracy"])


def test_paired_differences(runs):
    means = pd.DataFrame({"worse": [0.4, 0.5, 0.6, 1.0], "better": [0.8, None, 1.0, 1.0]}, index=list("abcd"))
    table = published.compare_with_published(runs, "A", means)
    assert table.index.tolist() == ["better", "worse"]
    row = table.loc["worse"]
    assert row[["data sets", "wins", "ties", "losses"]].tolist() == [3, 2, 1, 0]
    assert row["ours"] == pytest.approx(100 * (0.7 + 0.5 + 0.9) / 3)
    assert row["its mean"] == pytest.approx(50)
    assert row["difference"] == pytest.approx(row["ours"] - row["its mean"])
    assert row["p"] == wilcoxon([0.3, 0.0, 0.3], zero_method="pratt").pvalue
    assert table.loc["better", ["data sets", "wins", "losses"]].tolist() == [2, 0, 2]
    assert table.loc["better", "ours"] == pytest.approx(100 * (0.7 + 0.9) / 2)


def test_the_number_of_resamples_is_said(runs):
    assert published.describe_resamples(runs, "A") == "A: 1 to 2 of the 30 resamples, 4 data sets"
    assert published.describe_resamples(runs, "B") == "B: 1 of the 30 resamples, 1 data sets"
    with pytest.raises(ValueError, match="no run of C on resamples 0 to 29"):
        published.describe_resamples(runs, "C")


def test_reading(tmp_path):
    path = tmp_path / "published.csv"
    path.write_text("dataset,HC2,MR\na,0.5,0.25\nb,1.0,\n")
    table = published.read_published(path)
    assert table.index.tolist() == ["a", "b"] and table.loc["a", "MR"] == 0.25
    path.write_text("dataset,HC2\na,50.0\n")
    with pytest.raises(ValueError, match="not percent"):
        published.read_published(path)
    path.write_text("name,HC2\na,0.5\n")
    with pytest.raises(ValueError, match="needs a column 'dataset'"):
        published.read_published(path)
