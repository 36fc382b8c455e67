"""The benchmark runner on data sets that aeon ships."""

import shutil
from pathlib import Path

import aeon.datasets
import numpy as np
import pytest
from aeon.datasets import load_arrow_head, load_italy_power_demand

from benchmarks.run import classifiers, data, one
from benchmarks.run.collect import collect
from benchmarks.run.nearest_neighbour import NearestNeighbourDTW
from benchmarks.run.results import Result

DATA = Path(aeon.datasets.__file__).parent / "data"


def arguments(tmp_path, *more):
    places = ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    return ["--data-dir", str(DATA), "--datasets", "ItalyPowerDemand", *places, *more]


def test_a_run_writes_one_file_and_is_not_repeated(tmp_path, capsys):
    assert classifiers.main(arguments(tmp_path, "--classifiers", "MiniRocket", "--resamples", "0", "1")) == 0
    folder = tmp_path / "runs" / "default" / "MiniRocket" / "Predictions" / "ItalyPowerDemand"
    assert sorted(path.name for path in folder.iterdir()) == ["testResample0.csv", "testResample1.csv"]
    results = [Result.read(folder / f"testResample{k}.csv") for k in (0, 1)]
    y = load_italy_power_demand(split="test")[1]
    assert np.array_equal(results[0].labels, np.searchsorted(np.unique(y), y))
    assert not np.array_equal(results[0].labels, results[1].labels)
    assert all(result.accuracy > 0.9 and result.fit_time > 0 and result.memory > 1e7 for result in results)
    assert "[2/2] MiniRocket ItalyPowerDemand resample 1 seed 0: accuracy 0.9" in capsys.readouterr().out
    written = (folder / "testResample0.csv").stat().st_mtime_ns
    assert classifiers.main(arguments(tmp_path, "--classifiers", "MiniRocket")) == 0
    assert capsys.readouterr().out == ""
    assert (folder / "testResample0.csv").stat().st_mtime_ns == written


def test_a_run_that_stands_in_the_table_is_made_again_only_if_asked_for(tmp_path):
    def planned(*more):
        options = arguments(tmp_path, "--classifiers", "QUANT", "--resamples", "0..1", *more)
        return list(classifiers.make_plan(classifiers.parse_arguments(options)))

    first, second = planned()
    result = Result("ItalyPowerDemand", "QUANT", 0, np.array([0, 1]), np.eye(2), 1.0, 1.0)
    result.write(first)
    assert planned() == [second]
    collect(tmp_path / "runs", tmp_path / "results")
    first.unlink()
    assert planned() == [second]
    assert planned("--force") == [first, second]
    # Of another setting, with few labels, another seed or by cross-validation it is another run.
    for more in (["--setting", "other"], ["--per-class", "5"], ["--seeds", "1"]):
        assert len(planned(*more)) == 2
    assert len(planned("--cv", "5")) == 1
    assert planned("--per-class", "5", "--split", "TRAIN")[0].name == "trainResample0.csv"
    with pytest.raises(SystemExit):
        planned("--split", "TRAIN")
    assert planned("--per-class", "5")[0].is_relative_to(tmp_path / "runs" / "few_labels" / "5")


def test_the_classifier_never_sees_the_test_labels_or_in_cross_validation_the_test_split(tmp_path, monkeypatch):
    seen = []

    class Spy:
        def __init__(self, seed):
            pass

        def fit(self, X, y):
            seen.append((X, y))
            self.n_classes = len(np.unique(y))
            return self

        def predict_proba(self, X):
            seen.append(X)
            return np.full((len(X), self.n_classes), 1 / self.n_classes)

    monkeypatch.setitem(one.CLASSIFIERS, "spy", Spy)
    X_train, y_train = load_italy_power_demand(split="train")
    X_test, _ = load_italy_power_demand(split="test")
    result = one.test_run("spy", "ItalyPowerDemand", 0, 0, DATA)
    assert np.array_equal(seen[0][0], X_train) and np.array_equal(seen[0][1], y_train)
    assert np.array_equal(seen[1], X_test)
    assert result.split == "TEST"

    seen.clear()
    # The test split need not be there.
    (tmp_path / "ItalyPowerDemand").mkdir()
    shutil.copy(DATA / "ItalyPowerDemand" / "ItalyPowerDemand_TRAIN.ts", tmp_path / "ItalyPowerDemand")
    result = one.cross_validation_run("spy", "ItalyPowerDemand", 3, 0, tmp_path)
    assert result.split == "TRAIN"
    for (X, y), X_left_out in zip(seen[::2], seen[1::2], strict=True):
        assert len(X) + len(X_left_out) == len(X_train) and len(X) == len(y)
        assert not (X[:, None] == X_left_out[None]).all((2, 3)).any()

    seen.clear()
    result = one.test_run("spy", "ItalyPowerDemand", 1, 0, tmp_path, per_class=5, split="TRAIN")
    (X, y), rest = seen
    assert np.unique(y, return_counts=True)[1].tolist() == [5, 5] and result.split == "TRAIN"
    assert len(rest) == len(result.labels) == len(X_train) - 10
    assert not (X[:, None] == rest[None]).all((2, 3)).any()
    assert np.array_equal(X, data.draw_per_class(X_train, y_train, 5, 1)[0])
    assert len(data.draw_and_rest(X_train, y_train, 5, 1, n_scored=7)[3]) == 7
    with pytest.raises(ValueError, match="a class has 33"):
        one.test_run("spy", "ItalyPowerDemand", 1, 0, tmp_path, per_class=33, split="TRAIN")


def test_who_takes_no_missing_values_has_an_imputer_before():
    X, y = load_italy_power_demand(split="train")
    gaps = np.where(np.arange(X.shape[2]) % 5 == 3, np.nan, X)
    for name, X_train, X_test, imputed in (
        ("MiniRocket", gaps, X, True),
        ("MiniRocket", X, gaps, True),
        ("MiniRocket", X, X, False),
        ("V2S-fast", gaps, gaps, False),
    ):
        probabilities, parameters, *_ = one.fit_and_predict(name, 0, X_train[::2], y[::2], X_test[:4])
        assert np.isfinite(probabilities).all() and ("SimpleImputer" in parameters) == imputed


def test_few_cases_of_each_class(tmp_path, monkeypatch):
    X, y = load_italy_power_demand(split="train")
    draws = [data.draw_per_class(X, y, 3, seed) for seed in (0, 0, 1)]
    assert all(np.bincount(labels.astype(int)).tolist() == [0, 3, 3] for _, labels in draws)
    assert np.array_equal(draws[0][0], draws[1][0])
    assert not np.array_equal(draws[0][0], draws[2][0])
    assert len(data.draw_per_class(X, y, 1000, 0)[0]) == len(X)
    options = ["--classifiers", "MiniRocket", "--per-class", "3", "--resamples", "0", "1"]
    assert classifiers.main(arguments(tmp_path, *options)) == 0
    results = [Result.read(path) for path in sorted((tmp_path / "runs" / "few_labels" / "3").rglob("*.csv"))]
    assert len(results) == 2
    assert np.array_equal(results[0].labels, results[1].labels)  # always the default test split
    assert "per_class=3" in results[0].comment


def test_series_of_unequal_length_are_padded_for_those_that_need_it(tmp_path):
    options = ["--datasets", "JapaneseVowels", "--classifiers", "MiniRocket"]
    assert classifiers.main(arguments(tmp_path, *options)) == 0
    (path,) = tmp_path.rglob("*.csv")
    assert Result.read(path).accuracy > 0.9


def test_a_failed_run_is_reported_and_leaves_no_file(tmp_path, capsys):
    (tmp_path / "Broken").mkdir()
    (tmp_path / "Broken" / "Broken_TRAIN.ts").write_text("nonsense")
    options = ["--data-dir", str(tmp_path), "--runs", str(tmp_path / "runs"), "--classifiers", "MiniRocket"]
    assert classifiers.main(options) == 1
    assert "MiniRocket Broken resample 0 seed 0: FAILED" in capsys.readouterr().out
    assert list(tmp_path.rglob("*.csv")) == []


def test_the_nearest_neighbour_is_that_of_aeon():
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    X, y = load_arrow_head(split="train")
    X_test = load_arrow_head(split="test")[0][:30]
    y = np.arange(len(y))  # each case a class of its own
    theirs = KNeighborsTimeSeriesClassifier(distance="dtw", n_neighbors=1).fit(X, y)
    ours = NearestNeighbourDTW().fit(X, y)
    np.testing.assert_array_equal(ours.predict(X_test), theirs.predict(X_test))
    assert ours.predict_proba(X_test).sum() == 30
