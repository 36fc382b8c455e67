"""The ridge of MiniRocket with calibrated probabilities, as an entry of the benchmark."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold


class CalibratedRidge(ClassifierMixin, BaseEstimator):
    """Ridge classifier whose decisions become probabilities by Platt's scaling, in five folds.

    scikit-learn's `CalibratedClassifierCV` around the ridge that aeon's MiniRocket has. Given the folds, it also takes
    classes with fewer cases than folds.

    Parameters
    ----------
    random_state : int or None, default=None
        Of the folds.
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        """Fit to an array (n_cases, n_features) and labels (n_cases,); return self."""
        n_folds = min(5, np.unique(y, return_counts=True)[1].max())
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=self.random_state)
        ridge = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
        self.calibrated_ = CalibratedClassifierCV(ridge, cv=list(folds.split(X, y))).fit(X, y)
        self.classes_ = self.calibrated_.classes_
        return self

    def predict(self, X):
        """Return the most probable labels: (n_cases, n_features) to (n_cases,)."""
        return self.calibrated_.predict(X)

    def predict_proba(self, X):
        """Return probabilities: (n_cases, n_features) to (n_cases, n_classes)."""
        return self.calibrated_.predict_proba(X)
