"""Random calls one after another on one estimator, whose state is compared with what it has to be after each.

`fuzz` makes them. The state has to be that of a new estimator with the same parameters that was fitted to the same
series as plain arrays, whatever was called before, and however the estimator came here: by fits that were refused, as a
pickle, from a file.
"""

import json
import os
import pickle
import re
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from benchmarks.robustness.draws import (
    PARAMETERS,
    SOURCES,
    as_same,
    draw,
    draw_estimator,
    draw_path,
    draw_signals,
    timed_frame,
)
from v2s_sklearn import V2SClassifier, V2SFeatures, from_long_frame, load, to_onnx
from v2s_sklearn.errors import ExportError, SavedFileError
from v2s_sklearn.persistence.onnx import TOLERANCE
from v2s_sklearn.views import ContourView, ModulationView

N_STEPS = 8
# What is refused of data, and what an error has to name.
REFUSALS = (ValueError, TypeError)
# Attributes that tell of the container.
OF_CONTAINERS = {"n_features_in_", "feature_names_in_"}
# Parameters that are left as they are: whatever prints, and what no file holds.
NOT_SET = ("callbacks", "verbose")
MAPPINGS, _ = PARAMETERS["mapping"]
# Values that more estimators and labels go with than with all of `PARAMETERS`.
FEW = {"max_epochs": [1, 2], "reprogramming": ["auto", "modulation", "pad"], "class_weight": [None, "balanced"]}
LABELS = [
    lambda y: y,
    lambda y: y - 7,
    lambda y: y.astype(float),
    lambda y: y == 0,
    lambda y: np.array(["a", "ä b", ""])[y],
    lambda y: np.array(["a", "ä b", ""], dtype=object)[y],
]


def answer(estimator, X):
    """Return the features or probabilities of X."""
    return estimator.transform(X) if isinstance(estimator, V2SFeatures) else estimator.predict_proba(X)


def check_result(estimator, X):
    """Return what a fitted estimator answers for X; raise an AssertionError if it is no valid result."""
    answers = answer(estimator, X)
    if isinstance(estimator, V2SFeatures):
        assert answers.ndim == 2 and np.isfinite(answers).all(), "features that are not finite"
        return answers
    probabilities = answers
    assert probabilities.shape[1] == len(estimator.classes_), "probabilities of another shape"
    assert np.isfinite(probabilities).all() and (probabilities >= 0).all(), "probabilities that are not finite"
    assert np.allclose(probabilities.sum(axis=1), 1), "probabilities that do not sum to one"
    return probabilities


def fit(estimator, X, y, weights):
    """Fit; return the error in words if it was refused, else None."""
    try:
        fitted = estimator.fit(X) if isinstance(estimator, V2SFeatures) else estimator.fit(X, y, sample_weight=weights)
    except REFUSALS as error:
        return f"{type(error).__name__}: {error}"
    assert fitted is estimator, "fit returned something else"
    return None


def new_estimator(rng):
    """Return an estimator with good parameters that gives the same bits again, most often one that is fitted fast."""
    if rng.random() < 0.6:
        return V2SClassifier(draw(rng, list(SOURCES)), mapping=draw(rng, MAPPINGS), random_state=0)
    estimator = draw_estimator(rng, bad=False)
    fixed = {"random_state": draw(rng, [0, 3, np.int64(7)]), "n_jobs": 1, "reprogramming": "auto"} | dict.fromkeys(
        NOT_SET
    )
    fixed |= {"verbose": 0, "early_stopping": False, "learning_rate": 0.01, "class_weight": None}
    return estimator.set_params(**{name: value for name, value in fixed.items() if name in estimator.get_params()})


class Sequence:
    """An estimator and what its state has to be.

    Parameters
    ----------
    rng : Generator

    Attributes
    ----------
    estimator : V2SClassifier, V2SFeatures or TransferClassifier
    parameters : dict
        What ``get_params`` has to return.
    fitted : estimator or None
        A new one fitted to the same series; None if nothing was fitted yet.
    series, answers : list, ndarray
        Series, and what ``fitted`` answers for them.
    """

    def __init__(self, rng):
        self.rng = rng
        self.estimator = new_estimator(rng)
        self.parameters = self.estimator.get_params()
        self.fitted = self.series = self.answers = None

    # What is done.

    def step(self):
        """Make one call at random, at first most often a fit; return its name."""
        steps = [self.fit] * 4 + [self.fit_bad] * 2 + [self.set_good, self.set_bad] + [self.predict] * 4
        steps += [self.clone, self.pickle, self.save, self.save, self.save_bad, self.load_bad]
        steps += [self.export] if self.rng.random() < 0.1 else []
        chosen = self.fit if self.fitted is None and self.rng.random() < 0.6 else draw(self.rng, steps)
        return chosen() or chosen.__name__

    def fit(self):
        """Fit to series in any container, as a new estimator is fitted to plain arrays; all of it or nothing."""
        rng = self.rng
        n_cases, n_channels = int(rng.integers(4, 9)), int(rng.integers(1, 4))
        cases = draw_signals(rng, n_cases, n_channels)
        y = draw(rng, LABELS)(rng.permutation(np.arange(n_cases) % rng.integers(1, 4)))
        weights = rng.random(n_cases) if rng.random() < 0.3 else None
        X, labels, order = as_same(rng, cases, table=True), y, range(n_cases)
        if rng.random() < 0.4:
            X, order, ids = timed_frame(rng, cases)
            labels = pd.Series(y, index=ids).iloc[rng.permutation(n_cases)]
            cases, y = [cases[index] for index in order], y[order]
            weights = None if weights is None else weights[order]
            if rng.random() < 0.5:
                X, labels = from_long_frame(X, labels)
        new = type(self.estimator)(**self.parameters)
        refused = fit(new, cases, y, weights)
        found = fit(self.estimator, X, labels, weights)
        assert found == refused, f"{type(X).__name__}: {found}, plain arrays: {refused}"
        if refused:
            return "refused fit"
        n_points = cases[0].shape[1] if rng.random() < 0.7 else None
        series = draw_signals(rng, 4, n_channels, n_points)
        self.fitted, self.series, self.answers = new, series, check_result(new, series)
        return None

    def fit_bad(self):
        """Fit to what cannot be fitted to."""
        rng, n_cases = self.rng, 6
        X = np.stack(draw_signals(rng, n_cases, 2, 9, gaps=False))
        y, weights = np.arange(n_cases) % 2, np.ones(n_cases)
        frame, broken = timed_frame(rng, X)[0], X.copy()
        unclear = {time: f"{word} day" for time, word in zip(frame.index.unique(1), "abcdefghi", strict=True)}
        broken[4, 1, 5] = draw(rng, [np.inf, -np.inf])
        bad = [
            (broken, y, None),
            (np.full_like(X, np.nan), y, None),
            (X.astype(str), y, None),
            ([*X[:-1], X[-1][:1]], y, None),
            ([*X[:-1], X[-1][:, :0]], y, None),
            (frame.iloc[[0, *range(len(frame))]], y, None),
            (frame.iloc[:0], y, None),
            (frame.rename(index=unclear, level=1), y, None),
            (X[0, 0], y, None),
        ]
        if not isinstance(self.estimator, V2SFeatures):
            bad += [
                (X, y[:-1], None),
                (X, np.full(n_cases, np.nan), None),
                (X, None, None),
                (X, y, -weights),
                (X, y, weights[:-1]),
                (X, y, weights * np.nan),
                (X, y, weights * 0),
            ]
        X, y, weights = draw(rng, bad)
        refused = fit(self.estimator, X, y, weights)
        assert refused, "bad data were fitted to"
        names = [*self.parameters, "X", "y", "sample_weight"]
        assert re.search(rf"\b({'|'.join(names)})\b", refused), f"an error that names nothing: {refused}"

    def set_good(self):
        """Set a parameter, which changes no answer until the next fit."""
        name = draw(self.rng, sorted(set(self.parameters) - {*NOT_SET, "random_state", "acoustic_model"}))
        values = FEW.get(name, PARAMETERS[name][0])
        self.parameters = self.parameters | {name: draw(self.rng, values)}
        assert self.estimator.set_params(**self.parameters) is self.estimator

    def set_bad(self):
        """Fit with a parameter that cannot be used, and set it back; a new estimator refuses the same, or takes it."""
        name = draw(self.rng, sorted(set(self.parameters) - set(NOT_SET)))
        self.parameters, good = self.parameters | {name: draw(self.rng, PARAMETERS[name][1])}, self.parameters
        self.estimator.set_params(**self.parameters)
        self.fit()
        self.parameters = good
        self.estimator.set_params(**good)

    def predict(self):
        """Ask for answers in other containers, cases alone, labels, and names."""
        if self.fitted is None:
            return self.refuse_unfitted(lambda: answer(self.estimator, [np.ones((1, 5))]))
        rng, series = self.rng, self.series
        equal = {case.shape[1] for case in series} == {self.fitted.metadata_["n_timepoints"]}
        if rng.random() < 0.5:
            X, order, _ = timed_frame(rng, series)
            X = from_long_frame(X) if rng.random() < 0.5 or self.estimator._channels is None else X
        else:
            X, order = as_same(rng, series, table=equal), range(len(series))
        found = answer(self.estimator, X)
        assert np.array_equal(found, self.answers[list(order)]), f"other answers in {type(X).__name__}"
        one = int(rng.integers(len(series)))
        alone = answer(self.estimator, [series[one]])[0]
        assert np.array_equal(alone, self.answers[one]), "another answer for a case alone"
        if isinstance(self.estimator, V2SFeatures):
            assert len(self.estimator.get_feature_names_out()) == self.answers.shape[1], "other names"
        else:
            expected = self.fitted.classes_[self.answers.argmax(axis=1)]
            assert np.array_equal(self.estimator.predict(series), expected), "other labels"
        return None

    def clone(self):
        """Take a clone, which is not fitted; go on with it at random."""
        copy = clone(self.estimator)
        assert not copy.is_fitted and same(copy.get_params(), self.parameters), "a clone of another state"
        if self.rng.random() < 0.2:
            self.estimator, self.fitted = copy, None

    def pickle(self):
        """Go on with what a pickle holds."""
        self.estimator = pickle.loads(pickle.dumps(self.estimator))

    def save(self):
        """Go on with what a file at an awkward path holds."""
        with tempfile.TemporaryDirectory() as folder:
            path = draw_path(self.rng, Path(folder), bad=False)
            if self.fitted is None:
                return self.refuse_unfitted(lambda: self.estimator.save(path))
            before = listing(folder)
            self.estimator.save(path)
            changed = listing(folder).items() ^ before.items()
            assert len({place for place, _ in changed}) == 1, f"other files were touched: {changed}"
            self.estimator = load(path)
        return None

    def save_bad(self):
        """Save to what is no place for a file."""
        if self.fitted is None:
            return "refused before fit"
        with tempfile.TemporaryDirectory() as folder:
            path = draw_path(self.rng, Path(folder), bad=True)
            before = listing(folder)
            try:
                draw(self.rng, [self.estimator.save, lambda path: to_onnx(self.estimator, path)])(path)
            except (OSError, ValueError) as error:
                named = str(path) in str(error) or getattr(error, "filename", None) == str(path) or "\0" in str(path)
                assert named, f"an error that does not name the file: {error}"
            else:
                raise AssertionError(f"{path!r} was written")
            assert listing(folder) == before, "files were touched"
        return None

    def load_bad(self):
        """Load what is no saved file."""
        with tempfile.TemporaryDirectory() as folder:
            path = draw_path(self.rng, Path(folder), bad=False)
            for wrong in (path, folder, Path(folder) / "sub" / "missing"):
                try:
                    load(wrong)
                except SavedFileError as error:
                    assert str(wrong) in str(error), f"an error that does not name the file: {error}"
                else:
                    raise AssertionError(f"{wrong!r} was loaded")

    def export(self):
        """Write a graph to an awkward path and compare its answers."""
        with tempfile.TemporaryDirectory() as folder:
            path = draw_path(self.rng, Path(folder), bad=False)
            if self.fitted is None:
                return self.refuse_unfitted(lambda: to_onnx(self.estimator, path))
            known, unequal = self.fitted.metadata_, self.fitted.metadata_["unequal_length"]
            n_points = 5 if unequal else known["n_timepoints"]
            X = np.stack(draw_signals(self.rng, 6, known["n_channels"], n_points, gaps=False))
            try:
                to_onnx(self.estimator, path, X)
            except ExportError as error:
                # Counts of frames and moments jump where rounding decides, see to_onnx.
                jumps = "differs from it" in str(error) and not self.is_exact()
                assert jumps or (unequal and "unequal length" in str(error)), error
                return "refused export"
            assert not unequal, "a graph of unequal lengths"
            session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
            X[0, -1, -1] = draw(self.rng, [np.nan, np.inf])
            found, expected = session.run(None, {"X": X})[-1], answer(self.estimator, X[1:])
            assert np.isnan(found[0]).all(), "an answer for NaN"
            assert np.allclose(found[1:], expected, rtol=0, atol=TOLERANCE * max(1.0, np.abs(expected).max())), (
                "a graph that answers otherwise"
            )
            if not isinstance(self.estimator, V2SFeatures):
                classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
                assert classes == self.fitted.classes_.tolist(), "other classes in a graph"
        return None

    def is_exact(self):
        """Return whether no view of the estimator counts frames."""
        views = getattr(self.estimator._module(), "views", [])
        return not any(isinstance(view, ContourView | ModulationView) for view in views)

    # What has to hold.

    def refuse_unfitted(self, call):
        """Raise an AssertionError unless a call is refused before fit."""
        try:
            call()
        except NotFittedError:
            return "refused before fit"
        raise AssertionError("an answer before fit")

    def check(self):
        """Raise an AssertionError unless parameters, attributes and answers are what they have to be."""
        estimator, fitted = self.estimator, self.fitted
        assert same(estimator.get_params(), self.parameters), "other parameters"
        assert estimator.is_fitted == (fitted is not None), "fitted or not"
        if fitted is None:
            return
        attributes = [{name for name in vars(one) if name.endswith("_")} - OF_CONTAINERS for one in (estimator, fitted)]
        differing = (attributes[0] ^ attributes[1]) - {"fit_time_millis_"}
        assert not differing, f"other attributes: {differing}"
        assert same(estimator.metadata_, fitted.metadata_), "other metadata"
        if not isinstance(estimator, V2SFeatures):
            assert np.array_equal(estimator.classes_, fitted.classes_), "other classes"
        assert np.array_equal(check_result(estimator, self.series), self.answers), "other answers"


def same(found, expected):
    """Return whether two dicts hold the same."""
    return found.keys() == expected.keys() and all(
        found[name] is value or found[name] == value for name, value in expected.items()
    )


def listing(folder):
    """Return the files in a folder, where links lead, and their content or target."""
    found = {}
    for path in Path(folder).rglob("*"):
        if path.is_symlink():
            found[str(path), "link"] = os.readlink(path)
        elif path.is_file():
            found[str(path), "file"] = path.read_bytes()
        else:
            found[str(path), "other"] = ""
    return found


def random_sequence(seed, counts=None):
    """Draw an estimator and make calls on it; return "held".

    Parameters
    ----------
    seed : int or tuple of int
    counts : Counter, optional
        Of calls by name, to which these are added.

    Raises
    ------
    Exception
        If a call ends otherwise than it has to, or leaves another state; its notes name the calls.
    """
    sequence, names = Sequence(np.random.default_rng(seed)), []
    try:
        for _ in range(N_STEPS):
            names.append("?")
            names[-1] = sequence.step()
            sequence.check()
    except Exception as error:
        error.add_note(f"{type(sequence.estimator).__name__}: {', '.join(names)}")
        raise
    if counts is not None:
        counts.update(names)
    return "held"
