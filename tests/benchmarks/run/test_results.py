"""Files of runs, and what a run is measured by."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from benchmarks.run import measures
from benchmarks.run.results import Result, Run, find_runs


def test_the_format_is_that_of_tsml_eval(tmp_path):
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


@pytest.mark.parametrize(
    ("run", "path"),
    [
        (Run("V2S", 0, 0, "Coffee", 3), "V2S/Predictions/Coffee/testResample3.csv"),
        (Run("V2S-fast", 2, 0, "Coffee", 0), "V2S-fast-seed2/Predictions/Coffee/testResample0.csv"),
        (Run("1NN-DTW", 0, 10, "Wine", 29), "10/1NN-DTW/Predictions/Wine/testResample29.csv"),
        (Run("MiniRocket", 0, 0, "Wine", 0, "TRAIN"), "MiniRocket/Predictions/Wine/trainResample0.csv"),
    ],
)
def test_a_run_and_its_file(run, path, tmp_path):
    assert run.path(tmp_path) == tmp_path / path
    assert Run.of_path(tmp_path / path, tmp_path) == run
    run.path(tmp_path).parent.mkdir(parents=True)
    run.path(tmp_path).touch()
    assert find_runs(tmp_path) == {run: tmp_path / path}


def test_calibration_by_hand():
    top, right = np.array([0.61, 0.63, 0.9, 0.9, 1.0]), np.array([1, 0, 1, 1, 1])
    probabilities = np.stack([top, 1 - top], 1)
    # Bins 9/15 to 10/15, one of two right; 13/15 to 14/15, both right; and the last one.
    expected = (2 * abs(0.62 - 0.5) + 2 * abs(0.9 - 1) + 0) / 5
    assert measures.expected_calibration_error(1 - right, probabilities) == pytest.approx(expected)
    # Each in a bin of its own, but for equal ones.
    expected = (abs(0.61 - 1) + abs(0.63 - 0) + 2 * abs(0.9 - 1) + 0) / 5
    assert measures.expected_calibration_error(1 - right, probabilities, n_bins=100) == pytest.approx(expected)
    assert measures.brier_score(1 - right, probabilities) == pytest.approx(2 * (0.39**2 + 0.63**2 + 2 * 0.1**2) / 5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_measures_are_those_of_scikit_learn(n_classes):
    rng = np.random.default_rng(0)
    labels = np.r_[np.arange(n_classes), rng.integers(n_classes, size=20)]
    probabilities = rng.dirichlet(np.ones(n_classes), size=len(labels))
    found, predicted = measures.measure(labels, probabilities), probabilities.argmax(axis=1)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["log_loss"] == pytest.approx(sklearn_log_loss(labels, probabilities))
    assert found["largest_class"] == np.bincount(labels).max() / len(labels)
    if n_classes == 2:
        assert found["auroc"] == pytest.approx(roc_auc_score(labels, probabilities[:, 1]))
        assert found["f1"] == f1_score(labels, predicted, pos_label=np.bincount(labels).argmin())
    else:
        area = roc_auc_score(labels, probabilities, multi_class="ovr", average="weighted")
        assert found["auroc"] == pytest.approx(area)
        assert found["f1"] == pytest.approx(f1_score(labels, predicted, average="weighted"))
    certain = np.eye(n_classes)[predicted]  # and sometimes wrong
    assert measures.measure(labels, certain)["tsml_log_loss"] == pytest.approx(sklearn_log_loss(labels, certain))


def test_one_class_has_no_area():
    found = measures.measure(np.zeros(5, int), np.ones((5, 1)))
    assert found["accuracy"] == found["balanced_accuracy"] == 1 and np.isnan(found["auroc"])
