"""The report on tables with known outcomes."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from benchmarks.reports import accuracy
from benchmarks.run.collect import collect
from benchmarks.run.results import Result, Run

# Cases predicted right, of ten, in two classes: A has two seeds, B lacks the last data set.
RIGHT = {("A", 0): [10, 9, 8, 9, 10, 3], ("A", 1): [10, 9, 8, 7, 10, 3], ("B", 0): [9, 9, 6, 7, 6]}


def write(folder, run, right, certainty=0.8):
    labels = np.arange(10) % 2
    predicted = np.where(np.arange(10) >= right, 1 - labels, labels)
    probabilities = np.eye(2)[predicted] * certainty + (1 - certainty) / 2
    seconds = 1.0 if run.classifier == "B" else 0.25
    result = Result(run.dataset, run.classifier, run.resample, labels, probabilities, seconds, 0.0, memory=1000)
    result.write(run.path(folder))


@pytest.fixture
def results(tmp_path):
    """The tables of six data sets and, by other names, of few labels."""
    names = {"A": ["V2S"], "B": ["MiniRocket", "MultiRocketHydra"]}
    for (label, seed), counts in RIGHT.items():
        for index, right in enumerate(counts):
            write(tmp_path / "runs" / "default", Run(label, seed, 0, f"data{index}", 0), right)
            for name, per_class in itertools.product(names[label] if seed == 0 else [], (10, 2)):
                write(tmp_path / "runs" / "few_labels", Run(name, 0, per_class, f"data{index}", 0), right)
    collect(tmp_path / "runs", tmp_path)
    return tmp_path


def test_only_what_all_have_is_compared_and_seeds_are_averaged(results):
    frame = accuracy.compared(accuracy.read_results(results, ["A", "B"]), ["A", "B"])
    assert sorted(frame["dataset"].unique()) == [f"data{index}" for index in range(5)]
    assert accuracy.by_dataset(frame, "accuracy")["A"].tolist() == pytest.approx([1.0, 0.9, 0.8, 0.8, 1.0])


def test_summary(results):
    frame = accuracy.compared(accuracy.read_results(results, ["A", "B"]), ["A", "B"])
    table = accuracy.summarise(frame, ["A", "B"])
    assert table.loc["A", "mean accuracy"] == pytest.approx(90.0)
    assert table.loc["B", "median"] == pytest.approx(70.0)
    assert table.loc["A", "MPCE"] == pytest.approx(0.1 / 2)
    assert table["mean rank"].tolist() == pytest.approx([(1 + 1.5 + 1 + 1 + 1) / 5, (2 + 1.5 + 2 + 2 + 2) / 5])
    assert table.loc["A", "log loss"] == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))


def test_calibration_report(results):
    frame = accuracy.compared(accuracy.read_results(results, ["A", "B"]), ["A", "B"])
    lines = accuracy.calibration_report(frame, ["A", "B"]).splitlines()
    # Errors of A are |0.9 - accuracy|, of B the same.
    assert [part.strip() for part in lines[4].split("|")][1:3] == ["A", f"{np.mean([0.1, 0, 0.1, 0.1, 0.1]):.3f}"]
    assert [part.strip() for part in lines[5].split("|")][1:3] == ["B", f"{np.mean([0, 0, 0.3, 0.2, 0.3]):.3f}"]


def test_pairs(results):
    frame = accuracy.compared(accuracy.read_results(results, ["A", "B"]), ["A", "B"])
    row = accuracy.compare_pairs(frame, ["A", "B"]).loc["B"]
    assert (row["wins"], row["ties"], row["losses"]) == (4, 1, 0)
    assert row["difference"] == pytest.approx(16.0)
    assert row["p"] == wilcoxon([0.1, 0.0, 0.2, 0.1, 0.4], zero_method="pratt").pvalue
    assert row["time ratio"] == pytest.approx(0.25)


def test_holm():
    assert accuracy.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert accuracy.holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_the_command(results, capsys):
    accuracy.main(["--results", str(results), "--classifiers", "A", "B"])
    printed = capsys.readouterr().out
    assert "5 data sets, resamples [0]; seeds of each classifier: A: 2, B: 1." in printed
    assert "90.000" in printed
    with pytest.raises(FileNotFoundError, match="no test results of C"):
        accuracy.main(["--results", str(results), "--classifiers", "C"])


def test_few_labels(results):
    classifiers = ["V2S", "MiniRocket", "MultiRocketHydra"]
    table = accuracy.few_labels_table(accuracy.read_results(results, classifiers, setting="few_labels"), classifiers)
    assert table.index.tolist() == [2, 10]
    assert table.loc[2, ["data sets", "V2S", "MiniRocket", "lead"]].tolist() == pytest.approx([5, 92, 74, 18])


def test_resamples_against_a_rival_and_its_published_mean(results, tmp_path):
    for name, wrong in (("A", 1), ("B", 3)):
        for index in range(5):
            write(tmp_path / "more" / "default", Run(name, 0, 0, f"data{index}", 1), 10 - wrong, certainty=1.0)
    collect(tmp_path / "more", results)
    published = tmp_path / "published.csv"
    published.write_text("dataset,b\n" + "".join(f"data{index},0.72\n" for index in range(5)))
    runs = accuracy.read_results(results, ["A", "B"])
    text = accuracy.resampled_report(runs, "A", ["B", "C"], published)
    # Resample 0 differs by 16 points (90 and 74), resample 1 by 20.
    assert "5 data sets, 2 resamples, 0 to 1" in text
    assert "by +16.00 to +20.00 points, with a standard deviation of 2.83" in text
    assert "The runs of B here, 2 of the 30 resamples, 5 data sets, have 72.00; its published mean is 72.00." in text
    assert "Beside C" not in text and "### Beside published means" in text


def test_p_values_of_a_table_are_never_zero():
    table = pd.DataFrame({"wins": [3, 4], "p": [0.00002, 0.5], "p (Holm)": [0.0004, 1.0]}, index=["B", "C"])
    lines = accuracy.to_markdown(table).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert cells == [["B", "3", "< 0.001", "< 0.001"], ["C", "4", "0.5", "1"]]


def test_what_missing_values_cost():
    rows = []
    for missing, scores in {"none": (0.9, 0.8, 0.7), "random 10 %": (0.88, 0.7, 0.5)}.items():
        for dataset, more in (("short", 0.02), ("long", 0.0)):
            for name, score in zip(("V2S", "A", "B"), scores, strict=True):
                less = more if (name, missing) == ("V2S", "random 10 %") else 0
                key = {"dataset": dataset, "missing": missing, "classifier": name}
                rows.append(key | {"n_points": 24 if more else 99, "accuracy": score - less})
            if missing != "none":
                rows.append(key | {"classifier": "A, straight lines", "n_points": 50, "accuracy": 0.95 - more})
    text = accuracy.missing_report(pd.DataFrame(rows), ["V2S", "A", "B"])
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert cells[1:3] == [["none", "90.00", "80.00", "70.00", ""], ["random 10 %", "87.00", "70.00", "50.00", "94.00"]]
    assert cells[4:] == [
        ["none", "0.00", "0.00", "0.00", "15.00", "2, 0"],
        ["random 10 %", "3.00", "4.00", "15.00", "27.00", "2, 0"],
    ]
