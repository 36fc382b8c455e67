"""The benchmark runner on data sets that aeon ships."""

import sys
from pathlib import Path

import aeon.datasets
import numpy as np
import pytest
from aeon.datasets import load_arrow_head, load_italy_power_demand

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(aeon.datasets.__file__).parent / "data"


@pytest.fixture(autouse=True)
def benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def benchmark():
    import run

    yield run
    del sys.modules["run"]


def arguments(tmp_path, *more):
    return ["--data-dir", str(DATA), "--datasets", "ItalyPowerDemand", "--results", str(tmp_path), *more]


def test_a_run_writes_one_file_and_is_not_repeated(benchmark, tmp_path, capsys):
    from results_file import Result

    assert benchmark.main(arguments(tmp_path, "--classifiers", "MiniRocket", "--resamples", "0", "1")) == 0
    folder = tmp_path / "MiniRocket" / "Predictions" / "ItalyPowerDemand"
    assert sorted(path.name for path in folder.iterdir()) == ["testResample0.csv", "testResample1.csv"]
    results = [Result.read(folder / f"testResample{k}.csv") for k in (0, 1)]
    y = load_italy_power_demand(split="test")[1]
    assert np.array_equal(results[0].labels, np.searchsorted(np.unique(y), y))
    assert not np.array_equal(results[0].labels, results[1].labels)
    assert all(result.accuracy > 0.9 and result.fit_time > 0 and result.memory > 1e7 for result in results)
    assert "[2/2] MiniRocket ItalyPowerDemand resample 1 seed 0: accuracy 0.9" in capsys.readouterr().out
    written = (folder / "testResample0.csv").stat().st_mtime_ns
    assert benchmark.main(arguments(tmp_path, "--classifiers", "MiniRocket")) == 0
    assert capsys.readouterr().out == ""
    assert (folder / "testResample0.csv").stat().st_mtime_ns == written


def test_the_format_is_that_of_tsml_eval(benchmark, tmp_path):
    from results_file import Result

    probabilities = np.array([[0.25, 0.75], [1.0, 0.0]])
    result = Result("Data", "Name", 3, np.array([1, 1]), probabilities, 1.5, 0.25, 1000, parameters="a\nb")
    result.write(tmp_path / "new" / "file.csv")
    assert (tmp_path / "new" / "file.csv").read_text() == (
        "Data,Name,TEST,3,MILLISECONDS,\na b\n0.5,1500,250,-1,1000,2,,-1,-1\n1,1,,0.25,0.75\n1,0,,1,0\n"
    )
    again = Result.read(tmp_path / "new" / "file.csv")
    assert (again.fit_time, again.predict_time, again.accuracy) == (1.5, 0.25, 0.5)
    assert again.log_loss == pytest.approx((-np.log(0.75) - np.log(1e-15)) / 2)
    (tmp_path / "broken.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"broken\.csv is not a result file"):
        Result.read(tmp_path / "broken.csv")


def test_the_classifier_never_sees_the_test_labels_or_in_cross_validation_the_test_split(benchmark, monkeypatch):
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

    monkeypatch.setitem(benchmark.CLASSIFIERS, "spy", Spy)
    X_train, y_train = load_italy_power_demand(split="train")
    X_test, _ = load_italy_power_demand(split="test")
    result = benchmark.test_run("spy", "ItalyPowerDemand", 0, 0, DATA)
    assert np.array_equal(seen[0][0], X_train) and np.array_equal(seen[0][1], y_train)
    assert np.array_equal(seen[1], X_test)
    assert result.split == "TEST"

    seen.clear()
    loaded, load = [], benchmark.load_classification
    monkeypatch.setattr(
        benchmark,
        "load_classification",
        lambda name, split, **kw: loaded.append(split) or load(name, split=split, **kw),
    )
    result = benchmark.cross_validation_run("spy", "ItalyPowerDemand", 3, 0, DATA)
    assert loaded == ["train"]
    assert result.split == "TRAIN"
    for (X, y), X_left_out in zip(seen[::2], seen[1::2], strict=True):
        assert len(X) + len(X_left_out) == len(X_train) and len(X) == len(y)
        assert not (X[:, None] == X_left_out[None]).all((2, 3)).any()


def test_few_cases_of_each_class(benchmark, tmp_path, monkeypatch):
    from results_file import Result

    X, y = load_italy_power_demand(split="train")
    draws = [benchmark.draw_per_class(X, y, 3, seed) for seed in (0, 0, 1)]
    assert all(np.bincount(labels.astype(int)).tolist() == [0, 3, 3] for _, labels in draws)
    assert np.array_equal(draws[0][0], draws[1][0])
    assert not np.array_equal(draws[0][0], draws[2][0])
    assert len(benchmark.draw_per_class(X, y, 1000, 0)[0]) == len(X)
    options = ["--classifiers", "MiniRocket", "--per-class", "3", "--resamples", "0", "1"]
    assert benchmark.main(arguments(tmp_path, *options)) == 0
    results = [Result.read(path) for path in sorted(tmp_path.rglob("*.csv"))]
    assert len(results) == 2
    assert np.array_equal(results[0].labels, results[1].labels)  # always the default test split
    assert "per_class=3" in results[0].comment


def test_series_of_unequal_length_are_padded_for_those_that_need_it(benchmark, tmp_path):
    from results_file import Result

    options = ["--datasets", "JapaneseVowels", "--classifiers", "MiniRocket"]
    assert benchmark.main(arguments(tmp_path, *options)) == 0
    (path,) = tmp_path.rglob("*.csv")
    assert Result.read(path).accuracy > 0.9


def test_a_failed_run_is_reported_and_leaves_no_file(benchmark, tmp_path, capsys):
    (tmp_path / "Broken").mkdir()
    (tmp_path / "Broken" / "Broken_TRAIN.ts").write_text("nonsense")
    options = ["--data-dir", str(tmp_path), "--results", str(tmp_path), "--classifiers", "MiniRocket"]
    assert benchmark.main(options) == 1
    assert "MiniRocket Broken resample 0 seed 0: FAILED" in capsys.readouterr().out
    assert list(tmp_path.rglob("*.csv")) == []


def test_the_nearest_neighbour_is_that_of_aeon():
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier
    from nearest_neighbour import NearestNeighbourDTW

    X, y = load_arrow_head(split="train")
    X_test = load_arrow_head(split="test")[0][:30]
    y = np.arange(len(y))  # each case a class of its own
    theirs = KNeighborsTimeSeriesClassifier(distance="dtw", n_neighbors=1).fit(X, y)
    ours = NearestNeighbourDTW().fit(X, y)
    np.testing.assert_array_equal(ours.predict(X_test), theirs.predict(X_test))
    assert ours.predict_proba(X_test).sum() == 30
