"""V2SFeatures: the embeddings of a frozen, reprogrammed acoustic model as a scikit-learn transformer.

Shape legend: N cases, C channels, T time points.
"""

import numpy as np
from aeon.utils.validation import check_n_jobs
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from v2s_sklearn.base import BaseV2STransformer
from v2s_sklearn.net import ReprogrammedModel, compute_embeddings, fit_pooling, one_thread_method, resolve_device


class V2SFeatures(ClassNamePrefixFeaturesOutMixin, BaseV2STransformer):
    """Time series to embeddings of a frozen acoustic model.

    The input transformation keeps its initial theta: nothing is trained. ``fit`` only takes the scale of the series.

    Parameters
    ----------
    acoustic_model, reprogramming, voices, n_replicates, standardize, device, n_jobs
        See :class:`V2SClassifier`.

    Attributes
    ----------
    n_features_in_ : int
        Values of a case, channels times time points; not set for series of unequal length.
    acoustic_model_ : AcousticModel, or tuple of them
        The frozen source.
    series_mean_, series_scale_ : ndarray of shape (n_channels,)
        What each channel is scaled by.
    channel_mixture_ : ndarray of shape (n_channels, n_channels)
        What decorrelates the scaled channels.

    Examples
    --------
    >>> from aeon.datasets import load_italy_power_demand
    >>> from sklearn.linear_model import RidgeClassifierCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from v2s_sklearn import V2SFeatures
    >>> X, y = load_italy_power_demand(split="train")
    >>> pipeline = make_pipeline(V2SFeatures(), StandardScaler(), RidgeClassifierCV()).fit(X, y)
    """

    def __init__(
        self,
        acoustic_model=("v2sa", "wav2vec"),
        *,
        reprogramming="auto",
        voices=None,
        n_replicates=1,
        standardize=True,
        device="auto",
        n_jobs=1,
    ):
        self.acoustic_model = acoustic_model
        self.reprogramming = reprogramming
        self.voices = voices
        self.n_replicates = n_replicates
        self.standardize = standardize
        self.device = device
        self.n_jobs = n_jobs
        super().__init__()

    @one_thread_method
    def _fit(self, X, y=None):
        self._validate_params()
        self._n_jobs = check_n_jobs(self.n_jobs)
        models = self._load_acoustic_models(learned_mapping=True)
        self._fit_scaling(X, np.ones(len(X)), self.standardize)
        data = self._to_network_input(X)
        inputs = self._input_transformations(models, data, np.ones(len(X)))
        device = resolve_device(self.device)
        pooling = fit_pooling(ReprogrammedModel(models, inputs).to(device), data)
        self._model = ReprogrammedModel(models, inputs, pooling=pooling).to(device)
        silence = np.zeros((1, X[0].shape[0], 1))
        self._n_features_out = self._transform(silence).shape[1]

    @one_thread_method
    def _transform(self, X, y=None):
        return compute_embeddings(self._model, self._to_network_input(X), self._n_jobs)
