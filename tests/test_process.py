"""Whatever surrounds a call in its process: the same bits, and everything as it was before."""

import multiprocessing
import os
import pickle
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import sklearn
import torch
from conftest import MODES
from joblib import Parallel, delayed
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback
from threadpoolctl import ThreadpoolController

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, list_acoustic_models
from v2s_sklearn.acoustic import registry

ESTIMATORS = {
    "default": V2SClassifier(("tiny", "tiny-wave", "v2sc"), random_state=0),
    "trained": V2SClassifier("tiny", **MODES["trained"], random_state=0),
    "paper": V2SClassifier("tiny", **MODES["paper"], random_state=0),
    "transfer": TransferClassifier("tiny", max_epochs=1, random_state=0),
}


def data():
    X = np.random.default_rng(0).normal(size=(8, 1, 10)).cumsum(axis=2)
    return X, np.arange(8) % 2


def answer(mode):
    X, y = data()
    return ESTIMATORS[mode].__sklearn_clone__().fit(X, y).predict_proba(X)


def answer_and_state(mode):
    """Return an answer, and whether a second one is the same and leaves the settings of the process as they were."""
    first, before = answer(mode), state()
    return first, np.array_equal(answer(mode), first) and state() == before


@pytest.fixture(scope="module")
def expected():
    return {mode: answer(mode) for mode in ESTIMATORS}


def state():
    """Return all settings of the process that we could have changed."""
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.enabled,
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),
        tuple(np.geterr().items()),
        tuple(pool["num_threads"] for pool in ThreadpoolController().info() if pool["user_api"] == "blas"),
        dict(os.environ),
        os.getcwd(),
        threading.active_count(),
        warnings.filters[:],
    )


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SURROUNDINGS = {
    "double precision": lambda: default_dtype(torch.float64),
    "half precision": lambda: default_dtype(torch.bfloat16),
    "meta device": lambda: default_device("meta"),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": deterministic,
    "numpy's errors": lambda: np.errstate(all="raise", under="ignore"),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("mode", ["default", "paper"])
def test_the_first_use_inside_other_settings_changes_nothing(mode, surroundings, expected, monkeypatch):
    monkeypatch.setattr(registry, "_LOADED", {})  # models are loaded inside
    X, y = data()
    with SURROUNDINGS[surroundings]():
        clf = ESTIMATORS[mode].__sklearn_clone__().fit(X, y)
        inside = clf.predict_proba(X)
        before = state()
        np.testing.assert_array_equal(clf.predict_proba(X), inside)
        assert state() == before
    np.testing.assert_array_equal(inside, expected[mode])
    np.testing.assert_array_equal(answer(mode), expected[mode])  # with the models that were loaded inside


@pytest.mark.parametrize("surroundings", ["double precision", "half precision", "meta device", "inference mode"])
def test_models_loaded_inside_other_settings_are_the_same(surroundings, monkeypatch):
    names = [name for name in list_acoustic_models() if name in registry._packaged_models()]
    plain = {name: registry.load_acoustic_model(name) for name in names}
    monkeypatch.setattr(registry, "_LOADED", {})
    for name in names:
        with SURROUNDINGS[surroundings]():
            model = registry.load_acoustic_model(name)
        for (key, found), (_, tensor) in zip(model.named_buffers(), plain[name].named_buffers(), strict=True):
            assert found.dtype == tensor.dtype and torch.equal(found, tensor), (name, key)
        for found, tensor in zip(model.parameters(), plain[name].parameters(), strict=True):
            assert found.dtype == tensor.dtype and torch.equal(found, tensor) and not found.is_inference(), name


def test_eight_threads_have_the_bits_of_one(expected):
    modes, found = list(ESTIMATORS) * 2, {}
    barrier = threading.Barrier(8)
    before = state()

    def work(number):
        for index in range(number, len(modes), 8):
            barrier.wait()
            found[index] = answer(modes[index])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(modes)
    for index, mode in enumerate(modes):
        np.testing.assert_array_equal(found[index], expected[mode])
    assert state() == before


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_have_the_bits_of_their_parent(method, expected):
    answer("paper")
    with multiprocessing.get_context(method).Pool(1) as pool:
        results = pool.map_async(answer_and_state, list(ESTIMATORS)).get(timeout=300)
    check_workers(results, expected)


def check_workers(results, expected):
    for mode, (result, unchanged) in zip(ESTIMATORS, results, strict=True):
        np.testing.assert_array_equal(result, expected[mode])
        assert unchanged, mode


def test_workers_of_loky_have_the_same_bits(expected):
    check_workers(Parallel(n_jobs=2, backend="loky")(map(delayed(answer_and_state), ESTIMATORS)), expected)


def test_a_child_of_a_busy_parent_is_not_locked_out():
    """The child gets the locks as they are, but not the threads that would open them."""
    taken, done = threading.Event(), threading.Event()

    def hold():
        from v2s_sklearn.runtime.settings import own_settings
        from v2s_sklearn.runtime.threads import one_thread

        with own_settings(), registry._LOCK, one_thread._lock:
            taken.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply_async(answer, ["transfer"]).get(timeout=60).shape == (8, 2)
    finally:
        done.set()
        thread.join()


# Interrupts


class Interrupt(Callback):
    """Presses Ctrl-C in an epoch."""

    def __init__(self, epoch=1):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("mode", ["trained", "paper", "transfer"])
def test_an_interrupt_ends_fit_and_leaves_what_was_fitted_before(mode, expected):
    X, y = data()
    clf = ESTIMATORS[mode].__sklearn_clone__().set_params(callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    for unfitted in (check_is_fitted, lambda clf: clf.predict(X)):
        with pytest.raises(NotFittedError):
            unfitted(clf)
    clf.set_params(callbacks=None).fit(X, y)
    state = clf.__dict__.copy()
    clf.set_params(callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X[::-1], y)
    assert clf.__dict__ == state | {"callbacks": clf.callbacks}
    np.testing.assert_array_equal(clf.predict_proba(X), expected[mode])


def test_an_interrupt_ends_searches():
    X, y = data()
    clf = V2SClassifier("tiny", max_epochs=3, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(clf, {"n_replicates": [1, 2]}, cv=2).fit(X, y)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(clf, X, y, cv=2)


def test_a_refit_that_fails_leaves_what_was_fitted_before():
    X, y = data()
    for estimator in (
        V2SFeatures("tiny"),
        V2SClassifier("tiny", random_state=0),
        TransferClassifier("tiny", max_epochs=1),
    ):
        answer = "transform" if isinstance(estimator, V2SFeatures) else "predict_proba"
        with pytest.raises(ValueError):
            estimator.fit(np.full((3, 4), np.inf), y[:3])
        with pytest.raises(NotFittedError):
            getattr(estimator, answer)(X)
        before = getattr(estimator.fit(X, y), answer)(X)
        # What a fit is given is wrong, or what it is to do; other parameters are for the next fit.
        for parameters, series in (
            ({}, np.full((3, 4), np.inf)),
            ({"acoustic_model": "none"}, X),
            ({"standardize": False}, 1e12 * X),
        ):
            estimator.set_params(**parameters)
            with pytest.raises(ValueError):
                estimator.fit(series, y[: len(series)])
            np.testing.assert_array_equal(getattr(estimator, answer)(X), before)
            np.testing.assert_array_equal(getattr(pickle.loads(pickle.dumps(estimator)), answer)(X), before)


class Counting(V2SClassifier):
    """A subclass with attributes of its own."""

    def _fit(self, X, y, sample_weight=None):
        super()._fit(X, y, sample_weight)
        self.n_cases_ = len(X)


def test_subclasses_keep_what_they_fit():
    X, y = data()
    with sklearn.config_context(enable_metadata_routing=True):
        clf = Counting("tiny", random_state=0).set_fit_request(sample_weight=True)
    assert clf.fit(X, y) is clf
    assert clf.n_cases_ == len(X) and clf.get_metadata_routing().fit.requests["sample_weight"]
    with pytest.raises(ValueError):
        clf.fit(X, y[1:])
    assert clf.n_cases_ == len(X)
    assert clf.fit(X[:6], y[:6]).n_cases_ == 6


def test_predictions_in_other_threads_meet_one_model_or_the_other():
    X, y = data()
    other = X[:, :, :7]
    clf = V2SClassifier("tiny", random_state=0).fit(X, y)
    answers = [V2SClassifier("tiny", random_state=0).fit(part, y).predict_proba(X) for part in (X, other)]
    found, errors, stop = [], [], threading.Event()

    def predict():
        while not stop.is_set():
            try:
                found.append(clf.predict_proba(X))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for part in (other, X) * 4:
        clf.fit(part, y)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert found and all(any((one == answer).all() for answer in answers) for one in found)


# Numbers that ask for much


def test_threads_are_started_for_work_only(monkeypatch):
    X, y = data()
    most = []
    original = threading.Thread.start

    def start(thread):
        original(thread)
        most.append(threading.active_count())

    monkeypatch.setattr(threading.Thread, "start", start)
    clf = V2SClassifier("tiny", n_jobs=1000, random_state=0).fit(X, y)
    clf.predict_proba(X)
    assert max(most, default=0) < 20


@pytest.mark.parametrize("reprogramming", ["modulation", "pad"])
def test_more_replicates_than_fit_are_as_many_as_fit(reprogramming):
    X, y = data()
    options = {"acoustic_model": "tiny", "reprogramming": reprogramming, "random_state": 0}
    many, most = (V2SClassifier(n_replicates=n, **options).fit(X, y).predict_proba(X) for n in (10**8, 4000))
    np.testing.assert_array_equal(many, most)


def test_numpys_integers_are_integers():
    X, y = data()
    numbers = {"max_epochs": 2, "batch_size": 4, "n_jobs": 2, "n_replicates": 2, "max_channels": 3, "random_state": 5,
               "n_iter_no_change": 2, "verbose": 0}  # fmt: skip
    plain = V2SClassifier("tiny", **numbers).fit(X, y).predict_proba(X)
    for kind in (np.int64, np.uint8):
        parameters = {name: kind(value) for name, value in numbers.items()}
        np.testing.assert_array_equal(V2SClassifier("tiny", **parameters).fit(X, y).predict_proba(X), plain)
    clf = TransferClassifier("tiny", max_epochs=np.int64(1), batch_size=10**30, n_jobs=np.int64(1))
    assert clf.fit(X, y).predict_proba(X).shape == (8, 2)
