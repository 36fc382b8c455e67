"""Tables and figures of the reproduction."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.reports.figures import MARKS, draw_accuracies, draw_training
from benchmarks.reports.reproduction import (
    accuracies,
    claims_table,
    coverage_table,
    defects_table,
    runs_table,
    seeds_table,
    selection_summary,
)


@pytest.mark.parametrize("n_traces", [0, 2])
def test_figures_are_drawn_of_what_there_is(tmp_path, n_traces):

    table = pd.DataFrame({column: [90.0, 80.0, np.nan] for column in MARKS}, index=["a", "b", "c"])
    draw_accuracies(table.assign(**{"best epoch": np.nan}), tmp_path / "accuracy.png")
    trace = pd.DataFrame({"epoch": [1, 2], "train_loss": [2, 1], "train_swd": [2, 1], "test_acc": [0.6, 0.5]})
    draw_training({str(number): trace for number in range(n_traces)}, tmp_path / "training.png")
    assert (tmp_path / "accuracy.png").stat().st_size > 1000
    assert (tmp_path / "training.png").exists() == (n_traces > 0)


def test_tables_say_how_many_data_sets_they_cover():

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

    selection = pd.DataFrame(
        {
            "dataset": ["a", "a", "b", "b"],
            "n_replicates": [3, 10, 3, 10],
            "dropout": 0.2,
            "accuracy": [0.6, 0.5, 0.9, 0.9],
            "chosen": [True, False, False, True],
            "n_cases": 60,
        }
    )
    summary = selection_summary(selection)
    assert "Chosen on 2 data sets: m = 3 on 1, 10 on 1; dropout 0.2 on 2." in summary
    assert "5.0 points above its worst in the mean" in summary and "points on 1 data sets" in summary
