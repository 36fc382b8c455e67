"""Voice2Series for scikit-learn: time series classification with a frozen acoustic model."""

from v2s_sklearn._version import __version__
from v2s_sklearn.acoustic.registry import list_acoustic_models, load_acoustic_model, register_acoustic_model
from v2s_sklearn.classifier import V2SClassifier
from v2s_sklearn.persistence.loading import load
from v2s_sklearn.persistence.onnx import to_onnx
from v2s_sklearn.series.frames import from_long_frame
from v2s_sklearn.transfer import TransferClassifier
from v2s_sklearn.transformer import V2SFeatures

__all__ = [
    "TransferClassifier",
    "V2SClassifier",
    "V2SFeatures",
    "__version__",
    "from_long_frame",
    "list_acoustic_models",
    "load",
    "load_acoustic_model",
    "register_acoustic_model",
    "to_onnx",
]
