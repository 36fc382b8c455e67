"""V2SClassifier: time series classification by reprogramming a frozen acoustic model.

Shape legend: N cases, C channels, T time points, S waveform samples, K source classes.
"""

from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from aeon.utils.validation import check_n_jobs
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import EarlyStopping, ProgressBar
from skorch.dataset import ValidSplit
from skorch.utils import noop

from v2s_sklearn.acoustic.registry import load_acoustic_model
from v2s_sklearn.base import BaseV2SClassifier, class_weights
from v2s_sklearn.collection import merge_copies
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.mapping import LinearMapping, ManyToOneMapping, frequency_mapping, random_mapping
from v2s_sklearn.net import (
    CHUNK_WAVEFORMS,
    ReprogrammedModel,
    V2SNet,
    chunk_size,
    compute_embeddings,
    compute_source_probabilities,
    one_thread_method,
    resolve_device,
)


class V2SClassifier(BaseV2SClassifier):
    """Voice2Series classifier: a frozen acoustic model, reprogrammed for time series.

    A series becomes a waveform through an input transformation with parameters theta, the acoustic model, pretrained on
    speech, is run on it unchanged, and a mapping turns what it says into target classes.

    Parameters
    ----------
    acoustic_model : str, path or AcousticModel, default="v2sa"
        The frozen source model: a name from :func:`list_acoustic_models`, a weights file, or a model.
    reprogramming : {"modulation", "pad"}, default="modulation"
        Input transformation. "modulation": voices whose frequency or loudness follows the series; theta is their
        carriers, deviations and loudness, and an additive waveform. "pad": the paper's, the series as samples in a
        waveform whose other samples are theta.
    voices : sequence of Voice, optional
        Initial voices of "modulation"; by default `v2s_sklearn.reprogram.DEFAULT_VOICES`.
    n_replicates : int, default=1
        m, how many times the series stands in the waveform; fewer where m do not fit.
    dropout : float, default=0.0
        Share of the additive part of theta set to zero in a training step, in [0, 1).
    standardize : bool, default=True
        Scale each channel by its mean and standard deviation over the training cases.
    mapping : {"ridge", "random", "frequency"}, default="ridge"
        Source to target labels. "ridge": learned, linear on the embeddings, started at the ridge solution. "random" and
        "frequency": the paper's many-to-one mappings, floor(K / n_classes) source classes to each target class.
    max_epochs : int, default=0
        Epochs of gradient training of theta, together with a learned mapping, which is solved again at the end. 0 keeps
        the initial theta: training it with "ridge" made fit 20 to 33 times slower.
    learning_rate : float, default=0.001
        Of Adam (with decoupled weight decay).
    batch_size : int, default=32
        Cases in a training step.
    weight_decay : float, default=0.0
        Share of theta (and of a learned mapping), times the learning rate, taken off in each step.
    early_stopping : bool, default=False
        Set part of the training cases aside and stop when their loss no longer falls; the best theta is kept.
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
    random_state : int, RandomState instance or None, default=None
        Initial theta, random mapping, order of the cases, dropout. The same value gives the same bits.
    n_jobs : int, default=1
        Threads for inference, -1 for all processors; training takes one. Does not change the result.
    verbose : int, default=0
        1 for skorch's table and progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_classes_ : int
    n_features_in_ : int
        Values of a case, channels times time points; not set for series of unequal length.
    feature_names_in_ : ndarray of str
        Columns, if X had names.
    net_ : V2SNet
        The fitted skorch net; ``net_.history`` has losses by epoch, ``net_.module_`` the torch module.
    theta_ : ndarray of shape (n_samples,), or dict of ndarray
        The trained input parameters; for "modulation" carrier, deviation (Hz), loudness (nats) and additive.
    label_mapping_ : ndarray
        (n_classes, floor(K / n_classes)) source classes of each target class, or, for "ridge", (n_embedding, n_classes)
        weights.
    acoustic_model_ : AcousticModel
        The frozen model, shared by all estimators of the process.
    series_mean_, series_scale_ : ndarray of shape (n_channels,)
        What each channel is scaled by.
    metadata_ : dict
        aeon's description of the training series.

    References
    ----------
    .. [1] C.-H. H. Yang, Y.-Y. Tsai, P.-Y. Chen, Voice2Series: Reprogramming Acoustic Models for Time Series
       Classification, ICML 2021, arXiv 2106.09296.

    Examples
    --------
    >>> from aeon.datasets import load_italy_power_demand
    >>> from v2s_sklearn import V2SClassifier
    >>> X_train, y_train = load_italy_power_demand(split="train")
    >>> X_test, y_test = load_italy_power_demand(split="test")
    >>> clf = V2SClassifier().fit(X_train, y_train)
    >>> bool(clf.score(X_test[:100], y_test[:100]) > 0.9)
    True
    """

    ICML2021_GRID = {"dropout": [0.0, 0.1, 0.2, 0.3, 0.4], "n_replicates": list(range(1, 11))}

    _parameter_constraints = {
        **BaseV2SClassifier._parameter_constraints,
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "mapping": [StrOptions({"ridge", "random", "frequency"})],
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

    def __init__(
        self,
        acoustic_model="v2sa",
        *,
        reprogramming="modulation",
        voices=None,
        n_replicates=1,
        dropout=0.0,
        standardize=True,
        mapping="ridge",
        max_epochs=0,
        learning_rate=0.001,
        batch_size=32,
        weight_decay=0.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        callbacks=None,
        device="auto",
        class_weight=None,
        random_state=None,
        n_jobs=1,
        verbose=0,
    ):
        self.acoustic_model = acoustic_model
        self.reprogramming = reprogramming
        self.voices = voices
        self.n_replicates = n_replicates
        self.dropout = dropout
        self.standardize = standardize
        self.mapping = mapping
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
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        super().__init__()

    @classmethod
    def icml2021(cls, **overrides):
        """Return a classifier with the settings of the paper.

        Padding with theta around the series, random many-to-one mapping, Adam with learning rate 0.05, batches of 32,
        100 epochs, weight decay 0.04. The paper selects dropout and the number of replicates m by cross-validation on
        the training split; ``V2SClassifier.ICML2021_GRID`` is its grid, for ``GridSearchCV``. Without a search m is 10,
        the most of the grid, because with m = 1 nothing was learned on the short series that were tried.

        Parameters
        ----------
        **overrides
            Parameters of the class that replace these.

        Returns
        -------
        V2SClassifier

        References
        ----------
        .. [1] Voice2Series, ICML 2021, sections 3 and 5.
        """
        settings = {
            "acoustic_model": "v2sa",
            "reprogramming": "pad",
            "n_replicates": 10,
            "standardize": False,
            "mapping": "random",
            "max_epochs": 100,
            "learning_rate": 0.05,
            "batch_size": 32,
            "weight_decay": 0.04,
        }
        return cls(**(settings | overrides))

    @one_thread_method
    def _fit(self, X, y, sample_weight=None):
        """Algorithm 1 of the paper: transform the input, map the labels, train theta with the model frozen."""
        self._validate_params()
        self._n_jobs = check_n_jobs(self.n_jobs)
        random_state = check_random_state(self.random_state)
        labels = np.searchsorted(self.classes_, y)
        sample_weight = np.ones(len(y)) if sample_weight is None else sample_weight
        sample_weight = sample_weight * class_weights(self.class_weight, self.classes_, y)[labels]
        X, labels, sample_weight = merge_copies(X, labels, sample_weight)

        # Frozen source model f_S and input transformation H(x; theta).
        self.acoustic_model_ = load_acoustic_model(self.acoustic_model, device=resolve_device(self.device))
        self._fit_scaling(X, sample_weight, self.standardize)
        data = self._to_network_input(X)
        seed = int(random_state.randint(2**31 - 1))
        reprogram = self._reprogramming(self.acoustic_model_, data, sample_weight, self.dropout, seed)

        # Mapping h of source labels to target labels.
        untrained = ReprogrammedModel(self.acoustic_model_, reprogram).to(resolve_device(self.device))
        if self.mapping == "ridge":
            embeddings = compute_embeddings(untrained, data, self._n_jobs)
            mapping = partial(LinearMapping, embeddings.shape[1], self.n_classes_)
        elif self.mapping == "random":
            assignment = random_mapping(self.acoustic_model_.n_classes, self.n_classes_, random_state)
            mapping = partial(ManyToOneMapping, assignment)
        else:
            probabilities = compute_source_probabilities(untrained, data, self._n_jobs)
            assignment = frequency_mapping(probabilities, labels, self.n_classes_, sample_weight)
            mapping = partial(ManyToOneMapping, assignment)
        n_waveforms = untrained.reprogram.n_voices * data["series"].shape[1]
        net = self._make_net(reprogram, mapping, n_waveforms, labels, random_state).initialize()
        if self.mapping == "ridge":
            net.module_.mapping.solve(embeddings, labels, sample_weight)

        # Gradient steps on theta (and on a learned mapping): -log P(h(f_S(H(x; theta))) = y), the weights of f_S fixed.
        if self.max_epochs > 0:
            net.partial_fit(data | {"sample_weight": sample_weight.astype(np.float32)}, labels)
            if self.mapping == "ridge":
                # The gradient over-fits the mapping; the ridge at the trained theta is calibrated again.
                embeddings = compute_embeddings(net.module_, data, self._n_jobs)
                net.module_.mapping.solve(embeddings, labels, sample_weight)
        self.net_ = net

    def _make_net(self, reprogram, mapping, n_waveforms, labels, random_state):
        """Return the skorch net, not yet initialized."""
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
            ReprogrammedModel,
            module__acoustic=self.acoustic_model_,
            module__reprogram=reprogram,
            module__mapping=mapping,
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

    @property
    def theta_(self):
        """The trained input parameters."""
        return self._net_module().reprogram.theta_numpy()

    @property
    def label_mapping_(self):
        """The mapping of source to target labels."""
        return self._net_module().mapping.mapping_numpy()

    def _net_module(self):
        if "net_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet: call fit first.")
        return self.net_.module_
