"""Pickles and files of other versions of the package."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

from v2s_sklearn import V2SClassifier, V2SFeatures, __version__, load
from v2s_sklearn.errors import OtherVersionWarning
from v2s_sklearn.files import state


def test_a_pickle_of_another_version_warns(monkeypatch):
    X = np.random.default_rng(0).normal(size=(6, 1, 8))
    for estimator in (
        V2SClassifier("tiny", random_state=0).fit(X, [0, 1] * 3),
        V2SFeatures("tiny").fit(X),
        V2SFeatures(),
    ):
        pickled = pickle.dumps(estimator)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "_v2s_sklearn_version" not in vars(pickle.loads(pickled))
            copy.deepcopy(estimator), clone(estimator)
        monkeypatch.setattr(state, "__version__", "99.0")
        with pytest.warns(
            InconsistentVersionWarning, match=f"{type(estimator).__name__} was pickled by v2s_sklearn"
        ) as found:
            pickle.loads(pickled)
        (warning,) = [item.message for item in found]
        assert isinstance(warning, OtherVersionWarning) and warning.original_sklearn_version == __version__
        assert f"pickled by v2s_sklearn {__version__} and is read by 99.0: it may fail, or answer otherwise." in str(
            warning
        )
        monkeypatch.undo()


def test_a_pickle_without_a_version_warns():
    estimator = V2SFeatures("tiny")
    with pytest.warns(OtherVersionWarning, match="0.1.0 or older"):
        estimator.__setstate__(dict(vars(estimator)))


def test_files_do_not_warn(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(size=(6, 1, 8))
    V2SFeatures("tiny").fit(X).save(tmp_path / "features")
    monkeypatch.setattr(state, "__version__", "99.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "features")
