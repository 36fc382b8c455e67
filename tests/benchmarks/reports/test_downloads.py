"""The tables that pages offer for download."""

import io

import pandas as pd
import pytest

from benchmarks.paths import DOCS, RESULTS
from benchmarks.reports import downloads
from benchmarks.reports.pages import RIVALS
from benchmarks.run.tables import read_table


def test_tables_by_data_set_have_the_means_of_the_pages():
    files = {path: pd.read_csv(io.StringIO(text)) for path, text in downloads.make_files(RESULTS, RIVALS).items()}
    runs = read_table(RESULTS, "default")
    ours = runs[(runs["classifier"] == "V2S") & (runs["split"] == "TEST")]
    split, resampled = files["tables/default_split.csv"], files["tables/resampled.csv"]
    assert len(split) == len(resampled) == 30
    assert split["V2SClassifier()"].mean() == pytest.approx(
        100 * ours.loc[ours["resample"] == 0, "accuracy"].mean(), abs=0.01
    )
    assert resampled["V2S, measured"].mean() == pytest.approx(100 * ours["accuracy"].mean(), abs=0.01)
    assert len(files["tables/few_labels.csv"]) == 18 * 3
    assert len(files["tables/multivariate.csv"]) == 6
    assert files["tables/calibration.csv"].filter(like="ECE").shape == (30, 4)


def test_each_table_has_its_link():
    page = (DOCS / "benchmark.md").read_text()
    assert [path for path in downloads.make_files(RESULTS, RIVALS) if f"]({path})" not in page] == []
