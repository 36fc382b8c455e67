"""What is inside pipelines, searches and calibrated classifiers, and what is said where that is not clear."""

import numpy as np
import pytest
from aeon.pipeline import make_pipeline as make_aeon_pipeline
from aeon.transformations.collection import Normalizer
from matplotlib import pyplot
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from v2s_sklearn import V2SClassifier, to_onnx
from v2s_sklearn.alignment import target_logits
from v2s_sklearn.base import BaseV2S
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.inspection import (
    AttentionDisplay,
    EmbeddingDisplay,
    LabelMappingDisplay,
    ReprogrammedInputDisplay,
    SaliencyDisplay,
    TrainingDisplay,
    ViewsDisplay,
    listen,
)
from v2s_sklearn.series.wrapped import open_wrapped, unwrap

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 1, 20)).cumsum(axis=2), np.array(["a", "b"] * 4)


@pytest.fixture(autouse=True)
def no_windows():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


def v2s():
    return V2SClassifier("tiny", reprogramming="pad", mapping="random", max_epochs=1, random_state=0)


def search(estimator, **kwargs):
    return GridSearchCV(estimator, {}, cv=2, **kwargs)


WRAPPED = {
    "alone": lambda: v2s(),
    "search": lambda: search(v2s()),
    "pipeline": lambda: make_pipeline(Normalizer(), v2s()),
    "passing pipeline": lambda: Pipeline([("one", "passthrough"), ("two", None), ("clf", v2s())]),
    "search over a pipeline": lambda: search(make_pipeline(Normalizer(), v2s())),
    "pipeline of a search": lambda: make_pipeline(Normalizer(), search(v2s())),
    "pipeline of pipelines": lambda: make_pipeline(make_pipeline(Normalizer()), make_pipeline(Normalizer(), v2s())),
    "pipeline of aeon": lambda: make_aeon_pipeline(Normalizer(), v2s()),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_is_inside_answers_as_the_whole(kind):
    whole = WRAPPED[kind]().fit(X, Y)
    inner, series = unwrap(whole, BaseV2S, "V2SClassifier", X)
    assert type(inner) is V2SClassifier
    np.testing.assert_array_equal(inner.predict_proba(series), whole.predict_proba(X))
    assert unwrap(whole, BaseV2S, "V2SClassifier")[0] is inner
    steps = open_wrapped(whole)[2]
    assert len(steps) == (0 if "passing" in kind or kind in ("alone", "search") else 2 if "pipelines" in kind else 1)


# All that takes a fitted classifier and one series, a collection, or neither.
ONE = {
    "attention": AttentionDisplay.from_estimator,
    "input": ReprogrammedInputDisplay.from_estimator,
    "saliency": SaliencyDisplay.from_estimator,
    "views": ViewsDisplay.from_estimator,
}
OTHERS = {
    "embedding": lambda clf: EmbeddingDisplay.from_estimator(clf, X, Y).points,
    "mapping": lambda clf: LabelMappingDisplay.from_estimator(clf).words,
    "training": lambda clf: TrainingDisplay.from_estimator(clf).history,
    "logits": lambda clf: target_logits(clf, X),
}


@pytest.fixture(scope="module")
def fitted():
    """Return a search over a pipeline, what is inside it, and the series as that gets them."""
    whole = search(make_pipeline(Normalizer(), v2s())).fit(X, Y)
    return whole, whole.best_estimator_[-1], whole.best_estimator_[:-1].transform(X)


def content(display):
    return {name: value for name, value in vars(display).items() if not name.endswith("_")}


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("form", [lambda x: x, lambda x: x[None], lambda x: x[0].tolist()], ids=["2d", "3d", "list"])
def test_displays_of_one_series(name, form, fitted):
    whole, inner, series = fitted
    np.testing.assert_equal(content(ONE[name](whole, form(X[0]))), content(ONE[name](inner, series[0])))


@pytest.mark.parametrize("name", OTHERS)
def test_what_takes_a_collection_or_none(name, fitted):
    whole, inner, series = fitted
    found, expected = OTHERS[name](whole), OTHERS[name](inner)
    if name == "embedding":
        expected = EmbeddingDisplay.from_estimator(inner, series, Y).points
    if name == "logits":
        expected = target_logits(inner, series)
    np.testing.assert_equal(found, expected)


def test_listen(fitted, tmp_path):
    whole, inner, series = fitted
    listen(whole, X[0], tmp_path / "whole.wav")
    listen(inner, series[0], tmp_path / "inner.wav")
    assert (tmp_path / "whole.wav").read_bytes() == (tmp_path / "inner.wav").read_bytes()


def test_a_table_before_a_scaler_of_tables():
    table = X[:, 0]
    pipeline = make_pipeline(StandardScaler(), v2s()).fit(table, Y)
    found = ViewsDisplay.from_estimator(pipeline, table[3])
    expected = ViewsDisplay.from_estimator(pipeline[-1], pipeline[:-1].transform(table)[3])
    np.testing.assert_equal(content(found), content(expected))


REFUSED = {
    "calibrated": (
        lambda: CalibratedClassifierCV(v2s(), cv=2),
        r"CalibratedClassifierCV holds several .*its calibrated_classifiers_\[0\].estimator",
    ),
    "voting": (
        lambda: VotingClassifier([("a", v2s()), ("b", v2s())]),
        r"VotingClassifier holds .* its estimators_\[0\]",
    ),
    "pipeline of calibrated": (
        lambda: make_pipeline(Normalizer(), CalibratedClassifierCV(v2s(), cv=2)),
        "CalibratedClassifierCV holds several",
    ),
    "search without refit": (lambda: search(v2s(), refit=False), "GridSearchCV is no .* A search needs refit=True"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_clear_is_refused_with_what_to_pass(kind, tmp_path):
    make, message = REFUSED[kind]
    clf = make().fit(X, Y)
    for use in (
        *(lambda clf, display=display: display(clf, X[0]) for display in ONE.values()),
        *OTHERS.values(),
        lambda clf: to_onnx(clf, tmp_path / "x"),
        lambda clf: listen(clf, X[0], tmp_path / "x"),
    ):
        with pytest.raises(InvalidParameterError, match=message):
            use(clf)
    assert not (tmp_path / "x").exists()


def test_another_estimator():
    clf = LogisticRegression().fit(X[:, 0], Y)
    with pytest.raises(
        InvalidParameterError, match="LogisticRegression is no V2SClassifier or TransferClassifier, and"
    ):
        TrainingDisplay.from_estimator(clf)
    with pytest.raises(InvalidParameterError, match="Pipeline is no V2SClassifier.* Give such an estimator"):
        ViewsDisplay.from_estimator(make_pipeline(StandardScaler(), clf).fit(X[:, 0], Y), X[0, 0])


@pytest.mark.parametrize("kind", ["search", "pipeline", "search over a pipeline"])
def test_not_fitted(kind):
    with pytest.raises(NotFittedError):
        ViewsDisplay.from_estimator(WRAPPED[kind](), X[0])


def test_a_graph_of_a_pipeline_that_changes_series(fitted, tmp_path):
    whole = fitted[0]
    message = (
        r"changes series by Normalizer before .* pass its last step, pipeline\[-1\].* pipeline\[:-1\].transform\(X\)"
    )
    for clf in (whole, whole.best_estimator_):
        with pytest.raises(InvalidParameterError, match=message):
            to_onnx(clf, tmp_path / "x")
    for kind in ("passing pipeline", "search"):
        to_onnx(WRAPPED[kind]().fit(X, Y), tmp_path / kind)
        assert (tmp_path / kind).exists()
