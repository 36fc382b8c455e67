"""scikit-learn's habits: weights of classes, labels, callbacks, warnings, progress."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score
from skorch.callbacks import Callback

import v2s_sklearn
from v2s_sklearn import TransferClassifier, V2SClassifier, alignment, inspection
from v2s_sklearn.errors import AcousticModelNotFoundError, InvalidParameterError
from v2s_sklearn.runtime.progress import progress


def walks(n_cases=9, n_points=8):
    return np.random.default_rng(0).normal(size=(n_cases, 1, n_points)).cumsum(axis=2)


def test_weights_of_classes_that_a_fold_lacks():
    X, y = walks(), np.array(list("aaaabbbbc"))
    clf = V2SClassifier("tiny", class_weight={"a": 1.0, "b": 2.0, "c": 3.0}, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one case of "c"
        assert np.isfinite(cross_val_score(clf, X, y, cv=4, error_score="raise")).all()
    part = clf.fit(X[:8], y[:8]).predict_proba(X)
    plain = V2SClassifier("tiny", class_weight={"a": 1.0, "b": 2.0}, random_state=0).fit(X[:8], y[:8])
    np.testing.assert_array_equal(plain.predict_proba(X), part)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf, "1", None, 1j, 10**400], ids=lambda weight: str(weight)[:4])
def test_weights_of_classes_that_are_none(weight):
    with pytest.raises(InvalidParameterError, match=r"class_weight has .* for \['b'\]. Give finite numbers"):
        V2SClassifier("tiny", class_weight={"a": 1.0, "b": weight}).fit(walks(6), list("ababab"))


MISSING = {
    "floats": [0.0, 1.0, np.nan, 1.0],
    "objects": ["a", "b", None, "b"],
    "objects with nan": np.array(["a", "b", np.nan, "b"], dtype=object),
    "strings of pandas": pd.array(["a", "b", pd.NA, "b"], dtype="string"),
    "integers of pandas": pd.array([0, 1, None, 1], dtype="Int64"),
    "categories": pd.Categorical(["a", "b", None, "b"]),
    "dates": pd.Series(pd.to_datetime(["2020", "2021", None, "2021"])),
    "booleans": pd.array([True, False, None, False], dtype="boolean"),
}


@pytest.mark.parametrize("y", MISSING.values(), ids=MISSING)
def test_a_missing_label_is_no_class(y):
    clf = V2SClassifier("tiny", random_state=0).fit(walks(4), y)
    known = [label for label in y if not pd.isna(label)]
    assert pd.Series(clf.classes_).tolist() == pd.Series(np.unique(known)).tolist()
    assert clf.predict(walks(4)).dtype == clf.classes_.dtype


@pytest.mark.parametrize(
    ("y", "missing_label", "classes"),
    [
        ([0, 1, -1, 1], None, [-1, 0, 1]),  # a class like any other
        ([0, 1, -1, 1], -1, [0, 1]),
        ([0.0, 1.0, -1.0, None], -1, [0, 1]),
        (["0", "1", "-1", "1"], -1, ["0", "1"]),
        (np.array(["a", -1, "b", "b"], dtype=object), -1, ["a", "b"]),
        (["a", "?", "b", None], "?", ["a", "b"]),
    ],
)
def test_missing_label_is_what_it_is_said_to_be(y, missing_label, classes):
    clf = V2SClassifier("tiny", random_state=0, missing_label=missing_label).fit(walks(4), y)
    assert clf.classes_.tolist() == classes
    assert set(clf.predict(walks(9))) <= set(classes)


@pytest.mark.parametrize("y", [[None] * 4, [np.nan] * 4, [-1] * 4, pd.array([pd.NA] * 4, dtype="Int64")], ids=str)
@pytest.mark.parametrize("cls", [V2SClassifier, TransferClassifier])
def test_no_label_at_all_is_one_clear_error(cls, y):
    with pytest.raises(ValueError, match="y contains no label, only NaN or None or missing_label=-1"):
        cls("tiny", missing_label=-1).fit(walks(4), y)


def test_other_types_beside_a_missing_label_are_still_errors():
    for y in (["a", None, 1, 1], [0.5, None, 1.5, 0.5], [np.inf, None, 1, 1], ["a", None, b"c", "a"]):
        with pytest.raises((ValueError, TypeError), match=r"\by\b"):
            V2SClassifier("tiny").fit(walks(4), y)


@pytest.mark.parametrize(
    "y",
    [[{}] * 4, np.zeros((4, 2)), 3, np.zeros(4, complex), [b"a"] * 4, [0.5, 1.5, 0.5, 1.5]],
    ids=repr,
)
def test_labels_that_are_none_name_y(y):
    with pytest.raises((ValueError, TypeError), match=r"\by\b"):
        V2SClassifier("tiny").fit(walks(4), y)


def test_integers_beyond_floats_name_their_argument():
    X, y, huge = walks(4), [0, 1, 0, 1], 10**400
    for clf, weights, name in (
        (V2SClassifier("tiny"), [huge] * 4, "sample_weight"),
        (V2SClassifier("tiny", class_weight={0: huge}), None, "class_weight"),
        (V2SClassifier("tiny", learning_rate=huge, max_epochs=1), None, "learning_rate"),
        (V2SClassifier("tiny", random_state=huge), None, "random_state"),
    ):
        with pytest.raises(ValueError, match=name):
            clf.fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match="Series 0 of X"):
        V2SClassifier("tiny").fit([[huge, 1], [1, 2]], y[:2])


@pytest.mark.parametrize(
    "weights", [["heavy"] * 4, np.full(4, np.nan), -np.ones(4), np.ones(3), np.ones((4, 2))], ids=repr
)
def test_weights_that_are_none_name_sample_weight(weights):
    with pytest.raises((ValueError, TypeError), match=r"\bsample_weight\b"):
        V2SClassifier("tiny").fit(walks(4), [0, 1, 0, 1], sample_weight=weights)


@pytest.mark.parametrize("callbacks", [[3], [("name", 3)], ["print"], [None], [int], [(1, 2, 3)]], ids=repr)
@pytest.mark.parametrize("max_epochs", [0, 1])
def test_callbacks_that_are_none(callbacks, max_epochs):
    with pytest.raises(InvalidParameterError, match="callbacks must be a list of skorch.callbacks.Callback"):
        V2SClassifier("tiny", max_epochs=max_epochs, callbacks=callbacks).fit(walks(4), [0, 1, 0, 1])


class Counter(Callback):
    """Counts epochs."""

    n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


class EpochEnd(Counter):
    """Another one, as a class."""


def test_callbacks_that_are_some():
    counter = Counter()
    callbacks = [counter, ("named", Counter()), EpochEnd]
    V2SClassifier("tiny", max_epochs=2, callbacks=callbacks).fit(walks(4), [0, 1, 0, 1])
    assert counter.n_epochs == 2


def test_what_does_nothing_says_so():
    with pytest.warns(UserWarning, match="early_stopping=True does nothing with max_epochs=0"):
        V2SClassifier("tiny", early_stopping=True).fit(walks(4), [0, 1, 0, 1])


@pytest.mark.parametrize("mapping", ["ridge", "frequency"])
def test_verbose_shows_how_far_embedding_is(mapping, capsys):
    X, y = walks(), np.arange(9) % 2
    quiet = V2SClassifier("tiny", mapping=mapping, random_state=0).fit(X, y).predict_proba(X)
    assert capsys.readouterr() == ("", "")
    clf = V2SClassifier("tiny", mapping=mapping, verbose=1, random_state=0).fit(X, y)
    fitted = capsys.readouterr().err
    shown = clf.predict_proba(X)
    predicted = capsys.readouterr().err
    for bar, what in ((fitted, "fit"), (predicted, "predict")):
        assert bar.count(what) and "9/9" in bar
    np.testing.assert_array_equal(shown, quiet)


def test_a_bar_that_is_not_to_be_shown_is_none(capsys):
    with progress(3, "fit", False):
        pass
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["~", ".", "/", "tiny "])
def test_names_of_no_model(name):
    with pytest.raises(AcousticModelNotFoundError, match="no acoustic model"):
        TransferClassifier(name).fit(walks(4), [0, 1, 0, 1])


def test_unequal_lengths_are_heard():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    # A steady wave that lasts for a short or a long time: stretched to one length they look alike.
    X = [np.sin(np.linspace(0, 6, n))[None] + 0.1 * rng.normal(size=(1, n)) for n in np.where(y, 40, 60)]
    for source in ("tiny", "tiny-wave", "v2sc"):
        clf = V2SClassifier(source, random_state=0).fit(X[:20], y[:20])
        assert clf.score(X[20:], y[20:]) == 1, source
        longer = [np.hstack([case, case]) for case in X[20:]]
        assert np.isfinite(clf.predict_proba(longer)).all()
        np.testing.assert_array_equal(clf.predict_proba(X)[3:4], clf.predict_proba(X[3:4]))


def public_functions(module):
    """Yield name and function of everything public of a module that is called, methods of its classes included."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            if inspect.isfunction(value.__init__) and value.__init__.__module__.startswith("v2s_sklearn"):
                yield name, value.__init__
            for cls in value.__mro__:
                if cls.__module__.startswith("v2s_sklearn"):
                    for key, attribute in vars(cls).items():
                        function = getattr(attribute, "__func__", attribute)
                        is_own = inspect.isfunction(function) and function.__module__ == cls.__module__
                        if is_own and not key.startswith("_"):
                            yield f"{name}.{key}", function


@pytest.mark.parametrize("module", [v2s_sklearn, alignment, inspection], ids=lambda module: module.__name__)
def test_public_functions_are_annotated(module):
    lacking = {}
    for name, function in public_functions(module):
        signature = inspect.signature(function)
        arguments = {key: value.annotation for key, value in signature.parameters.items() if key not in ("self", "cls")}
        missing = [
            key
            for key, kind in {**arguments, "return": signature.return_annotation}.items()
            if kind is inspect.Signature.empty
        ]
        if missing:
            lacking[name] = missing
    assert lacking == {}
