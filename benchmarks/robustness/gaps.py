"""How much accuracy do missing values cost? Our default beside rivals behind aeon's imputer, or filled as ours is.

python -m benchmarks.robustness.gaps --data-dir FOLDER --datasets Chinatown ItalyPowerDemand

On training splits only, at most 100 cases of each, in five folds. Values are missing in training and test cases alike,
the same ones for every classifier: at random, or as one block a case. Each measurement is written to a file of its own
and skipped if it is there or stands in the table; `benchmarks.run.collect` puts the files into the table.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from benchmarks.run.backends import set_threads
from benchmarks.run.data import find_datasets, load_training_split
from benchmarks.run.once import Places, measure_once
from benchmarks.run.one import cross_validate, warm_up
from v2s_sklearn.series.gaps import fill_gaps

# What is compared: the classifier, and whether gaps are filled before as the package does it. aeon's imputer, which is
# put before what takes no missing values otherwise, fills by the mean of a series.
COMPARED = {name: (name, False) for name in ("V2S", "MiniRocket", "MultiRocketHydra")}
COMPARED["MiniRocket, straight lines"] = ("MiniRocket", True)
# How values are missing, and which share of them.
CONDITIONS = {
    "none": ("random", 0.0),
    "random 10 %": ("random", 0.1),
    "random 30 %": ("random", 0.3),
    "random 50 %": ("random", 0.5),
    "block 10 %": ("block", 0.1),
    "block 30 %": ("block", 0.3),
}
N_FOLDS = 5


def leave_out(X, how, share, seed=0):
    """Return series with NaN in the place of some values.

    Parameters
    ----------
    X : array of shape (n_cases, n_channels, n_timepoints)
    how : {"random", "block"}
        Each value for itself, or one block of time points a case in all its channels.
    share : float
        Of the values.
    seed : int, default=0

    Returns
    -------
    array of the same shape
    """
    rng = np.random.default_rng(seed)
    if how == "random":
        return np.where(rng.random(X.shape) < share, np.nan, X)
    n_cases, _, n_points = X.shape
    length = round(share * n_points)
    first = rng.integers(n_points - length + 1, size=(n_cases, 1, 1))
    points = np.arange(n_points)
    return np.where((points >= first) & (points < first + length), np.nan, X)


def measure(name, condition, data_dir, dataset, most_cases):
    """Return the scores of a classifier on one training split some of whose values are missing."""
    X, y = load_training_split(dataset, data_dir)
    if len(X) > most_cases:
        X, _, y, _ = train_test_split(X, y, train_size=most_cases, stratify=y, random_state=0)
    X = leave_out(X, *CONDITIONS[condition])
    classifier, filled = COMPARED[name]
    if filled:  # each case alone, so that no fold sees another
        X = fill_gaps(X, X.shape[2])
    result = cross_validate(classifier, dataset, X, y, N_FOLDS, seed=0)
    return {
        "n_cases": len(X),
        "n_points": X.shape[2],
        "accuracy": result.accuracy,
        "log_loss": result.log_loss,
        "seconds": result.fit_time + result.predict_time,
    }


def main(arguments=None):
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with data sets in aeon's layout")
    parser.add_argument("--datasets", nargs="+", help="of equal length; by default all in the folder")
    parser.add_argument("--classifiers", nargs="+", default=list(COMPARED), choices=list(COMPARED))
    parser.add_argument("--most-cases", type=int, default=100, help="of a data set, drawn at random within classes")
    Places.add_arguments(parser)
    options = parser.parse_args(arguments)
    set_threads(1)
    for classifier in {COMPARED[name][0] for name in options.classifiers}:
        warm_up(classifier)
    datasets = options.datasets or find_datasets(options.data_dir)
    for dataset, condition, name in itertools.product(datasets, CONDITIONS, options.classifiers):
        if condition == "none" and COMPARED[name][1]:  # nothing to fill
            continue
        key = {"dataset": dataset, "missing": condition, "classifier": name}
        measure_once(
            Places.of_options(options),
            "missing_values",
            key,
            measure,
            name,
            condition,
            options.data_dir,
            dataset,
            options.most_cases,
        )


if __name__ == "__main__":
    main()
