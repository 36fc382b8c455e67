"""Our results beside published means over resamples 0 to 29: paired over data sets.

The published file has a column a classifier and a row a data set, accuracies between 0 and 1, each the mean over the
thirty resamples. aeon's ``stratified_resample_data`` with the number of the resample makes the same splits, so that
ours may be compared with them; with fewer resamples of ours the noise of the splits is in the differences.
"""

import pandas as pd
from scipy.stats import wilcoxon

PUBLISHED_RESAMPLES = range(30)


def read_published(path):
    """Return the published means: a data frame with a row a data set and a column a classifier.

    Raises
    ------
    ValueError
        If the file has no column "dataset", or its means are no shares.
    """
    table = pd.read_csv(path)
    if "dataset" not in table or len(table.columns) < 2:
        raise ValueError(
            f"{path} needs a column 'dataset' and one a classifier, it has {', '.join(map(str, table.columns))}."
        )
    table = table.set_index("dataset")
    if ((table < 0) | (table > 1)).any(axis=None):
        raise ValueError(f"{path} needs accuracies between 0 and 1; give shares, not percent.")
    return table


def our_means(results, classifier):
    """Return the mean accuracy of a classifier by data set over seeds and its resamples 0 to 29, and how many.

    Parameters
    ----------
    results : DataFrame
        One row a run, from `accuracy.read_results`.
    classifier : str

    Returns
    -------
    DataFrame
        A row a data set; columns "accuracy" and "resamples".
    """
    runs = results[(results["classifier"] == classifier) & results["resample"].isin(PUBLISHED_RESAMPLES)]
    # Seeds first: a resample counts once, however many seeds it has.
    by_resample = runs.groupby(["dataset", "resample"])["accuracy"].mean()
    return by_resample.groupby("dataset").agg(accuracy="mean", resamples="size")


def compare_with_published(results, classifier, published):
    """Return one row a published classifier: means over the common data sets (%), paired differences and Wilcoxon's p.

    Parameters
    ----------
    results : DataFrame
        One row a run, from `accuracy.read_results`.
    classifier : str
        Ours.
    published : DataFrame
        From `read_published`.

    Returns
    -------
    DataFrame
        Index "published"; columns "data sets", "its mean", "ours", "difference" (percentage points), "wins", "ties",
        "losses" and "p". Sorted by the published mean, the best first.
    """
    ours = our_means(results, classifier)["accuracy"]
    rows = []
    for rival, theirs in published.items():
        theirs = theirs.dropna()
        common = ours.index.intersection(theirs.index)
        difference = (ours[common] - theirs[common]).round(6)  # the published figures have six places
        rows.append(
            {
                "published": rival,
                "data sets": len(common),
                "its mean": 100 * theirs[common].mean(),
                "ours": 100 * ours[common].mean(),
                "difference": 100 * difference.mean(),
                "wins": int((difference > 0).sum()),
                "ties": int((difference == 0).sum()),
                "losses": int((difference < 0).sum()),
                "p": wilcoxon(difference, zero_method="pratt").pvalue if (difference != 0).any() else 1.0,
            }
        )
    return pd.DataFrame(rows).set_index("published").sort_values("its mean", ascending=False)


def describe_resamples(results, classifier):
    """Return in words how many resamples of ours the comparison has."""
    counts = our_means(results, classifier)["resamples"]
    if not len(counts):
        raise ValueError(
            f"There is no run of {classifier} on resamples 0 to 29. Make them with benchmarks.run.classifiers."
        )
    fewest, most = counts.min(), counts.max()
    number = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return f"{classifier}: {number} of the {len(PUBLISHED_RESAMPLES)} resamples, {len(counts)} data sets"
