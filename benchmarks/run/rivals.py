"""The classifiers of the benchmark: what makes each of them from a seed. Imports are put off until one is made."""


def v2s(seed):
    """Return our default."""
    from v2s_sklearn import V2SClassifier

    return V2SClassifier(random_state=seed)


def v2s_fast(seed):
    """Return our cheap preset."""
    from v2s_sklearn import V2SClassifier

    return V2SClassifier.fast(random_state=seed)


def v2s_paper(seed):
    """Return the published method."""
    from v2s_sklearn import V2SClassifier

    return V2SClassifier.icml2021(random_state=seed)


def mini_rocket(seed):
    """Return aeon's MiniRocket with its ridge."""
    from aeon.classification.convolution_based import MiniRocketClassifier

    return MiniRocketClassifier(random_state=seed)


def mini_rocket_calibrated(seed):
    """Return aeon's MiniRocket with its ridge calibrated by scikit-learn."""
    from aeon.classification.convolution_based import MiniRocketClassifier

    from benchmarks.run.calibrated_ridge import CalibratedRidge

    return MiniRocketClassifier(estimator=CalibratedRidge(), random_state=seed)


def multi_rocket_hydra(seed):
    """Return aeon's MultiRocket-Hydra."""
    from aeon.classification.convolution_based import MultiRocketHydraClassifier

    return MultiRocketHydraClassifier(random_state=seed)


def hydra(seed):
    """Return aeon's Hydra."""
    from aeon.classification.convolution_based import HydraClassifier

    return HydraClassifier(random_state=seed)


def quant(seed):
    """Return aeon's QUANT."""
    from aeon.classification.interval_based import QUANTClassifier

    return QUANTClassifier(random_state=seed)


def nearest_neighbour_dtw(seed):
    """Return the nearest neighbour by dynamic time warping, without a window."""
    from benchmarks.run.nearest_neighbour import NearestNeighbourDTW

    return NearestNeighbourDTW()


CLASSIFIERS = {
    "V2S": v2s,
    "V2S-fast": v2s_fast,
    "V2S-ICML2021": v2s_paper,
    "MiniRocket": mini_rocket,
    "MiniRocket-calibrated": mini_rocket_calibrated,
    "MultiRocketHydra": multi_rocket_hydra,
    "Hydra": hydra,
    "QUANT": quant,
    "1NN-DTW": nearest_neighbour_dtw,
}
