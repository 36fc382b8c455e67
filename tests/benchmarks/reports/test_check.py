"""The pages of docs/ show what the tables of results give, and nothing else."""

import io
import json
import shutil

import pandas as pd
import pytest

from benchmarks.paths import DOCS, RESULTS
from benchmarks.reports import check, downloads, pages
from benchmarks.reports.pages import RIVALS
from benchmarks.run.tables import read_table


@pytest.fixture(scope="module")
def made():
    return pages.make_texts(), pages.make_files()


@pytest.fixture
def texts(made, monkeypatch):
    """The texts, made once for all tests."""
    for module in (check, pages):
        monkeypatch.setattr(module, "make_texts", lambda results: made[0])
        monkeypatch.setattr(module, "make_files", lambda results: made[1])
    return made[0]


@pytest.fixture
def docs(made, tmp_path):
    """A copy of README and of all pages and files that are made."""
    for page in {page for page, _ in made[0]} | made[1].keys():
        (tmp_path / "docs" / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DOCS / page, tmp_path / "docs" / page)
    return tmp_path / "docs"


def test_every_published_text_is_what_the_tables_give(texts, capsys):
    assert check.main([]) == 0
    assert "0 texts differ" in capsys.readouterr().out
    pages_of_the_repository = [*DOCS.rglob("*.md"), DOCS / pages.README]
    written = {path.name for path in pages_of_the_repository if ": begin -->" in path.read_text()}
    # The texts of these pages are measured, not taken from tables.
    assert written - {"speed.md", "how_long.md"} == {page.rpartition("/")[2] for page, _ in texts}


FIGURES = json.loads((DOCS / "numbers.json").read_text())


@pytest.mark.parametrize(
    ("page", "old", "said"),
    [
        ("speech.md", "| default | trained | 8", "speech.md, controls:"),
        ("../README.md", f"{FIGURES['resampled_v2s']}<!--resampled_v2s-->", "README.md, figures:"),
        ("../README.md", f"| **{FIGURES['resampled_v2s']}** |", "README.md, headline:"),
        ("numbers.json", f'"split_v2s": "{FIGURES["split_v2s"]}"', "numbers.json, file:"),
    ],
)
def test_a_changed_figure_is_found_and_mended(page, old, said, texts, docs, monkeypatch, capsys):
    path = docs / page
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, old.replace("8", "9", 1)))
    assert check.main(["--docs", str(docs)]) == 1
    printed = capsys.readouterr().out
    assert said in printed and "1 texts differ" in printed
    monkeypatch.setattr(pages, "draw_figures", lambda folder, results: None)
    pages.main(["--docs", str(docs)])
    assert check.main(["--docs", str(docs)]) == 0
    assert path.read_text() == (DOCS / page).read_text()


def test_a_changed_table_is_found(tmp_path):
    for path in RESULTS.glob("*.csv"):
        shutil.copy(path, tmp_path)
    sources = pd.read_csv(tmp_path / "sources.csv")
    sources.loc[0, "accuracy"] -= 0.01
    sources.to_csv(tmp_path / "sources.csv", index=False)
    assert set(check.compare_texts(tmp_path)) == {("acoustic_models.md", "sources")}


def test_figures_are_drawn_to_their_places(tmp_path):
    pages.draw_figures(tmp_path)
    drawn = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert drawn == [
        "figures/accuracy-time.png",
        "figures/critical-difference.png",
        "figures/few-labels.png",
        "reproduction/accuracy.png",
        "reproduction/training.png",
    ]
    assert all((DOCS / path).exists() for path in drawn)


def test_tables_by_data_set_have_the_means_of_the_pages():
    files = {path: pd.read_csv(io.StringIO(text)) for path, text in downloads.make_files(RESULTS, RIVALS).items()}
    runs = read_table(RESULTS, "default")
    ours = runs[(runs["classifier"] == "V2S") & (runs["split"] == "TEST")]
    split, resampled = files["tables/default_split.csv"], files["tables/resampled.csv"]
    assert len(split) == len(resampled) == 30
    assert split["V2SClassifier()"].mean() == pytest.approx(
        100 * ours.loc[ours["resample"] == 0, "accuracy"].mean(), abs=0.01
    )
    assert resampled["V2S, measured"].mean() == pytest.approx(
        100 * ours.groupby("dataset")["accuracy"].mean().mean(), abs=0.01
    )
    few = files["tables/few_labels.csv"].groupby(["split", "per_class"])["dataset"].nunique()
    assert few["TEST"].tolist() == [18, 18, 18] and few["TRAIN"].tolist() == [24, 21, 14]
    assert len(files["tables/multivariate.csv"]) == 6
    assert files["tables/calibration.csv"].filter(like="ECE").shape == (30, 4)


def test_each_table_has_its_link():
    page = (DOCS / "benchmark.md").read_text()
    assert [path for path in downloads.make_files(RESULTS, RIVALS) if f"]({path})" not in page] == []
