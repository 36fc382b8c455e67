"""The reproduction of the paper on data sets that aeon ships, and the simulated defects."""

import json
import shutil
from pathlib import Path

import aeon.datasets
import numpy as np
import pytest
from aeon.datasets import load_italy_power_demand

from benchmarks.reports.reproduction import read_runs, read_traces
from benchmarks.reproduction import variants
from benchmarks.reproduction.defects import TrainedAcousticModel, collapses, labels_by_remainder
from benchmarks.run.collect import collect
from benchmarks.sources import ranking
from v2s_sklearn import V2SClassifier, load_acoustic_model

DATA = Path(aeon.datasets.__file__).parent / "data"


@pytest.fixture
def short(monkeypatch):
    """The script with one epoch everywhere, and parts of the splits."""
    monkeypatch.setattr(ranking, "MAX_CASES", 16)

    monkeypatch.setattr(variants, "MAX_EPOCHS", 1)
    monkeypatch.setattr(variants, "GRID", {"n_replicates": [3, 10], "dropout": [0.0]})
    monkeypatch.setattr(variants, "GRID_EPOCHS", 1)
    load = variants.load_split

    def some(*arguments):
        X_train, y_train, X_test, y_test = load(*arguments)
        return X_train[:32], y_train[:32], X_test[:60], y_test[:60]

    monkeypatch.setattr(variants, "load_split", some)
    return variants


def run(script, tmp_path, *names):
    places = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    script.main(["--data-dir", str(DATA), "--datasets", "ItalyPowerDemand", *places, "--variants", *names])


def collected(tmp_path):
    collect(tmp_path / "runs", tmp_path / "results")
    return tmp_path / "results"


def test_a_killed_run_goes_on_with_what_was_chosen(short, tmp_path, monkeypatch, capsys):

    alignment = short.alignment

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(short, "alignment", killed)
    with pytest.raises(KeyboardInterrupt):
        run(short, tmp_path, "V2Sa")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["ItalyPowerDemand.json"]
    rows = json.loads((tmp_path / "runs" / "reproduction_selection" / "ItalyPowerDemand.json").read_text())
    (chosen,) = [row for row in rows if row["chosen"]]
    assert chosen["n_replicates"] in (3, 10) and chosen["n_cases"] == 16 and len(rows) == 2
    assert chosen["accuracy"] == max(row["accuracy"] for row in rows)

    monkeypatch.setattr(short, "alignment", alignment)
    monkeypatch.setattr(short, "select", killed)  # it is not chosen again
    run(short, tmp_path, "V2Sa", "trace")
    tables = collected(tmp_path)
    runs, (trace,) = read_runs(tables), read_traces(tables).values()
    assert list(runs["variant"]) == ["V2Sa"]
    row = runs.iloc[0]
    assert (row["m"], row["epochs"]) == (chosen["n_replicates"], 1)
    # The bound is the risk of the source, which no run changes, plus a multiple of a Wasserstein distance.
    assert row["swd_before"] != row["swd_after"] and row["bound"] > row["swd_after"] > 0
    # To look at the test split changes nothing in training, so the trace ends where the run does.
    assert trace["test_acc"].iloc[-1] == pytest.approx(row["accuracy"], rel=1e-5)
    assert trace["train_loss"].iloc[-1] == pytest.approx(row["last_loss"], rel=1e-5)

    capsys.readouterr()
    monkeypatch.setattr(short, "run", killed)
    monkeypatch.setattr(short, "trace", killed)
    run(short, tmp_path, "V2Sa", "trace")
    shutil.rmtree(tmp_path / "runs")  # what stands in the tables counts, too
    run(short, tmp_path, "V2Sa", "trace")
    assert capsys.readouterr().out == ""


def test_epochs_are_fixed_before_a_fit(short, monkeypatch):
    monkeypatch.setattr(short, "MAX_PRESENTATIONS", 4000)
    assert [short.n_epochs(n, 100) for n in (23, 100, 3636, 10_000)] == [100, 40, 1, 1]


@pytest.mark.parametrize(
    ("labels", "merged", "expected"),
    [
        (["-1", "1"], True, [1, 1]),
        (["1", "2", "3"], False, [1, 2, 0]),
        (["3", "4", "5", "6", "7", "8"], False, [3, 4, 5, 0, 1, 2]),
        (["0", "1"], False, [0, 1]),
        (["1.0", "4.0"], False, [1, 0]),
        (["0", "2", "4"], False, [0, 2, 1]),
        (["0", "2"], True, [0, 0]),
    ],
)
def test_labels_by_remainder(labels, merged, expected):

    y = np.array(labels)
    assert collapses(y) is merged
    train, test = labels_by_remainder(y, y[::-1])
    assert train.tolist() == expected and test.tolist() == expected[::-1]


def test_merged_labels_are_predicted_without_an_error_by_any_model(short, tmp_path, monkeypatch):

    X, y = load_italy_power_demand(split="train")
    monkeypatch.setattr(
        short,
        "load_split",
        lambda *arguments: (X, np.where(y == "1", "-1", "1"), X[:9], np.array(["-1", "1", "1"] * 3)),
    )
    run(short, tmp_path, "V2Sa-collapsed")
    assert read_runs(collected(tmp_path))["accuracy"].item() == 1.0


def test_labels_that_only_get_other_names_are_not_run_again(short, tmp_path):
    run(short, tmp_path, "V2Sa-collapsed")
    assert not list(tmp_path.rglob("*.csv"))


def test_a_trained_acoustic_model_is_a_copy():

    X, y = load_italy_power_demand(split="train")
    shared = load_acoustic_model("v2sa")
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    settings = {"max_epochs": 1, "random_state": 0}
    frozen = V2SClassifier.icml2021(**settings).fit(X[:32], y[:32])
    clf = V2SClassifier.icml2021(callbacks=[TrainedAcousticModel()], **settings).fit(X[:32], y[:32])
    (trained,) = (view.acoustic for view in clf.net_.module_.views)
    assert trained is not shared
    assert not any(parameter.requires_grad for parameter in trained.parameters())
    changed = [name for name, value in trained.named_parameters() if not value.equal(before[name])]
    assert {"lstm1.weight_ih_l0", "output.weight"} <= set(changed)
    # Its running statistics stay the source's, and the shared model all it was.
    assert all(value.equal(before[name]) for name, value in trained.named_buffers() if name in before)
    assert all(value.equal(before[name]) for name, value in shared.state_dict().items())
    assert not np.array_equal(clf.predict_proba(X), frozen.predict_proba(X))
    (unchanged,) = (view.acoustic for view in frozen.net_.module_.views)
    assert unchanged is shared
