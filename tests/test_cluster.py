"""Fit, search and cross-validation over joblib's dask backend: a real cluster of two worker processes."""

import itertools
import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

from v2s_sklearn import V2SClassifier

SOURCES = ["v2sa", "wav2vec"]


@pytest.fixture(scope="module")
def client():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def few_cases(gunpoint):
    X, y = gunpoint[:2]
    return X[:20], y[:20]


def acoustic_models_in_memory():
    """Return the class name of each set of acoustic weights in this process; runs in the workers."""
    import gc

    from v2s_sklearn.acoustic.interface import AcousticModel

    models = [thing for thing in gc.get_objects() if isinstance(thing, AcousticModel)]
    # Twins at half the rate and folded ones share the weights of the output layer.
    return sorted({[*model.parameters()][-1].data_ptr(): type(model).__name__ for model in models}.values())


@pytest.fixture(scope="module")
def folds(few_cases):
    return list(StratifiedKFold(2).split(*few_cases))


def search_and_validate(X, y, folds, backend, **options):
    """Return the scores, the best parameters and the predictions of a search, and cross-validated scores."""
    classifier = V2SClassifier(acoustic_model=SOURCES, random_state=0)
    search = GridSearchCV(classifier, {"standardize": [True, False]}, cv=folds)
    with joblib.parallel_config(backend=backend, **options):
        search.fit(X, y)
        scores = cross_val_score(classifier, X, y, cv=folds, scoring="neg_log_loss")
    splits = [search.cv_results_[f"split{split}_test_score"].tolist() for split in range(2)]
    return splits, search.best_params_, search.predict_proba(X).tolist(), scores.tolist()


@pytest.fixture(scope="module")
def serial(few_cases, folds):
    *_, scores = outcome = search_and_validate(*few_cases, folds, "sequential")
    assert len(set(np.round(scores, 6))) == 2  # folds that can be told apart
    return outcome


def test_the_same_as_serial_with_one_copy_of_the_models_a_worker(client, few_cases, folds, serial):
    assert search_and_validate(*few_cases, folds, "dask") == serial
    models = client.run(acoustic_models_in_memory)
    assert list(models.values()) == [["AttentionRNN", "Wav2Vec"]] * 2


def test_a_fitted_classifier_travels_without_its_weights(client, few_cases):
    classifier = V2SClassifier(acoustic_model=SOURCES, random_state=0).fit(*few_cases)
    here = classifier.predict_proba(few_cases[0])
    futures = client.map(lambda _: classifier.predict_proba(few_cases[0]), range(4), pure=False)
    for there in client.gather(futures):
        np.testing.assert_array_equal(there, here)
    assert list(client.run(acoustic_models_in_memory).values()) == [["AttentionRNN", "Wav2Vec"]] * 2


def test_one_fit_is_shared_by_the_workers(client, gunpoint):
    X, y, X_test, _ = gunpoint
    alone = V2SClassifier(acoustic_model=SOURCES, random_state=0).fit(X, y).predict_proba(X_test[:40])
    with joblib.parallel_config(backend="dask"):
        classifier = V2SClassifier(acoustic_model=SOURCES, random_state=0, n_jobs=2).fit(X, y)
        shared = classifier.predict_proba(X_test[:40])
    np.testing.assert_array_equal(shared, alone)
    log = client.run(lambda dask_worker: len(dask_worker.state.log))
    assert len(log) == 2 and min(log.values()) > 0
    assert list(client.run(acoustic_models_in_memory).values()) == [["AttentionRNN", "Wav2Vec"]] * 2


def test_a_worker_killed_in_mid_search_changes_nothing(client, few_cases, folds, serial):
    # What joblib itself sends lies on one worker and is lost with it; what is scattered beforehand lies on each, and
    # stays there if dask's active memory manager does not drop the copies.
    client.amm.stop()
    scatter = [*few_cases, *itertools.chain.from_iterable(folds)]
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(search_and_validate(*few_cases, folds, "dask", scatter=scatter))
    )
    thread.start()
    while not any(client.processing().values()):
        time.sleep(0.01)
    pids = client.run(os.getpid)
    killed = next(address for address, keys in client.processing().items() if keys)
    os.kill(pids[killed], signal.SIGKILL)
    thread.join()
    assert pids[killed] not in client.run(os.getpid).values()
    assert outcomes == [serial]
