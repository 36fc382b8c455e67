"""TransferClassifier: the paper's transfer-learning baseline, the acoustic model fine-tuned on padded series.

Shape legend: B batch, C channels, T time points, S waveform samples, F' frames, D channels of a layer.
"""

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.base import BaseV2SClassifier, ClassWeight, RandomState, Source
from v2s_sklearn.network.constraints import TRAINING_CONSTRAINTS
from v2s_sklearn.network.fine_tuned import FineTunedModel
from v2s_sklearn.runtime.devices import resolve_device
from v2s_sklearn.runtime.settings import own_settings
from v2s_sklearn.series.scaling import SeriesScaler
from v2s_sklearn.views.pad import PadView


class TransferClassifier(BaseV2SClassifier):
    """Transfer learning: a copy of the acoustic model, fine-tuned on zero-padded series with a new dense layer.

    The baseline that Voice2Series is compared with, TF_a of the paper [1]_. All weights of the copy are trained, where
    :class:`V2SClassifier` leaves them as they are and trains its input transformation.

    Parameters
    ----------
    acoustic_model : str, path or AcousticModel, default="v2sa"
        The source model, which is copied: a name from :func:`list_acoustic_models`, a weights file, or a model.
    standardize : bool, default=True
        Scale each channel by its mean and standard deviation over the training cases, and decorrelate the channels.
    n_replicates : int, default=10
        m, how many times the series stands in the waveform; fewer where m do not fit.
    max_epochs : int, default=60
        Epochs of training, at least one.
    learning_rate : float, default=0.001
        Of Adam (with decoupled weight decay).
    batch_size : int, default=32
        Cases in a training step.
    weight_decay : float, default=0.0
        Share of the weights, times the learning rate, taken off in each step.
    early_stopping : bool, default=False
        Set part of the training cases aside and stop when their loss no longer falls; the best weights are kept.
    validation_fraction : float, default=0.1
        Share of the training cases for early stopping, in (0, 1).
    n_iter_no_change : int, default=10
        Epochs without improvement before early stopping.
    callbacks : list of skorch callbacks, optional
        Added to the net's own.
    device : str, default="auto"
        Torch device; "auto" takes CUDA if there is one.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as in scikit-learn.
    missing_label : int, float, str or None, default=None
        What stands in y for a case without label, beside None, NaN and pd.NA, which always do: -1 in the form of
        scikit-learn's semi-supervised estimators. By default -1 is a class, since data sets have such.
    random_state : int, RandomState instance or None, default=None
        Order of the cases, cases for early stopping. The same value gives the same bits on a CPU.
    n_jobs : int, default=1
        Threads for inference, -1 for all processors; training takes one. Does not change the result.
    verbose : int, default=0
        1 for progress bars, and skorch's table in training.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_classes_ : int
    n_features_in_ : int
        Columns of a table (n_cases, n_timepoints); not set for series in other containers, which scikit-learn's tools
        do not count.
    feature_names_in_ : ndarray of str
        Columns, if X had names.
    net_ : V2SNet
        The fitted skorch net; ``net_.history`` has losses by epoch, ``net_.module_.acoustic`` is the fine-tuned copy.
    acoustic_model_ : AcousticModel
        The source model, frozen, as it was before.
    series_mean_, series_scale_ : ndarray of shape (n_channels,)
        What each channel is scaled by.
    channel_mixture_ : ndarray of shape (n_channels, n_channels)
        What decorrelates the scaled channels.
    metadata_ : dict
        aeon's description of the training series.

    Notes
    -----
    A source that reads the power spectrum takes a padded series and its negative for the same, and a short one and its
    reverse nearly so: nothing else sounds in the waveform, where :class:`V2SClassifier` has theta. With one copy at the
    start, a source sees a short series in its first frames only: in cross-validation on the training cases of GunPoint,
    ``n_replicates=10`` had an accuracy of 0.88, and 1 was at chance.

    References
    ----------
    .. [1] C.-H. H. Yang, Y.-Y. Tsai, P.-Y. Chen, Voice2Series: Reprogramming Acoustic Models for Time Series
       Classification, ICML 2021, arXiv 2106.09296, section 5.

    Examples
    --------
    >>> from aeon.datasets import load_italy_power_demand
    >>> from v2s_sklearn import TransferClassifier
    >>> X_train, y_train = load_italy_power_demand(split="train")
    >>> X_test, y_test = load_italy_power_demand(split="test")
    >>> clf = TransferClassifier(max_epochs=12, random_state=0).fit(X_train, y_train)
    >>> bool(clf.score(X_test[:100], y_test[:100]) > 0.7)
    True
    """

    _parameter_constraints = {
        name: constraint
        for name, constraint in {**BaseV2SClassifier._parameter_constraints, **TRAINING_CONSTRAINTS}.items()
        if name not in ("reprogramming", "voices", "max_channels")
    } | {
        "acoustic_model": [str, Path, AcousticModel],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        acoustic_model: Source = "v2sa",
        *,
        standardize: bool = True,
        n_replicates: int = 10,
        max_epochs: int = 60,
        learning_rate: float = 0.001,
        batch_size: int = 32,
        weight_decay: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        callbacks: Sequence[Any] | None = None,
        device: str | torch.device = "auto",
        class_weight: ClassWeight = None,
        missing_label: float | str | None = None,
        random_state: RandomState = None,
        n_jobs: int | None = 1,
        verbose: int = 0,
    ) -> None:
        self.acoustic_model = acoustic_model
        self.standardize = standardize
        self.n_replicates = n_replicates
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.device = device
        self.class_weight = class_weight
        self.missing_label = missing_label
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        super().__init__()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # The blobs that this tag is about are told apart by sign and order, which a power spectrum does not show.
        tags.classifier_tags.poor_score = True
        return tags

    @own_settings()
    def _fit(self, X, y, sample_weight=None):
        # With skorch, which only fit needs.
        from v2s_sklearn.network.training import check_training, make_net, training_data

        self._validate_params()
        cases = self._training_cases(X, y, sample_weight)
        labelled = cases.labelled()
        check_training(self, labelled.labels)
        device = resolve_device(self.device)
        (model,) = self._load_sources(device)
        max_points = PadView.max_points(model, n_channels=X[0].shape[0])
        self.scaler_ = SeriesScaler(self.standardize, max_points).fit(cases.series, cases.series_weight)
        module = FineTunedModel(model, self.n_replicates, self.n_classes_).to(device)
        net = make_net(self, module, labelled.labels, check_random_state(self.random_state))
        batch = self.scaler_.transform(cases.series)[labelled.rows]
        self.net_ = net.partial_fit(training_data(batch, labelled.weights), labelled.labels)

    @classmethod
    def _get_test_params(cls, parameter_set="default"):
        """Return quick parameters for aeon's checks."""
        return {"max_epochs": 2}
