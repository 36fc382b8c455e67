"""Our results in the layout that aeon's result loaders read: one csv an estimator and measure.

``<folder>/classification/<measure>/<estimator>_<measure>.csv`` has a row a data set and a column a resample. Files bear
aeon's names (MultiRocketHydra is "MR-Hydra"); a classifier that aeon does not know keeps its own, which aeon accepts
once it stands among its names::

    from aeon.benchmarking import results_loaders

    results_loaders.NAME_ALIASES["V2S"] = []
    results_loaders.get_estimator_results_as_array(["V2S", "MR-Hydra"], num_resamples=30, path="FOLDER")

Measures are defined as in tsml-eval, which made the published files (class ClassifierResults). Shapes: N cases, C
classes.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from aeon.benchmarking.results_loaders import estimator_alias
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score


def area_under_roc(result):
    """Return the area of each class against the rest, weighted by the cases of the class."""
    classes, counts = np.unique(result.labels, return_counts=True)
    areas = [roc_auc_score(result.labels == label, result.probabilities[:, label]) for label in classes]
    return np.average(areas, weights=counts)


def f1(result):
    """Return F1 of the rarer of two classes; of more classes, the mean weighted by the cases of a class."""
    counts = np.bincount(result.labels, minlength=result.probabilities.shape[1])
    how = {"average": "binary", "pos_label": counts.argmin()} if len(counts) == 2 else {"average": "weighted"}
    return f1_score(result.labels, result.predicted, zero_division=0.0, **how)


def log_loss(result):
    """Return the mean negative log-probability of the true classes, cut where scikit-learn cuts it."""
    true = result.probabilities[np.arange(len(result.labels)), result.labels]
    return -np.log(true.clip(np.finfo(float).eps)).mean()


MEASURES = {
    "accuracy": lambda result: accuracy_score(result.labels, result.predicted),
    "auroc": area_under_roc,
    "balacc": lambda result: balanced_accuracy_score(result.labels, result.predicted),
    "f1": f1,
    "logloss": log_loss,
}


def aeon_name(classifier):
    """Return aeon's name of a classifier, or its own if aeon has none."""
    try:
        return estimator_alias(classifier)
    except ValueError:
        return classifier


def write_aeon_layout(results, folder):
    """Write the files.

    Parameters
    ----------
    results : iterable of Result
        Test results. Of a data set without the default split (resample 0) nothing is written, since aeon's loader
        takes the first columns; later resamples that are missing are left empty, and aeon names them if asked for.
    folder : path
        To be given to aeon as ``path``.

    Returns
    -------
    list of path
        The files.
    """
    rows = [
        {"classifier": aeon_name(result.classifier), "dataset": result.dataset, "resample": result.resample}
        | {name: measure(result) for name, measure in MEASURES.items()}
        for result in results
    ]
    paths = []
    for classifier, runs in pd.DataFrame(rows).groupby("classifier"):
        for measure in MEASURES:
            table = runs.pivot(index="dataset", columns="resample", values=measure)
            table = table.reindex(columns=range(table.columns.max() + 1)).dropna(subset=[0])
            path = Path(folder) / "classification" / measure / f"{classifier}_{measure}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            table.rename_axis("Resamples:").to_csv(path)
            paths.append(path)
    return paths
