"""Test accuracy and time of the default and of paper mode beside MiniRocket, on data sets that aeon ships.

python -m benchmarks.speed.compare --threads 1

Default splits; fit and predict of each classifier are timed in one process, with the given number of threads, and given
as a ratio to MiniRocket's. One seed unless --seeds says more. Nothing is tuned here.
"""

import argparse
import time

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.datasets import load_arrow_head, load_gunpoint, load_italy_power_demand, load_osuleaf

from benchmarks.run.backends import set_threads
from v2s_sklearn import V2SClassifier

LOADERS = {
    "GunPoint": load_gunpoint,
    "ItalyPowerDemand": load_italy_power_demand,
    "ArrowHead": load_arrow_head,
    "OSULeaf": load_osuleaf,
}
CLASSIFIERS = {
    "MiniRocket": lambda seed: MiniRocketClassifier(random_state=seed),
    "default": lambda seed: V2SClassifier(random_state=seed),
    "paper m=1": lambda seed: V2SClassifier.icml2021(n_replicates=1, random_state=seed),
    "paper m=10": lambda seed: V2SClassifier.icml2021(n_replicates=10, random_state=seed),
}


def measure(classifier, data):
    """Return test accuracy and seconds of fit and predict."""
    X_train, y_train, X_test, y_test = data
    started = time.perf_counter()
    accuracy = classifier.fit(X_train, y_train).score(X_test, y_test)
    return accuracy, time.perf_counter() - started


def main():
    """Run all and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--datasets", nargs="+", default=list(LOADERS))
    parser.add_argument("--classifiers", nargs="+", default=list(CLASSIFIERS))
    options = parser.parse_args()
    set_threads(options.threads)
    print(f"| data set | {' | '.join(options.classifiers)} |")
    print("|---" * (1 + len(options.classifiers)) + "|")
    for name in options.datasets:
        data = [*LOADERS[name](split="train"), *LOADERS[name](split="test")]
        MiniRocketClassifier().fit(data[0][:4], data[1][:4])  # compiles, once a process
        cells, rival = [], None
        for label in options.classifiers:
            runs = np.array([measure(CLASSIFIERS[label](seed), data) for seed in range(options.seeds)])
            accuracy, seconds = runs.mean(axis=0)
            rival = rival or seconds
            cells.append(f"{100 * accuracy:.1f} ({seconds:.1f} s, x {seconds / rival:.1f})")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
