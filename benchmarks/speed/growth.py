"""Time of our default and of aeon's classifiers over the number of cases, their length and their channels."""

import time

import numpy as np

from benchmarks.run.rivals import CLASSIFIERS

NAMES = ("V2S", "MiniRocket", "MultiRocketHydra")
# One of three sizes varies, the other two stay at these.
BASE = {"n_cases": 100, "n_timepoints": 150, "n_channels": 1}
AXIS_LABELS = {"n_cases": "series", "n_timepoints": "time points", "n_channels": "channels"}
SIZES = {
    "n_cases": (30, 100, 300, 1000, 5000),
    "n_timepoints": (24, 100, 300, 900, 2700),
    "n_channels": (1, 4, 16, 64),
}
QUICK_SIZES = {"n_cases": (30, 90), "n_timepoints": (24, 72), "n_channels": (1, 3)}
# Cases, channels, time points: shapes of recordings of many channels.
WIDE_SHAPES = ((204, 61, 405), (100, 144, 62))
QUICK_WIDE_SHAPES = ((20, 8, 40),)


def make_collection(n_cases, n_timepoints, n_channels, seed=0):
    """Return random walks of two classes, of which one has an oscillation: X (n_cases, n_channels, n_timepoints), y."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_cases, n_channels, n_timepoints)).cumsum(axis=2) / np.sqrt(n_timepoints)
    y = np.arange(n_cases) % 2
    X[y == 1] += 0.3 * np.sin(2 * np.pi * 8 * np.linspace(0, 1, n_timepoints) + rng.uniform(0, 6, (n_cases // 2, 1, 1)))
    return X, y


def fit_and_predict(name, size):
    """Return the processor seconds of fit and of predict on as many other cases."""
    X, y = make_collection(**size)
    X_test, _ = make_collection(**size, seed=1)
    classifier = CLASSIFIERS[name](0)
    start = time.process_time()
    classifier.fit(X, y)
    middle = time.process_time()
    classifier.predict(X_test)
    return middle - start, time.process_time() - middle


def measure_growth(sizes, n_repeats=1, names=NAMES):
    """Return seconds (fit, predict), the least of the repeats, by (dimension, value, name).

    The classifiers are timed in turns.
    """
    for name in names:
        for n_channels in (1, 2):  # compiles
            fit_and_predict(name, {"n_cases": 10, "n_timepoints": 24, "n_channels": n_channels})
    seconds = {}
    for dimension, values in sizes.items():
        for value in values:
            for _ in range(n_repeats):
                for name in names:
                    key = dimension, value, name
                    new = fit_and_predict(name, BASE | {dimension: value})
                    seconds[key] = min(seconds.get(key, new), new, key=sum)
    return seconds


def exponents(seconds):
    """Return the slopes of log time over log size in the upper half of the sizes, by (dimension, name)."""
    slopes = {}
    for dimension, _, name in seconds:
        pairs = sorted((value, sum(s)) for (d, value, n), s in seconds.items() if (d, n) == (dimension, name))
        upper = np.log(pairs[max(0, min(len(pairs) // 2, len(pairs) - 2)) :])
        slopes[dimension, name] = np.polyfit(*upper.T, 1)[0]
    return slopes


def growth_table(seconds):
    """Return a markdown table: seconds of fit + predict of each classifier, and ours as a multiple of the others."""
    names = list(dict.fromkeys(name for _, _, name in seconds))
    ours, *rivals = names
    head = ["", "size", *(f"{name}, s" for name in names), *(f"{ours} / {name}" for name in rivals)]
    rows = [head, ["---"] * len(head)]
    for dimension, value in dict.fromkeys((dimension, value) for dimension, value, _ in seconds):
        times = [sum(seconds[dimension, value, name]) for name in names]
        ratios = [times[0] / other for other in times[1:]]
        rows.append([AXIS_LABELS[dimension], str(value), *(f"{t:.2f}" for t in times), *(f"{r:.2f}" for r in ratios)])
    slopes = exponents(seconds)
    for dimension in dict.fromkeys(dimension for dimension, _, _ in seconds):
        exponent = [f"{slopes[dimension, name]:.2f}" for name in names]
        rows.append([AXIS_LABELS[dimension], "exponent", *exponent, *[""] * len(rivals)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def plot_growth(seconds, path):
    """Draw fit + predict over each size, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    dimensions = list(dict.fromkeys(dimension for dimension, _, _ in seconds))
    figure, axes = pyplot.subplots(1, len(dimensions), figsize=(4 * len(dimensions), 3.2), layout="constrained")
    for axis, dimension in zip(np.atleast_1d(axes), dimensions, strict=True):
        for name in dict.fromkeys(name for _, _, name in seconds):
            points = sorted((value, sum(s)) for (d, value, n), s in seconds.items() if (d, n) == (dimension, name))
            axis.loglog(*zip(*points, strict=True), marker="o", label=name)
        fixed = ", ".join(f"{AXIS_LABELS[key]}: {value}" for key, value in BASE.items() if key != dimension)
        axis.set_xlabel(AXIS_LABELS[dimension])
        axis.set_title(fixed, fontsize="small")
    np.atleast_1d(axes)[0].set_ylabel("fit and predict, seconds of one thread")
    np.atleast_1d(axes)[0].legend()
    figure.savefig(path)
    pyplot.close(figure)


def measure_wide(shapes, n_repeats=1):
    """Return the time of our fit as a multiple of MiniRocket's, the median of the repeats: dict of shape to ratio."""
    ratios = {}
    for n_cases, n_channels, n_timepoints in shapes:
        size = {"n_cases": n_cases, "n_timepoints": n_timepoints, "n_channels": n_channels}
        turns = [[fit_and_predict(name, size)[0] for name in ("V2S", "MiniRocket")] for _ in range(n_repeats)]
        ratios[n_cases, n_channels, n_timepoints] = np.median([ours / rival for ours, rival in turns])
    return ratios
