"""Measure how well criteria for the choice of a source predict the order of the sources' accuracies.

python benchmarks/ranking.py --data-dir FOLDER [--docs]

For each data set and each packaged source: the criteria of `rank_acoustic_models` on the training split, and the
cross-validated accuracy on it of the default and of paper mode with this source alone. No test split is read. Each pair
is a line of --results, written when it is measured, so a killed run goes on where it was. The table is of the data
sets for which all sources are measured; --docs puts it into docs/alignment.md.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import pandas as pd
from aeon.datasets import load_classification
from report import replace_block
from run import set_threads
from scipy.stats import spearmanr
from scipy.stats import t as student
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit, cross_val_score

from v2s_sklearn import V2SClassifier, list_acoustic_models
from v2s_sklearn.alignment import CRITERIA, rank_acoustic_models

ROOT = Path(__file__).parent
DOCS = ROOT.parent / "docs" / "alignment.md"
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
FIELDS = ["dataset", "source", *CRITERIA, "default", "paper", "seconds"]


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
    """Return a line of the results."""
    started = time.perf_counter()
    X, y = load(dataset, data_dir)
    row = {"dataset": dataset, "source": source}
    row |= rank_acoustic_models(X, y, models=[source]).iloc[0][list(CRITERIA)].to_dict()
    for mode, make in CLASSIFIERS.items():
        folds = StratifiedKFold(
            min(N_FOLDS[mode], np.unique(y, return_counts=True)[1].min()), shuffle=True, random_state=0
        )
        row[mode] = cross_val_score(make(acoustic_model=source, random_state=0), X, y, cv=folds).mean()
    return row | {"seconds": time.perf_counter() - started}


def correlations(results, mode):
    """Return the rank correlation of each criterion with accuracy: a frame with a row a data set, positive if right."""
    rows = {}
    for dataset, table in results.groupby("dataset"):
        if table[mode].nunique() > 1:
            rows[dataset] = {
                name: (1 if more else -1) * spearmanr(table[name], table[mode]).statistic
                for name, more in CRITERIA.items()
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def interval(values):
    """Return mean and 95 % interval over data sets, by Student's t: there are few of them."""
    values = np.asarray(values)
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), values.mean() - half, values.mean() + half


def make_table(results):
    """Return the table in Markdown."""
    n_sources = results["source"].nunique()
    complete = results.groupby("dataset").filter(lambda table: len(table) == n_sources)
    found = {mode: correlations(complete, mode) for mode in CLASSIFIERS}
    lines = [
        f"Spearman's correlation over {n_sources} sources, mean and 95 % interval over data sets (Student's t); "
        "positive where the criterion is right.\n",
        "| criterion | " + " | ".join(f"{mode} mode, {len(found[mode])} data sets" for mode in found) + " |",
        "|---|" + "---|" * len(found),
    ]
    for name in CRITERIA:
        cells = ["{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(found[mode][name])) for mode in found]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    """Measure what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with the UCR data sets in aeon's layout")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "ranking.csv")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--sources", nargs="+", default=list_acoustic_models())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--docs", action="store_true", help="put the table into docs/alignment.md, measure nothing")
    options = parser.parse_args()
    set_threads(options.threads)
    if not options.results.exists():
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(",".join(FIELDS) + "\n")
    results = pd.read_csv(options.results)
    done = set(zip(results["dataset"], results["source"], strict=True))
    for dataset in [] if options.docs else options.sets:
        for source in options.sources:
            if (dataset, source) not in done:
                row = measure(dataset, source, options.data_dir)
                with open(options.results, "a", newline="") as file:
                    csv.DictWriter(file, FIELDS).writerow(
                        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
                    )
    table = make_table(pd.read_csv(options.results))
    print(table)
    if options.docs:
        replace_block(DOCS, "ranking", table)


if __name__ == "__main__":
    main()
