"""The report on result files with known outcomes."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import report

    yield report
    del sys.modules["report"]


@pytest.fixture
def results(report, tmp_path):
    """Accuracies on six data sets of ten cases each, two classes; B lacks the last data set, A has two seeds."""
    from results_file import Result, result_path

    right = {"A": [10, 9, 8, 9, 10, 3], "A-seed1": [10, 9, 8, 7, 10, 3], "B": [9, 9, 6, 7, 6]}
    for label, counts in right.items():
        for index, count in enumerate(counts):
            labels = np.arange(10) % 2
            wrong = np.arange(10) >= count
            probabilities = np.eye(2)[np.where(wrong, 1 - labels, labels)] * 0.8 + 0.1
            seconds = 1.0 if label == "B" else 0.25
            name = f"data{index}"
            result = Result(name, label, 0, labels, probabilities, seconds, 0.0, memory=1000)
            result.write(result_path(tmp_path, label, name, 0))
    return tmp_path


def test_only_what_all_have_is_compared_and_seeds_are_averaged(report, results):
    frame = report.compared(report.read_results(results, ["A", "B"]), ["A", "B"])
    assert sorted(frame["dataset"].unique()) == [f"data{index}" for index in range(5)]
    accuracy = report.by_dataset(frame, "accuracy")
    assert accuracy["A"].tolist() == pytest.approx([1.0, 0.9, 0.8, 0.8, 1.0])


def test_summary(report, results):
    frame = report.compared(report.read_results(results, ["A", "B"]), ["A", "B"])
    table = report.summarise(frame, ["A", "B"])
    assert table.loc["A", "mean accuracy"] == pytest.approx(90.0)
    assert table.loc["B", "median"] == pytest.approx(70.0)
    assert table.loc["A", "MPCE"] == pytest.approx(0.1 / 2)
    assert table["mean rank"].tolist() == pytest.approx([(1 + 1.5 + 1 + 1 + 1) / 5, (2 + 1.5 + 2 + 2 + 2) / 5])
    assert table.loc["A", "log loss"] == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))


def test_calibration_by_hand(report):
    from results_file import Result, expected_calibration_error

    top, right = np.array([0.61, 0.63, 0.9, 0.9, 1.0]), np.array([1, 0, 1, 1, 1])
    probabilities = np.stack([top, 1 - top], 1)
    # Bins 9/15 to 10/15, one of two right; 13/15 to 14/15, both right; and the last one.
    expected = (2 * abs(0.62 - 0.5) + 2 * abs(0.9 - 1) + 0) / 5
    assert expected_calibration_error(1 - right, probabilities) == pytest.approx(expected)
    # Each in a bin of its own, but for equal ones.
    expected = (abs(0.61 - 1) + abs(0.63 - 0) + 2 * abs(0.9 - 1) + 0) / 5
    assert expected_calibration_error(1 - right, probabilities, n_bins=100) == pytest.approx(expected)
    result = Result("Data", "Name", 0, 1 - right, probabilities, 0.0, 0.0)
    assert result.calibration_error == expected_calibration_error(1 - right, probabilities)
    assert result.brier_score == pytest.approx(2 * (0.39**2 + 0.63**2 + 2 * 0.1**2) / 5)


def test_calibration_report(report, results):
    frame = report.compared(report.read_results(results, ["A", "B"]), ["A", "B"])
    lines = report.calibration_report(frame, ["A", "B"]).splitlines()
    # Errors of A are |0.9 - accuracy|, of B the same.
    assert [part.strip() for part in lines[4].split("|")][1:3] == ["A", f"{np.mean([0.1, 0, 0.1, 0.1, 0.1]):.3f}"]
    assert [part.strip() for part in lines[5].split("|")][1:3] == ["B", f"{np.mean([0, 0, 0.3, 0.2, 0.3]):.3f}"]


def test_pairs(report, results):
    frame = report.compared(report.read_results(results, ["A", "B"]), ["A", "B"])
    row = report.compare_pairs(frame, ["A", "B"]).loc["B"]
    assert (row["wins"], row["ties"], row["losses"]) == (4, 1, 0)
    assert row["difference"] == pytest.approx(16.0)
    assert row["p"] == wilcoxon([0.1, 0.0, 0.2, 0.1, 0.4], zero_method="pratt").pvalue
    assert row["time ratio"] == pytest.approx(0.25)


def test_holm(report):
    assert report.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert report.holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_the_command(report, results, capsys):
    report.main(["--results", str(results), "--classifiers", "A", "B"])
    printed = capsys.readouterr().out
    assert "5 data sets, resamples [0]; seeds of each classifier: A: 2, B: 1." in printed
    assert "90.000" in printed
    with pytest.raises(FileNotFoundError, match="no test results of C"):
        report.main(["--results", str(results), "--classifiers", "C"])


def test_few_labels_and_the_docs(report, results, tmp_path, monkeypatch):
    for n in (10, 2):
        (tmp_path / "all" / "few_labels").mkdir(parents=True, exist_ok=True)
        shutil.copytree(results / "A", tmp_path / "all" / "few_labels" / str(n) / "V2S")
        for rival in ("MiniRocket", "MultiRocketHydra"):
            shutil.copytree(results / "B", tmp_path / "all" / "few_labels" / str(n) / rival)
            shutil.copytree(results / "B", tmp_path / "all" / rival, dirs_exist_ok=True)
    for calibrated in ("MiniRocket-calibrated", "QUANT"):
        shutil.copytree(results / "B", tmp_path / "all" / calibrated)
    shutil.copytree(results / "A", tmp_path / "all" / "V2S")
    classifiers = ["V2S", "MiniRocket", "MultiRocketHydra"]
    table = report.few_labels_table(tmp_path / "all" / "few_labels", classifiers)
    assert table.index.tolist() == [2, 10]
    assert table.loc[2, ["data sets", "V2S", "MiniRocket", "lead"]].tolist() == pytest.approx([5, 92, 74, 18])

    docs = tmp_path / "benchmark.md"
    docs.write_text(
        "".join(
            f"{n}\n<!-- {n}: begin -->\nold\n<!-- {n}: end -->\n"
            for n in ("report", "resampled", "calibration", "more")
        )
        + "end\n"
    )
    monkeypatch.setattr(report, "DOCS", docs)
    monkeypatch.setattr(report, "draw_critical_difference", lambda results, classifiers, path: None)
    report.main(["--results", str(tmp_path / "all"), "--classifiers", *classifiers, "--docs"])
    assert docs.read_text().count("old") == 1  # resamples, which need the published means
    published = tmp_path / "published.csv"
    published.write_text("dataset,best\n" + "".join(f"data{index},0.5\n" for index in range(6)))
    report.main(
        ["--results", str(tmp_path / "all"), "--classifiers", *classifiers, "--docs", "--published", str(published)]
    )
    written = docs.read_text()
    assert "old" not in written and written.startswith("report\n") and written.endswith("end\n")
    assert "mean accuracy" in written and "cases a class" in written and "ECE" in written


def test_resamples_against_a_rival_and_its_published_mean(report, results, tmp_path):
    from results_file import Result, result_path

    for label, wrong in (("A", 1), ("B", 3)):
        for index in range(5):
            labels = np.arange(10) % 2
            probabilities = np.eye(2)[np.where(np.arange(10) < wrong, 1 - labels, labels)]
            result = Result(f"data{index}", label, 1, labels, probabilities, 1.0, 0.0, memory=1000)
            result.write(result_path(tmp_path, label, f"data{index}", 1))
    published = tmp_path / "published.csv"
    published.write_text("dataset,b\n" + "".join(f"data{index},0.72\n" for index in range(5)))
    runs = report.read_results(results, ["A", "B"])
    text = report.resampled_report(runs, "A", ["B", "C"], published)
    # Resample 0 differs by 16 points (90 and 74), resample 1 by 20.
    assert "5 data sets, 2 resamples, 0 to 1" in text
    assert "by +16.00 to +20.00 points, with a standard deviation of 2.83" in text
    assert "The runs of B here, 2 of the 30 resamples, 5 data sets, have 72.00; its published mean is 72.00." in text
    assert "Beside C" not in text and "Accuracy (%) by data set, with the four best published:" in text
