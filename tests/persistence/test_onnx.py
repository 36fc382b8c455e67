"""ONNX graphs of fitted estimators: the answers of onnxruntime are those of the estimator, on real data."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from aeon.datasets import load_basic_motions, load_gunpoint, load_italy_power_demand, load_japanese_vowels
from sklearn.exceptions import NotFittedError

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, to_onnx
from v2s_sklearn.errors import ExportError, InvalidParameterError, InvalidSeriesError, MissingDependencyError
from v2s_sklearn.persistence import onnx as persistence
from v2s_sklearn.persistence.onnx import NO_LABEL, TOLERANCE

PAPER = {"reprogramming": "pad", "mapping": "random", "n_replicates": 3, "standardize": False, "random_state": 0}
CASES = {
    "modulation": (V2SClassifier("v2sa", random_state=0), load_gunpoint),
    "playback": (V2SClassifier("wav2vec", random_state=0), load_gunpoint),
    "contour": (V2SClassifier("v2sc", random_state=0), load_gunpoint),
    "paper": (V2SClassifier("v2st", **PAPER), load_gunpoint),
    "paper, multivariate": (V2SClassifier("v2sa", **PAPER | {"mapping": "frequency"}), load_basic_motions),
    "transfer": (TransferClassifier("tiny", max_epochs=1, random_state=0), load_gunpoint),
    "features": (V2SFeatures("wav2vec"), load_gunpoint),
}

# What is said of voices in the docstring of to_onnx.
TOLERANCES = {"modulation": 2e-3, "features": 2 / 150}


def run_all(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})


def run(path, X):
    return run_all(path, X)[-1]


@pytest.mark.parametrize("name", CASES)
def test_a_graph_answers_as_its_estimator(name, tmp_path):
    estimator, load = CASES[name]
    X, y = load(split="train")
    X_test = load(split="test")[0][::10]
    estimator.fit(X[::2], y[::2])
    expected = estimator.transform(X_test) if isinstance(estimator, V2SFeatures) else estimator.predict_proba(X_test)
    tolerance = TOLERANCES.get(name, TOLERANCE)
    to_onnx(estimator, tmp_path / "graph.onnx", tolerance=tolerance)
    found = run(tmp_path / "graph.onnx", X_test)
    np.testing.assert_allclose(found, expected, atol=tolerance * max(1.0, np.abs(expected).max()))
    np.testing.assert_array_equal(found[2:3], run(tmp_path / "graph.onnx", X_test[2:3]))
    # What the estimator refuses has no answer, and the cases beside it have theirs.
    for value in (np.nan, np.inf, -np.inf):
        broken = X_test[:3].copy()
        broken[1, -1, -1] = value
        answers = run(tmp_path / "graph.onnx", broken)
        assert np.isnan(answers[1]).all()
        np.testing.assert_array_equal(answers[[0, 2]], found[[0, 2]])


FEW = {"random_state": 0}
REAL = {"gunpoint": load_gunpoint, "italy": load_italy_power_demand, "several channels": load_basic_motions}


@pytest.mark.parametrize("data", REAL)
def test_filters_count_the_same_moments_as_the_graph(data, tmp_path):
    """Levels of shares of time are values of training cases, so that those lie at a level, and one bit decides."""
    X, y = REAL[data](split="train")
    clf = V2SClassifier.fast(**FEW).fit(X, y)
    to_onnx(clf, tmp_path / "graph.onnx", X)
    np.testing.assert_allclose(run(tmp_path / "graph.onnx", X), clf.predict_proba(X), atol=TOLERANCE)


def shaped(X):
    """Return flat series, steps, single points and ramps at many levels, of the shape of X."""
    shape, points = X.shape[1:], np.arange(X.shape[2])
    levels = np.concatenate([np.linspace(0.1, 1.2, 12), np.linspace(X.min(), X.max(), 12), [0.0, -5.0, 30.0]])
    patterns = [np.ones(len(points)), points > 20, points == 7, points / len(points), np.sin(points)]
    return np.concatenate([levels[:, None, None] * (pattern * np.ones(shape)) for pattern in patterns])


@pytest.mark.parametrize("name", ["playback", "paper", "transfer"])
def test_flat_series_steps_and_points_have_the_answers_of_the_estimator(name, tmp_path):
    estimator, load = CASES[name]
    X, y = load(split="train")
    estimator.fit(X[::2], y[::2])
    to_onnx(estimator, tmp_path / "graph.onnx")
    X = shaped(X)
    expected, found = estimator.predict_proba(X), run(tmp_path / "graph.onnx", X)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    certain = np.ptp(expected, axis=1) > 2 * TOLERANCE
    np.testing.assert_array_equal(found.argmax(1)[certain], expected.argmax(1)[certain])


@pytest.mark.parametrize("data", ["gunpoint", "several channels"])
@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-5], ids=["flat", "rounding", "noise"])
def test_what_stands_still_does_so_in_the_graph(data, noise, tmp_path):
    X, y = REAL[data](split="train")
    clf = V2SClassifier.fast(**FEW).fit(X, y)
    to_onnx(clf, tmp_path / "graph.onnx")
    rng = np.random.default_rng(0)
    levels = np.concatenate([np.linspace(0.1, 1.0, 10), rng.normal(size=40)])[:, None, None]
    X = levels * (1 + noise * rng.normal(size=(50, *X.shape[1:])))
    for cases in (X, X.astype(np.float32)):
        expected, found = clf.predict_proba(cases), run(tmp_path / "graph.onnx", cases.astype(np.float64))
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("standardize", [True, False])
def test_values_that_are_far_out(standardize, tmp_path, gunpoint):
    X, y = gunpoint[:2]
    parameters = PAPER | {"standardize": standardize}
    clf = V2SClassifier("tiny", **parameters).fit(X, y)
    to_onnx(clf, tmp_path / "graph.onnx")
    for size in (1e8, 1e12, 1e300):
        far = size * X[:2]
        if standardize or size < 1e9:
            np.testing.assert_allclose(run(tmp_path / "graph.onnx", far), clf.predict_proba(far), atol=TOLERANCE)
        else:
            with pytest.raises(ValueError, match="can be heard"):
                clf.predict_proba(far)
            assert np.isnan(run(tmp_path / "graph.onnx", far)).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_type_of_the_input(dtype, tmp_path, gunpoint):
    X, y = gunpoint[:2]
    clf = V2SClassifier.fast(**FEW).fit(X, y)
    to_onnx(clf, tmp_path / "graph.onnx", dtype=dtype)
    given = gunpoint[2][::10].astype(dtype)
    np.testing.assert_allclose(run(tmp_path / "graph.onnx", given), clf.predict_proba(given), atol=TOLERANCE)
    other = "float32" if dtype == "float64" else "float64"
    with pytest.raises(Exception, match="INVALID_ARGUMENT|Unexpected input data type"):
        run(tmp_path / "graph.onnx", given.astype(other))
    with pytest.raises(
        InvalidParameterError, match="dtype='float16': the input of a graph can be 'float64' or 'float32'"
    ):
        to_onnx(clf, tmp_path / "graph.onnx", dtype="float16")


LABELS = {
    "texts": (np.array(["no", "yes é", "other"]), ""),
    "objects": (np.array(["no", "yes é", "other"], dtype=object), ""),
    "integers": (np.array([-3, 7, 2**40]), NO_LABEL),
    "booleans": (np.array([False, True]), NO_LABEL),
    "one class": (np.array(["all"]), ""),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind, tmp_path):
    classes, none = LABELS[kind]
    X = np.random.default_rng(0).normal(size=(12, 1, 10))
    clf = V2SClassifier("tiny", **PAPER | {"n_replicates": 1}).fit(X, classes[np.arange(12) % len(classes)])
    to_onnx(clf, tmp_path / "graph.onnx", label=True)
    names = [output.name for output in onnxruntime.InferenceSession(tmp_path / "graph.onnx").get_outputs()]
    assert names == ["label", "probabilities"]
    X[5, 0, 3] = np.nan
    labels, probabilities = run_all(tmp_path / "graph.onnx", X)
    assert labels.dtype == (object if none == "" else np.int64)
    valid = np.arange(12) != 5
    np.testing.assert_array_equal(labels[valid], clf.predict(X[valid]))
    np.testing.assert_allclose(probabilities[valid], clf.predict_proba(X[valid]), atol=TOLERANCE)
    assert labels[5] == none and np.isnan(probabilities[5]).all()


def test_labels_that_no_graph_gives(tmp_path):
    X = np.random.default_rng(0).normal(size=(6, 1, 10))
    clf = V2SClassifier("tiny", **PAPER | {"n_replicates": 1}).fit(X, np.array([1.0, 2.0] * 3))
    with pytest.raises(ExportError, match="The labels are of dtype float64; an ONNX graph gives texts or integers"):
        to_onnx(clf, tmp_path / "graph.onnx", label=True)
    to_onnx(clf, tmp_path / "graph.onnx")
    with pytest.raises(InvalidParameterError, match="V2SFeatures gives features, no label"):
        to_onnx(V2SFeatures("tiny").fit(X), tmp_path / "other.onnx", label=True)


def test_a_graph_that_differs_anywhere_is_not_written(tmp_path, italy, monkeypatch):
    """On each kind of series that it is checked on."""
    X, y = italy[:2]
    clf = V2SClassifier("tiny", **PAPER | {"n_replicates": 1}).fit(X, y)
    cases = persistence._checked_cases(clf, (1, 24), X)
    assert list(cases) == ["a random walk", "a flat series", "a step", "a series of X"]
    assert np.ptp(cases["a flat series"], axis=2).max() == 0 and len(cases["a series of X"]) == len(X)
    assert all(len(np.unique(case)) == 2 for case in cases["a step"] if case.any())
    compare = persistence._compare
    for kind in cases:

        def find(estimator, found_kind, found, expected, tolerance, kind=kind):
            compare(estimator, found_kind, found + 2e-4 * (found_kind == kind), expected, tolerance)

        monkeypatch.setattr(persistence, "_compare", find)
        with pytest.raises(ExportError, match=f"differs from it by 0.0002 on {kind}, more than tolerance=0.0001"):
            to_onnx(clf, tmp_path / "graph.onnx", X)
    assert not (tmp_path / "graph.onnx").exists()


def test_series_to_check_on_of_another_shape(tmp_path, italy):
    clf = V2SClassifier("tiny", **PAPER | {"n_replicates": 1}).fit(*italy[:2])
    with pytest.raises(InvalidSeriesError, match=r"X has series of \(1, 20\) channels .* for those of fit, \(1, 24\)"):
        to_onnx(clf, tmp_path / "graph.onnx", italy[0][:, :, :20])
    to_onnx(clf, tmp_path / "graph.onnx", list(italy[0][:3]))


def test_where_it_cannot_be_written_is_known_before_it_is_traced(tmp_path, italy, monkeypatch):
    clf = V2SClassifier("tiny", **PAPER | {"n_replicates": 1}).fit(*italy[:2])
    monkeypatch.setattr(persistence, "_trace", None)
    with pytest.raises(FileNotFoundError, match="There is no folder .*missing"):
        to_onnx(clf, tmp_path / "missing" / "graph.onnx")
    with pytest.raises(IsADirectoryError, match="This is a folder"):
        to_onnx(clf, tmp_path)


def test_the_graph_says_what_it_is(tmp_path, italy):
    clf = V2SClassifier("tiny", **PAPER | {"n_replicates": 1}).fit(*italy[:2])
    to_onnx(clf, tmp_path / "graph.onnx")
    model = onnx.load(tmp_path / "graph.onnx")
    onnx.checker.check_model(model)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == clf.classes_.tolist()
    assert metadata["v2s_sklearn"].startswith("V2SClassifier(acoustic_model='tiny', reprogramming='pad'")


def test_what_no_graph_can_hold_is_explained(tmp_path, italy, monkeypatch):
    path = tmp_path / "graph.onnx"
    with pytest.raises(NotFittedError, match="call fit before to_onnx"):
        to_onnx(V2SClassifier(), path)
    X, y = load_japanese_vowels(split="train")
    clf = V2SClassifier("tiny", random_state=0).fit(X[::9], y[::9])
    with pytest.raises(ExportError, match="fitted to series of unequal length.* deploy it by its save"):
        to_onnx(clf, path)
    clf = V2SClassifier("tiny", **PAPER | {"n_replicates": 1}).fit(*italy[:2])
    before = clf.predict_proba(italy[2])
    with monkeypatch.context() as patch:
        patch.setattr("v2s_sklearn.persistence.operators.Exportable.REPLACED", {})
        with pytest.raises(
            ExportError, match=r"acoustic_model='tiny', reprogramming='pad', mapping='random'\) cannot be"
        ):
            to_onnx(clf, path)
    with pytest.raises(ExportError, match="mapping='random'.* differs from it by .* was not written"):
        to_onnx(clf, path, tolerance=-1.0)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(MissingDependencyError, match=r"pip install 'v2s-sklearn\[onnx\]'"):
            to_onnx(clf, path)
    assert not path.exists()
    np.testing.assert_array_equal(clf.predict_proba(italy[2]), before)
