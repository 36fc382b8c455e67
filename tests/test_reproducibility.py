"""The same bits, nothing global touched, small pickles without weights."""

import hashlib
import operator
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import MODES, TINY_CONFIG, make_tiny_model
from joblib import Parallel
from sklearn.datasets import make_classification
from threadpoolctl import threadpool_limits

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures
from v2s_sklearn.acoustic.storage import save_weights
from v2s_sklearn.mapping import stacking
from v2s_sklearn.network.inference import compute_embeddings
from v2s_sklearn.runtime import parallel


def test_the_same_seed_gives_the_same_bits(tiny, gunpoint):
    X, y, X_test, _ = gunpoint
    first = tiny.fit(X, y).predict_proba(X_test)
    torch.rand(3)
    np.testing.assert_array_equal(tiny.fit(X, y).predict_proba(X_test), first)


@pytest.mark.parametrize("exact_cases", [1500, 20], ids=["few", "many"])
@pytest.mark.parametrize("n_jobs", [2, -1])
def test_n_jobs_changes_no_bit(tiny, gunpoint, n_jobs, exact_cases, monkeypatch):
    monkeypatch.setattr(stacking, "EXACT_CASES", exact_cases)
    X, y, X_test, _ = gunpoint
    first = tiny.fit(X, y).predict_proba(X_test)
    tiny.set_params(n_jobs=n_jobs)
    np.testing.assert_array_equal(tiny.fit(X, y).predict_proba(X_test), first)


def features_of(clf, X):
    """Return what the views of a fitted classifier make of series."""
    return compute_embeddings(clf.net_.module_, clf.scaler_.transform(X), torch.device("cpu"))


# More series than "playback" is fitted to.
@pytest.mark.parametrize("source", ["tiny", "tiny-wave", "v2sc"])
def test_other_labels_give_the_same_features(source, italy):
    X, y, X_test, _ = italy
    clf = V2SClassifier(source, random_state=0)
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    clf.fit(X, y, sample_weight=weight)
    expected, scale = features_of(clf, X_test), clf.series_scale_
    for labels, class_weight in (
        (np.random.default_rng(1).permutation(y), "balanced"),
        (np.array(["a", "b", "c"])[np.arange(len(y)) % 3], {"a": 0.0, "b": 7.0}),
    ):
        clf.set_params(class_weight=class_weight).fit(X, labels, sample_weight=weight)
        np.testing.assert_array_equal(features_of(clf, X_test), expected)
        np.testing.assert_array_equal(clf.series_scale_, scale)


@pytest.mark.parametrize("mode", ["default", "trained", "paper"])
def test_the_number_of_threads_changes_no_bit(mode):
    X, y = make_classification(400, 30, n_informative=10, random_state=0)
    clf = V2SClassifier("tiny", **(MODES[mode] | {"random_state": 0}))
    probabilities = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            assert torch.get_num_threads() == n_threads
            probabilities.append(clf.fit(X, y).predict_proba(X[:50]))
            assert torch.get_num_threads() == n_threads
    np.testing.assert_array_equal(*probabilities)


class Recorder(Parallel):
    """joblib's, that notes for how many workers it was asked."""

    asked: list = []

    def __init__(self, n_jobs=None, **kwargs):
        self.asked.append(n_jobs)
        super().__init__(n_jobs=n_jobs, **kwargs)


@pytest.mark.parametrize(
    "estimator", [V2SClassifier("tiny"), V2SFeatures("tiny"), TransferClassifier("tiny", max_epochs=1)]
)
def test_n_jobs_is_read_when_it_is_used(estimator, monkeypatch):
    monkeypatch.setattr(parallel, "Parallel", Recorder)
    X, y = make_classification(1000, 30, n_informative=10, random_state=0)
    estimator.fit(X[:50], y[:50])
    answer = getattr(estimator, "predict_proba", None) or estimator.transform
    expected = answer(X)
    Recorder.asked.clear()
    np.testing.assert_array_equal(answer(X), expected)
    assert not Recorder.asked  # one worker is this thread
    estimator.set_params(n_jobs=3)
    np.testing.assert_array_equal(answer(X), expected)
    assert set(Recorder.asked) == {3}


def test_verbose_is_read_when_it_is_used(tiny, gunpoint, capsys):
    X, y, X_test, _ = gunpoint
    tiny.fit(X, y).predict(X_test)
    assert capsys.readouterr().err == ""
    tiny.set_params(verbose=1).predict(X_test)
    assert "predict: 100%" in capsys.readouterr().err


def test_other_seeds_give_other_bits(gunpoint):
    X, y = gunpoint[:2]
    theta = [
        V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=1, random_state=s).fit(X, y).theta_ for s in (0, 1)
    ]
    assert (theta[0] != theta[1]).any()


@pytest.mark.parametrize("mode", ["default", "paper"])
def test_a_case_has_the_same_bits_alone_and_among_others(mode, gunpoint):
    X, y, X_test, _ = gunpoint
    clf = V2SClassifier(**(MODES[mode] | {"random_state": 0})).fit(X[::5], y[::5])
    together = clf.predict_proba(X_test)
    order = np.random.default_rng(0).permutation(len(X_test))
    np.testing.assert_array_equal(clf.predict_proba(X_test[order]), together[order])
    np.testing.assert_array_equal(clf.predict_proba(X_test[3:4]), together[3:4])
    np.testing.assert_array_equal(clf.predict_proba(X_test[:20]), together[:20])


def test_nothing_global_is_touched(tiny, gunpoint, tmp_path, monkeypatch):
    X, y = gunpoint[:2]
    monkeypatch.chdir(tmp_path)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    tiny.fit(X, y).predict_proba(X)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)
    assert torch.is_grad_enabled()
    assert os.listdir(tmp_path) == []


# Pickles


def test_a_pickle_works_in_a_new_process_and_holds_no_weights(gunpoint, tmp_path):
    X, y, X_test, _ = gunpoint
    path = tmp_path / "tiny.safetensors"
    save_weights(make_tiny_model(), path, "attention_rnn", TINY_CONFIG)
    for name, clf in (
        ("default", V2SClassifier(max_epochs=1, random_state=0)),
        ("paper", V2SClassifier.icml2021(max_epochs=1, random_state=0)),
        ("file", V2SClassifier(path, random_state=0)),
    ):
        clf.fit(X[::5], y[::5])
        pickled = pickle.dumps(clf)
        sources = clf.acoustic_model_ if isinstance(clf.acoustic_model_, tuple) else (clf.acoustic_model_,)
        for weights in (values for source in sources for values in source.state_dict().values()):
            if weights.unique().numel() > 8:  # zeros are everywhere
                assert weights.numpy().tobytes() not in pickled
        if name == "paper":
            assert len(pickled) < 200_000
        (tmp_path / name).write_bytes(pickled)
        np.save(tmp_path / f"{name}.npy", clf.predict_proba(X_test[:20]))
    np.save(tmp_path / "X.npy", X_test[:20])
    script = (
        "import pickle, numpy as np\n"
        "for name in ('default', 'paper', 'file'):\n"
        "    clf = pickle.load(open(name, 'rb'))\n"
        "    assert (clf.predict_proba(np.load('X.npy')) == np.load(name + '.npy')).all(), name\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_estimators_share_the_acoustic_model(gunpoint):
    X, y = gunpoint[0][::5], gunpoint[1][::5]
    first, second = V2SClassifier().fit(X, y), V2SClassifier.icml2021(max_epochs=0).fit(X, y)
    assert first.acoustic_model_[0] is second.acoustic_model_
    assert all(map(operator.is_, first.acoustic_model_, pickle.loads(pickle.dumps(first)).acoustic_model_))


def test_an_instance_as_acoustic_model(gunpoint):
    X, y = gunpoint[:2]
    model = make_tiny_model()
    digest = hashlib.sha256(model.output.weight.detach().numpy().tobytes()).hexdigest()
    clf = V2SClassifier(model, random_state=0).fit(X, y)
    assert clf.acoustic_model_ is model
    assert hashlib.sha256(model.output.weight.detach().numpy().tobytes()).hexdigest() == digest
    np.testing.assert_array_equal(
        clf.predict_proba(X), V2SClassifier("tiny", random_state=0).fit(X, y).predict_proba(X)
    )


# Everything that may stand in a file or a pickle: trained and not, with validation, with a trained copy of a source.
KINDS = {
    "mapping": "V2SClassifier('tiny', random_state=0)",
    "trained": "V2SClassifier('tiny', random_state=0, max_epochs=2, early_stopping=True, validation_fraction=0.4)",
    "paper": "V2SClassifier('tiny', reprogramming='pad', mapping='random', max_epochs=1, random_state=0)",
    "transfer": "TransferClassifier('tiny', max_epochs=2, random_state=0)",
    "features": "V2SFeatures('tiny')",
}
FIT = """
import pickle, sys
sys.path.insert(0, {tests!r})
import conftest  # registers the small model
import numpy as np
from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures
estimator = {estimator}
X = np.random.default_rng(0).normal(size=(10, 1, 12))
estimator.fit(*((X,) if isinstance(estimator, V2SFeatures) else (X, [0, 1] * 5)))
estimator.save({path!r})
with open({path!r} + ".pickle", "wb") as file:
    pickle.dump(estimator, file)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_fit_is_the_same_file_and_the_same_pickle(kind, tmp_path):
    """In other processes, whose sets have another order, at other times of day, and however long it takes."""
    contents = set()
    for seed in "01":
        path = tmp_path / seed
        code = FIT.format(tests=os.path.dirname(__file__), estimator=KINDS[kind], path=str(path))
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        contents.add((path.read_bytes(), path.with_suffix(".pickle").read_bytes()))
    assert len(contents) == 1


def test_times_stay_with_the_object_that_was_fitted(monkeypatch):
    X, y = np.random.default_rng(0).normal(size=(10, 1, 12)), [0, 1] * 5
    clf = V2SClassifier("tiny", reprogramming="pad", mapping="random", max_epochs=2, random_state=0).fit(X, y)
    assert len(clf.net_.history[:, "dur"]) == 2
    copied = pickle.loads(pickle.dumps(clf))
    assert not hasattr(copied, "fit_time_millis_") and all("dur" not in epoch for epoch in copied.net_.history)
    assert copied.net_.history[:, "train_loss"] == clf.net_.history[:, "train_loss"]
    np.testing.assert_array_equal(copied.predict_proba(X), clf.predict_proba(X))
    assert len(copied.fit(X, y).net_.history[:, "dur"]) == 2
