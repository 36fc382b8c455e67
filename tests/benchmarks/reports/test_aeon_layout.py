"""Result files in aeon's layout, read by aeon's own loader."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from aeon.benchmarking import results_loaders
from aeon.benchmarking.results_loaders import get_estimator_results, get_estimator_results_as_array
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
N_RESAMPLES = {"Alpha": 3, "Beta": 3, "Gamma": 2}


@pytest.fixture
def layout(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setitem(results_loaders.NAME_ALIASES, "V2S", [])
    import aeon_layout

    return aeon_layout


@pytest.fixture
def results(layout):
    """Random predictions by run; two classes in Alpha, three in the others; MultiRocketHydra lacks Gamma."""
    from results_file import Result

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
                    dataset, classifier, resample, labels, probabilities, 1.0, 1.0
                )
    return made


def test_aeon_reads_every_measure(layout, results, tmp_path):
    paths = layout.write_aeon_layout(results.values(), tmp_path)
    assert len(paths) == 2 * len(layout.MEASURES)
    assert set(layout.MEASURES) == set(results_loaders.VALID_RESULT_MEASURES["classification"])
    for measure, function in layout.MEASURES.items():
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
                    runs = [function(results[classifier, dataset, resample]) for resample in range(n_resamples)]
                    assert score == pytest.approx(np.mean(runs), abs=1e-12)


def test_aeon_finds_what_is_there_and_names_what_is_missing(layout, results, tmp_path):
    layout.write_aeon_layout(results.values(), tmp_path)
    _, names = get_estimator_results_as_array(["V2S", "MR-Hydra"], path=str(tmp_path))
    assert set(names) == {"Alpha", "Beta"}  # Gamma is not there for both
    _, names = get_estimator_results_as_array("V2S", num_resamples=2, path=str(tmp_path))
    assert set(names) == {"Alpha", "Beta", "Gamma"}
    everything = get_estimator_results("MR-Hydra", num_resamples=None, path=str(tmp_path))["MR-Hydra"]
    assert {name: len(scores) for name, scores in everything.items()} == {"Alpha": 3, "Beta": 3}
    with pytest.raises(ValueError, match="Missing resamples for Gamma in V2S"):
        get_estimator_results_as_array("V2S", num_resamples=3, path=str(tmp_path))


def test_a_data_set_without_the_default_split_is_left_out(layout, results, tmp_path):
    del results["V2S", "Beta", 0]
    layout.write_aeon_layout(results.values(), tmp_path)
    _, names = get_estimator_results_as_array("V2S", num_resamples=2, path=str(tmp_path))
    assert set(names) == {"Alpha", "Gamma"}


def test_the_measures_are_those_of_scikit_learn(layout, results):
    two, three = results["V2S", "Alpha", 0], results["V2S", "Beta", 0]
    assert layout.area_under_roc(two) == pytest.approx(roc_auc_score(two.labels, two.probabilities[:, 1]))
    probabilities = three.probabilities / three.probabilities.sum(axis=1, keepdims=True)
    expected = roc_auc_score(three.labels, probabilities, multi_class="ovr", average="weighted")
    assert layout.area_under_roc(three) == pytest.approx(expected)
    rarer = np.bincount(two.labels).argmin()
    assert layout.f1(two) == f1_score(two.labels, two.predicted, pos_label=rarer)
    assert layout.f1(three) == f1_score(three.labels, three.predicted, average="weighted")
    two.probabilities = np.eye(2)[two.predicted]  # certain, and sometimes wrong
    assert layout.log_loss(two) == pytest.approx(sklearn_log_loss(two.labels, two.probabilities))


def test_the_command(layout, results, tmp_path, monkeypatch, capsys):
    import report
    from results_file import result_path

    for (classifier, dataset, resample), result in results.items():
        result.write(result_path(tmp_path / "results", classifier, dataset, resample))
    results["V2S", "Alpha", 0].write(result_path(tmp_path / "results", "V2S-seed1", "Alpha", 0))
    published = tmp_path / "published.csv"
    pd.DataFrame({"dataset": ["Alpha", "Beta", "Gamma"], "HC2": [0.5, 0.5, 0.5]}).to_csv(published, index=False)
    options = ["--results", str(tmp_path / "results"), "--classifiers", "V2S", "MultiRocketHydra"]
    report.main([*options, "--aeon", str(tmp_path / "aeon"), "--published", str(published)])
    scores, names = get_estimator_results_as_array(
        ["V2S", "MultiRocketHydra"], datasets=["Beta"], num_resamples=3, path=str(tmp_path / "aeon")
    )
    means = [np.mean([results[name, "Beta", k].accuracy for k in range(3)]) for name in ("V2S", "MultiRocketHydra")]
    assert names == ["Beta"] and scores[0].tolist() == pytest.approx(means)
    printed = capsys.readouterr().out
    assert "V2S: 2 to 3 of the 30 resamples, 3 data sets" in printed and "| HC2 " in printed
