"""The reproduction of the paper on data sets that aeon ships, and the simulated defects."""

import json
import sys
from pathlib import Path

import aeon.datasets
import numpy as np
import pandas as pd
import pytest
from aeon.datasets import load_italy_power_demand

from v2s_sklearn import V2SClassifier, load_acoustic_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(aeon.datasets.__file__).parent / "data"
MODULES = [path.stem for path in BENCHMARKS.glob("*.py")]


@pytest.fixture(autouse=True)
def benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def short(monkeypatch):
    """The script with one epoch everywhere, and parts of the splits."""
    import ranking
    import reproduction

    monkeypatch.setattr(ranking, "MAX_CASES", 16)

    monkeypatch.setattr(reproduction, "MAX_EPOCHS", 1)
    monkeypatch.setattr(reproduction, "GRID", {"n_replicates": [3, 10], "dropout": [0.0]})
    monkeypatch.setattr(reproduction, "GRID_EPOCHS", 1)
    load = reproduction.load_split

    def some(*arguments):
        X_train, y_train, X_test, y_test = load(*arguments)
        return X_train[:32], y_train[:32], X_test[:60], y_test[:60]

    monkeypatch.setattr(reproduction, "load_split", some)
    return reproduction


def run(script, tmp_path, *variants):
    script.main(
        ["--data-dir", str(DATA), "--datasets", "ItalyPowerDemand", "--results", str(tmp_path), "--variants", *variants]
    )


def test_a_killed_run_goes_on_with_what_was_chosen(short, tmp_path, monkeypatch, capsys):
    from reproduction_report import read_runs, read_traces

    alignment = short.alignment

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(short, "alignment", killed)
    with pytest.raises(KeyboardInterrupt):
        run(short, tmp_path, "V2Sa")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["ItalyPowerDemand.json"]
    chosen = json.loads((tmp_path / "selection" / "ItalyPowerDemand.json").read_text())
    assert chosen["n_replicates"] in (3, 10) and chosen["n_cases"] == 16 and len(chosen["grid"]) == 2

    monkeypatch.setattr(short, "alignment", alignment)
    monkeypatch.setattr(short, "select", killed)  # it is not chosen again
    run(short, tmp_path, "V2Sa", "trace")
    runs, (trace,) = read_runs(tmp_path), read_traces(tmp_path).values()
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
    from defects import collapses, labels_by_remainder

    y = np.array(labels)
    assert collapses(y) is merged
    train, test = labels_by_remainder(y, y[::-1])
    assert train.tolist() == expected and test.tolist() == expected[::-1]


def test_merged_labels_are_predicted_without_an_error_by_any_model(short, tmp_path, monkeypatch):
    from reproduction_report import read_runs

    X, y = load_italy_power_demand(split="train")
    monkeypatch.setattr(
        short,
        "load_split",
        lambda *arguments: (X, np.where(y == "1", "-1", "1"), X[:9], np.array(["-1", "1", "1"] * 3)),
    )
    run(short, tmp_path, "V2Sa-collapsed")
    assert read_runs(tmp_path)["accuracy"].item() == 1.0


def test_labels_that_only_get_other_names_are_not_run_again(short, tmp_path):
    run(short, tmp_path, "V2Sa-collapsed")
    assert not list(tmp_path.rglob("*.csv"))


def test_a_trained_acoustic_model_is_a_copy():
    from defects import TrainedAcousticModel

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


@pytest.mark.parametrize("n_traces", [0, 2])
def test_figures_are_drawn_of_what_there_is(tmp_path, n_traces):
    from reproduction_figures import MARKS, draw_accuracies, draw_training

    table = pd.DataFrame({column: [90.0, 80.0, np.nan] for column in MARKS}, index=["a", "b", "c"])
    draw_accuracies(table.assign(**{"best epoch": np.nan}), tmp_path / "accuracy.png")
    trace = pd.DataFrame({"epoch": [1, 2], "train_loss": [2, 1], "train_swd": [2, 1], "test_acc": [0.6, 0.5]})
    draw_training({str(number): trace for number in range(n_traces)}, tmp_path / "training.png")
    assert (tmp_path / "accuracy.png").stat().st_size > 1000
    assert (tmp_path / "training.png").exists() == (n_traces > 0)


def test_tables_say_how_many_data_sets_they_cover(tmp_path):
    from reproduction_report import (
        accuracies,
        claims_table,
        coverage_table,
        defects_table,
        runs_table,
        seeds_table,
        selection_summary,
    )

    rows = [
        {"variant": variant, "dataset": dataset, "seed": seed, "accuracy": accuracy, "swd_before": 3.0}
        | {"swd_after": 2.0, "bound": 30.0, "first_loss": 3.0, "last_loss": 2.0, "largest_class": 0.55}
        for variant, dataset, seed, accuracy in [
            ("V2Sa", "Coffee", 0, 0.8),
            ("V2Sa", "Coffee", 1, 0.9),
            ("V2Sa", "Wine", 0, 0.5),
            ("V2Sa-trained", "Wine", 0, 0.6),
            ("V2Sa-trained", "Coffee", 0, 1.0),
        ]
    ]
    runs = pd.DataFrame(rows)
    trace = pd.DataFrame({"train_loss": [3, 2, 1], "train_swd": [1, 2, 3], "test_acc": [0.4, 0.6, 0.5]})
    trace["train_acc"] = 0.9
    traces = {"Wine": trace, "Coffee": trace}
    table = accuracies(runs, traces)
    assert len(table) == 30 and table.loc["Coffee", "V2Sa"] == pytest.approx(85)
    assert table.loc["Wine", "best epoch"] == pytest.approx(60) and table["MiniRocket"].notna().all()
    coverage = coverage_table(table)
    assert "| V2Sa | 2 | 67.5 | 67.5 |" in coverage and "| V2Su | 0 |" in coverage
    # +10 and +15 points: mean 12.5, and Student's t with one degree of freedom, 12.71 * 2.5.
    assert "| acoustic model trained | +12.50 points [-19.27, +44.27], 2 data sets |" in defects_table(table, traces)
    # 60 at its best epoch, 50 at the last of the same fit.
    assert "| best epoch on the test split | +10.00 points [+10.00, +10.00], 2 data sets |" in defects_table(
        table, traces
    )
    claims = claims_table(runs, traces, table)
    assert "smaller after training on 2 of 2" in claims and "largest class on 1 of 2" in claims
    assert "over the epochs: -1.00 [-1.00, -1.00], 2 data sets" in claims
    assert "on the test split: +40.00 points" in claims
    assert "1 data sets were run with 2 seeds" in seeds_table(runs) and "by 10.0 at most (Coffee)" in seeds_table(runs)
    assert "| V2Sa Coffee | 2 |" in runs_table(
        runs.assign(m=3, dropout=0.2, epochs=100, bound_before=40.0, seconds=1.0)
    )

    (tmp_path / "selection").mkdir()
    for name, m, scores in (("a", 3, [0.5, 0.6]), ("b", 10, [0.9, 0.9])):
        chosen = {"n_replicates": m, "dropout": 0.2, "n_cases": 60, "grid": [{"accuracy": score} for score in scores]}
        (tmp_path / "selection" / f"{name}.json").write_text(json.dumps(chosen))
    summary = selection_summary(tmp_path)
    assert "Chosen on 2 data sets: m = 3 on 1, 10 on 1; dropout 0.2 on 2." in summary
    assert "5.0 points above its worst in the mean" in summary and "points on 1 data sets" in summary
