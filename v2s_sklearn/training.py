"""Gradient training of a classifier by skorch: what the estimators that train a torch module have in common.

Shape legend: N cases, C channels, T time points.
"""

from numbers import Integral, Real

import numpy as np
import torch
from aeon.utils.validation import check_n_jobs
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import EarlyStopping, ProgressBar
from skorch.dataset import ValidSplit
from skorch.utils import noop

from v2s_sklearn.base import BaseV2SClassifier, class_weights
from v2s_sklearn.collection import merge_copies
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.net import CHUNK_WAVEFORMS, V2SNet, chunk_size, one_thread_method, resolve_device


class BaseTrainedClassifier(BaseV2SClassifier):
    """A classifier whose ``net_`` is a `V2SNet`; ``_fit`` of a subclass sets it."""

    _parameter_constraints = {
        **BaseV2SClassifier._parameter_constraints,
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def _check_training_set(self, X, y, sample_weight):
        """Check the parameters; return the cases, each once, their labels as integers, and their weights."""
        self._validate_params()
        self._n_jobs = check_n_jobs(self.n_jobs)
        labels = np.searchsorted(self.classes_, y)
        sample_weight = np.ones(len(y)) if sample_weight is None else sample_weight
        sample_weight = sample_weight * class_weights(self.class_weight, self.classes_, y)[labels]
        return merge_copies(X, labels, sample_weight)

    def _make_net(self, module, n_waveforms, labels, random_state, **options):
        """Return the skorch net, not yet initialized; a case has ``n_waveforms``, ``options`` are the net's."""
        seed = int(random_state.randint(2**31 - 1))
        callbacks = list(self.callbacks or [])
        train_split = None
        if self.early_stopping and self.max_epochs > 0:
            self._check_validation_fraction(labels)
            train_split = ValidSplit(self.validation_fraction, stratified=True, random_state=seed)
            callbacks.append(EarlyStopping(patience=self.n_iter_no_change, load_best=True, sink=noop))
        if self.verbose:
            callbacks.append(ProgressBar())
        return V2SNet(
            module,
            # Decoupled weight decay: an L2 penalty of 0.04 inside Adam keeps theta small, see benchmarks/NOTES.md.
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            lr=self.learning_rate,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train__shuffle=True,
            iterator_train__seed=seed,
            iterator_valid__batch_size=max(self.batch_size, 8 * CHUNK_WAVEFORMS),
            train_split=train_split,
            callbacks=callbacks,
            device=resolve_device(self.device),
            verbose=self.verbose,
            chunk_size=chunk_size(n_waveforms),
            n_jobs=self._n_jobs,
            **options,
        )

    def _check_validation_fraction(self, labels):
        """Check that early stopping leaves a case of each class on both sides of the split."""
        counts = np.bincount(labels)
        counts = counts[counts > 0]
        n_validation = int(np.ceil(self.validation_fraction * len(labels)))
        if counts.min() < 2 or n_validation < len(counts) or len(labels) - n_validation < len(counts):
            raise InvalidParameterError(
                f"early_stopping with validation_fraction={self.validation_fraction} sets {n_validation} of "
                f"{len(labels)} different cases aside; both sides need a case of each of {len(counts)} classes, and "
                f"the smallest class has {counts.min()}. Change validation_fraction, or set early_stopping=False."
            )

    @one_thread_method
    def _predict_proba(self, X):
        probabilities = self.net_.predict_proba(self._to_network_input(X))
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def _predict(self, X):
        return self.classes_[self._predict_proba(X).argmax(axis=1)]
