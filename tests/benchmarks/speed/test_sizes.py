"""Times by number of series: a row a setting, measured once, a table and a rule that agree with them."""

import math

import pandas as pd
import pytest

from benchmarks.reports.pages import read_block
from benchmarks.run.tables import read_table
from benchmarks.speed import sizes

COLUMNS = ["fit_seconds", "predict_seconds", "gigabytes"]


def row(preset, hardware, n_cases, seconds, gigabytes=1.0):
    """Return a row as `sizes.measure` gives it."""
    return {
        "preset": preset,
        "hardware": hardware,
        "n_cases": n_cases,
        "n_points": 200,
        "fit_seconds": seconds,
        "predict_seconds": seconds / 2,
        "gigabytes": gigabytes,
        "gpu_gigabytes": math.nan,
        "machine": "A processor, 2 cores",
        "torch": "2.9",
    }


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# Page\n<!-- sizes: begin -->\nold\n<!-- sizes: end -->\nrest\n")
    return path


def test_a_tiny_size_is_measured_in_a_process_of_its_own(tmp_path, page, capsys):
    arguments = ["--cases", "24", "--presets", "fast", "--hardware", "one", "all"]
    sizes.main([*arguments, "--results", str(tmp_path), "--page", str(page)])
    table = read_table(tmp_path, "sizes")
    assert table[["preset", "hardware", "n_cases"]].to_numpy().tolist() == [["fast", "all", 24], ["fast", "one", 24]]
    assert (table[COLUMNS] > 0).all(axis=None)
    assert table["machine"].str.contains("core").all()
    assert read_block(page, "sizes") in capsys.readouterr().out
    assert "| series | preset | one thread: fit, predict | all cores: fit, predict | GB |" in page.read_text()
    assert page.read_text().endswith("rest\n")


def test_what_stands_in_the_table_is_not_measured_again(tmp_path):
    measured = []

    def measure(preset, hardware, n_cases):
        measured.append((preset, hardware, n_cases))
        if len(measured) == 3:
            raise KeyboardInterrupt
        return row(preset, hardware, n_cases, 1.0)

    settings = [("default", "one", n) for n in (400, 100, 200)]
    with pytest.raises(KeyboardInterrupt):
        sizes.measure_all(settings, tmp_path, measure)
    sizes.measure_all(settings, tmp_path, measure)
    assert [n for *_, n in measured] == [100, 200, 400, 400]
    assert sizes.known_settings(tmp_path) == set(settings)


def test_the_rule_goes_through_the_rows_and_follows_a_power():
    rows, seconds = [100, 200, 800], [3.0, 6.0, 96.0]
    for n, expected in zip(rows, seconds, strict=True):
        assert sizes.interpolate(rows, seconds, n) == pytest.approx(expected)
    assert sizes.interpolate(rows, seconds, 150) == pytest.approx(4.5)
    assert sizes.interpolate(rows, seconds, 400) == pytest.approx(24.0)
    assert sizes.interpolate(rows, seconds, 1600) == pytest.approx(384.0)


def test_the_table_and_the_example_agree_with_the_rows(tmp_path):
    rows = [row("fast", "one", n, s) for n, s in ((1000, 10.0), (4000, 160.0), (16_000, 10_240.0))]
    pd.DataFrame([*rows, row("fast", "gpu", 1000, 2.0, gigabytes=3.0)]).to_csv(tmp_path / "sizes.csv", index=False)
    text = sizes.report(tmp_path)
    assert "| 1,000 | `fast` | 10 s, 5 s | 2 s, 1 s | 3.0 |" in text
    assert "| 4,000 | `fast` | 2.67 min, 80 s |  | 1.0 |" in text
    assert "| 16,000 | `fast` | 2.84 h, 85.3 min |  | 1.0 |" in text
    assert "| `fast` | one thread | 2.00, 3.00 |" in text
    assert "| `fast` | GPU |" not in text
    assert "2,000 series take `fast` (one thread) about 40 s: 10 s x (2,000 / 1,000)^2.00." in text
    assert text.count("A processor, 2 cores, torch 2.9") == 2


def test_the_page_shows_the_table_of_this_checkout():
    assert read_block(sizes.PAGE, "sizes") == sizes.report()
