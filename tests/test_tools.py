"""V2SClassifier and V2SFeatures inside the tools of scikit-learn and aeon."""

import pickle

import joblib
import numpy as np
import pytest
import sklearn
from aeon.classification.compose import ClassifierEnsemble
from aeon.datasets import load_japanese_vowels
from aeon.transformations.collection import Normalizer
from mapie.classification import SplitConformalClassifier
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from v2s_sklearn import V2SClassifier, V2SFeatures
from v2s_sklearn.views import Voice


@pytest.fixture(scope="module")
def data(italy):
    return italy


def test_clone_keeps_every_parameter():
    clf = V2SClassifier("tiny", voices=[Voice(900.0)], callbacks=[], class_weight="balanced", max_epochs=3, n_jobs=2)
    assert clone(clf).get_params() == clf.get_params()
    assert clone(V2SClassifier.icml2021()).get_params() == V2SClassifier.icml2021().get_params()


def test_clone_shares_an_acoustic_model(data):
    clf = V2SClassifier("v2sa").fit(data[0][:10], data[1][:10])
    again = clone(V2SClassifier(clf.acoustic_model_))
    assert again.acoustic_model is clf.acoustic_model_


@pytest.mark.parametrize("estimator", [V2SClassifier("tiny"), V2SFeatures("tiny")], ids=lambda e: type(e).__name__)
def test_pickle_and_joblib(estimator, data, tmp_path):
    X_train, y_train, X_test, _ = data
    estimator.fit(X_train, y_train)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "transform"
    expected = getattr(estimator, method)(X_test)
    for again in (pickle.loads(pickle.dumps(estimator)), joblib.load(tmp_path / "estimator.joblib")):
        np.testing.assert_array_equal(getattr(again, method)(X_test), expected)


def test_grid_search_in_two_processes(data):
    X, y = data[:2]
    grid = {"n_replicates": [1, 4], "reprogramming": ["modulation", "pad"]}
    classifier = V2SClassifier("v2sa", random_state=0)
    search = GridSearchCV(classifier, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8
    alone = GridSearchCV(classifier, grid, cv=2, error_score="raise").fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(search.predict_proba(X), alone.predict_proba(X))


def test_cross_validation(data):
    X, y = data[:2]
    predicted = cross_val_predict(V2SClassifier("tiny"), X, y, cv=3, method="predict_proba")
    assert predicted.shape == (len(y), 2)
    assert cross_val_score(make_pipeline(Normalizer(), V2SClassifier("tiny")), X, y, cv=3).mean() > 0.8


def test_pipeline_with_an_aeon_transformer_and_unequal_length():
    X, y = load_japanese_vowels(split="train")
    pipeline = make_pipeline(Normalizer(), V2SClassifier("tiny")).fit(X, y)
    assert pipeline.score(X, y) > 0.9


def test_features_in_a_pipeline(data):
    X_train, y_train, X_test, y_test = data
    pipeline = make_pipeline(V2SFeatures(), RidgeClassifierCV()).fit(X_train, y_train)
    assert pipeline.score(X_test, y_test) > 0.9


def test_set_output(data):
    X, y = data[:2]
    features = V2SFeatures("tiny").set_output(transform="pandas")
    frame = features.fit_transform(X)
    assert list(frame.columns) == list(features.get_feature_names_out())
    assert frame.columns[0] == "v2sfeatures0"
    np.testing.assert_array_equal(frame.to_numpy(), V2SFeatures("tiny").fit(X).transform(X))
    pipeline = make_pipeline(V2SFeatures("tiny"), StandardScaler(), LogisticRegression()).set_output(transform="pandas")
    assert pipeline.fit(X, y).score(X, y) > 0.9


def test_calibration(data):
    X_train, y_train, X_test, y_test = data
    calibrated = CalibratedClassifierCV(V2SClassifier("tiny"), cv=3).fit(X_train, y_train)
    assert calibrated.score(X_test, y_test) > 0.8
    np.testing.assert_allclose(calibrated.predict_proba(X_test).sum(axis=1), 1)


def test_voting(data):
    X_train, y_train, X_test, y_test = data
    members = [("one", V2SClassifier()), ("two", V2SClassifier(voices=[Voice(600, loudness=0.5)]))]
    voting = VotingClassifier(members, voting="soft", n_jobs=2).fit(X_train, y_train)
    assert voting.score(X_test, y_test) > 0.8


def test_ensemble_of_aeon(data):
    X_train, y_train, X_test, y_test = data
    ensemble = ClassifierEnsemble([("v2s", V2SClassifier("tiny"))]).fit(X_train, y_train)
    assert ensemble.score(X_test, y_test) > 0.8


def test_metadata_routing_of_sample_weight(data):
    X, y = data[:2]
    weight = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = V2SClassifier("tiny").set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        assert clone(clf).fit(X, y)._get_metadata_request().fit.requests == {"sample_weight": True}
        result = cross_validate(clf, X, y, params={"sample_weight": weight}, cv=2, return_estimator=True)
        rows = [estimator.predict_proba(X) for estimator in result["estimator"]]
        unweighted = cross_validate(V2SClassifier("tiny"), X, y, cv=2, return_estimator=True)
        assert (rows[0] != unweighted["estimator"][0].predict_proba(X)).any()
        ignored = V2SClassifier("tiny").set_fit_request(sample_weight=False).set_score_request(sample_weight=True)
        search = GridSearchCV(ignored, {"n_replicates": [1]}, cv=2).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(
            search.best_estimator_.predict_proba(X), V2SClassifier("tiny").fit(X, y).predict_proba(X)
        )


def test_score_with_sample_weight(data):
    X_train, y_train, X_test, y_test = data
    clf = V2SClassifier("tiny").fit(X_train, y_train)
    correct = clf.predict(X_test) == y_test
    assert 0 < correct.mean() < 1
    assert clf.score(X_test, y_test) == correct.mean()
    assert clf.score(X_test, y_test, sample_weight=correct.astype(float)) == 1


def test_html_repr(data):
    html = V2SClassifier("tiny").fit(*data[:2])._repr_html_()
    assert "V2SClassifier" in html and "fitted" in html
    html = make_pipeline(Normalizer(), V2SClassifier("tiny"))._repr_html_()
    assert "Normalizer" in html and "V2SClassifier" in html


def test_repr_shows_what_differs_from_the_default():
    assert repr(V2SClassifier("tiny", max_epochs=3)) == "V2SClassifier(acoustic_model='tiny', max_epochs=3)"


def test_fit_predict_of_aeon(data):
    X, y = data[0][:20], data[1][:20]
    predicted = V2SClassifier("tiny").fit_predict(X, y, cv_size=2)
    assert predicted.shape == (20,)


def test_conformal_sets_of_a_fitted_classifier(data):
    X, y, X_test, y_test = data
    for make in (np.asarray, list):
        clf = V2SClassifier.fast(random_state=0).fit(make(X), y)
        assert not hasattr(clf, "n_features_in_")  # MAPIE would compare it with the channels
        conformal = SplitConformalClassifier(clf, confidence_level=0.9, prefit=True)
        conformal.conformalize(make(X_test[:100]), y_test[:100])
        labels, sets = conformal.predict_set(make(X_test[100:]))
        np.testing.assert_array_equal(labels, clf.predict(X_test[100:]))
        covered = sets[np.arange(100), np.searchsorted(clf.classes_, y_test[100:]), 0]
        assert covered.mean() > 0.8 and sets.any(axis=(1, 2)).mean() > 0.8
