"""What `fuzz` calls the estimators with: sources, parameters, series, containers, labels, weights.

Each ``draw_...`` takes numpy's generator; with ``bad`` it also draws what has to be refused.
"""

import datetime
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from skorch.callbacks import EpochTimer

from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, register_acoustic_model
from v2s_sklearn.acoustic.networks.attention_rnn import AttentionRNN
from v2s_sklearn.acoustic.networks.contour import ContourNet
from v2s_sklearn.acoustic.networks.tcn import TemporalConvNet
from v2s_sklearn.acoustic.networks.wav2vec import Wav2Vec
from v2s_sklearn.views import DEFAULT_VOICES, Voice

WORDS = [f"word{index}" for index in range(6)]
SOURCES = {
    "fuzz-rnn": lambda: AttentionRNN(WORDS, n_samples=1200, hidden_size=4, dense_sizes=[4]),
    "fuzz-wave": lambda: Wav2Vec(WORDS, n_samples=1200, encoder_channels=[4] * 5, n_context_layers=1, n_steps=1),
    "fuzz-tcn": lambda: TemporalConvNet(WORDS, n_samples=1200, channels=[4, 4]),
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
        [
            *(
                "",
                "x" * 300,
                "x/" * 5000,
                "a/b\0c",
                "hf:",
                "torchvision:",
                "v2sb",
                "..",
                "fuzz-rnn ",
                "\ud800",
                "~",
                "\n",
            ),
            *(
                "x.safetensors",
                "x" * 300 + ".safetensors",
                "hf:" + "x" * 300,
                3,
                None,
                [],
                ["fuzz-rnn"] * 2,
                b"v2sa",
                {},
            ),
            *([None], np.array(["fuzz-rnn"]), torch.nn.Linear(1, 1), V2SClassifier),
        ],
    ),
    "reprogramming": (["auto", "auto", "modulation", "pad", "playback", "contour"], ["", None, 1, "paddle", ["pad"]]),
    "voices": (
        [None, DEFAULT_VOICES, [Voice(300.0, 100.0, 0.5, 3, 1)]],
        [[], ["high"], Voice(300.0), 3, "voice", [None], np.zeros(2), {}, [Voice], [(300.0, 100.0)]],
    ),
    "n_replicates": ([1, 2, 10, np.int64(3), 10**8], [0, -1, 1.5, None, "2", np.nan]),
    "max_channels": ([16, 1, 2, np.int32(3), 10**9], [0, -2, 2.5, None, "1"]),
    "standardize": ([True, True, False, np.bool_(True)], ["yes", None, 2, np.nan]),
    "dropout": ([0.0, 0.3, np.float32(0.1), 0], [1.0, -0.1, np.nan, None, "0", np.inf]),
    "mapping": (["ridge", "ridge", "random", "frequency"], ["many", None, 0]),
    "max_epochs": ([0, 0, 1, 2, np.int64(1)], [-1, 1.5, None, "1", np.nan]),
    "learning_rate": (
        [0.001, 0.05, 1, 1e-300, 1e6, np.float32(0.1)],
        [0, -1, np.nan, np.inf, 1e300, 10**400, None, "0.1"],
    ),
    "batch_size": ([32, 1, 3, 10**30, np.int64(4)], [0, -3, 2.5, None, "8"]),
    "weight_decay": ([0.0, 0.04, 1e6], [-1, np.nan, np.inf, None, "0"]),
    "early_stopping": ([False, False, True], ["no", None, 2]),
    "validation_fraction": ([0.1, 0.5, 0.999, 1e-9], [0, 1, -1, np.nan, None]),
    "n_iter_no_change": ([10, 1, np.int64(2), 10**12], [0, 1.5, None]),
    "callbacks": (
        [None, [], (), [EpochTimer()], [("timer", EpochTimer())]],
        ["x", [3], [("name", 3)], 5, [None], {"a": 1}, EpochTimer(), [("a", EpochTimer(), 1)]],
    ),
    "device": (["auto", "cpu"], ["gpu", "cuda:99", None, 3, "", "meta:1:2"]),
    "class_weight": (
        [None, "balanced", {0: 2.0, 1: 1.0, 2: 3, "a": 1, "b": 2}, {0: 0.0}, {0: 1e308, 1: 1e-308}],
        [{0: -1.0}, {0: np.nan}, {0: "1"}, {"none": 1}, "heavy", 3, [1, 2], {0: None}, {0: np.inf}, {0: 10**400}],
    ),
    "missing_label": ([None, -1, "?", 0.5, np.int64(-9)], [[-1], {}, 1j, np.array([-1])]),
    "random_state": (
        [None, 0, 2**32 - 1, np.random.RandomState(0), np.int64(3)],
        [-1, 2**32, 1.5, "0", np.nan, [], "seed", {}],
    ),
    "n_jobs": ([1, None, 2, -1, np.int64(2), 0, 1000], [1.5, "1", np.nan, []]),
    "verbose": ([0, False, True, 1, 2], ["yes", None, -1, 1.5]),
}
VOICE = {
    "carrier": ([300.0, 0, -1e6, np.float32(1500), True], [np.nan, np.inf, 1e7, None, "high", 1j]),
    "deviation": ([0.0, 1e6, -100, np.int64(5)], [np.nan, -np.inf, 1e300, None, []]),
    "loudness": ([0.0, 5, -5.0, 0.3], [np.nan, 5.1, 1e38, "loud"]),
    "n_harmonics": ([1, 2, 100, np.int8(3)], [0, -1, 101, 1.5, None, 10**30]),
    "order": ([0, 1, True], [2, -1, 0.5, None, "1"]),
}
NUMBERS = (float, float, float, "f4", "f2", "f2", "i8", "i1", "u2", "g", ">f8", bool, object)
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
        # Infinity only among what is bad.
        limit = 1.7e308 if bad or dtype.kind != "f" else min(1.7e308, float(np.finfo(dtype).max))
        case = np.clip(case * size, -limit, limit)
        if case.size and rng.random() < 0.1:
            special = [
                *np.clip([1e18, -1e38, 1e300, 5e-324], -limit, limit),
                *([np.nan, np.inf, -np.inf] if bad else []),
            ]
            case.flat[rng.integers(case.size)] = draw(rng, special)
        with np.errstate(all="ignore"):
            case = case.astype(dtype) if dtype.kind not in "Mm" else case.astype("i8").astype(dtype)
        if dtype.kind == "O" and bad and case.size and rng.random() < 0.3:
            case.flat[0] = draw(rng, [None, "a", "1", 1j, 10**400, pd.NaT, pd.NA, {}, [1], datetime.date(2020, 1, 1)])
        cases.append(case)
    return cases


def long_frame(rng, cases):
    """Return a frame with an index of two levels; at random one cut out of a larger frame, with rows in disorder."""
    part = rng.random() < 0.5
    ids = rng.permutation(100)[: len(cases) + 2 * part]
    ids = [f"id{one}" for one in ids] if rng.random() < 0.5 else ids.tolist()
    cases = [*cases, *cases[: 2 * part]][: len(ids)]
    start = pd.Timestamp("2020-01-01") if rng.random() < 0.2 else 0
    step = pd.Timedelta("1D") if start else 1
    rows = [(one, start + step * time) for one, case in zip(ids, cases, strict=False) for time in range(case.shape[1])]
    frame = pd.DataFrame(np.hstack(cases).T, index=pd.MultiIndex.from_tuples(rows))
    if part and len(cases) > 2:
        frame = frame.loc[ids[: len(cases) - 2]]
    if rng.random() < 0.3:
        frame = frame.iloc[rng.permutation(len(frame))]
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
        lambda: [np.ma.masked_array(case, mask=np.zeros(case.shape, bool)) for case in cases],
        lambda: [case[:, ::-1] for case in cases],
        lambda: pd.Series(cases, index=rng.permutation(len(cases))),
        lambda: [cases[0].tolist(), *map(torch.tensor, cases[1:])],
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
            lambda: pd.DataFrame(np.array(cases)[:, 0]).convert_dtypes(),
            lambda: pd.DataFrame(np.array(cases)[:, 0]).astype(pd.SparseDtype(float)),
            lambda: np.ma.masked_array(np.array(cases)[:, 0]),
            lambda: np.asmatrix(np.array(cases)[:, 0]),
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
            lambda: csr_array(np.ones((len(cases), 5))),
            lambda: np.float64(3.0),
            lambda: np.array(5),
            lambda: torch.ones(()),
            lambda: memoryview(np.ones(len(cases))),
            lambda: pd.DataFrame([["a", 1.0]] * len(cases)),
            lambda: pd.DataFrame(np.ones((len(cases), 3))).astype("category"),
            lambda: pd.DataFrame(np.ones((len(cases), 3), int)).astype("Int64").mask(lambda frame: frame > 0),
            lambda: pd.DataFrame(np.ones((len(cases), 2)), columns=["a", "a"]),
            lambda: pd.DataFrame(np.ones((len(cases), 2)), columns=["a", 1]),
            lambda: pd.DataFrame(),
            lambda: np.ma.masked_less(np.ones((len(cases), 4)), 2),
            lambda: range(len(cases)),
            lambda: {1, 2, 3},
            lambda: "series" * len(cases),
            lambda: [case.astype(complex) for case in cases],
            lambda: [*cases[:-1], None],
            lambda: [*cases[:-1], cases[-1][0]],
            lambda: [np.longdouble("1e4000") * np.ones((1, 3))] * len(cases),
            lambda: [[1, [2, 3]], [4, 5]],
        ]
    try:
        with np.errstate(all="ignore"):
            return draw(rng, makers)()
    except Exception:  # what torch, pandas or numpy cannot hold
        return cases


def draw_labels(rng, X, n_cases, n_classes, bad):
    """Return labels of one of many types; of a frame with a two-level index at random by its ids."""
    y = rng.permutation(np.arange(n_cases) % n_classes)
    if isinstance(X, pd.DataFrame) and X.index.nlevels == 2 and rng.random() < 0.5:
        ids = X.index.get_level_values(0).unique()
        return pd.Series(y[: len(ids)], index=rng.permutation(ids)[: len(y)])
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
        lambda: pd.array(y, dtype="Int64"),
        lambda: pd.Series(list("abcdefgh")).astype("string")[y],
        lambda: torch.tensor(y),
        lambda: np.array([2**60, -(2**60), 0])[y],
        lambda: np.array(["x" * 1000, "", "\u00e4"])[y],
        lambda: y[:, None],
        lambda: np.float16(y),
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
            lambda: [None] * n_cases,
            lambda: [np.nan] * n_cases,
            lambda: np.array(["a", None] * n_cases, dtype=object)[:n_cases],
            lambda: np.array(["a", np.nan] * n_cases, dtype=object)[:n_cases],
            lambda: pd.Categorical([None, *y[1:].tolist()]),
            lambda: pd.Series([pd.NaT] * n_cases),
            lambda: pd.Series(["a", None] * n_cases, dtype="string")[:n_cases],
            lambda: torch.full((n_cases,), torch.nan),
            lambda: y.astype("m8[s]"),
            lambda: [(1, 2)] * n_cases,
            lambda: csr_array(y[:, None]),
            lambda: y / 3,
            lambda: np.ma.masked_array(y, mask=True),
            lambda: np.zeros(n_cases, [("a", int)]),
            lambda: iter(y),
            lambda: {},
            lambda: [],
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
        lambda: np.resize([1e-300, 1e308], n_cases),
        lambda: np.resize([5e-324, 1.0, 0.0], n_cases),
        lambda: torch.ones(n_cases),
        lambda: np.ones(n_cases, np.float16) * 60000,
        lambda: np.ones(n_cases, bool).tolist(),
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
            lambda: [None] * n_cases,
            lambda: [1, *["1"] * (n_cases - 1)],
            lambda: np.ones(n_cases, complex),
            lambda: np.ones(n_cases, "M8[s]"),
            lambda: np.ma.masked_array(np.ones(n_cases), mask=True),
            lambda: csr_array(np.ones((n_cases, 1))),
            lambda: "heavy",
            lambda: [10**400] * n_cases,
            lambda: np.nan,
            lambda: -1,
        ]
    return draw(rng, makers)()


def draw_voice(rng, bad):
    """Return a voice with random settings; raises what the constructor raises."""
    settings = {"carrier": 400.0}
    for name, (good, wrong) in VOICE.items():
        if rng.random() < 0.5:
            settings[name] = draw(rng, wrong if bad and rng.random() < 0.2 else good)
    return Voice(**settings)


def draw_estimator(rng, bad):
    """Return an unfitted estimator with random parameters."""
    kind = draw(rng, [V2SClassifier, V2SClassifier, V2SClassifier, TransferClassifier, V2SFeatures])
    parameters = {}
    for name in sorted(kind().get_params()):
        good, wrong = PARAMETERS[name]
        if name == "acoustic_model":
            parameters[name] = draw(rng, good if kind is not TransferClassifier else list(SOURCES))
        elif name in ("max_epochs", "random_state") or rng.random() < 0.25:
            parameters[name] = draw(rng, good if kind is not TransferClassifier or name != "max_epochs" else [1, 2])
        if name == "voices" and rng.random() < 0.3:
            parameters[name] = [draw_voice(rng, bad) for _ in range(rng.integers(1, 4))]
        if bad and rng.random() < 0.03:
            parameters[name] = draw(rng, wrong)
    return kind(**parameters)


def _flat(rng, channel):
    channel[:] = channel[0]


def _nearly_flat(rng, channel):
    channel[:] = channel[0] * (1 + 1e-6 * rng.normal(size=len(channel)))


def _gaps(rng, channel):
    channel[rng.random(len(channel)) < 0.3] = np.nan


def _block(rng, channel):
    first = rng.integers(len(channel))
    channel[first : first + rng.integers(len(channel))] = np.nan


def _unknown(rng, channel):
    channel[:] = np.nan


def draw_signals(rng, n_cases, n_channels, n_points=None, gaps=True):
    """Return float64 series (C, T_i): random walks, some of whose channels stand still, nearly so, or have gaps.

    Parameters
    ----------
    rng : Generator
    n_cases, n_channels : int
    n_points : int, optional
        Of each series; by default drawn, at random several.
    gaps : bool, default=True
        Whether values may be missing (NaN).
    """
    unequal = n_points is None and rng.random() < 0.3
    longest = n_points or int(rng.integers(2, 16))
    defects = [_flat, _nearly_flat, *([_gaps, _block, _unknown] if gaps else [])]
    share, dead = draw(rng, [0.0, 0.0, 0.1, 0.5, 1.0]), int(rng.integers(n_channels)) if rng.random() < 0.2 else None
    level, size, defect_of_all = draw(rng, [0.0, 0.0, -3.0, 1e3, 1e6]), 10.0 ** rng.integers(-2, 3), draw(rng, defects)
    cases = []
    for _ in range(n_cases):
        length = int(rng.integers(1, longest + 1)) if unequal else longest
        case = level + size * rng.normal(size=(n_channels, length)).cumsum(axis=1)
        for number, channel in enumerate(case):
            if number == dead:
                defect_of_all(rng, channel)
            elif rng.random() < share:
                draw(rng, defects)(rng, channel)
        cases.append(case)
    return cases


def _days(n_points):
    return [datetime.date(2020, 2, 20) + datetime.timedelta(days=day) for day in range(n_points)]


# Times of types whose objects, or text, stand in an index.
TIMES = [
    lambda n_points: list(range(n_points)),
    lambda n_points: [f"{number}" for number in range(8, 8 + n_points)],
    lambda n_points: [f"t{number}" for number in range(8, 8 + n_points)],
    _days,
    lambda n_points: [day.isoformat() for day in _days(n_points)],
    lambda n_points: [f"{day}T23:59:0{number % 3}Z" for number, day in enumerate(_days(n_points))],
    lambda n_points: [datetime.datetime.combine(day, datetime.time(1)) for day in _days(n_points)],
    lambda n_points: [datetime.time(number % 24, number // 24) for number in range(n_points)][:24],
    lambda n_points: [f"{8 + number // 60}:{number % 60:02}" for number in range(0, 20 * n_points, 20)],
    lambda n_points: pd.Index(pd.date_range("2020-02-20", periods=n_points), dtype=object),
    lambda n_points: pd.Index(pd.date_range("2020-02-20", periods=n_points, tz="Asia/Tokyo"), dtype=object),
    lambda n_points: pd.Index(pd.timedelta_range("-3h", periods=n_points, freq="1h"), dtype=object),
    lambda n_points: pd.period_range("2020-02", periods=n_points, freq="M"),
]


def timed_frame(rng, cases):
    """Return series as a frame with an index of two levels, its rows in disorder, and the order of the cases in it."""
    ids = rng.permutation(100)[: len(cases)]
    ids = [f"id{one}" for one in ids] if rng.random() < 0.5 else ids.tolist()
    times = draw(rng, TIMES)(max(case.shape[1] for case in cases))
    columns = [f"channel {number}" for number in range(len(cases[0]))]
    parts = [pd.DataFrame(case.T, index=times[: case.shape[1]], columns=columns) for case in cases]
    frame = pd.concat(parts, keys=ids)
    if rng.random() < 0.3:
        frame = frame.astype(object).where(frame.notna(), None)
    frame = frame.iloc[rng.permutation(len(frame))]
    order = [ids.index(one) for one in frame.index.get_level_values(0).unique()]
    return frame, order, ids


def _with_time_index(rng, case):
    """Return a series as a frame with a row a time point, in disorder."""
    frame = pd.DataFrame(case.T, index=pd.Index(_days(case.shape[1]), dtype=object))
    return frame.iloc[rng.permutation(len(frame))]


def as_same(rng, cases, table):
    """Return the series in a container in whose answers nothing may differ; ``table``: at random with a row a case."""
    objects = np.empty(len(cases), dtype=object)
    objects[:] = cases
    makers = [
        lambda: tuple(cases),
        lambda: objects,
        lambda: [np.where(np.isnan(case), None, case).tolist() for case in cases],
        lambda: [np.ma.masked_invalid(case) for case in cases],
        lambda: [pd.DataFrame(case) for case in cases],
        lambda: [pd.DataFrame(case).convert_dtypes() for case in cases],
        lambda: [_with_time_index(rng, case) for case in cases],
        lambda: [torch.tensor(case) for case in cases],
    ]
    if len({case.shape for case in cases}) == 1:
        stacked = np.stack(cases)
        makers += [lambda: stacked, lambda: np.asfortranarray(stacked), lambda: torch.tensor(stacked)]
        if len(cases[0]) == 1 and table:
            makers += [
                lambda: stacked[:, 0],
                lambda: pd.DataFrame(stacked[:, 0]).convert_dtypes(),
                lambda: pd.DataFrame(stacked[:, 0], columns=[f"t{i}" for i in range(stacked.shape[2])]),
                lambda: np.ma.masked_invalid(stacked[:, 0]),
            ]
    return draw(rng, makers)()


def draw_path(rng, folder, bad):
    """Return a path in a new folder that is awkward, but a file can be written to; with ``bad`` one that cannot be."""
    (folder / "old").write_bytes(b"old content")
    (folder / "sub").mkdir()
    for name, target in (("to file", "old"), ("to folder", "sub"), ("to nothing", "new"), ("loop", "loop")):
        (folder / name).symlink_to(target)
    good = ["x", "with 'many'  spaces .bin", "ünï-日本-🎵", "x" * 255, "ä" * 127, ".hidden", "-", "a\nb", "old"]
    good += ["to file", "to folder/x", "to nothing", "sub/../x"]
    wrong = ["", "sub", "to folder", "missing/x", "old/x", "x" * 256, "loop", "a\0b", "pipe"]
    if bad:
        os.mkfifo(folder / "pipe")
        (folder / "old").chmod(0o400)
        (folder / "sub").chmod(0o500)
        if not os.access(folder / "old", os.W_OK):  # root may
            wrong += ["old", "sub/x"]
    name = draw(rng, wrong if bad else good)
    return draw(rng, [str, Path])(folder / name)
