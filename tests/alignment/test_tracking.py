import pickle

import numpy as np
import pytest
from sklearn.base import clone

from v2s_sklearn import TransferClassifier, V2SClassifier
from v2s_sklearn.alignment import AlignmentHistory, load_source_logits, sliced_wasserstein, target_logits
from v2s_sklearn.errors import InvalidParameterError

TINY_LOGITS = np.random.default_rng(0).normal(size=(20, 12))


def test_a_run_of_the_paper_by_hand(italy):
    X, y = italy[:2]
    clf = V2SClassifier.icml2021(max_epochs=3, callbacks=[AlignmentHistory()], random_state=0).fit(X, y)
    last = clf.net_.history[-1]
    expected = sliced_wasserstein(load_source_logits("v2sa").logits, target_logits(clf, X))
    np.testing.assert_allclose(last["train_swd"], expected, rtol=1e-6)
    np.testing.assert_allclose(last["train_acc"], clf.score(X, y))
    assert "valid_swd" not in last
    assert len(set(clf.net_.history[:, "train_swd"])) == 3
    assert len(pickle.loads(pickle.dumps(clf)).net_.history) == 3


def test_it_does_not_change_the_training(gunpoint):
    X, y = gunpoint[:2]
    options = {"acoustic_model": "tiny", "max_epochs": 2, "dropout": 0.3, "random_state": 0}
    plain = V2SClassifier.icml2021(**options).fit(X, y)
    tracked = V2SClassifier.icml2021(callbacks=[AlignmentHistory(TINY_LOGITS)], **options).fit(X, y)
    np.testing.assert_array_equal(plain.theta_, tracked.theta_)


def test_every_mode(tiny, gunpoint):
    X, y = gunpoint[:2]
    tiny = clone(tiny).set_params(max_epochs=1)
    tiny.set_params(callbacks=[AlignmentHistory(TINY_LOGITS)]).fit(X, y)
    assert 0 <= tiny.net_.history[-1]["train_acc"] <= 1
    assert tiny.net_.history[-1]["train_swd"] > 0


def test_validation_cases_and_weights(italy):
    X, y = italy[:2]
    clf = V2SClassifier(
        "tiny",
        max_epochs=2,
        early_stopping=True,
        validation_fraction=0.3,
        callbacks=[AlignmentHistory(TINY_LOGITS)],
        random_state=0,
    ).fit(X, y, sample_weight=np.linspace(0.1, 1, len(y)))
    assert {"train_loss", "train_acc", "train_swd", "valid_loss", "valid_acc", "valid_swd"} <= clf.net_.history[
        -1
    ].keys()


def test_sources_without_words_have_no_distance(gunpoint):
    X, y = gunpoint[:2]
    for clf in (
        V2SClassifier("wav2vec", max_epochs=1, callbacks=[AlignmentHistory()]),
        TransferClassifier("tiny", max_epochs=1, callbacks=[AlignmentHistory()]),
    ):
        last = clf.fit(X, y).net_.history[-1]
        assert "train_acc" in last and "train_swd" not in last
        with pytest.raises(InvalidParameterError, match="names its classes"):
            target_logits(clf, X)


def test_several_sources(gunpoint):
    X, y = gunpoint[0][::3], gunpoint[1][::3]
    clf = V2SClassifier.icml2021(
        acoustic_model=("v2sa", "v2sa-digits"), max_epochs=1, callbacks=[AlignmentHistory()], random_state=0
    ).fit(X, y)
    distances = [
        sliced_wasserstein(load_source_logits(name).logits, logits)
        for name, logits in zip(("v2sa", "v2sa-digits"), target_logits(clf, X), strict=True)
    ]
    np.testing.assert_allclose(clf.net_.history[-1]["train_swd"], np.mean(distances), rtol=1e-6)


def test_missing_source_logits(gunpoint):
    X, y = gunpoint[:2]
    with pytest.raises(InvalidParameterError, match=r"no packaged source logits .*'tiny'"):
        V2SClassifier.icml2021(acoustic_model="tiny", max_epochs=1, callbacks=[AlignmentHistory()]).fit(X, y)
    with pytest.raises(InvalidParameterError, match="2 tables, but 1 source"):
        V2SClassifier.icml2021(
            acoustic_model="tiny", max_epochs=1, callbacks=[AlignmentHistory([TINY_LOGITS, TINY_LOGITS])]
        ).fit(X, y)


def test_no_default_tracks():
    assert V2SClassifier().callbacks is None and V2SClassifier.icml2021().callbacks is None
