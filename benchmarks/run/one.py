"""One run: a classifier is given a training split to fit and series to predict, never the labels of these."""

import itertools
import resource
import time

import numpy as np
from aeon.transformations.collection import SimpleImputer
from aeon.transformations.collection.unequal_length import Padder
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from benchmarks.run.backends import set_threads
from benchmarks.run.data import draw_and_rest, draw_per_class, load_split, load_training_split, take
from benchmarks.run.results import Result
from benchmarks.run.rivals import CLASSIFIERS


def warm_up(name):
    """Fit once on noise, so that compilation is not timed."""
    rng = np.random.default_rng(0)
    CLASSIFIERS[name](0).fit(rng.normal(size=(8, 1, 64)), np.arange(8) % 2).predict(rng.normal(size=(2, 1, 64)))


def fit_and_predict(name, seed, X_train, y_train, X_test):
    """Return probabilities, parameters in words, and the seconds of fit and of predict.

    Processor time of one thread, which the load of the machine hardly changes; of several the time on the clock.
    """
    import torch

    classifier = CLASSIFIERS[name](seed)
    if isinstance(X_train, list) and not classifier.get_tag("capability:unequal_length"):
        longest = max(case.shape[1] for case in itertools.chain(X_train, X_test))
        classifier = make_pipeline(Padder(padded_length=longest), classifier)
    elif (_has_gaps(X_train) or _has_gaps(X_test)) and not classifier.get_tag("capability:missing_values"):
        classifier = make_pipeline(SimpleImputer(), classifier)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    classifier.fit(X_train, y_train)
    fitted = clock()
    probabilities = classifier.predict_proba(X_test)
    return probabilities, repr(classifier), fitted - started, clock() - fitted


def _has_gaps(X):
    return any(np.isnan(case).any() for case in X)


def test_run(name, dataset, resample, seed, data_dir, per_class=0, split="TEST"):
    """Return the `Result` of a fit on the training split, or some cases a class, and a prediction of the test split.

    With ``split="TRAIN"`` the rest of the training split is predicted, and no test split read.
    """
    if split == "TRAIN":
        X, y = load_training_split(dataset, data_dir)
        X_train, y_train, X_test, y_test = draw_and_rest(X, y, per_class, resample)
    else:
        X_train, y_train, X_test, y_test = load_split(dataset, 0 if per_class else resample, data_dir)
        if per_class:
            X_train, y_train = draw_per_class(X_train, y_train, per_class, resample)
    probabilities, parameters, fit_time, predict_time = fit_and_predict(name, seed, X_train, y_train, X_test)
    labels = np.searchsorted(np.unique(y_train), y_test)
    return Result(
        dataset,
        name,
        resample,
        labels,
        probabilities,
        fit_time,
        predict_time,
        split=split,
        parameters=parameters,
        comment=f"{seed=}" + (f" {per_class=}" if per_class else ""),
    )


def cross_validation_run(name, dataset, n_folds, seed, data_dir):
    """Return the `Result` of predictions of the training split by stratified cross-validation."""
    return cross_validate(name, dataset, *load_training_split(dataset, data_dir), n_folds, seed)


def cross_validate(name, dataset, X, y, n_folds, seed):
    """Return the `Result` of predictions of series by stratified cross-validation; times are sums."""
    classes, labels = np.unique(y, return_inverse=True)
    probabilities, parameters, times = np.zeros((len(y), len(classes))), "", np.zeros(2)
    folds = StratifiedKFold(min(n_folds, np.bincount(labels).min()), shuffle=True, random_state=0)
    for train, left_out in folds.split(X, y):
        probabilities[left_out], parameters, *seconds = fit_and_predict(
            name, seed, take(X, train), y[train], take(X, left_out)
        )
        times += seconds
    return Result(
        dataset,
        name,
        0,
        labels,
        probabilities,
        *times,
        split="TRAIN",
        parameters=parameters,
        comment=f"{seed=} n_folds={folds.n_splits}",
    )


def run(path, name, dataset, resample, seed, options):
    """Make one result file, on the machine that runs it; return the result."""
    if path.exists():  # by a worker that was lost before it could tell
        return Result.read(path)
    set_threads(options.threads)
    warm_up(name)
    if options.cv:
        result = cross_validation_run(name, dataset, options.cv, seed, options.data_dir)
    else:
        result = test_run(name, dataset, resample, seed, options.data_dir, options.per_class, options.split)
    if options.backend == "processes":  # else the peak is that of all the runs before
        result.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result.write(path)
    return result
