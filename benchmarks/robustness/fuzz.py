"""Random calls of the estimators: each has to end in a valid result, or in an error that names the argument.

    python -m benchmarks.robustness.fuzz --calls 20000 --seed 0
    python -m benchmarks.robustness.fuzz --sequences 5000 --seed 0

Each call is drawn from its own seed: series of random shapes, types, containers and sizes up to 1e308, labels, weights,
parameters, modes and sources, most of them good and some bad, see `benchmarks.robustness.draws`; some fitted
estimators also go through a pickle, a saved file or an ONNX graph. Prints what each failed call was; ends non-zero if
one failed. ``--first 1234 --calls 1`` draws one of them again.

With ``--sequences`` several calls are made on one estimator: fits, also with other data, in other containers and with
bad data, parameters, answers, clones, pickles, files at awkward paths, graphs, and its state is compared after each
with what it has to be, see `benchmarks.robustness.sequences`.
"""

import argparse
import contextlib
import io
import os
import pickle
import re
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from functools import partial
from unittest.mock import patch

import numpy as np

from benchmarks.robustness.draws import (
    VOICE,
    as_container,
    draw_estimator,
    draw_labels,
    draw_series,
    draw_weights,
    register_sources,
)
from benchmarks.robustness.sequences import answer, check_result, random_sequence
from v2s_sklearn import V2SFeatures, load, to_onnx
from v2s_sklearn.errors import ExportError, SavedFileError
from v2s_sklearn.network import reprogrammed as network

# Calls after which the counts so far are printed.
N_REPORT = 100
# Cases computed at a time, as few as calls have, so that no chunk is filled up with copies.
CHUNK = {"CHUNK_WAVEFORMS": 8, "LEAST_CHUNK_CASES": 2}


def check_copies(rng, estimator, X, expected):
    """Raise an AssertionError if an estimator answers otherwise after it was pickled, saved or written as a graph.

    At random one of these, or that its labels are among those given.
    """
    chance = rng.random()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x")
        if chance < 0.1:
            copy = pickle.loads(pickle.dumps(estimator))
        elif chance < 0.2:
            try:
                estimator.save(path)
            except SavedFileError as error:
                assert "callbacks" in str(error), "cannot be saved"
                return
            copy = load(path)
        elif chance < 0.22:
            with contextlib.suppress(ExportError):
                to_onnx(estimator, path)
            return
        else:
            if not isinstance(estimator, V2SFeatures):
                assert np.isin(estimator.predict(X), estimator.classes_).all(), "labels that were not given"
            return
    assert np.array_equal(answer(copy, X), expected), "a copy that answers otherwise"


def random_call(seed):
    """Draw and make a call; return "valid" or "refused".

    Raises
    ------
    Exception
        Whatever else it ends in.
    """
    rng = np.random.default_rng(seed)
    bad = rng.random() < 0.3
    n_channels, n_cases = int(rng.integers(1, 4)), int(rng.integers(1 if bad else 4, 11))
    arguments = ["acoustic model", "X", "y", "sample_weight", "classes_", *(f"{name} of a Voice" for name in VOICE)]
    names = arguments
    try:
        estimator = draw_estimator(rng, bad)
        names = [*estimator.get_params(), *arguments]
        X = as_container(rng, draw_series(rng, n_cases, n_channels, bad), bad and rng.random() < 0.3)
        y = draw_labels(rng, X, n_cases, int(rng.integers(1, 4)), bad and rng.random() < 0.3)
        weights = draw_weights(rng, n_cases, bad and rng.random() < 0.3)
        if isinstance(estimator, V2SFeatures):
            estimator.fit(X)
        else:
            estimator.fit(X, y, sample_weight=weights)
        answers = check_result(estimator, X)
        check_copies(rng, estimator, X, answers)
        check_result(estimator, as_container(rng, draw_series(rng, 3, n_channels, bad), bad and rng.random() < 0.3))
    except (ValueError, TypeError) as error:
        if not re.search(rf"\b({'|'.join(names)})\b", str(error)):
            raise
        return "refused"
    return "valid"


def describe(outcomes, kind):
    """Return counts of outcomes in words."""
    return f"{outcomes.total()} {kind}s: " + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))


@contextlib.contextmanager
def quietly():
    """Print and warn of nothing, with small chunks."""
    with patch.multiple(network, **CHUNK), contextlib.ExitStack() as quiet:
        quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
        quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield


def main(arguments=None):
    """Make the calls; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--calls", type=int, default=20000)
    kinds.add_argument("--sequences", type=int, default=0, help="make sequences of calls instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first call or sequence")
    options = parser.parse_args(arguments)
    register_sources()
    warnings.simplefilter("ignore")
    outcomes, steps = Counter(), Counter()
    kind, make = ("sequence", partial(random_sequence, counts=steps)) if options.sequences else ("call", random_call)
    try:
        for number in range(options.first, options.first + (options.sequences or options.calls)):
            try:
                with quietly():
                    outcomes[make((options.seed, number))] += 1
            except Exception as error:
                outcomes["failed"] += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__}: {str(error)[:300]}"
                notes = "".join(f" [{note}]" for note in getattr(error, "__notes__", []))
                print(f"{kind} {number}: {what}{notes} ({where.filename}:{where.lineno})", flush=True)
            if outcomes.total() % N_REPORT == 0:
                print(describe(outcomes, kind), flush=True)
    finally:
        print(describe(outcomes, kind))
        if steps:
            print(describe(steps, "step"))
    return outcomes["failed"]


if __name__ == "__main__":
    sys.exit(bool(main()))
