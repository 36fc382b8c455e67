"""Our results in the layouts of others: that of aeon's result loaders, and tsml-eval's files of predictions.

aeon: ``<folder>/classification/<measure>/<estimator>_<measure>.csv`` has a row a data set and a column a resample.
Files bear aeon's names (MultiRocketHydra is "MR-Hydra"); a classifier that aeon does not know keeps its own, which aeon
accepts once it stands among its names::

    from aeon.benchmarking import results_loaders

    results_loaders.NAME_ALIASES["V2S"] = []
    results_loaders.get_estimator_results_as_array(["V2S", "MR-Hydra"], num_resamples=30, path="FOLDER")

tsml-eval: ``<folder>/<classifier>/Predictions/<dataset>/testResample<k>.csv``, see `benchmarks.run.results`.
"""

from pathlib import Path

from aeon.benchmarking.results_loaders import estimator_alias

from benchmarks.run.predictions import read_archive
from benchmarks.run.results import Result, Run

# aeon's measures and our columns.
MEASURES = {
    "accuracy": "accuracy",
    "auroc": "auroc",
    "balacc": "balanced_accuracy",
    "f1": "f1",
    "logloss": "tsml_log_loss",
}


def aeon_name(classifier):
    """Return aeon's name of a classifier, or its own if aeon has none."""
    try:
        return estimator_alias(classifier)
    except ValueError:
        return classifier


def write_aeon_layout(runs, folder):
    """Write one file an estimator and measure.

    Parameters
    ----------
    runs : DataFrame
        Test results, of one seed each. Of a data set without the default split (resample 0) nothing is written, since
        aeon's loader takes the first columns; later resamples that are missing are left empty, and aeon names them if
        asked for.
    folder : path
        To be given to aeon as ``path``.

    Returns
    -------
    list of path
        The files.
    """
    paths = []
    for classifier, rows in runs.groupby(runs["classifier"].map(aeon_name)):
        for measure, column in MEASURES.items():
            table = rows.pivot(index="dataset", columns="resample", values=column)
            table = table.reindex(columns=range(table.columns.max() + 1)).dropna(subset=[0])
            path = Path(folder) / "classification" / measure / f"{classifier}_{measure}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            table.rename_axis("Resamples:").to_csv(path)
            paths.append(path)
    return paths


def write_tsml_layout(runs, setting, predictions, folder):
    """Write one file a run.

    Parameters
    ----------
    runs : DataFrame
        Rows of the table of a setting.
    setting : str
    predictions : path
        Archive of `benchmarks.run.collect`.
    folder : path

    Returns
    -------
    list of path
        The files.

    Raises
    ------
    KeyError
        If the archive lacks a run; the message names it.
    """
    archive, paths = read_archive(predictions), []
    for row in runs.to_dict("records"):
        run = Run(*(row[field] for field in Run._fields))
        if (setting, run) not in archive:
            raise KeyError(f"{predictions} has no predictions of {run.path(setting)}. Collect them with --predictions.")
        labels, probabilities = archive[setting, run]
        more = {name: row[name] for name in ("fit_time", "predict_time", "memory", "split", "parameters", "comment")}
        result = Result(run.dataset, run.classifier, run.resample, labels, probabilities, **more)
        paths.append(run.path(folder))
        result.write(paths[-1])
    return paths
