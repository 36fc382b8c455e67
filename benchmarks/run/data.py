"""Splits of data sets in aeon's layout, and parts of them."""

from pathlib import Path

import numpy as np
from aeon.benchmarking.resampling import stratified_resample_data
from aeon.datasets import load_classification, load_from_ts_file


def load_split(dataset, resample, data_dir):
    """Return X_train, y_train, X_test, y_test: the default split for resample 0, else aeon's, seeded by the number."""
    X_train, y_train = load_classification(dataset, split="train", extract_path=data_dir)
    X_test, y_test = load_classification(dataset, split="test", extract_path=data_dir)
    if resample == 0:
        return X_train, y_train, X_test, y_test
    X_train, y_train, X_test, y_test = stratified_resample_data(X_train, y_train, X_test, y_test, random_state=resample)
    return X_train, y_train, X_test, y_test


def load_training_split(dataset, data_dir):
    """Return X and y of the training split; the test split need not be there."""
    return load_from_ts_file(str(Path(data_dir) / dataset / f"{dataset}_TRAIN.ts"))


def take(X, cases):
    """Return these cases of an array or a list."""
    return X[cases] if isinstance(X, np.ndarray) else [X[i] for i in cases]


def draw_per_class(X, y, n_cases, seed):
    """Return ``n_cases`` random cases of each class, all of a class that has fewer."""
    chosen = _drawn(y, n_cases, np.random.RandomState(seed))
    return take(X, chosen), y[chosen]


def draw_and_rest(X, y, n_cases, seed, n_scored=200):
    """Return ``n_cases`` random cases of each class, and at most ``n_scored`` random ones of the others.

    Raises
    ------
    ValueError
        If a class has no more than ``n_cases``, so that it could not be scored.
    """
    fewest = np.unique(y, return_counts=True)[1].min()
    if fewest <= n_cases:
        raise ValueError(f"{n_cases} cases of each class cannot be drawn and others scored: a class has {fewest}.")
    random_state = np.random.RandomState(seed)
    chosen = _drawn(y, n_cases, random_state)
    rest = np.sort(random_state.permutation(np.setdiff1d(np.arange(len(y)), chosen))[:n_scored])
    return take(X, chosen), y[chosen], take(X, rest), y[rest]


def _drawn(y, n_cases, random_state):
    return np.sort(
        np.concatenate([random_state.permutation(np.flatnonzero(y == label))[:n_cases] for label in np.unique(y)])
    )


def find_datasets(data_dir):
    """Return the names of the data sets in a folder of aeon's layout, sorted by the size of their files."""
    paths = Path(data_dir).glob("*/*_TRAIN.ts")
    return [path.parent.name for path in sorted(paths, key=lambda path: path.stat().st_size)]
