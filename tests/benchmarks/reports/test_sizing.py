"""Core hours from a table whose costs are known."""

from pathlib import Path

import aeon.datasets
import numpy as np
import pytest
from aeon.datasets import load_classification
from aeon.datasets.tsc_datasets import univariate_equal_length

from benchmarks.reports import sizing
from benchmarks.run.collect import collect
from benchmarks.run.results import Result, Run

DATA = Path(aeon.datasets.__file__).parent / "data"
MEASURED = ["Coffee", "GunPoint", "ECG5000", "FordA", "HandOutlines", "Plane", "Wafer", "Worms", "Chinatown", "Rock"]


def true_fit_time(train, length):
    return 0.5 + train * (2e-3 + 1e-5 * length + 4e-7 * train)


def true_predict_time(test, length):
    return 0.1 + test * (1e-3 + 2e-5 * length)


@pytest.fixture
def results(tmp_path):
    """Two runs a data set, a tenth above and below the cost."""
    sizes = sizing.read_sizes()
    for name in MEASURED:
        row = sizes.loc[name]
        for resample, factor in enumerate((0.9, 1.1)):
            labels = np.zeros(row["test"], dtype=int)
            fit, predict = true_fit_time(row["train"], row["length"]), true_predict_time(row["test"], row["length"])
            memory = int(5e8 + 4e5 * row["train"]) if resample else -1
            result = Result(
                name, "V2S", resample, labels, np.ones((len(labels), 1)), factor * fit, factor * predict, memory
            )
            result.write(Run("V2S", 0, 0, name, resample).path(tmp_path / "runs" / "default"))
    collect(tmp_path / "runs", tmp_path)
    return tmp_path


def test_sizes_of_the_archive():
    sizes = sizing.read_sizes()
    assert sizes.index.tolist() == sorted(univariate_equal_length) and len(sizes) == 112
    for name in ("ACSF1", "ArrowHead", "GunPoint", "ItalyPowerDemand", "OSULeaf"):
        X, y = load_classification(name, split="train", extract_path=str(DATA))
        n_test = len(load_classification(name, split="test", extract_path=str(DATA))[0])
        assert sizes.loc[name].tolist() == [len(X), n_test, len(np.unique(y)), X.shape[2]]


def test_the_costs_are_found_again(results):
    measured = sizing.read_measured(results, "V2S", sizing.read_sizes())
    assert measured["runs"].tolist() == [2] * len(MEASURED)
    costs = sizing.fit_costs(measured, n_features=5000)
    # Times are written in whole milliseconds.
    assert costs["fit"](1_000_000, 200) == pytest.approx(0.5 + 1e6 * (2e-3 + 2e-3 + 4e-7 * 5000), rel=0.01)
    assert costs["predict"](1_000_000, 200) == pytest.approx(true_predict_time(1_000_000, 200), rel=0.01)
    assert costs["memory"](3000, 77) == pytest.approx(5e8 + 4e5 * 3000, rel=1e-3)
    assert sizing.error_on_unseen(measured) == pytest.approx(np.ones(len(MEASURED)), rel=0.02)
    table = sizing.large_table(measured, 1_000_000, 200, 5000)
    assert table.loc["fit", "core hours"] == pytest.approx(6000 / 3600, rel=0.01)
    assert table.loc["fit", "hours on 16"] == pytest.approx(6000 / 3600 / 16, rel=0.01)


def test_measured_sets_count_as_measured_and_the_others_as_fitted(results):
    sizes = sizing.read_sizes()
    measured = sizing.read_measured(results, "V2S", sizes)
    row = sizing.archive_row(measured, sizes)
    others = sizes.drop(index="Rock")
    seconds = true_fit_time(others["train"], others["length"]) + true_predict_time(others["test"], others["length"])
    rock = sizes.loc["Rock"]
    seconds["Rock"] = true_fit_time(rock["train"], rock["length"]) + true_predict_time(rock["test"], rock["length"])
    assert row["core hours, all 112"] == pytest.approx(30 * seconds.sum() / 3600, rel=0.01)
    assert row["core hours, measured sets"] == pytest.approx(30 * seconds[MEASURED].sum() / 3600, rel=1e-3)
    assert row["longest run"] == seconds.idxmax()
    assert row["longest run, minutes"] == pytest.approx(seconds.max() / 60, rel=0.01)
    assert row["hours on 16"] >= row["core hours, all 112"] / 16

    measured.loc["Wafer", "fit"] += 3600
    slower = sizing.archive_row(measured, sizes)
    assert slower["core hours, measured sets"] == pytest.approx(row["core hours, measured sets"] + 30)


def test_wall_time():
    assert sizing.wall_time([1, 2, 3, 4], 1) == 10
    assert sizing.wall_time([1, 2, 3, 4], 2) == 6  # 1 + 3 and 2 + 4
    assert sizing.wall_time([1, 2, 3, 4], 99) == 4


def test_the_command(results, capsys):
    sizing.main(["--results", str(results), "--classifiers", "V2S"])
    printed = capsys.readouterr().out
    assert "V2S on 1,000,000 cases x 200 points" in printed
    assert "core hours, all 112" in printed and "predict as many" in printed
    with pytest.raises(FileNotFoundError, match="no test results of MiniRocket"):
        sizing.main(["--results", str(results), "--classifiers", "MiniRocket"])
