"""V2SClassifier: time series classification by reprogramming a frozen acoustic model.

Shape legend: N cases, C channels, T time points, S waveform samples, K source classes.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from v2s_sklearn.base import BaseV2SClassifier, ClassWeight, RandomState, Source
from v2s_sklearn.mapping.embeddings import select
from v2s_sklearn.mapping.mappings import (
    LinearMapping,
    ManyToOneMapping,
    frequency_mapping,
    labels_per_class,
    random_mapping,
)
from v2s_sklearn.network.constraints import TRAINING_CONSTRAINTS
from v2s_sklearn.network.inference import compute_source_probabilities, embeddings_of
from v2s_sklearn.network.reprogrammed import reprogram
from v2s_sklearn.runtime.devices import resolve_device
from v2s_sklearn.runtime.progress import progress
from v2s_sklearn.runtime.settings import own_settings
from v2s_sklearn.views import DEFAULT_SOURCES, Voice


class V2SClassifier(BaseV2SClassifier):
    """Voice2Series classifier: a frozen acoustic model, reprogrammed for time series.

    A series becomes a waveform through an input transformation with parameters theta. The acoustic model, pretrained on
    speech, is run on the waveform unchanged, and a mapping turns its activations or outputs into target classes.

    Parameters
    ----------
    acoustic_model : str, path, AcousticModel, or list of them, default=("v2sa", "wav2vec", "v2sc", "v2sc-varied")
        The frozen source: a name from :func:`list_acoustic_models`, or what else :func:`load_acoustic_model` takes.
        Several are combined: a learned mapping reads the embeddings of all, a many-to-one mapping their source classes.
    reprogramming : {"auto", "contour", "playback", "modulation", "pad"}, default="auto"
        Input transformation. "modulation": voices whose frequency or loudness follows the series; theta is their
        carriers, deviations and loudness, and an additive waveform. "playback": the series, its differences, its
        running sum and its spectrum as samples one after another, filtered at every octave; for "ridge" and sources
        with filters on the raw waveform.
        "contour": the series itself is the input of the network, stretched to one length, and a series of more than 256
        points to two lengths; for "ridge" and sources trained on contours.
        "pad": the paper's, the series as samples in a waveform whose other samples are theta. "auto": for each source
        the first of "contour", "playback" and "modulation" that suits the source and the mapping.
    voices : sequence of Voice, optional
        Initial voices of "modulation"; by default `v2s_sklearn.views.DEFAULT_VOICES`, beside "playback" the one
        of the differences.
    n_replicates : int, default=1
        m, how many times the series stands in the waveform; fewer where m do not fit. Not for "playback".
    max_channels : int, default=16
        Channels that are used as they are. A series with more channels is replaced by this many random mixtures of its
        channels, which bounds the cost: the default makes at most 4 waveforms of each channel for wav2vec's filters, 2
        of all channels for v2sc and v2sc-varied, and one of all channels for v2sa.
    dropout : float, default=0.0
        Share of the additive part of theta set to zero in a training step, in [0, 1). Not for "playback".
    standardize : bool, default=True
        Scale each channel by its mean and standard deviation over the training cases, and decorrelate the channels.
    mapping : {"ridge", "random", "frequency"}, default="ridge"
        Source to target labels. "ridge": learned, linear on the embeddings: one ridge a view, stacked by the
        leave-one-out log loss. "random" and "frequency": the paper's many-to-one mappings, floor(K / n_classes) source
        classes to each target class.
    max_epochs : int, default=0
        Epochs of gradient training of theta, together with a learned mapping, which is solved again at the end. 0 keeps
        the initial theta: training took several times as long and did not change the default's accuracy.
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
    missing_label : int, float, str or None, default=None
        What stands in y for a case without label, beside None, NaN and pd.NA, which always do: -1 in the form of
        scikit-learn's semi-supervised estimators. By default -1 is a class, since data sets have such.
    random_state : int, RandomState instance or None, default=None
        Initial theta, mixtures of the filters of "playback", random mapping, order of the cases, dropout. The same
        value gives the same bits on a CPU.
    n_jobs : int, default=1
        Threads for inference and the ridges, -1 for all processors; training takes one. Does not change the result.
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
        The fitted skorch net; ``net_.history`` has losses by epoch, ``net_.module_`` the torch module.
    theta_ : ndarray of shape (n_samples,), or dict of ndarray
        The trained input parameters; for "modulation" carrier, deviation (Hz), loudness (nats) and additive, which has
        half as many samples where the source reads only the lower half of the spectrum. A list of them if the acoustic
        models have several windows, sample rates or transformations. That of "playback", an additive waveform, stays
        zero: shares of time have no gradient. Of "contour": an additive contour.
    label_mapping_ : ndarray
        (n_classes, floor(K / n_classes)) source classes of each target class (those of several models are counted in a
        row), or, for "ridge", (n_embedding, n_classes) weights.
    acoustic_model_ : AcousticModel, or tuple of them
        The frozen source, shared by all estimators of the process.
    scaler_ : SeriesScaler
        The fitted scaling of the series.
    series_mean_, series_scale_ : ndarray of shape (n_channels,)
        What each channel is scaled by.
    channel_mixture_ : ndarray of shape (n_heard_channels, n_channels)
        What decorrelates the scaled channels, and mixes them where they are too many.
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
        **TRAINING_CONSTRAINTS,
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "mapping": [StrOptions({"ridge", "random", "frequency"})],
    }

    def __init__(
        self,
        acoustic_model: Source | Sequence[Source] = DEFAULT_SOURCES,
        *,
        reprogramming: str = "auto",
        voices: Sequence[Voice] | None = None,
        n_replicates: int = 1,
        max_channels: int = 16,
        dropout: float = 0.0,
        standardize: bool = True,
        mapping: str = "ridge",
        max_epochs: int = 0,
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
        self.reprogramming = reprogramming
        self.voices = voices
        self.n_replicates = n_replicates
        self.max_channels = max_channels
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
        self.missing_label = missing_label
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        super().__init__()

    @classmethod
    def icml2021(cls, **overrides: Any) -> Self:
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
        settings: dict[str, Any] = {
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

    @classmethod
    def fast(cls, **overrides: Any) -> Self:
        """Return a classifier with the filters of wav2vec alone, the cheapest part of the default.

        docs/benchmark.md says what it costs and what it gives away.

        Parameters
        ----------
        **overrides
            Parameters of the class that replace these.

        Returns
        -------
        V2SClassifier
        """
        return cls(**({"acoustic_model": "wav2vec"} | overrides))

    @own_settings()
    def _fit(self, X, y, sample_weight=None):
        """Algorithm 1 of the paper: transform the input, map the labels, train theta with the model frozen."""
        # With skorch, which only fit needs.
        from v2s_sklearn.network.training import check_training, make_net, training_data

        self._validate_params()
        cases = self._training_cases(X, y, sample_weight)
        labelled = cases.labelled()
        check_training(self, labelled.labels)
        random_state = check_random_state(self.random_state)
        seed = int(random_state.randint(2**31 - 1))
        device = resolve_device(self.device)

        # Frozen source model f_S, or several.
        models = self._load_sources(device)
        n_source = sum(model.n_classes for model in models)
        if self.mapping != "ridge":
            labels_per_class(n_source, self.n_classes_)

        # Input transformation H(x; theta): the views through which the sources hear a series, learned without labels.
        self.scaler_, batch, network = reprogram(
            models,
            cases.series,
            cases.series_weight,
            max_channels=self.max_channels,
            standardize=self.standardize,
            seed=seed,
            device=device,
            n_jobs=self.n_jobs,
            reprogramming=self.reprogramming,
            learned_mapping=self.mapping == "ridge",
            voices=self.voices,
            n_replicates=self.n_replicates,
            dropout=self.dropout,
        )

        # Mapping h of source labels to target labels.
        mapping: LinearMapping | ManyToOneMapping
        if self.mapping == "ridge":
            embeddings = select(embeddings_of(network, batch, device, self.n_jobs), cases.rows)
            mapping = LinearMapping(network.blocks(), self.n_classes_)
            with progress(len(cases.rows), "fit", self.verbose):
                mapping.solve(embeddings, cases.labels, cases.weights, n_jobs=self.n_jobs)
        elif self.mapping == "random":
            mapping = ManyToOneMapping(random_mapping(n_source, self.n_classes_, random_state))
        else:
            with progress(len(labelled.rows), "fit", self.verbose):
                probabilities = compute_source_probabilities(network, batch[labelled.rows], device, self.n_jobs)
            assignment = frequency_mapping(probabilities, labelled.labels, self.n_classes_, labelled.weights)
            mapping = ManyToOneMapping(assignment)
        network.mapping = mapping.to(device)

        # Gradient steps on theta (and on a learned mapping): -log P(h(f_S(H(x; theta))) = y), the weights of f_S fixed.
        net = make_net(self, network, labelled.labels, random_state)
        if self.max_epochs > 0:
            trained = batch[labelled.rows]
            precomputed = network.precompute(trained.series, trained.lengths)
            net.partial_fit(training_data(trained, labelled.weights, precomputed), labelled.labels)
            if isinstance(mapping, LinearMapping):
                # The gradient over-fits the mapping; the ridge at the trained theta is calibrated again.
                with progress(len(cases.rows), "fit again", self.verbose):
                    mapping.solve(embeddings, cases.labels, cases.weights, n_jobs=self.n_jobs)
        self.net_ = net

    @property
    def theta_(self) -> Any:
        """The trained input parameters."""
        thetas = [transformation.theta_numpy() for transformation in self._fitted("net_").module_.transformations]
        return thetas[0] if len(thetas) == 1 else thetas

    @property
    def label_mapping_(self) -> np.ndarray:
        """The mapping of source to target labels."""
        return self._fitted("net_").module_.mapping.mapping_numpy()
