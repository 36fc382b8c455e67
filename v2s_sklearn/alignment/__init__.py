"""How near reprogrammed series come to the source's speech, and which source to take."""

from v2s_sklearn.alignment.distances import sliced_wasserstein, source_risk, target_risk_bound, wasserstein_1
from v2s_sklearn.alignment.information import RidgeProbe, labelled_information, split_sections, unlabelled_information
from v2s_sklearn.alignment.logits import SourceLogits, load_source_logits, target_logits
from v2s_sklearn.alignment.ranking import CRITERIA, rank_acoustic_models
from v2s_sklearn.alignment.tracking import AlignmentHistory

__all__ = [
    "CRITERIA",
    "AlignmentHistory",
    "RidgeProbe",
    "SourceLogits",
    "labelled_information",
    "load_source_logits",
    "rank_acoustic_models",
    "sliced_wasserstein",
    "source_risk",
    "split_sections",
    "target_logits",
    "target_risk_bound",
    "unlabelled_information",
    "wasserstein_1",
]
