"""The pages of docs/ show what the tables of results give, and nothing else."""

import shutil

import pandas as pd
import pytest

from benchmarks.paths import DOCS, RESULTS
from benchmarks.reports import check, pages


@pytest.fixture(scope="module")
def texts():
    return pages.make_texts()


def test_every_published_text_is_what_the_tables_give(texts, monkeypatch, capsys):
    monkeypatch.setattr(check, "make_texts", lambda results: texts)
    assert check.main([]) == 0
    assert "0 texts differ" in capsys.readouterr().out
    written = {path.name for path in DOCS.rglob("*.md") if ": begin -->" in path.read_text()}
    # The texts of speed.md are measured, not taken from tables.
    assert written - {"speed.md"} == {page.rpartition("/")[2] for page, _ in texts}


def test_a_changed_figure_is_found_and_mended(texts, tmp_path, monkeypatch, capsys):
    docs = tmp_path / "docs"
    for page in {page for page, _ in texts}:
        (docs / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DOCS / page, docs / page)
    monkeypatch.setattr(check, "make_texts", lambda results: texts)
    monkeypatch.setattr(pages, "make_texts", lambda results: texts)
    path = docs / "speech.md"
    path.write_text(path.read_text().replace("87.61 (0.330)", "87.62 (0.330)"))
    assert check.main(["--docs", str(docs)]) == 1
    printed = capsys.readouterr().out
    assert "speech.md, controls:" in printed and "+| default | trained | 87.61" in printed
    monkeypatch.setattr(pages, "draw_figures", lambda folder, results: None)
    pages.main(["--docs", str(docs)])
    assert check.main(["--docs", str(docs)]) == 0


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
    assert drawn == ["critical_difference.svg", "reproduction/accuracy.png", "reproduction/training.png"]
    assert all((DOCS / path).exists() for path in drawn)
