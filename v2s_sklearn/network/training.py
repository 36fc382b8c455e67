"""Gradient training by skorch: the net, and what estimators that train one have in common.

Shape legend: N cases, C channels, T time points.
"""

import copy
import warnings
from functools import partial

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, ProgressBar
from skorch.dataset import ValidSplit
from skorch.utils import noop
from torch import nn

from v2s_sklearn.errors import InvalidParameterError, TrainingDivergedError
from v2s_sklearn.network.inference import normalise
from v2s_sklearn.network.reprogrammed import CHUNK_WAVEFORMS
from v2s_sklearn.runtime.devices import device_or_cpu, resolve_device


def seeded_loader(dataset, seed=0, **kwargs):
    """Return a data loader with a generator of its own, so that the global random state is neither read nor changed."""
    return torch.utils.data.DataLoader(dataset, generator=torch.Generator().manual_seed(seed), **kwargs)


class V2SNet(NeuralNetClassifier):
    """skorch net over a module that takes series and lengths, for integer labels.

    Differs from its base in that the loss is weighted, there is no optimizer where nothing is trained, none is pickled,
    and the global random state is neither read nor changed. It trains; estimators predict by
    `v2s_sklearn.network.inference`.

    Parameters
    ----------
    **kwargs
        See :class:`skorch.NeuralNetClassifier`. X is a dict with "series" (N, C, T), "lengths" (N,) and, for training,
        "sample_weight" (N,) and what the module can precompute.
    """

    def __init__(self, module, *args, **kwargs):
        kwargs.setdefault("criterion", nn.NLLLoss)
        kwargs.setdefault("iterator_train", seeded_loader)
        kwargs.setdefault("iterator_valid", seeded_loader)
        kwargs.setdefault("predict_nonlinearity", normalise)
        super().__init__(module, *args, **kwargs)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the weighted mean of the negative log-probabilities of the true classes."""
        losses = nn.functional.nll_loss(y_pred, y_true.to(y_pred.device), reduction="none")
        weights = X["sample_weight"].double()
        loss = ((weights / weights.sum()).to(losses) * losses).sum()
        if training and not torch.isfinite(loss):
            raise self._diverged()
        return loss

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train; unlike skorch's, a keyboard interrupt is passed on, unless early stopping made it.

        Raises
        ------
        TrainingDivergedError
            If the loss, theta or what the trained module answers is not finite.
        """
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, **fit_params)
        except KeyboardInterrupt:
            stoppers = [callback for _, callback in self.callbacks_ if isinstance(callback, EarlyStopping)]
            if not any(stopper.misses_ == stopper.patience for stopper in stoppers):
                raise
        self.notify("on_train_end", X=X, y=y)
        answers = self.predict_proba({name: X[name][:CHUNK_WAVEFORMS] for name in ("series", "lengths")})
        trained = all(torch.isfinite(parameter).all() for parameter in self.module_.parameters())
        if not trained or not np.isfinite(answers).all():
            raise self._diverged()
        return self

    def _diverged(self):
        return TrainingDivergedError(
            f"Training diverged: it ended in values that are not finite. learning_rate={self.lr:g} may be too large, "
            f"or weight_decay={self.optimizer.keywords['weight_decay']:g}. Take smaller ones."
        )

    def infer(self, x, **fit_params):
        """Run the module on the series of a batch; weights are for the loss only."""
        return super().infer({name: x[name] for name in x if name != "sample_weight"}, **fit_params)

    def initialize(self):
        """Initialize the net and leave module and criterion in eval mode, which skorch does not."""
        super().initialize()
        self._set_training(False)
        return self

    def initialize_optimizer(self, *args, **kwargs):
        """Make the optimizer; none where there is nothing to train, since its import alone takes seconds."""
        return super().initialize_optimizer(*args, **kwargs) if self.max_epochs > 0 else self

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Leave module and criterion in eval mode, which skorch does not."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        self._set_training(False)

    def timeless_history(self):
        """Return the history without what a clock said: the same fit leaves the same history."""
        return type(self.history)({name: epoch[name] for name in epoch if name != "dur"} for epoch in self.history)

    # The module is pickled as arrays, for any device; skorch's own way would pickle it twice. Adam's moments are twice
    # as large as theta and of no use after fit.
    def __getstate__(self):
        state = {name: value for name, value in vars(self).items() if name not in ("module", "optimizer_")}
        # Nothing that differs from fit to fit, or from process to process, as the order of a set does.
        callbacks = [(name, _without_time(callback)) for name, callback in self.callbacks_]
        constant = {"history_": self.timeless_history(), "callbacks_": callbacks}
        return state | constant | {"_params_to_validate": sorted(self._params_to_validate)}

    def __setstate__(self, state):
        vars(self).update(state)
        self._params_to_validate = set(self._params_to_validate)
        self.module = self.module_
        self.device = device_or_cpu(self.device)
        self.module_.to(self.device)


def _without_time(callback):
    """Return a callback without the time of day at which an epoch began."""
    if type(callback) is not EpochTimer:
        return callback
    twin = copy.copy(callback)
    twin.epoch_start_time_ = None
    return twin


def training_data(batch, sample_weight, precomputed=None):
    """Return what the net is trained on, a dict as skorch takes it.

    Parameters
    ----------
    batch : SeriesBatch
    sample_weight : ndarray of shape (N,)
    precomputed : dict of arrays with N rows, optional
        More arguments of the module, by name.
    """
    return vars(batch) | (precomputed or {}) | {"sample_weight": sample_weight}


def make_net(estimator, module, labels, random_state):
    """Return the skorch net of an estimator, initialized.

    Parameters
    ----------
    estimator : estimator
        With the parameters of `v2s_sklearn.network.constraints` and ``device``.
    module : torch.nn.Module
        Takes ``series`` and ``lengths``, returns log-probabilities.
    labels : ndarray of shape (N,), int
        Of the training cases.
    random_state : numpy.random.RandomState
    """
    seed = int(random_state.randint(2**31 - 1))
    batch_size = int(min(estimator.batch_size, len(labels)))
    callbacks = list(estimator.callbacks or [])
    train_split = None
    if estimator.early_stopping and estimator.max_epochs > 0:
        train_split = ValidSplit(estimator.validation_fraction, stratified=True, random_state=seed)
        callbacks.append(EarlyStopping(patience=estimator.n_iter_no_change, load_best=True, sink=noop))
    if estimator.verbose:
        callbacks.append(ProgressBar())
    net = V2SNet(
        module,
        # Decoupled weight decay: an L2 penalty of 0.04 inside Adam keeps theta small, see benchmarks/NOTES.md.
        optimizer=partial(torch.optim.AdamW, weight_decay=float(estimator.weight_decay)),
        lr=float(estimator.learning_rate),
        max_epochs=int(estimator.max_epochs),
        batch_size=batch_size,
        iterator_train__shuffle=True,
        iterator_train__seed=seed,
        iterator_valid__batch_size=max(batch_size, 8 * CHUNK_WAVEFORMS),
        train_split=train_split,
        callbacks=callbacks,
        device=resolve_device(estimator.device),
        verbose=estimator.verbose,
    )
    return net.initialize()


def check_training(estimator, labels):
    """Check what `make_net` is given as soon as the labels are known, before anything is computed.

    Raises
    ------
    InvalidParameterError
        If a callback is none, or early stopping leaves too few cases on one side.
    """
    check_callbacks(estimator.callbacks)
    if estimator.early_stopping and estimator.max_epochs == 0:
        warnings.warn("early_stopping=True does nothing with max_epochs=0: nothing is trained.", stacklevel=2)
    elif estimator.early_stopping:
        _check_validation_fraction(estimator.validation_fraction, labels)


def check_callbacks(callbacks):
    """Raise an error if one of the callbacks is none of skorch's: an object, a class, or a pair of a name and one."""
    for callback in callbacks or ():
        named = isinstance(callback, tuple) and len(callback) == 2 and isinstance(callback[0], str)
        found = callback[1] if named else callback
        if not isinstance(found, Callback) and not (isinstance(found, type) and issubclass(found, Callback)):
            raise InvalidParameterError(
                f"callbacks must be a list of skorch.callbacks.Callback, or pairs of a name and one, got {callback!r}."
            )


def _check_validation_fraction(fraction, labels):
    """Check that early stopping leaves a case of each class on both sides of the split."""
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    n_validation = int(np.ceil(fraction * len(labels)))
    if counts.min() < 2 or n_validation < len(counts) or len(labels) - n_validation < len(counts):
        raise InvalidParameterError(
            f"early_stopping with validation_fraction={fraction} sets {n_validation} of "
            f"{len(labels)} different cases aside; both sides need a case of each of {len(counts)} classes, and "
            f"the smallest class has {counts.min()}. Change validation_fraction, or set early_stopping=False."
        )
