"""Pictures of fitted estimators in scikit-learn's Display style, importance of time points, and sound."""

from v2s_sklearn.inspection.attention import AttentionDisplay
from v2s_sklearn.inspection.embedding import EmbeddingDisplay
from v2s_sklearn.inspection.importance import importance
from v2s_sklearn.inspection.label_mapping import LabelMappingDisplay
from v2s_sklearn.inspection.listen import listen
from v2s_sklearn.inspection.reprogrammed_input import ReprogrammedInputDisplay
from v2s_sklearn.inspection.saliency import SaliencyDisplay, class_activation_maps
from v2s_sklearn.inspection.training import TrainingDisplay
from v2s_sklearn.inspection.views import ViewsDisplay

__all__ = [
    "AttentionDisplay",
    "EmbeddingDisplay",
    "LabelMappingDisplay",
    "ReprogrammedInputDisplay",
    "SaliencyDisplay",
    "TrainingDisplay",
    "ViewsDisplay",
    "class_activation_maps",
    "importance",
    "listen",
]
