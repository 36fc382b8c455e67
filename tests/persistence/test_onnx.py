"""ONNX graphs of fitted estimators: the answers of onnxruntime are those of the estimator, on real data."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from aeon.datasets import load_basic_motions, load_gunpoint, load_japanese_vowels
from sklearn.exceptions import NotFittedError

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, to_onnx
from v2s_sklearn.errors import ExportError, MissingDependencyError
from v2s_sklearn.persistence.onnx import TOLERANCE

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


def run(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})[0]


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
        patch.setattr("v2s_sklearn.persistence.onnx._Exportable.REPLACED", {})
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
