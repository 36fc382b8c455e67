"""Tables by data set that the pages offer for download: docs/tables, one csv each, accuracies in %."""

import pandas as pd

from benchmarks.reports import accuracy
from benchmarks.reports.headline import shown
from benchmarks.reports.published import our_means, read_published


def _csv(table, digits=2):
    return table.round(digits).to_csv(lineterminator="\n")


def default_split(runs):
    """Return accuracy and seconds of fit and predict of every classifier on the default splits."""
    runs = accuracy.compared(runs, accuracy.CLASSIFIERS)
    table = 100 * accuracy.by_dataset(runs, "accuracy")[accuracy.CLASSIFIERS]
    return table.join(accuracy.by_dataset(runs, "seconds")[accuracy.CLASSIFIERS], rsuffix=", seconds")


def resampled(runs, path):
    """Return mean accuracy over 30 resamples: ours and MiniRocket as measured, the others as published."""
    measured = {f"{name}, measured": our_means(runs, name)["accuracy"] for name in ("V2S", "MiniRocket")}
    return 100 * read_published(path).rename(columns="{}, published".format).assign(**measured)


def calibration(runs):
    """Return expected calibration error, Brier score and log loss."""
    runs = accuracy.compared(runs, accuracy.CALIBRATED)
    columns = {name: column for name, column in accuracy.CALIBRATION.items() if name != "accuracy"}
    tables = [
        accuracy.by_dataset(runs, column)[accuracy.CALIBRATED].rename(columns=f"{name}, {{}}".format)
        for name, column in columns.items()
    ]
    return tables[0].join(tables[1:])


def few_labels(runs):
    """Return mean accuracy over draws by data set and labels a class: test splits, and the rest of training splits."""
    table = runs.pivot_table(index=["split", "dataset", "per_class"], columns="classifier", values="accuracy")
    return 100 * table


def make_files(results, classifiers):
    """Return the text of each file: a dict of path, relative to docs/, to text.

    Parameters
    ----------
    results : path
    classifiers : list of str
        Of the tables of few labels and of multivariate series.
    """
    runs = accuracy.read_results(results, accuracy.CLASSIFIERS)
    few = pd.concat(
        accuracy.read_results(results, classifiers, split=split, setting="few_labels") for split in ("test", "train")
    )
    multivariate = accuracy.read_results(results, classifiers, setting="multivariate")
    return {
        "tables/default_split.csv": _csv(default_split(runs).rename(columns=shown)),
        "tables/resampled.csv": _csv(resampled(runs, results / "published_resampled.csv")),
        "tables/calibration.csv": _csv(calibration(accuracy.read_results(results, accuracy.CALIBRATED)), digits=4),
        "tables/few_labels.csv": _csv(few_labels(few)),
        "tables/multivariate.csv": _csv(
            100 * accuracy.by_dataset(accuracy.compared(multivariate, classifiers), "accuracy")
        ),
    }
