"""V2SFeatures: the embeddings of a frozen, reprogrammed acoustic model as a scikit-learn transformer.

Shape legend: N cases, C channels, T time points.
"""

from collections.abc import Sequence

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin

from v2s_sklearn.base import BaseV2STransformer, Source
from v2s_sklearn.network.inference import compute_embeddings, in_blocks
from v2s_sklearn.network.reprogrammed import reprogram
from v2s_sklearn.runtime.devices import resolve_device
from v2s_sklearn.runtime.settings import own_settings
from v2s_sklearn.views import DEFAULT_SOURCES, Voice


class V2SFeatures(ClassNamePrefixFeaturesOutMixin, BaseV2STransformer):
    """Time series to embeddings of a frozen acoustic model.

    The input transformation keeps its initial theta: nothing is trained. ``fit`` only takes the scale of the series.

    Parameters
    ----------
    acoustic_model, reprogramming, voices, n_replicates, max_channels, standardize, device, n_jobs
        See :class:`V2SClassifier`.

    Attributes
    ----------
    n_features_in_ : int
        Columns of a table (n_cases, n_timepoints); not set for series in other containers, which scikit-learn's tools
        do not count.
    acoustic_model_ : AcousticModel, or tuple of them
        The frozen source.
    series_mean_, series_scale_ : ndarray of shape (n_channels,)
        What each channel is scaled by.
    channel_mixture_ : ndarray of shape (n_heard_channels, n_channels)
        What decorrelates the scaled channels, and mixes them where they are too many.

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
        acoustic_model: Source | Sequence[Source] = DEFAULT_SOURCES,
        *,
        reprogramming: str = "auto",
        voices: Sequence[Voice] | None = None,
        n_replicates: int = 1,
        max_channels: int = 16,
        standardize: bool = True,
        device: str | torch.device = "auto",
        n_jobs: int | None = 1,
    ) -> None:
        self.acoustic_model = acoustic_model
        self.reprogramming = reprogramming
        self.voices = voices
        self.n_replicates = n_replicates
        self.max_channels = max_channels
        self.standardize = standardize
        self.device = device
        self.n_jobs = n_jobs
        super().__init__()

    @own_settings()
    def _fit(self, X, y=None):
        self._validate_params()
        device = resolve_device(self.device)
        self.scaler_, _, self._network = reprogram(
            self._load_sources(device),
            X,
            max_channels=self.max_channels,
            standardize=self.standardize,
            device=device,
            n_jobs=self.n_jobs,
            reprogramming=self.reprogramming,
            voices=self.voices,
            n_replicates=self.n_replicates,
        )
        self._n_features_out = self._network.n_features

    def _module(self):
        return self._network

    @own_settings()
    def _transform(self, X, y=None):
        network, device = self._on_device()
        return in_blocks(lambda batch: compute_embeddings(network, batch, device, self.n_jobs), X, self.scaler_)
