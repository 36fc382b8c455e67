"""Time of the presets beside MiniRocket, and what a second thread brings."""

import time

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier

from v2s_sklearn import V2SClassifier

PRESETS = {"default": V2SClassifier, "fast": V2SClassifier.fast}
# Cases and points of what is timed.
PRICES = {"small": (100, 150), "large": (3000, 200), "predict": (600, 150), "threads": (2000, 200)}
QUICK_PRICES = {"small": (20, 50), "large": (40, 50), "predict": (20, 50), "threads": (40, 50)}
N_CLASSES = 5


def make_walks(n_cases, n_points):
    """Return random walks (n_cases, 1, n_points) of classes of other roughness, and their classes."""
    rng = np.random.default_rng(0)
    y = np.arange(n_cases) % N_CLASSES
    steps = rng.normal(size=(n_cases, 1, n_points)) + y[:, None, None] * rng.choice([-0.2, 0.2], (n_cases, 1, n_points))
    return steps.cumsum(axis=2), y


def seconds_of(classifier, X, y, clock=time.process_time):
    """Return the seconds of fit and of predict of the same series."""
    start = clock()
    classifier.fit(X, y)
    middle = clock()
    classifier.predict(X)
    return middle - start, clock() - middle


def beside_minirocket(sizes=PRICES, n_repeats=3):
    """Return times of each preset in processor time, by size; everything turn by turn.

    Ratios are medians of the turns. Milliseconds of predict have no rival that is slowed as well, so they are the least
    of the turns: whatever else the host does only adds.

    Parameters
    ----------
    sizes : dict of str to (int, int)
        Cases and points.
    n_repeats : int

    Returns
    -------
    dict of str to dict of str to float
        Of each preset "small": fit and predict, "large": fit, each as a multiple of MiniRocket's; "predict":
        milliseconds a case.
    """
    classifiers = {"MiniRocket": MiniRocketClassifier, **PRESETS}
    for make in classifiers.values():
        seconds_of(make(random_state=0), *make_walks(*QUICK_PRICES["small"]))  # compiles
    turns = {
        size: [
            {name: seconds_of(make(random_state=0), *make_walks(*sizes[size])) for name, make in classifiers.items()}
            for _ in range(n_repeats if size == "large" else 3 * n_repeats)
        ]
        for size in ("small", "large", "predict")
    }

    def multiple(turn, name, size):
        """Return what a turn says of a preset."""
        if size == "predict":
            return 1000 * turn[name][1] / sizes[size][0]
        parts = slice(2) if size == "small" else slice(1)
        return sum(turn[name][parts]) / sum(turn["MiniRocket"][parts])

    choose = {"small": np.median, "large": np.median, "predict": np.min}
    return {
        name: {
            size: float(choose[size]([multiple(turn, name, size) for turn in found])) for size, found in turns.items()
        }
        for name in PRESETS
    }


def gain_of_two_threads(size=PRICES["threads"], n_repeats=3):
    """Return how many times as fast fit and predict of the default are with ``n_jobs=2``, on the clock: medians."""
    X, y = make_walks(*size)
    gains = []
    for _ in range(n_repeats):
        one, two = (
            sum(seconds_of(V2SClassifier(random_state=0, n_jobs=n_jobs), X, y, time.perf_counter)) for n_jobs in (1, 2)
        )
        gains.append(one / two)
    return float(np.median(gains))
