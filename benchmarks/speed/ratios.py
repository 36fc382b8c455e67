"""Speed, as ratios measured in one run: paper mode, growth of the default, use of the hardware.

python -m benchmarks.speed.ratios [--parts minirocket paper growth wide hardware] [--quick] [--plot FILE.svg]

minirocket: the presets beside MiniRocket, and two threads beside one. paper: a training epoch and predict of
`V2SClassifier.icml2021` against plain PyTorch, turn by turn, after a check that both give the same losses and theta.
growth: default fit + predict against MiniRocket and MultiRocket-Hydra over cases, length and channels. wide: fit of
recordings of many channels against MiniRocket. hardware: the forward of each source against the rate of matrix
products. Times are processor times of one thread, but those of two threads on the clock. Ends non-zero where a goal is
missed.
"""

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from skorch.callbacks import Callback

from benchmarks.run.backends import set_threads
from benchmarks.speed.flops import measure_forward, profile_forward
from benchmarks.speed.growth import (
    QUICK_SIZES,
    QUICK_WIDE_SHAPES,
    SIZES,
    WIDE_SHAPES,
    growth_table,
    make_collection,
    measure_growth,
    measure_wide,
    plot_growth,
)
from benchmarks.speed.minirocket import PRICES, QUICK_PRICES, beside_minirocket, gain_of_two_threads
from benchmarks.speed.plain_v2s import PlainTrainer, PlainV2S
from v2s_sklearn import V2SClassifier, load_acoustic_model

EPOCH_GOALS = {"v2sa": 0.45, "v2st": 0.40}
PREDICT_GOAL, WIDE_GOAL, FRACTION_GOAL, TOLERANCE = 0.5, 15.0, 0.5, 1e-8
PRICE_GOALS = {"default": {"small": 3.0, "large": 1.0, "predict": 1.7}, "fast": {"small": 1.0, "large": 1.0}}
THREADS_GOAL = 1.8
N_POINTS = {"short": (24,), "medium": (150, 500), "long": (1500, 2700)}
QUICK_POINTS = {"short": (24,), "long": (1500,)}
CONVOLUTIONAL_SOURCES = ("v2st", "v2sr", "v2sv")


class Goal(NamedTuple):
    """A measured value and the limit it is to keep: at most, or at least, if ``at_least``."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self):
        """Whether the limit is kept."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class TurnTaker(Callback):
    """Times each epoch of our training, and an epoch of a rival after it."""

    def __init__(self, rival):
        self.rival = rival
        self.turns = []

    def on_epoch_begin(self, net, **kwargs):
        """Start the clock."""
        self.start = time.process_time()

    def on_epoch_end(self, net, **kwargs):
        """Stop the clock and let the rival train for an epoch."""
        ours = time.process_time() - self.start
        self.turns.append((ours, processor_seconds(self.rival)))


def processor_seconds(function):
    """Return the processor time of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def plain_rival(source, classifier, X, dtype=torch.float32):
    """Return a `PlainTrainer` with theta and mapping of a fitted classifier, and the series as tensor (N, L)."""
    acoustic = load_acoustic_model(source).trainable_copy().to(dtype)
    theta, assignment = torch.tensor(classifier.theta_, dtype=dtype), torch.tensor(classifier.label_mapping_)
    return PlainTrainer(PlainV2S(acoustic, theta, assignment)), torch.tensor(X[:, 0], dtype=dtype)


def paper_mode(source, **options):
    """Return a classifier in paper mode, all of whose choices are seeded."""
    return V2SClassifier.icml2021(acoustic_model=source, random_state=0, **options)


def check_equal(source, n_epochs=3, n_points=150):
    """Return the greatest differences of losses and theta between paper mode and plain PyTorch in double precision.

    One batch an epoch, so that the order of the cases does not matter.
    """
    X, y = make_collection(6, n_points, 1)
    X = X.astype(np.float32).astype(np.float64)  # we hold series in this precision
    double = load_acoustic_model(source).trainable_copy().double()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        # A new theta has single precision whatever is set; what says so says double precision here.
        with mock.patch.object(torch, "float32", torch.float64):
            trainer, series = plain_rival(source, paper_mode(double, max_epochs=0).fit(X, y), X, torch.float64)
            ours = paper_mode(double, max_epochs=n_epochs).fit(X, y)
        losses = np.array([trainer.epoch(series, torch.tensor(y)) for _ in range(n_epochs)])
    finally:
        torch.set_default_dtype(before)
    theta = trainer.model.theta.detach().numpy()
    return np.abs(losses - ours.net_.history[:, "train_loss"]).max(), np.abs(theta - ours.theta_).max()


def compare_with_plain(source, n_points, n_cases=64, n_repeats=5):
    """Return the times of our epoch and predict as multiples of plain PyTorch's, medians over turns."""
    X, y = make_collection(n_cases, n_points, 1)
    start = paper_mode(source, max_epochs=0).fit(X, y)
    trainer, series = plain_rival(source, start, X)
    labels = torch.tensor(y)
    clock = TurnTaker(lambda: trainer.epoch(series, labels))
    ours = paper_mode(source, max_epochs=n_repeats + 1, callbacks=[clock]).fit(X, y)
    epochs = np.array(clock.turns[1:])  # the first warms up
    predictions = np.array(
        [
            (processor_seconds(lambda: ours.predict(X)), processor_seconds(lambda: trainer.predict(series)))
            for _ in range(n_repeats + 1)
        ][1:]
    )
    return tuple(np.median(turns[:, 0] / turns[:, 1]) for turns in (epochs, predictions))


def report_paper(options):
    """Print the comparison with plain PyTorch; yield its goals."""
    for source in EPOCH_GOALS:
        loss, theta = check_equal(source)
        print(f"{source}: greatest difference of a loss {loss:.1e}, of theta {theta:.1e} (double precision)")
        yield Goal(f"{source} same losses and theta", max(loss, theta), TOLERANCE)
    print("\n| source | series | points | epoch / plain | predict / plain |\n|---|---|---|---|---|")
    for source, goal in EPOCH_GOALS.items():
        for kind, lengths in (QUICK_POINTS if options.quick else N_POINTS).items():
            for n_points in lengths:
                epoch, predict = compare_with_plain(source, n_points, n_repeats=2 if options.quick else 7)
                print(f"| {source} | {kind} | {n_points} | {epoch:.2f} | {predict:.2f} |", flush=True)
                yield Goal(f"{source} epoch, {n_points} points", epoch, goal)
                yield Goal(f"{source} predict, {n_points} points", predict, PREDICT_GOAL)


def report_minirocket(options):
    """Print the times of the presets beside MiniRocket's, and what two threads bring; yield the goals."""
    sizes, n_repeats = (QUICK_PRICES, 1) if options.quick else (PRICES, 3)
    names = {
        "small": "fit + predict / MiniRocket, {} x {}",
        "large": "fit / MiniRocket, {} x {}",
        "predict": "predict, ms a case, {} x {}",
    }
    for preset, found in beside_minirocket(sizes, n_repeats).items():
        for size, value in found.items():
            name = f"{preset}: {names[size].format(*sizes[size])}"
            print(f"{name}: {value:.2f}")
            if size in PRICE_GOALS[preset]:
                yield Goal(name, value, PRICE_GOALS[preset][size])
    gain = gain_of_two_threads(sizes["threads"], n_repeats)
    name = "two threads, fit + predict of {} x {}".format(*sizes["threads"])
    print(f"{name}: {gain:.2f} times as fast")
    yield Goal(name, gain, THREADS_GOAL, True)


def report_growth(options):
    """Print the table of growth and draw it; there are no goals."""
    seconds = measure_growth(QUICK_SIZES if options.quick else SIZES, n_repeats=1)
    print(growth_table(seconds))
    if options.plot:
        plot_growth(seconds, options.plot)
    return ()


def report_wide(options):
    """Print our fit as a multiple of MiniRocket's on wide data; yield the goals."""
    for shape, ratio in measure_wide(QUICK_WIDE_SHAPES if options.quick else WIDE_SHAPES).items():
        name = "fit / MiniRocket, {} cases x {} channels x {} points".format(*shape)
        print(f"{name}: {ratio:.1f}")
        yield Goal(name, ratio, WIDE_GOAL)


def report_hardware(options):
    """Print the share of the rate of matrix products that each source reaches, and its profile; yield the goals."""
    print("| source | MFLOP | ms | of which front end | GFLOP/s | matrix products | share |")
    print("|---|---|---|---|---|---|---|")
    profiles = {}
    for source in (*CONVOLUTIONAL_SOURCES, "v2sa"):
        model = load_acoustic_model(source)
        found = measure_forward(model, n_repeats=3 if options.quick else 15)
        print(
            "| {} | {mflop:.1f} | {milliseconds:.2f} | {frontend:.2f} | {gflops:.1f} | {matrix_gflops:.1f} "
            "| {fraction:.2f} |".format(source, **found)
        )
        profiles[source] = profile_forward(model)
        if source in CONVOLUTIONAL_SOURCES:
            yield Goal(f"{source} share of the rate of matrix products", found["fraction"], FRACTION_GOAL, True)
    print()
    for source, operations in profiles.items():
        print(f"{source}: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in operations))


PARTS = {
    "minirocket": report_minirocket,
    "paper": report_paper,
    "growth": report_growth,
    "wide": report_wide,
    "hardware": report_hardware,
}


def parse_arguments(arguments=None):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats, to see that it runs")
    parser.add_argument("--plot", type=Path, help="where the plot of growth goes, .svg or .png")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the parts; return the number of goals missed."""
    options = parse_arguments(arguments)
    set_threads(1)
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, one thread")
    goals = []
    for part in options.parts:
        print(f"\n## {part}\n", flush=True)
        goals += PARTS[part](options)
    missed = [goal for goal in goals if not goal.met]
    print(f"\n{len(goals) - len(missed)} of {len(goals)} goals met")
    for goal in missed:
        print(f"missed: {goal.name}: {goal.value:.3g}, goal {'>=' if goal.at_least else '<='} {goal.limit:g}")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main() > 0)
