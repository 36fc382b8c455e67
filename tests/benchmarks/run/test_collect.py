"""Tables and the archive of predictions from the files of runs."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.run import collect as command
from benchmarks.run import tables
from benchmarks.run.collect import collect
from benchmarks.run.once import Places, measure_once
from benchmarks.run.predictions import decode, encode, read_archive, write_archive
from benchmarks.run.results import Result, Run
from benchmarks.run.tables import known_runs, read_table, write_table

RUNS = [
    Run("V2S", 0, 0, "Wine", 10),
    Run("V2S", 0, 0, "Wine", 2),
    Run("V2S", 1, 0, "Wine", 2),
    Run("QUANT", 0, 0, "Coffee", 0),
    Run("QUANT", 0, 0, "Coffee", 0, "TRAIN"),
]


def make_result(run, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), size=30).round(6)
    labels, comment = rng.integers(3, size=30), "seed=0 a,b"
    return Result(run.dataset, run.classifier, run.resample, labels, probabilities, 0.123, 0.456, comment=comment)


@pytest.fixture
def folders(tmp_path):
    for index, run in enumerate(RUNS):
        make_result(run, index).write(run.path(tmp_path / "runs" / "default"))
    few = Run("V2S", 0, 5, "Wine", 2)
    make_result(few, 9).write(few.path(tmp_path / "runs" / "few_labels"))
    return tmp_path / "runs", tmp_path / "results"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_row_a_run_in_an_order_of_its_own(folders):
    runs, results = folders
    assert collect(runs, results) == {"default": 5, "few_labels": 1}
    table = read_table(results, "default")
    assert table["classifier"].tolist() == ["QUANT", "QUANT", "V2S", "V2S", "V2S"]
    assert table["resample"].tolist() == [0, 0, 2, 10, 2] and table["seed"].tolist() == [0, 0, 0, 0, 1]
    assert known_runs(results, "default") == set(RUNS) and known_runs(results, "other") == set()
    assert read_table(results, "few_labels")["per_class"].tolist() == [5]
    expected = make_result(RUNS[0])
    row = table.iloc[3]
    assert row["accuracy"] == expected.accuracy and row["log_loss"] == expected.log_loss  # to the last bit
    assert (row["fit_time"], row["comment"], row["parameters"]) == (0.123, "seed=0 a,b", "No Parameter Info")


def test_to_collect_twice_changes_nothing(folders):
    runs, results = folders
    collect(runs, results, results / "predictions.npz")
    before = contents(results)
    collect(runs, results, results / "predictions.npz")
    assert contents(results) == before


def test_a_run_made_again_replaces_its_row_and_the_others_stay(folders, tmp_path):
    runs, results = folders
    archive = results / "predictions.npz"
    collect(runs, results, archive)
    before = read_table(results, "default")
    again = make_result(RUNS[0], seed=7)
    again.write(RUNS[0].path(tmp_path / "more" / "default"))
    assert collect(tmp_path / "more", results, archive) == {"default": 5}
    after = read_table(results, "default")
    changed = (before != after).any(axis=1) & ~(before.isna() & after.isna()).any(axis=1)
    assert changed.tolist() == [False, False, False, True, False]
    assert after["accuracy"][3] == again.accuracy
    predictions = read_archive(archive)
    assert len(predictions) == 6
    np.testing.assert_allclose(predictions["default", RUNS[0]][1], again.probabilities, rtol=1e-5, atol=2e-6)


def test_a_table_is_written_whole_or_not_at_all(folders, monkeypatch):
    runs, results = folders
    collect(runs, results)
    before = contents(results)

    def full(path, content):
        raise OSError("No space left on device")

    monkeypatch.setattr(tables, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        collect(runs, results)
    assert contents(results) == before


def test_the_command(folders, capsys):
    runs, results = folders
    places = ["--runs", str(runs), "--results", str(results)]
    command.main([*places, "--predictions", str(results / "predictions.npz")])
    assert capsys.readouterr().out == "default: 5 rows\nfew_labels: 1 rows\n"
    assert (results / "predictions.npz").exists()
    with pytest.raises(SystemExit):
        command.main(["--runs", str(runs / "nowhere")])
    assert "is no folder. Make runs first" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match=r"benchmarks\.run\.collect"):
        read_table(results, "multivariate")


def test_predictions_come_back(tmp_path):
    rng = np.random.default_rng(0)
    made = {}
    for n_classes in (1, 2, 7):
        probabilities = rng.dirichlet(np.full(n_classes, 0.1), size=200)
        probabilities[:50] = np.eye(n_classes)[rng.integers(n_classes, size=50)]
        labels = rng.integers(n_classes, size=200)
        made["default", Run("V2S", 0, 0, f"data{n_classes}", 0)] = labels, probabilities
    write_archive(tmp_path / "predictions.npz", made)
    found = read_archive(tmp_path / "predictions.npz")
    assert found.keys() == made.keys()
    for key, (labels, probabilities) in made.items():
        np.testing.assert_array_equal(found[key][0], labels)
        np.testing.assert_array_equal(found[key][1].argmax(axis=1), probabilities.argmax(axis=1))
        large = probabilities > 1e-27
        np.testing.assert_allclose(np.log(found[key][1][large]), np.log(probabilities[large]), atol=5e-6)
        assert (found[key][1][probabilities < 1e-28] == 0).all()


def test_nearly_equal_probabilities_keep_their_order():
    probabilities = np.array([[0.5 - 1e-12, 0.5 + 1e-12], [0.5, 0.5], [0.5 + 1e-12, 0.5 - 1e-12]])
    predicted, steps = encode(probabilities)
    assert decode(predicted, steps).argmax(axis=1).tolist() == [1, 0, 0] == predicted.tolist()


def test_a_measurement_is_made_once(tmp_path):
    places, calls = Places(tmp_path / "runs", tmp_path / "results"), []

    def measure(value):
        calls.append(value)
        return {"accuracy": value, "n": 3}

    def once(value, places=places):
        return measure_once(places, "controls", {"source": "a", "weights": "random 0", "dataset": "b"}, measure, value)

    row = {"source": "a", "weights": "random 0", "dataset": "b", "accuracy": 0.1, "n": 3}
    assert once(0.1) == [row]
    (path,) = (tmp_path / "runs" / "controls").iterdir()
    assert path.name == "a-random-0-b.json" and json.loads(path.read_text()) == [row]
    assert once(0.2) == [row] and calls == [0.1]
    assert collect(tmp_path / "runs", tmp_path / "results") == {"controls": 1}
    path.unlink()
    assert once(0.3) == [row] and calls == [0.1]
    assert once(0.4, places._replace(force=True))[0]["accuracy"] == 0.4
    assert collect(tmp_path / "runs", tmp_path / "results") == {"controls": 1}
    pd.testing.assert_frame_equal(read_table(tmp_path / "results", "controls"), pd.DataFrame([row | {"accuracy": 0.4}]))


def test_rows_are_told_apart_by_the_key_of_the_table(tmp_path):
    rows = [{"dataset": "b", "epoch": epoch, "train_loss": 1.0} for epoch in (2, 1, 2)]
    assert write_table(tmp_path, "reproduction_traces", rows) == 2
    assert read_table(tmp_path, "reproduction_traces")["epoch"].tolist() == [1, 2]
