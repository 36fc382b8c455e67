"""tsml-eval's experiment harness, which needs older releases of aeon and scikit-learn, runs the classifier.

``make test-lowest`` runs this in the environment of constraints-lowest.txt.
"""

import csv

import numpy as np
import pytest
from aeon.datasets import load_basic_motions, load_gunpoint, load_japanese_vowels
from tsml_eval.experiments import run_classification_experiment

from v2s_sklearn import V2SClassifier


@pytest.mark.parametrize(
    ("load", "lowest"),
    [(load_gunpoint, 0.95), (load_basic_motions, 0.95), (load_japanese_vowels, 0.9)],
    ids=["univariate", "multivariate", "unequal length"],
)
def test_run_classification_experiment(load, lowest, tmp_path):
    X_train, y_train = load(split="train")
    X_test, y_test = load(split="test")
    run_classification_experiment(
        X_train,
        y_train,
        X_test,
        y_test,
        V2SClassifier.fast(random_state=0),
        tmp_path,
        classifier_name="V2S",
        dataset_name="data",
        resample_id=0,
        benchmark_time=False,
    )
    with open(tmp_path / "V2S" / "Predictions" / "data" / "testResample0.csv", newline="") as file:
        lines = list(csv.reader(file))
    cases = np.array([[float(value) for value in line if value] for line in lines[3:]])
    assert len(cases) == len(X_test)
    assert float(lines[2][0]) == pytest.approx(np.mean(cases[:, 0] == cases[:, 1]))
    assert float(lines[2][0]) > lowest
    # True class, predicted class, a probability for each class.
    classes, true = np.unique(y_test, return_inverse=True)
    assert (cases[:, 0] == true).all()
    assert cases.shape[1] == 2 + len(classes)
    np.testing.assert_allclose(cases[:, 2:].sum(axis=1), 1.0, atol=1e-3)


def test_train_estimates_of_run_classification_experiment(tmp_path):
    X, y = load_gunpoint(split="train")
    classifier = V2SClassifier.fast(random_state=0)
    run_classification_experiment(
        X[::2],
        y[::2],
        X[1::2],
        y[1::2],
        classifier,
        tmp_path,
        dataset_name="data",
        resample_id=0,
        build_train_file=True,
        benchmark_time=False,
    )
    folder = tmp_path / "V2SClassifier" / "Predictions" / "data"
    accuracies = {path.name: float(path.read_text().splitlines()[2].split(",")[0]) for path in folder.iterdir()}
    assert accuracies.keys() == {"trainResample0.csv", "testResample0.csv"}
    assert min(accuracies.values()) > 0.8
