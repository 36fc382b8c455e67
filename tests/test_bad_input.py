"""Bad input gets an error that says what was given, what is needed and what to do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from v2s_sklearn import V2SClassifier


def test_bad_series(gunpoint):
    X, y = gunpoint[:2]
    clf = V2SClassifier("tiny")
    broken = X.copy()
    broken[3, 0, 7] = np.inf
    for form in (broken, list(broken), broken[:, 0]):
        with pytest.raises(ValueError, match="Series 3 of X contains infinity. Find out where it comes from"):
            clf.fit(form, y)
    with pytest.raises(ValueError, match=r"Series 1 of X has shape \(1, 0\)"):
        clf.fit([np.zeros((1, 5)), np.zeros((1, 0))], [0, 1])
    with pytest.raises(ValueError, match="must have 2 or 3 dimensions, got 4"):
        clf.fit(X[None], y)
    with pytest.raises(ValueError, match="NoneType.*n_cases, n_channels, n_timepoints"):
        clf.fit(None, y)
    for one in (X[0, 0], X[0, 0].tolist(), pd.Series(X[0, 0]), torch.tensor(X[0, 0])):
        with pytest.raises(
            ValueError, match=r"X has shape \(150,\), that of one series.*given as x\[None\] or \[x\]"
        ) as error:
            clf.fit(one, y)
        assert len(str(error.value)) < 400  # the values are not printed
    for nothing in ([], (), np.zeros(0)):
        with pytest.raises(ValueError, match="X is empty: it holds no series"):
            clf.fit(nothing, [])
    with pytest.raises(ValueError, match="50.*49|49.*50"):
        clf.fit(X, y[1:])
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        clf.fit(X, None)
    with pytest.raises(ValueError, match="Unknown label type"):
        clf.fit(X, np.random.default_rng(0).normal(size=50))
    with pytest.raises(NotFittedError):
        clf.predict(X)
    clf.fit(X, y)
    with pytest.raises(ValueError, match="3 channels, but V2SClassifier was fitted with 1"):
        clf.predict([np.zeros((3, 10))])
    with pytest.raises(ValueError, match="expecting 150 features.*as a 3D array or a list"):
        clf.predict(X[:, 0, :100])
    with pytest.raises(ValueError, match="expecting 150 features"):
        V2SClassifier("tiny").fit(X[:, 0], y).predict(X[:, 0, :100])
    assert clf.predict(X[:, :, :100]).shape == (50,)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"reprogramming": "padding"}, "'reprogramming' parameter.*'pad'.*Got 'padding'"),
        ({"mapping": "many"}, "'mapping' parameter.*'random'.*Got 'many'"),
        ({"n_replicates": 0}, "'n_replicates' parameter.*Got 0"),
        ({"dropout": 1.0}, "'dropout' parameter.*Got 1.0"),
        ({"learning_rate": -1}, "'learning_rate' parameter.*Got -1"),
        ({"batch_size": 2.5}, "'batch_size' parameter.*Got 2.5"),
        ({"max_epochs": -1}, "'max_epochs' parameter.*Got -1"),
        ({"validation_fraction": 0}, "'validation_fraction' parameter.*Got 0"),
        ({"voices": ["high"]}, "voices.*Voice.*'high'"),
        ({"voices": []}, "voices.*at least one"),
        ({"acoustic_model": "v2sb"}, "no acoustic model 'v2sb'. Did you mean 'v2s"),
        ({"acoustic_model": 3}, "'acoustic_model' parameter.*Got 3"),
        ({"device": "gpu"}, "device='gpu' cannot be used here"),
        ({"class_weight": {"3": 1.0}}, r"weights for \['3'\], which are not among the classes \['1', '2'\]"),
        ({"early_stopping": True, "max_epochs": 1, "validation_fraction": 0.001}, "validation_fraction"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_parameters(parameters, message, gunpoint):
    X, y = gunpoint[:2]
    with pytest.raises(ValueError, match=message):
        V2SClassifier(**({"acoustic_model": "tiny"} | parameters)).fit(X, y)


def test_more_classes_than_source_labels(gunpoint):
    X = gunpoint[0][:26]
    with pytest.raises(ValueError, match="12 source and 13 target classes. Use mapping='ridge'"):
        V2SClassifier.icml2021(acoustic_model="tiny").fit(X, np.arange(26) // 2)


@pytest.mark.parametrize(
    ("parameters", "labels", "message"),
    [
        ({"mapping": "frequency"}, np.arange(26) // 2, "12 source and 13 target classes"),
        ({"mapping": "random"}, np.arange(26) // 2, "12 source and 13 target classes"),
        ({"callbacks": [3]}, np.arange(26) % 2, "callbacks must be a list"),
        (
            {"early_stopping": True, "max_epochs": 1, "validation_fraction": 0.01},
            np.arange(26) % 2,
            "validation_fraction",
        ),
    ],
    ids=str,
)
def test_what_can_be_checked_is_checked_before_anything_is_embedded(parameters, labels, message, gunpoint, monkeypatch):
    def embedded(*args, **kwargs):
        raise AssertionError("series were scaled or embedded")

    monkeypatch.setattr("v2s_sklearn.classifier.reprogram", embedded)
    with pytest.raises(ValueError, match=message):
        V2SClassifier(**({"acoustic_model": "tiny"} | parameters)).fit(gunpoint[0][:26], labels)


def test_bad_weights(gunpoint):
    X, y = gunpoint[:2]
    with pytest.raises(ValueError, match="sample_weight"):
        V2SClassifier("tiny").fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match="Negative"):
        V2SClassifier("tiny").fit(X, y, sample_weight=-np.ones(len(y)))


def test_the_import_is_lazy_about_optional_packages():
    script = "import sys, v2s_sklearn; print([m for m in ('soundfile', 'PIL', 'matplotlib') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.home())
    assert shown.stdout.strip() == "[]"


def test_one_class_is_checked_and_answered_as_others_are(gunpoint):
    X, y = gunpoint[0][:6], np.array(["only"] * 6)
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    assert set(clf.predict(X)) == {"only"}
    np.testing.assert_array_equal(clf.predict_proba(X), np.ones((6, 1)))
    with pytest.raises(ValueError, match="Series 0 of X contains infinity"):
        clf.predict(np.full_like(X, np.inf))
    assert set(V2SClassifier("tiny", random_state=0).fit_predict(X, y)) == {"only"}
