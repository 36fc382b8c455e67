"""Random calls of the estimators: each has to end in a valid result, or in an error that names the argument.

    python benchmarks/fuzz.py --calls 20000 --seed 0

Each call is drawn from its own seed: series of random shapes, types, containers and sizes up to 1e308, labels, weights,
parameters, modes and sources, most of them good and some bad. Prints what each failed call was; ends non-zero if
one failed. ``--first 1234 --calls 1`` draws one of them again.
"""

import argparse
import datetime
import re
import sys
import traceback
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import torch

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, register_acoustic_model
from v2s_sklearn.acoustic.attention_rnn import AttentionRNN
from v2s_sklearn.acoustic.contour import ContourNet
from v2s_sklearn.acoustic.tcn import TemporalConvNet
from v2s_sklearn.acoustic.wav2vec import Wav2Vec
from v2s_sklearn.views import DEFAULT_VOICES, Voice

WORDS = [f"word{index}" for index in range(6)]
SOURCES = {
    "fuzz-rnn": lambda: AttentionRNN(WORDS, n_samples=2000, hidden_size=4, dense_sizes=[4]),
    "fuzz-wave": lambda: Wav2Vec(WORDS, n_samples=2000, encoder_channels=[4] * 5, n_context_layers=1, n_steps=1),
    "fuzz-tcn": lambda: TemporalConvNet(WORDS, n_samples=2000, channels=[4, 4]),
    "fuzz-contour": lambda: ContourNet(WORDS, n_points=16, channels=[8, 8], n_blocks=[1, 1]),
}


def register_sources():
    """Make the small sources available by name."""
    for name, make in SOURCES.items():

        def seeded(make=make):
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(0)
                return make()

        register_acoustic_model(name, seeded, overwrite=True)


# Good values, and bad ones, of each parameter.
PARAMETERS = {
    "acoustic_model": (
        [*SOURCES, ("fuzz-rnn", "fuzz-wave"), ["fuzz-tcn", "fuzz-rnn"], ("fuzz-rnn", "fuzz-wave", "fuzz-contour")],
        ["", "x" * 300, "a/b\0c", "hf:", 3, None, [], ["fuzz-rnn"] * 2, b"v2sa", "v2sb", {}, [None], "..", "fuzz-rnn "],
    ),
    "reprogramming": (["auto", "auto", "modulation", "pad", "playback", "contour"], ["", None, 1, "paddle", ["pad"]]),
    "voices": (
        [None, DEFAULT_VOICES, [Voice(300.0, 100.0, 0.5, 3, 1)]],
        [[], ["high"], Voice(300.0), 3, "voice", [None], np.zeros(2), {}],
    ),
    "n_replicates": ([1, 2, 10, np.int64(3), 10**8], [0, -1, 1.5, None, "2", np.nan]),
    "max_channels": ([16, 1, 2, np.int32(3), 10**9], [0, -2, 2.5, None, "1"]),
    "standardize": ([True, True, False, np.bool_(True)], ["yes", None, 2, np.nan]),
    "dropout": ([0.0, 0.3, np.float32(0.1), 0], [1.0, -0.1, np.nan, None, "0", np.inf]),
    "mapping": (["ridge", "ridge", "random", "frequency"], ["many", None, 0]),
    "max_epochs": ([0, 0, 1, 2, np.int64(1)], [-1, 1.5, None, "1", np.nan]),
    "learning_rate": ([0.001, 0.05, 1, 1e-300, 1e6, np.float32(0.1)], [0, -1, np.nan, np.inf, 1e300, None, "0.1"]),
    "batch_size": ([32, 1, 3, 10**30, np.int64(4)], [0, -3, 2.5, None, "8"]),
    "weight_decay": ([0.0, 0.04, 1e6], [-1, np.nan, np.inf, None, "0"]),
    "early_stopping": ([False, False, True], ["no", None, 2]),
    "validation_fraction": ([0.1, 0.5, 0.999, 1e-9], [0, 1, -1, np.nan, None]),
    "n_iter_no_change": ([10, 1, np.int64(2), 10**12], [0, 1.5, None]),
    "callbacks": ([None, [], ()], ["x", [3], [("name", 3)], 5, [None], {"a": 1}]),
    "device": (["auto", "cpu"], ["gpu", "cuda:99", None, 3, "", "meta:1:2"]),
    "class_weight": (
        [None, "balanced", {0: 2.0, 1: 1.0, 2: 3, "a": 1, "b": 2}, {0: 0.0}, {0: 1e308, 1: 1e-308}],
        [{0: -1.0}, {0: np.nan}, {0: "1"}, {"none": 1}, "heavy", 3, [1, 2], {0: None}, {0: np.inf}],
    ),
    "random_state": ([None, 0, 2**32 - 1, np.random.RandomState(0), np.int64(3)], [-1, 2**32, 1.5, "0", np.nan, []]),
    "n_jobs": ([1, None, 2, -1, np.int64(2), 0, 1000], [1.5, "1", np.nan, []]),
    "verbose": ([0, False], ["yes", None, -1, 1.5]),
}
NUMBERS = (float, float, float, "f4", "f2", "i8", "i1", "u2", "g", bool, object)
NO_NUMBERS = ("M8[s]", "m8[s]", "S3", "U3", complex, [("a", float)], "V4")


def draw(rng, values):
    """Return one of some values."""
    return values[rng.integers(len(values))]


def draw_series(rng, n_cases, n_channels, bad):
    """Return a list of series (C, T_i) of one type."""
    longest = int(rng.integers(1, 20))
    unequal = rng.random() < 0.4
    size = 10.0 ** rng.uniform(-320, 308) if rng.random() < 0.3 else 10.0 ** rng.integers(-3, 4)
    dtype = np.dtype(draw(rng, NO_NUMBERS if bad and rng.random() < 0.3 else NUMBERS))
    cases = []
    for _ in range(n_cases):
        n_points = int(rng.integers(0 if bad else 1, longest + 1)) if unequal else longest
        case = rng.normal(size=(n_channels + (bad and rng.random() < 0.02), n_points))
        case = case.cumsum(axis=1) if rng.random() < 0.5 else np.full_like(case, 3) if rng.random() < 0.1 else case
        case = np.clip(case * size, -1.7e308, 1.7e308)
        if case.size and rng.random() < 0.1:
            special = [1e18, -1e38, 1e300, 5e-324, *([np.nan, np.inf, -np.inf] if bad else [])]
            case.flat[rng.integers(case.size)] = draw(rng, special)
        with np.errstate(all="ignore"):
            case = case.astype(dtype) if dtype.kind not in "Mm" else case.astype("i8").astype(dtype)
        if dtype.kind == "O" and bad and case.size and rng.random() < 0.3:
            case.flat[0] = draw(rng, [None, "a", "1", 1j, 10**400, pd.NaT, pd.NA, {}, [1], datetime.date(2020, 1, 1)])
        cases.append(case)
    return cases


def long_frame(rng, cases):
    """Return a frame with an index of two levels, and the ids of its cases."""
    ids = rng.permutation(100)[: len(cases)]
    ids = [f"id{one}" for one in ids] if rng.random() < 0.5 else ids.tolist()
    rows = [(one, time) for one, case in zip(ids, cases, strict=True) for time in range(case.shape[1])]
    frame = pd.DataFrame(np.hstack(cases).T, index=pd.MultiIndex.from_tuples(rows))
    return frame.rename(columns="channel {}".format) if rng.random() < 0.5 else frame


def as_container(rng, cases, bad):
    """Return the series in one of many containers."""
    equal = len({case.shape for case in cases}) == 1
    objects = np.empty(len(cases), dtype=object)
    for index, case in enumerate(cases):
        objects[index] = case
    makers = [
        lambda: cases,
        lambda: tuple(cases),
        lambda: objects,
        lambda: [case.tolist() for case in cases],
        lambda: [pd.DataFrame(case) for case in cases],
        lambda: [np.ma.masked_array(case) for case in cases],
        lambda: [torch.tensor(case) for case in cases],
        lambda: long_frame(rng, cases),
    ]
    if len(cases[0]) == 1 or bad:
        makers += [lambda: [case[0] for case in cases], lambda: [pd.Series(case[0]) for case in cases]]
    if equal:
        makers += [
            lambda: np.array(cases),
            lambda: np.asfortranarray(np.array(cases)),
            lambda: torch.tensor(np.array(cases)),
        ]
    if equal and (len(cases[0]) == 1 or bad):
        makers += [
            lambda: np.array(cases)[:, 0],
            lambda: pd.DataFrame(np.array(cases)[:, 0]),
            lambda: pd.DataFrame(np.array(cases)[:, 0], columns=[f"t{i}" for i in range(cases[0].shape[1])]),
        ]
    if bad:
        makers += [
            lambda: None,
            lambda: 3,
            lambda: "series",
            lambda: dict(enumerate(cases)),
            lambda: iter(cases),
            lambda: cases[0],
            lambda: np.zeros((2, 1, 1, 3)),
            lambda: np.zeros((0, 5)),
            lambda: [],
            lambda: [[]],
            lambda: [None] * len(cases),
            lambda: [np.ma.masked_invalid(case.astype(float) / 0) for case in cases],
            lambda: long_frame(rng, cases * 2),
            lambda: pd.Series(range(len(cases))),
            lambda: [[1, [2, 3]], [4, 5]],
        ]
    try:
        with np.errstate(all="ignore"):
            return draw(rng, makers)()
    except Exception:  # what torch, pandas or numpy cannot hold
        return cases


def draw_labels(rng, n_cases, n_classes, bad):
    """Return labels of one of many types."""
    y = rng.permutation(np.arange(n_cases) % n_classes)
    makers = [
        lambda: y,
        lambda: y.tolist(),
        lambda: np.array(list("abcdefgh"))[y],
        lambda: pd.Series(y, index=rng.permutation(n_cases)),
        lambda: pd.Categorical(y),
        lambda: y.astype(float),
        lambda: y > 0,
        lambda: y.astype(object),
        lambda: pd.DataFrame(y),
        lambda: np.array([f"{one}" for one in y], dtype=object),
    ]
    if bad:
        makers += [
            lambda: None,
            lambda: 3,
            lambda: y[:-1],
            lambda: np.where(y == y[0], np.nan, y),
            lambda: [None, *y[1:].tolist()],
            lambda: pd.array([pd.NA, *y[1:].tolist()]),
            lambda: ["a", *y[1:].tolist()],
            lambda: rng.normal(size=n_cases),
            lambda: np.stack([y, y], 1),
            lambda: y.astype("M8[s]"),
            lambda: y.astype(complex),
            lambda: [{}] * n_cases,
            lambda: [b"a"] * n_cases,
            lambda: np.full(n_cases, np.inf),
            lambda: "labels",
            lambda: [[1], [1, 2]],
        ]
    return draw(rng, makers)()


def draw_weights(rng, n_cases, bad):
    """Return weights of the cases, or None."""
    makers = [
        lambda: None,
        lambda: None,
        lambda: np.ones(n_cases),
        lambda: 10.0 ** rng.uniform(-320, 308, n_cases),
        lambda: np.full(n_cases, draw(rng, [5e-324, 1e308, 1e-300])),
        lambda: (rng.random(n_cases) < 0.7).astype(int).tolist(),
        lambda: pd.Series(rng.random(n_cases)),
        lambda: 2,
    ]
    if bad:
        makers += [
            lambda: -np.ones(n_cases),
            lambda: np.full(n_cases, np.nan),
            lambda: np.full(n_cases, np.inf),
            lambda: np.zeros(n_cases),
            lambda: np.ones(n_cases + 1),
            lambda: ["heavy"] * n_cases,
            lambda: np.ones((n_cases, 2)),
            lambda: {},
        ]
    return draw(rng, makers)()


def draw_estimator(rng, bad):
    """Return an unfitted estimator with random parameters."""
    kind = draw(rng, [V2SClassifier, V2SClassifier, V2SClassifier, TransferClassifier, V2SFeatures])
    parameters = {}
    for name in kind().get_params():
        good, wrong = PARAMETERS[name]
        if name == "acoustic_model":
            parameters[name] = draw(rng, good if kind is not TransferClassifier else list(SOURCES))
        elif name in ("max_epochs", "random_state") or rng.random() < 0.25:
            parameters[name] = draw(rng, good if kind is not TransferClassifier or name != "max_epochs" else [1, 2])
        if bad and rng.random() < 0.03:
            parameters[name] = draw(rng, wrong)
    return kind(**parameters)


def check_result(estimator, X):
    """Raise an AssertionError if a fitted estimator gives something that is no valid result for X."""
    if isinstance(estimator, V2SFeatures):
        features = estimator.transform(X)
        assert features.ndim == 2 and np.isfinite(features).all(), "features that are not finite"
        return
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape[1] == len(estimator.classes_), "probabilities of another shape"
    assert np.isfinite(probabilities).all() and (probabilities >= 0).all(), "probabilities that are not finite"
    assert np.allclose(probabilities.sum(axis=1), 1), "probabilities that do not sum to one"
    assert np.isin(estimator.predict(X), estimator.classes_).all(), "labels that were not given"


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
    estimator = draw_estimator(rng, bad)
    X = as_container(rng, draw_series(rng, n_cases, n_channels, bad), bad and rng.random() < 0.3)
    y = draw_labels(rng, n_cases, int(rng.integers(1, 4)), bad and rng.random() < 0.3)
    weights = draw_weights(rng, n_cases, bad and rng.random() < 0.3)
    names = [*estimator.get_params(), "acoustic model", "X", "y", "sample_weight"]
    try:
        if isinstance(estimator, V2SFeatures):
            estimator.fit(X)
        else:
            estimator.fit(X, y, sample_weight=weights)
        check_result(estimator, X)
        check_result(estimator, as_container(rng, draw_series(rng, 3, n_channels, bad), bad and rng.random() < 0.3))
    except (ValueError, TypeError) as error:
        if not re.search(rf"\b({'|'.join(names)})\b", str(error)):
            raise
        return "refused"
    return "valid"


def main(arguments=None):
    """Make the calls; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    options = parser.parse_args(arguments)
    register_sources()
    warnings.simplefilter("ignore")
    outcomes = Counter()
    try:
        for number in range(options.first, options.first + options.calls):
            try:
                outcomes[random_call((options.seed, number))] += 1
            except Exception as error:
                outcomes["failed"] += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__}: {str(error)[:300]}"
                print(f"call {number}: {what} ({where.filename}:{where.lineno})", flush=True)
    finally:
        print(f"{sum(outcomes.values())} calls: " + ", ".join(f"{count} {name}" for name, count in outcomes.items()))
    return outcomes["failed"]


if __name__ == "__main__":
    sys.exit(bool(main()))
