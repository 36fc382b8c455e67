"""Our results in the layouts of aeon, read by its own loader, and of tsml-eval."""

import numpy as np
import pandas as pd
import pytest
from aeon.benchmarking import results_loaders
from aeon.benchmarking.results_loaders import get_estimator_results, get_estimator_results_as_array
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from benchmarks.reports import accuracy, layouts
from benchmarks.run import measures
from benchmarks.run.collect import collect
from benchmarks.run.results import Result, Run

N_RESAMPLES = {"Alpha": 3, "Beta": 3, "Gamma": 2}
# aeon's names and how each is computed from labels and probabilities.
EXPECTED = {
    "accuracy": lambda labels, probabilities: accuracy_score(labels, probabilities.argmax(axis=1)),
    "auroc": measures.area_under_roc,
    "balacc": lambda labels, probabilities: balanced_accuracy_score(labels, probabilities.argmax(axis=1)),
    "f1": measures.f1,
    "logloss": lambda labels, probabilities: log_loss(labels, probabilities / probabilities.sum(axis=1)[:, None]),
}


@pytest.fixture(autouse=True)
def our_name(monkeypatch):
    monkeypatch.setitem(results_loaders.NAME_ALIASES, "V2S", [])


@pytest.fixture
def results():
    """Random predictions by run; two classes in Alpha, three in the others; MultiRocketHydra lacks Gamma."""
    rng = np.random.default_rng(0)
    made = {}
    for classifier in ("V2S", "MultiRocketHydra"):
        for dataset, n_resamples in N_RESAMPLES.items():
            for resample in range(n_resamples if (classifier, dataset) != ("MultiRocketHydra", "Gamma") else 0):
                n_classes = 2 if dataset == "Alpha" else 3
                labels = np.r_[np.arange(n_classes), rng.integers(n_classes, size=20)]
                # Of six digits, as in the files.
                probabilities = rng.dirichlet(np.ones(n_classes), size=len(labels)).round(6)
                made[classifier, dataset, resample] = Result(
                    dataset, classifier, resample, labels, probabilities, 1.0, 1.0, parameters="its parameters"
                )
    return made


def tables(results, folder):
    """Write runs, collect them, and return the folder of the tables."""
    for (classifier, dataset, resample), result in results.items():
        result.write(Run(classifier, 0, 0, dataset, resample).path(folder / "runs" / "default"))
    collect(folder / "runs", folder / "results", folder / "results" / "predictions.npz")
    return folder / "results"


def write_aeon_layout(results, folder):
    """Write aeon's layout to a folder, by way of the tables."""
    return layouts.write_aeon_layout(accuracy.read_results(tables(results, folder), accuracy.CLASSIFIERS), folder)


def test_aeon_reads_every_measure(results, tmp_path):
    paths = write_aeon_layout(results, tmp_path)
    assert len(paths) == 2 * len(layouts.MEASURES)
    assert set(layouts.MEASURES) == set(results_loaders.VALID_RESULT_MEASURES["classification"])
    for measure, function in EXPECTED.items():
        for n_resamples in (1, 2, 3):
            scores, names = get_estimator_results_as_array(
                ["V2S", "MultiRocketHydra"],
                datasets=["Alpha", "Beta", "Elsewhere"],
                num_resamples=n_resamples,
                measure=measure,
                path=str(tmp_path),
            )
            assert names == ["Alpha", "Beta"]
            for row, dataset in zip(scores, names, strict=True):
                for score, classifier in zip(row, ("V2S", "MultiRocketHydra"), strict=True):
                    runs = [results[classifier, dataset, resample] for resample in range(n_resamples)]
                    expected = np.mean([function(run.labels, run.probabilities) for run in runs])
                    # scikit-learn takes probabilities that sum to one, which six digits do nearly.
                    assert score == pytest.approx(expected, abs=1e-6 if measure == "logloss" else 1e-12)


def test_aeon_finds_what_is_there_and_names_what_is_missing(results, tmp_path):
    write_aeon_layout(results, tmp_path)
    _, names = get_estimator_results_as_array(["V2S", "MR-Hydra"], path=str(tmp_path))
    assert set(names) == {"Alpha", "Beta"}  # Gamma is not there for both
    _, names = get_estimator_results_as_array("V2S", num_resamples=2, path=str(tmp_path))
    assert set(names) == {"Alpha", "Beta", "Gamma"}
    everything = get_estimator_results("MR-Hydra", num_resamples=None, path=str(tmp_path))["MR-Hydra"]
    assert {name: len(scores) for name, scores in everything.items()} == {"Alpha": 3, "Beta": 3}
    with pytest.raises(ValueError, match="Missing resamples for Gamma in V2S"):
        get_estimator_results_as_array("V2S", num_resamples=3, path=str(tmp_path))


def test_a_data_set_without_the_default_split_is_left_out(results, tmp_path):
    del results["V2S", "Beta", 0]
    write_aeon_layout(results, tmp_path)
    _, names = get_estimator_results_as_array("V2S", num_resamples=2, path=str(tmp_path))
    assert set(names) == {"Alpha", "Gamma"}


def test_the_command_writes_both_layouts(results, tmp_path, capsys):
    folder = tables(results, tmp_path)
    other = results["V2S", "Alpha", 0]
    other.write(Run("V2S", 1, 0, "Alpha", 0).path(tmp_path / "more" / "default"))
    collect(tmp_path / "more", folder)
    published = tmp_path / "published.csv"
    pd.DataFrame({"dataset": ["Alpha", "Beta", "Gamma"], "HC2": [0.5, 0.5, 0.5]}).to_csv(published, index=False)
    options = ["--results", str(folder), "--classifiers", "V2S", "MultiRocketHydra"]
    places = ["--aeon", str(tmp_path / "aeon"), "--tsml", str(tmp_path / "tsml")]
    accuracy.main([*options, *places, "--published", str(published)])
    scores, names = get_estimator_results_as_array(
        ["V2S", "MultiRocketHydra"], datasets=["Beta"], num_resamples=3, path=str(tmp_path / "aeon")
    )
    means = [np.mean([results[name, "Beta", k].accuracy for k in range(3)]) for name in ("V2S", "MultiRocketHydra")]
    assert names == ["Beta"] and scores[0].tolist() == pytest.approx(means)
    printed = capsys.readouterr().out
    assert "V2S: 2 to 3 of the 30 resamples, 3 data sets" in printed and "| HC2 " in printed
    assert len(list((tmp_path / "tsml").rglob("*.csv"))) == len(results)
    for (classifier, dataset, resample), result in results.items():
        written = tmp_path / "tsml" / classifier / "Predictions" / dataset / f"testResample{resample}.csv"
        again = Result.read(written)
        np.testing.assert_array_equal(again.labels, result.labels)
        np.testing.assert_array_equal(again.predicted, result.predicted)
        np.testing.assert_allclose(again.probabilities, result.probabilities, rtol=1e-5, atol=2e-6)
        result.write(tmp_path / "expected.csv")
        assert written.read_text().splitlines()[:3] == (tmp_path / "expected.csv").read_text().splitlines()[:3]


def test_a_run_without_predictions_is_named(results, tmp_path):
    folder = tables({("V2S", "Alpha", 0): results["V2S", "Alpha", 0]}, tmp_path)
    results["V2S", "Beta", 0].write(Run("V2S", 0, 0, "Beta", 0).path(tmp_path / "runs" / "default"))
    collect(tmp_path / "runs", folder)
    options = ["--results", str(folder), "--classifiers", "V2S"]
    with pytest.raises(KeyError, match=r"no predictions of default/V2S/Predictions/Beta/testResample0\.csv"):
        accuracy.main([*options, "--tsml", str(tmp_path / "tsml")])
