"""The tables of docs/benchmark.md, from the tables of results.

python -m benchmarks.reports.accuracy --classifiers V2S MultiRocketHydra MiniRocket

Only data sets and resamples that every classifier has are compared. A classifier with several seeds is one entry, the
mean over its seeds. --published FILE adds the first classifier's paired differences against published means over
resamples 0 to 29. --aeon FOLDER and --tsml FOLDER also write the test results of these classifiers' first seeds in the
layouts of aeon's result loaders and of tsml-eval.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon

from benchmarks.paths import RESULTS
from benchmarks.reports.layouts import write_aeon_layout, write_tsml_layout
from benchmarks.reports.published import compare_with_published, describe_resamples, read_published
from benchmarks.run.tables import read_table

CLASSIFIERS = ["V2S", "MultiRocketHydra", "MiniRocket", "QUANT", "Hydra", "1NN-DTW", "V2S-fast"]
# The multivariate set whose 15 test cases decide the mean.
HARD = "StandWalkJump"
# Time points of a series of which few are left where some are missing.
SHORT = 24
RESAMPLED = ["MiniRocket", "MultiRocketHydra"]
CALIBRATED = ["V2S", "MiniRocket", "MiniRocket-calibrated", "QUANT"]
# Measures of calibration as they are shown, and the columns of the tables.
CALIBRATION = {
    "ECE": "calibration_error",
    "Brier score": "brier_score",
    "log loss": "log_loss",
    "accuracy": "accuracy",
}


def read_results(folder, classifiers, split="test", setting="default"):
    """Return the runs of these classifiers from the table of a setting, with the time of a run and its error by class.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    table = read_table(folder, setting)
    table = table[table["classifier"].isin(classifiers) & (table["split"] == split.upper())]
    if not len(table):
        raise FileNotFoundError(
            f"{folder} has no {split} results of {', '.join(classifiers)}. Make them with benchmarks.run.classifiers."
        )
    return table.assign(
        seconds=table["fit_time"] + table["predict_time"],
        # Mean error of a class over the number of classes: its mean over data sets is the MPCE.
        per_class_error=(1 - table["accuracy"]) / table["n_classes"],
    )


def compared(results, classifiers):
    """Return the runs of data sets and resamples that every classifier has."""
    counts = results.groupby(["dataset", "resample"])["classifier"].nunique()
    complete = counts[counts == len(classifiers)].index
    return results[pd.MultiIndex.from_frame(results[["dataset", "resample"]]).isin(complete)]


def by_dataset(results, column):
    """Return the mean of a column over seeds and resamples, a row a data set and a column a classifier."""
    return results.pivot_table(index="dataset", columns="classifier", values=column, aggfunc="mean")


def holm(p_values):
    """Return p-values corrected for the number of comparisons by Holm's method."""
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def summarise(results, classifiers):
    """Return mean and median accuracy, MPCE, mean rank, log loss and relative time of each classifier."""
    accuracy = by_dataset(results, "accuracy")[classifiers]
    ranks = rankdata(-accuracy.to_numpy().round(10), axis=1).mean(axis=0)
    seconds = by_dataset(results, "seconds")[classifiers].sum()
    return pd.DataFrame(
        {
            "mean accuracy": 100 * accuracy.mean(),
            "median": 100 * accuracy.median(),
            "MPCE": by_dataset(results, "per_class_error")[classifiers].mean(),
            "mean rank": ranks,
            "log loss": by_dataset(results, "log_loss")[classifiers].mean(),
            "seconds": seconds,
            "GB": results.groupby("classifier")["memory"].max()[classifiers] / 1e9,
        }
    )


def compare_pairs(results, classifiers):
    """Return wins, ties, losses of the first classifier against each other one, and the Wilcoxon test with Holm."""
    accuracy = by_dataset(results, "accuracy")
    seconds = by_dataset(results, "seconds")
    ours, rivals = classifiers[0], classifiers[1:]
    rows = []
    for rival in rivals:
        difference = (accuracy[ours] - accuracy[rival]).round(10)
        p_value = wilcoxon(difference, zero_method="pratt").pvalue if (difference != 0).any() else 1.0
        rows.append(
            {
                "rival": rival,
                "difference": 100 * difference.mean(),
                "wins": int((difference > 0).sum()),
                "ties": int((difference == 0).sum()),
                "losses": int((difference < 0).sum()),
                "p": p_value,
                "time ratio": seconds[ours].sum() / seconds[rival].sum(),
                "median time ratio": (seconds[ours] / seconds[rival]).median(),
            }
        )
    table = pd.DataFrame(rows).set_index("rival")
    table["p (Holm)"] = holm(table["p"])
    return table


def accuracy_table(results, classifiers):
    """Return accuracy by data set, and the time of the first classifier over that of the second."""
    table = (100 * by_dataset(results, "accuracy")[classifiers]).round(2)
    seconds = by_dataset(results, "seconds")
    for rival in classifiers[1:2]:
        table[f"time / {rival}"] = (seconds[classifiers[0]] / seconds[rival]).round(2)
    return table


def p_cell(p):
    """Return a p-value with two digits, or that it is below 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def to_markdown(table, digits=3):
    """Return a table in Markdown; columns of p-values, "p" and "p (...)", as `p_cell` writes them."""
    p_values = {column: table[column].map(p_cell) for column in table if f"{column} ".startswith("p ")}
    # As objects, so that whole numbers beside others stay whole.
    table = table.assign(**p_values).astype(object)
    numeric = [f".{digits}f"] * (1 + len(table.columns))
    # Without this 0.50 would be shown as a number with other digits.
    return table.to_markdown(floatfmt=numeric, disable_numparse=[1 + table.columns.get_loc(name) for name in p_values])


def make_report(results, classifiers):
    """Return the whole report in Markdown."""
    n_datasets, n_seeds = results["dataset"].nunique(), results.groupby("classifier")["seed"].nunique()
    seeds = ", ".join(f"{name}: {n_seeds[name]}" for name in classifiers)
    parts = [
        f"{n_datasets} data sets, resamples {sorted(results['resample'].unique().tolist())}; seeds of each classifier: "
        f"{seeds}.",
        to_markdown(summarise(results, classifiers)),
    ]
    if len(classifiers) > 1:
        parts.append(
            f"{classifiers[0]} against each rival; two-sided p of Wilcoxon's signed-rank test, with Holm's correction:"
        )
        parts.append(to_markdown(compare_pairs(results, classifiers)))
    return "\n\n".join(parts) + "\n"


def calibration_report(results, classifiers):
    """Return how far the probabilities of each classifier can be believed, in Markdown."""
    tables = {name: by_dataset(results, column)[classifiers] for name, column in CALIBRATION.items()}
    summary = pd.DataFrame({name: table.mean() for name, table in tables.items()})
    summary["accuracy"] *= 100
    ours = {
        f"{name} lower": (table.drop(columns=classifiers[0]).gt(table[classifiers[0]], axis=0)).sum()
        for name, table in tables.items()
        if name != "accuracy"
    }
    summary = summary.join(pd.DataFrame(ours, dtype="Int64").astype(object)).fillna("")
    return "\n\n".join(
        [
            f'Means over {results["dataset"].nunique()} data sets; "lower": sets on which {classifiers[0]} has less '
            "than this one.",
            summary.to_markdown(floatfmt=("", *[".3f"] * 3, ".2f", *[".0f"] * 3)) + "\n",
        ]
    )


def few_labels_table(runs, classifiers):
    """Return the mean accuracy by cases a class, with the comparison with the rival that has the best mean."""
    rows = {}
    for per_class, drawn in runs.groupby("per_class"):
        results = compared(drawn, classifiers)
        accuracy = 100 * by_dataset(results, "accuracy")[classifiers]
        versus = compare_pairs(results, classifiers).loc[accuracy[classifiers[1:]].mean().idxmax()]
        rows[per_class] = {
            "data sets": len(accuracy),
            "draws": results["resample"].nunique(),
            **accuracy.mean(),
            "lead": versus["difference"],
            "better, worse": f"{versus['wins']:.0f}, {versus['losses']:.0f}",
            "p": versus["p"],
        }
    return pd.DataFrame(rows).T.rename_axis("cases a class").infer_objects()


def few_labels_report(runs, classifiers):
    """Return the table of few labels in Markdown."""
    return to_markdown(few_labels_table(runs, classifiers), digits=2) + "\n"


def multivariate_report(runs, classifiers):
    """Return the tables of multivariate data in Markdown."""
    results = compared(runs, classifiers)
    n_resamples = results.groupby("dataset")["resample"].nunique()
    number = " to ".join(str(n) for n in sorted({n_resamples.min(), n_resamples.max()}))
    first = compared(results[results["resample"] == 0], classifiers)
    accuracies = 100 * by_dataset(results, "accuracy")[classifiers]
    means = {
        f"mean of all {len(accuracies)} sets": accuracies.mean(),
        f"mean without {HARD}": accuracies.drop(index=HARD, errors="ignore").mean(),
        "mean of all, default split": 100 * by_dataset(first, "accuracy")[classifiers].mean(),
    }
    return "\n\n".join(
        [
            f"Accuracy (%), mean of {number} resamples, the default split among them:",
            to_markdown(accuracy_table(results, classifiers), digits=2),
            to_markdown(pd.DataFrame(means).T, digits=2) + "\n",
        ]
    )


def missing_report(table, classifiers):
    """Return what missing values cost, from the table of `benchmarks.robustness.gaps`, in Markdown.

    Parameters
    ----------
    table : DataFrame
    classifiers : list of str
        Ours, and rivals behind an imputer. A rival that is filled as we fill, "<rival>, straight lines", is shown, too.
    """
    ours, *rivals = classifiers
    accuracy = 100 * table.pivot(index="dataset", columns=["missing", "classifier"], values="accuracy")
    short = table.groupby("dataset")["n_points"].first() <= SHORT
    means, costs = {}, {}
    for missing in ["none", *sorted(set(table["missing"]) - {"none"})]:
        found = accuracy[missing]
        means[missing] = {**found[classifiers].mean(), **found.drop(columns=classifiers).mean()}
        lost = accuracy["none"][classifiers] - found[classifiers]
        lead = (found[ours] - found[rivals].mean(axis=1)).round(10)
        costs[missing] = {
            f"{ours} lost": lost[ours].mean(),
            f"{ours} lost, up to {SHORT} points": lost.loc[short, ours].mean(),
            "rivals lost": lost[rivals].to_numpy().mean(),
            f"{ours} over the rivals' mean": lead.mean(),
            "sets ahead, behind": f"{(lead > 0).sum()}, {(lead < 0).sum()}",
        }
    means = pd.DataFrame(means).T.rename_axis("missing").astype(object)
    return "\n\n".join(
        [
            f"Mean accuracy (%) over {len(accuracy)} training splits in five folds:",
            means.where(means.notna(), None).to_markdown(floatfmt=".2f", missingval=""),
            f"Points lost to the same classifier with nothing missing, also on the {short.sum()} sets of up to {SHORT} "
            "time points, and the lead over the mean of the rivals:",
            pd.DataFrame(costs).T.rename_axis("missing").to_markdown(floatfmt=".2f") + "\n",
        ]
    )


def published_report(results, classifier, path):
    """Return the comparison with published means in Markdown."""
    table = compare_with_published(results, classifier, read_published(path))
    return "\n\n".join(
        [
            f"{describe_resamples(results, classifier)}, against published means over resamples 0 to 29; means in %, "
            "two-sided p of Wilcoxon's signed-rank test over data sets, not corrected:",
            to_markdown(table) + "\n",
        ]
    )


def resampled_report(runs, ours, rivals, path):
    """Return ours against each rival that was run on more than one resample, and against published means, in Markdown.

    Where a rival's own mean was published, it is set beside that of its runs, which shows whether the splits are the
    same.
    """
    published, parts = read_published(path), []
    spelling = {name.lower(): name for name in published}
    for rival in rivals:
        results = compared(runs[runs["classifier"].isin([ours, rival])], [ours, rival])
        by_split = 100 * results.pivot_table(index="resample", columns="classifier", values="accuracy")
        if len(by_split) < 2:
            continue
        difference = by_split[ours] - by_split[rival]
        parts += [
            f"### Beside {rival}",
            f"{results['dataset'].nunique()} data sets, {len(by_split)} resamples, {by_split.index.min()} to "
            f"{by_split.index.max()}; seconds are those of one resample of all sets. On a single resample the mean "
            f"over the data sets differs by {difference.min():+.2f} to {difference.max():+.2f} points, with a standard "
            f"deviation of {difference.std():.2f}.",
            to_markdown(summarise(results, [ours, rival])),
            to_markdown(compare_pairs(results, [ours, rival]).drop(columns="p (Holm)")),
        ]
        if rival.lower() in spelling:
            own = compare_with_published(runs, rival, published[[spelling[rival.lower()]]]).iloc[0]
            covered = describe_resamples(runs, rival).partition(": ")[2]
            parts.append(
                f"The runs of {rival} here, {covered}, have {own['ours']:.2f}; "
                f"its published mean is {own['its mean']:.2f}."
            )
    parts += [
        "### Beside published means",
        published_report(runs, ours, path).rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def parse_arguments(arguments=None):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--setting", default="default", help="one table of runs; default: default")
    parser.add_argument("--classifiers", nargs="+", default=CLASSIFIERS)
    parser.add_argument("--split", choices=["test", "train"], default="test", help="train: cross-validation")
    parser.add_argument("--published", type=Path, metavar="FILE", help="csv: dataset and a column a classifier")
    parser.add_argument("--aeon", type=Path, metavar="FOLDER", help="write the layout of aeon's result loaders there")
    parser.add_argument("--tsml", type=Path, metavar="FOLDER", help="write tsml-eval's files there")
    parser.add_argument("--predictions", type=Path, metavar="ARCHIVE", help="for --tsml; default: of the results")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Print the report, write layouts."""
    options = parse_arguments(arguments)
    runs = read_results(options.results, options.classifiers, options.split, options.setting)
    results = compared(runs, options.classifiers)
    print(make_report(results, options.classifiers))
    print(to_markdown(accuracy_table(results, options.classifiers), digits=2) + "\n")
    if options.published:
        print(published_report(runs, options.classifiers[0], options.published))
    first = runs[(runs["seed"] == 0) & (runs["split"] == "TEST")]
    if options.aeon:
        write_aeon_layout(first, options.aeon)
    if options.tsml:
        predictions = options.predictions or options.results / "predictions.npz"
        write_tsml_layout(first, options.setting, predictions, options.tsml)


if __name__ == "__main__":
    main()
