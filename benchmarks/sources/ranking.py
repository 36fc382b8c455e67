"""Measure how well criteria for the choice of a source predict the order of the sources' accuracies.

python -m benchmarks.sources.ranking --data-dir FOLDER

For each data set and each packaged source: the criteria of `rank_acoustic_models` on the training split, and the
cross-validated accuracy on it of the default and of paper mode with this source alone. No test split is read. Each pair
is a file, written when it is measured and skipped if it is there or stands in the table, so a killed run goes on where
it was; `benchmarks.run.collect` puts the files into the table.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
from aeon.datasets import load_classification
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit, cross_val_score

from benchmarks.run.backends import set_threads
from benchmarks.run.once import Places, measure_once, six_digits
from v2s_sklearn import V2SClassifier, list_acoustic_models
from v2s_sklearn.alignment import CRITERIA, rank_acoustic_models

# The paper's 30 data sets, in an order that mixes kinds; the long ones last.
SETS = [
    "ECG200",
    "MiddlePhalanxTW",
    "Plane",
    "ProximalPhalanxOutlineCorrect",
    "Ham",
    "SonyAIBORobotSurface1",
    "TwoLeadECG",
    "Wine",
    "DistalPhalanxTW",
    "SyntheticControl",
    "Strawberry",
    "ItalyPowerDemand",
    "Herring",
    "GunPoint",
    "MiddlePhalanxOutlineCorrect",
    "ProximalPhalanxTW",
    "ECG5000",
    "Trace",
    "ProximalPhalanxOutlineAgeGroup",
    "Coffee",
    "Wafer",
    "FordA",
    "Earthquakes",
    "FordB",
    "Lightning2",
    "SmallKitchenAppliances",
    "Worms",
    "WormsTwoClass",
    "Haptics",
    "HandOutlines",
]
# A part of larger training splits; few epochs and folds: half an hour of one core for 30 sets.
MAX_CASES = 60
EPOCHS = 10
N_FOLDS = {"default": 3, "paper": 2}
CLASSIFIERS = {"default": V2SClassifier, "paper": lambda **source: V2SClassifier.icml2021(max_epochs=EPOCHS, **source)}


def load(dataset, data_dir):
    """Return at most `MAX_CASES` training cases, classes of one case left out."""
    X, y = load_classification(dataset, split="train", extract_path=data_dir)
    labels, counts = np.unique(y, return_counts=True)
    kept = np.isin(y, labels[counts > 1])
    X, y = X[kept], y[kept]
    if len(y) > MAX_CASES:
        chosen, _ = next(StratifiedShuffleSplit(1, train_size=MAX_CASES, random_state=0).split(X, y))
        X, y = X[chosen], y[chosen]
    labels, counts = np.unique(y, return_counts=True)
    kept = np.isin(y, labels[counts > 1])
    return X[kept], y[kept]


def measure(dataset, source, data_dir):
    """Return the criteria and accuracies of a source on a data set."""
    started = time.perf_counter()
    X, y = load(dataset, data_dir)
    row = rank_acoustic_models(X, y, models=[source]).iloc[0][list(CRITERIA)].to_dict()
    for mode, make in CLASSIFIERS.items():
        folds = StratifiedKFold(
            min(N_FOLDS[mode], np.unique(y, return_counts=True)[1].min()), shuffle=True, random_state=0
        )
        row[mode] = cross_val_score(make(acoustic_model=source, random_state=0), X, y, cv=folds).mean()
    return six_digits(row | {"seconds": time.perf_counter() - started})


def main(arguments=None):
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with the UCR data sets in aeon's layout")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--sources", nargs="+", default=list_acoustic_models())
    parser.add_argument("--threads", type=int, default=1)
    Places.add_arguments(parser)
    options = parser.parse_args(arguments)
    set_threads(options.threads)
    for dataset, source in itertools.product(options.sets, options.sources):
        key = {"dataset": dataset, "source": source}
        measure_once(Places.of_options(options), "ranking", key, measure, dataset, source, options.data_dir)


if __name__ == "__main__":
    main()
