"""Where the contract of scikit-learn and that of aeon meet: checks of the input, tags, state, types of arguments.

Shape legend: N cases, C channels, T time points (of the longest series).
"""

import sys
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
import torch
from aeon.base import BaseCollectionEstimator
from aeon.classification import BaseClassifier
from aeon.transformations.collection import BaseCollectionTransformer
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import (
    _check_sample_weight,
)

from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.acoustic.registry import load_acoustic_models
from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.files.state import FittedState
from v2s_sklearn.network.inference import predict_proba
from v2s_sklearn.runtime.compatibility import timed
from v2s_sklearn.runtime.devices import device_or_cpu
from v2s_sklearn.runtime.progress import progress
from v2s_sklearn.runtime.settings import own_settings
from v2s_sklearn.series.cases import merge_cases
from v2s_sklearn.series.containers import check_size
from v2s_sklearn.series.frames import align, case_ids, is_long_frame
from v2s_sklearn.series.gaps import fill_absent, fill_gaps, fill_training_gaps
from v2s_sklearn.series.labels import check_labels, class_numbers, class_weights, known_labels, naming, untensored
from v2s_sklearn.series.reading import read_collection
from v2s_sklearn.series.scaling import LIMIT
from v2s_sklearn.views import VIEWS

RandomState: TypeAlias = int | np.random.RandomState | None
#: A name, the path of a weights file, or a model.
Source: TypeAlias = str | Path | AcousticModel
#: Weights of classes, by label or "balanced".
ClassWeight: TypeAlias = dict[Any, float] | str | None
#: Series, labels or values in any container; what they have to be is checked when they are used.
Cases: TypeAlias = Any

# Set by set_fit_request and the like, and by set_output.
SCIKIT_LEARN_SETTINGS = ("_metadata_request", "_sklearn_output_config")


class _ViewNames(StrOptions):
    """The names of the views, those that were registered after this class was made, too."""

    def __init__(self):
        super().__init__({"auto", *VIEWS})

    def is_satisfied_by(self, val):
        """Return whether a value is the name of a view."""
        return StrOptions({"auto", *VIEWS}).is_satisfied_by(val)

    def __str__(self):
        return str(StrOptions({"auto", *VIEWS}))


class BaseV2S(FittedState, BaseCollectionEstimator):
    """Checks of X and tags, common to the classifier and the transformer."""

    _tags = {
        "X_inner_type": ["np-list", "numpy3D"],
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:multithreading": True,
        "capability:missing_values": True,
        "algorithm_type": "deeplearning",
    }

    _parameter_constraints = {
        "acoustic_model": [str, Path, AcousticModel, list, tuple],
        "reprogramming": [_ViewNames()],
        "voices": ["array-like", None],
        "n_replicates": [Interval(Integral, 1, None, closed="left")],
        "max_channels": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "device": [str, torch.device],
        "n_jobs": [Integral, None],
    }

    acoustic_model_: Any

    # Columns of the frame that fit was given, if they are its channels.
    _channels = None

    get_metadata_routing = BaseEstimator.get_metadata_routing

    def __init__(self):
        super().__init__()
        # aeon's bases set these; to scikit-learn they are fitted attributes.
        for name in ("classes_", "n_classes_", "metadata_"):
            self.__dict__.pop(name, None)

    def reset(self, keep: str | Sequence[str] | None = None) -> Self:
        """Return to the state before fit; see aeon's ``reset``. What scikit-learn was told by ``set_...`` stays."""
        settings = {name: vars(self)[name] for name in SCIKIT_LEARN_SETTINGS if name in vars(self)}
        super().reset(keep=keep)
        self.metadata_: dict[str, Any] = {}
        self.__dict__.update(settings)
        return self

    def _load_sources(self, device):
        """Load the frozen acoustic models f_S to a device; return them as a tuple."""
        with naming("acoustic_model"):
            models = load_acoustic_models(self.acoustic_model, device=device)
        self.acoustic_model_ = models[0] if len(models) == 1 else models
        return models

    def _module(self):
        """Return the torch module that computes."""
        raise NotImplementedError

    def _move_to(self, device):
        """Compute on a device from now on."""
        sources = load_acoustic_models(self.acoustic_model_, device=device)
        self.acoustic_model_ = sources if isinstance(self.acoustic_model_, tuple) else sources[0]
        self._module().to(device)

    def _on_device(self):
        """Return the module, on the device that the parameter asks for now, and that device."""
        device = device_or_cpu(self.device)
        if next(self._module().parameters()).device != device:
            self._move_to(device)
        return self._module(), device

    def _preprocess_collection(self, X, store_metadata=True):
        """Check X as both libraries want, convert it and fill its gaps; ``store_metadata`` is True in fit only."""
        X, channels = read_collection(X, self, self._channels, reset=store_metadata)
        if store_metadata:
            self._channels = channels
        missing, standardize = False, self.standardize
        if store_metadata:
            X, missing = fill_training_gaps(X)
        else:
            X = fill_absent(fill_gaps(X, self._least_points()), self.scaler_.training_mean_)
            standardize = self.scaler_.standardize
        if not standardize:
            check_size(X, LIMIT)
        X = super()._preprocess_collection(X, store_metadata=store_metadata)
        if store_metadata:
            self.metadata_["missing_values"] = missing
        return X

    def _least_points(self):
        """Return how long a series is at least that ends in NaN, see `v2s_sklearn.series.gaps.fill_gaps`."""
        if not self.metadata_["unequal_length"]:
            return self.metadata_["n_timepoints"]
        return sys.maxsize if self.metadata_["missing_values"] else 0

    def _check_X(self, X):
        """Describe converted series; all that aeon checks has been checked."""
        return self._get_X_metadata(X)

    def _check_shape(self, X):
        """Check the number of channels against fit; lengths may differ."""
        n_channels = X[0].shape[0]
        if n_channels != self.metadata_["n_channels"]:
            raise InvalidSeriesError(
                f"X has {n_channels} channels, but {type(self).__name__} was fitted with "
                f"{self.metadata_['n_channels']}. Give series with the same channels as in fit."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    @property
    def series_mean_(self) -> np.ndarray:
        """Mean of each channel over the training series, (n_channels,)."""
        return self._fitted("scaler_").mean_

    @property
    def series_scale_(self) -> np.ndarray:
        """Standard deviation of each channel over the training series, (n_channels,)."""
        return self._fitted("scaler_").scale_

    @property
    def channel_mixture_(self) -> np.ndarray:
        """What decorrelates the scaled channels and mixes them, (n_heard_channels, n_channels)."""
        return self._fitted("scaler_").mixture_

    def _fitted(self, name):
        """Return a fitted attribute; an AttributeError before fit, which scikit-learn expects of one."""
        if name not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet: call fit first.")
        return vars(self)[name]


class BaseV2SClassifier(BaseV2S, BaseClassifier):
    """scikit-learn's classifier contract on top of aeon's: labels, weights, score."""

    # aeon's fit has no sample_weight; the steps are the same.
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_cases, n_timepoints) or (n_cases, n_channels, n_timepoints), or list
            Time series; a list holds one array (n_channels, n_timepoints_i) a case, lengths may differ. Any collection
            of aeon is accepted, and tables whose cells are series. Cases of a frame with a two-level index have the
            order in which they first appear. NaN is a missing value, which is filled; behind a series it means that
            this ends there, if no other values are missing.
        y : array-like of shape (n_cases,)
            Labels of any type. None, NaN and pd.NA are no label, nor is ``missing_label``: scaling, views and
            standardisation learn from such a series, too, classes from the others alone. A pandas series with the ids
            of such a frame as its index is put in their order, as weights are.
        sample_weight : array-like of shape (n_cases,), optional
            Non-negative; a weight of 2 counts like two copies of the case, whether it has a label or not.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X or y cannot be used; the message says what was given and what is needed.

        Warns
        -----
        UserWarning
            If X may have been read otherwise than it was meant: axes, times that are not equally spaced, the order of
            labels without an index.

        Notes
        -----
        What was fitted before answers, in other threads, too, until all is fitted, and after an error or an interrupt.
        """
        with self._fitting() as twin:
            twin._fit_all(X, y, sample_weight)
        return self

    @timed
    def _fit_all(self, X, y, sample_weight):
        """Check all that was given and fit, in place."""
        sample_weight = align(untensored(sample_weight, "sample_weight"), X, "sample_weight")
        X, y, *_ = self._fit_setup(X, y)
        with naming("sample_weight"):
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._fit(X, y, sample_weight)
        self.is_fitted = True

    # aeon's own, each on a state that no other thread exchanges meanwhile.
    def fit_predict(self, X: ArrayLike, y: ArrayLike, **kwargs: Any) -> np.ndarray:
        """Return labels by cross-validation on the training cases; see aeon's ``fit_predict``."""
        with self._fitting() as twin:
            found = super(BaseV2SClassifier, twin).fit_predict(X, y, **kwargs)
        return found

    def fit_predict_proba(self, X: ArrayLike, y: ArrayLike, **kwargs: Any) -> np.ndarray:
        """Return probabilities by cross-validation on the training cases; see aeon's ``fit_predict_proba``."""
        with self._fitting() as twin:
            found = super(BaseV2SClassifier, twin).fit_predict_proba(X, y, **kwargs)
        return found

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable label of each case.

        Parameters
        ----------
        X : collection
            As in fit.

        Returns
        -------
        ndarray of shape (n_cases,)
        """
        return super(BaseV2SClassifier, self._now()).predict(X)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of each class for each case.

        Parameters
        ----------
        X : collection
            As in fit.

        Returns
        -------
        ndarray of shape (n_cases, n_classes)
            Columns in the order of ``classes_``.
        """
        return super(BaseV2SClassifier, self._now()).predict_proba(X)

    def _training_cases(self, X, y, sample_weight):
        """Return the `v2s_sklearn.series.cases.TrainingCases`, with labels as integers."""
        numbers = class_numbers(y, self.classes_, self.missing_label)
        class_weight = class_weights(self.class_weight, self.classes_, self.classes_[numbers[numbers >= 0]])
        return merge_cases(X, numbers, np.ones(len(y)) if sample_weight is None else sample_weight, class_weight)

    def _tree(self):
        """Return what a file holds: the module and the history of the net, too."""
        history = [
            {name: value for name, value in epoch.items() if name != "batches"}
            for epoch in self.net_.timeless_history()
        ]
        return super()._tree() | {"network": self.net_.module_, "history": history}

    def _module(self):
        return self.net_.module_

    def _move_to(self, device):
        super()._move_to(device)
        self.net_.device = device

    @own_settings()
    def _predict_proba(self, X):
        network, device = self._on_device()
        with progress(len(X), "predict", self.verbose):
            return predict_proba(network, X, self.scaler_, device, self.n_jobs)

    def _predict(self, X):
        return self.classes_[self._predict_proba(X).argmax(axis=1)]

    def _fit_setup(self, X, y):
        """Check X and y; aeon before 1.4 adds whether there is one class, for which it would not ask us."""
        X, y, *single_class = super()._fit_setup(X, align(untensored(y, "y"), X))
        return X, y, *(False for _ in single_class)

    def _check_y(self, y, n_cases, update_classes=True, allow_single_class=True):
        """Check labels as scikit-learn wants; one class is enough."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Give one label a case."
            )
        y = check_labels(y, self.missing_label)
        if len(y) != n_cases:
            raise ValueError(f"X has {n_cases} cases, but y has {len(y)} labels. Give one label a case.")
        if update_classes:
            self.classes_ = np.unique(known_labels(y, self.missing_label)[1])
            self.n_classes_ = len(self.classes_)
        return y

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of ``predict(X)``.

        Parameters
        ----------
        X : collection
            As in fit.
        y : array-like of shape (n_cases,)
            True labels.
        sample_weight : array-like of shape (n_cases,), optional

        Returns
        -------
        float
        """
        y = align(untensored(y, "y"), X)
        sample_weight = align(untensored(sample_weight, "sample_weight"), X, "sample_weight")
        return accuracy_score(y, self.predict(X), sample_weight=sample_weight)


class _Transformer(TransformerMixin):
    """scikit-learn's transformers, which aeon's are from 1.4 on; a class of its own fits before both kinds of them."""


class BaseV2STransformer(BaseV2S, _Transformer, BaseCollectionTransformer):
    """scikit-learn's transformer contract on top of aeon's."""

    _tags = {"output_data_type": "Tabular"}

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the transformer; y is ignored. What was fitted before answers until all is fitted, and after an error."""
        with self._fitting() as twin:
            super(BaseV2STransformer, twin).fit(X)
        return self

    # Defined here, not only in aeon, so that scikit-learn wraps them for set_output.
    def transform(self, X: ArrayLike, y: Any = None) -> Any:
        """Return the features of time series.

        Parameters
        ----------
        X : collection
            As in fit.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_cases, n_features_out)
        """
        now = self._now()
        now._check_is_fitted()
        series = now._preprocess_collection(X, store_metadata=False)
        now._check_shape(series)
        features = now._transform(series)
        if is_long_frame(X) and _get_output_config("transform", self)["dense"] == "pandas":
            return pd.DataFrame(features, index=case_ids(X))  # scikit-learn would take the rows of X
        return features

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Any:
        """Fit and return the features of the same time series; see ``transform``."""
        return self.fit(X).transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are float32, as the network computes them
        return tags
