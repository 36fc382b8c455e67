"""Tables of docs/reproduction from the tables of results.

Of the runs of `benchmarks.reproduction.variants`, the printed accuracies (``reproduction_printed``, Table 2 of the
paper), and the rivals of docs/benchmark.md.
"""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.paths import RESULTS
from benchmarks.reports.sources import correlations, interval
from benchmarks.run.tables import read_table

# Columns of the table of accuracies: the key of a column and its heading.
COLUMNS = {
    "printed": "printed V2Sa",
    "V2Sa": "V2Sa",
    "V2Sa-m10": "V2Sa, m = 10",
    "V2Sa-100": "V2Sa, 100 epochs",
    "V2Su": "V2Su",
    "TFa": "TFa",
    "best epoch": "best epoch on the test split*",
    "V2Sa-trained": "acoustic model trained*",
    "V2Sa-collapsed": "labels y % n_classes*",
    "MiniRocket": "MiniRocket",
    "V2S": "this package's default",
}
# Runs with another source or mapping: rows of the table of means, without a column of accuracies by data set.
OTHERS = {
    "V2Sa-frequency": "V2Sa, frequency mapping",
    "V2Sv": "V2Sv (VGG)",
    "V2Sa-digits": "V2Sa, trained on digits",
    "V2Sa-esc10": "V2Sa, trained on environmental sounds",
}
TRAINING = """![Test accuracy, loss and distance to speech by epoch, and the epoch that would be reported](training.png)

The accuracy on the test split jumps from epoch to epoch. The figure has the four data sets with the most epochs.
Triangle: the epoch with the best accuracy on the test split. Dot: the last epoch, which an honest run reports.
"""
SIMULATED = ("best epoch", "V2Sa-trained", "V2Sa-collapsed")


def read_facts(comment):
    """Return what a comment such as ``"m=3 dropout=0.2"`` holds: a dict of numbers."""
    return {name: float(value) for name, value in (part.split("=") for part in comment.split())}


def read_runs(folder):
    """Return one row a run: variant, data set, accuracy, times and what its comment holds."""
    table = read_table(folder, "reproduction")
    facts = pd.DataFrame([read_facts(comment) for comment in table["comment"]], index=table.index)
    return pd.DataFrame(
        {
            "variant": table["classifier"],
            "seconds": table["fit_time"] + table["predict_time"],
            **table[["dataset", "accuracy", "log_loss", "largest_class"]],
            **facts,
        }
    )


def read_traces(folder):
    """Return the tables of epochs by data set."""
    return {
        dataset: table.drop(columns="dataset").reset_index(drop=True)
        for dataset, table in read_table(folder, "reproduction_traces").groupby("dataset")
    }


def read_rival(folder, name, setting="default", per_class=0):
    """Return the accuracies of the default split by data set of a classifier of the benchmark."""
    table = read_table(folder, setting)
    wanted = {"classifier": name, "seed": 0, "per_class": per_class, "resample": 0, "split": "TEST"}
    return table[(table[list(wanted)] == list(wanted.values())).all(axis=1)].set_index("dataset")["accuracy"]


def accuracies(runs, traces, results=RESULTS):
    """Return accuracies (%), the mean over seeds: a row a data set, a column for each of `COLUMNS` and `OTHERS`."""
    table = read_table(results, "reproduction_printed").set_index("dataset").rename(columns={"V2Sa": "printed"})
    by_variant = runs.pivot_table(index="dataset", columns="variant", values="accuracy", aggfunc="mean")
    best = pd.Series({name: trace["test_acc"].max() for name, trace in traces.items()}, dtype=float)
    found = by_variant.to_dict("series") | {
        "best epoch": best,
        "MiniRocket": read_rival(results, "MiniRocket"),
        "V2S": read_rival(results, "V2S"),
    }
    for column in COLUMNS | OTHERS:
        if column != "printed":
            table[column] = found.get(column, pd.Series(dtype=float)).reindex(table.index)
    return 100 * table


def paired(differences, unit="points"):
    """Return number of data sets, mean difference and its 95 % interval (Student's t) in words."""
    differences = np.asarray(differences, dtype=float)
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2:
        return f"{len(differences)} data sets: too few"
    mean, low, high = interval(differences)
    unit = unit and f" {unit}"
    return f"{mean:+.2f}{unit} [{low:+.2f}, {high:+.2f}], {len(differences)} data sets"


def cell(value, digits=1):
    """Return a number for a table; nothing where there is none."""
    return "" if not np.isfinite(value) else f"{value:.{digits}f}"


def coverage_table(table):
    """Return how many data sets each column covers, and its mean beside the means of others on the same data sets."""
    lines = [
        "| column | data sets | its mean | V2Sa on these | printed V2Sa on these | MiniRocket on these |",
        "|---|---|---|---|---|---|",
    ]
    for column, heading in (COLUMNS | OTHERS).items():
        covered = table[table[column].notna()]
        means = [covered[name].mean() for name in (column, "V2Sa", "printed", "MiniRocket")]
        if covered["V2Sa"].isna().any():
            means[1] = np.nan  # not the same data sets
        lines.append(f"| {heading} | {len(covered)} | " + " | ".join(map(cell, means)) + " |")
    return "\n".join(lines) + "\n"


def accuracy_table(table):
    """Return the accuracies by data set; columns without any are left out."""
    table = table[list(COLUMNS)].dropna(axis="columns", how="all").rename(columns=COLUMNS)
    lines = ["| data set | " + " | ".join(table) + " |", "|---|" + "---|" * len(table.columns)]
    lines += [f"| {dataset} | " + " | ".join(map(cell, row)) + " |" for dataset, row in table.iterrows()]
    return "\n".join(lines) + "\n"


def runs_table(runs):
    """Return what was chosen and measured in the runs of the frozen method, means over seeds, by data set."""
    lines = [
        "| runs | seeds | m | dropout | epochs | loss, first to last epoch | SWD before, after "
        "| Theorem-1 bound before, after | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    runs = runs[runs["variant"].isin(["V2Sa", "V2Su"])]
    means = runs.groupby(["variant", "dataset"]).mean(numeric_only=True)
    means["seed"] = runs.groupby(["variant", "dataset"]).size()
    for (variant, dataset), row in means.iterrows():
        lines.append(
            f"| {variant} {dataset} | {row['seed']:.0f} | {row['m']:.0f} | {row['dropout']:g} | {row['epochs']:.0f} "
            f"| {row['first_loss']:.3f} to {row['last_loss']:.3f} | {row['swd_before']:.2f}, {row['swd_after']:.2f} "
            f"| {row['bound_before']:.1f}, {row['bound']:.1f} | {row['seconds']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def source_claim(table, first, second, results=RESULTS):
    """Return the paired difference of two sources, on test splits and by cross-validation, in words.

    A source is given by its name and that of its runs: ``("v2sv", "V2Sv")``.
    """
    ranking = 100 * read_table(results, "ranking").pivot(index="dataset", columns="source", values="paper")
    validated = ranking[first[0]] - ranking[second[0]]
    return f"test splits {paired(table[first[1]] - table[second[1]])}; cross-validation {paired(validated)}"


def few_labels_claim(runs, results=RESULTS):
    """Return paper mode against MiniRocket on five cases a class, the same draw, in words."""
    ours = runs[runs["variant"] == "V2Sa-5"].set_index("dataset")["accuracy"]
    theirs = read_rival(results, "MiniRocket", "few_labels", per_class=5)
    return "V2Sa minus MiniRocket, five cases a class: " + paired(100 * (ours - theirs).dropna())


def claims_table(runs, traces, table, results=RESULTS):
    """Return the paper's other claims and what was measured of each."""
    frozen = runs[runs["variant"] == "V2Sa"].groupby("dataset").mean(numeric_only=True)  # over seeds
    follows = [spearmanr(trace["train_loss"], trace["train_swd"]).statistic for trace in traces.values()]
    over_fit = [100 * (trace["train_acc"] - trace["test_acc"]).iloc[-1] for trace in traces.values()]
    ranked = read_table(results, "ranking")
    ranked = ranked.groupby("dataset").filter(lambda rows: len(rows) == ranked["source"].nunique())
    orders = correlations(ranked, "paper")["target_risk_bound"]
    v2sa = ("v2sa", "V2Sa")
    above = (frozen["accuracy"] - frozen["largest_class"]) > 0.05
    rows = {
        "It learns to tell the classes apart": (
            f"V2Sa is more than 5 points above the share of the test split's largest class on {above.sum()} of "
            f"{len(frozen)} data sets; training loss, last minus first epoch: "
            f"{paired(frozen['last_loss'] - frozen['first_loss'], 'nats')}"
        ),
        "100 epochs, however many cases": "100 epochs minus what 4,000 cases allow: "
        + paired(100 * _difference(runs, "V2Sa-100", "V2Sa")),
        "m and dropout have to be chosen": "chosen on 60 cases minus m = 10: "
        + paired(table["V2Sa"] - table["V2Sa-m10"]),
        "The distance between speech and reprogrammed series falls in training": (
            f"SWD after minus before: {paired(frozen['swd_after'] - frozen['swd_before'], 'nats')}; smaller after "
            f"training on {(frozen['swd_after'] < frozen['swd_before']).sum()} of {len(frozen)}"
        ),
        "It falls with the loss": f"Spearman's correlation of loss and SWD over the epochs: {paired(follows, unit='')}",
        "theta generalises": f"accuracy on the training minus that on the test split: {paired(over_fit)}",
        "The bound of Theorem 1 orders the sources": (
            f"Spearman's correlation with accuracy over {ranked['source'].nunique()} sources, positive where it is "
            f"right: {paired(orders, unit='')}"
        ),
        "The bound is below the greatest risk, 1.41": (
            f"smallest of all runs: {runs['bound'].min():.1f}; it says nothing of the risk itself"
        ),
        "A small recurrent source beats a wide VGG": (
            f"v2sa minus v2sv: {source_claim(table, v2sa, ('v2sv', 'V2Sv'), results)}"
        ),
        "Frequency mapping helps": (
            "frequency minus random: " + paired(100 * _difference(runs, "V2Sa-frequency", "V2Sa"))
        ),
        "Keywords are the better source data: digits": (
            f"v2sa minus v2sa-digits: {source_claim(table, v2sa, ('v2sa-digits', 'V2Sa-digits'), results)}"
        ),
        "Keywords are the better source data: environmental sounds": (
            f"v2sa minus v2sa-esc10: {source_claim(table, v2sa, ('v2sa-esc10', 'V2Sa-esc10'), results)}"
        ),
        "It suits few labels": few_labels_claim(runs, results),
        "U-Net in front of it (V2Su)": "V2Su minus V2Sa: " + paired(table["V2Su"] - table["V2Sa"]),
        "Reprogramming beats transfer learning": "V2Sa minus TFa: " + paired(table["V2Sa"] - table["TFa"]),
    }
    lines = ["| claim | measured: mean and 95 % interval over data sets |", "|---|---|"]
    return "\n".join(lines + [f"| {claim} | {answer} |" for claim, answer in rows.items()]) + "\n"


def _difference(runs, first, second):
    """Return the accuracies of a variant minus those of another on the data sets and seeds that both have."""
    by_variant = runs.pivot_table(index=["dataset", "seed"], columns="variant", values="accuracy")
    return (by_variant[first] - by_variant[second]).dropna() if {first, second} <= set(by_variant) else []


def defects_table(table, traces):
    """Return what each simulated defect adds to the frozen V2Sa on the same data sets, and what is left to print."""
    # The last epoch of the same fit, for another fit differs by more than the choice of an epoch.
    last = pd.Series({name: 100 * trace["test_acc"].iloc[-1] for name, trace in traces.items()}, dtype=float)
    lines = ["| simulated defect | over V2Sa without it | printed V2Sa over it |", "|---|---|---|"]
    for name in SIMULATED:
        without = last.reindex(table.index) if name == "best epoch" else table["V2Sa"]
        added, left = paired(table[name] - without), paired(table["printed"] - table[name])
        lines.append(f"| {COLUMNS[name].rstrip('*')} | {added} | {left} |")
    return "\n".join(lines) + "\n"


def seeds_table(runs):
    """Return the spread over seeds in words; nothing where there is one seed only."""
    spread = runs[runs["variant"] == "V2Sa"].groupby("dataset")["accuracy"].agg(["size", "min", "max"])
    spread = spread[spread["size"] > 1]
    if not len(spread):
        return "One seed was run.\n"
    gaps = 100 * (spread["max"] - spread["min"])
    seeds = " to ".join(f"{size:.0f}" for size in sorted({spread["size"].min(), spread["size"].max()}))
    return (
        f"{len(spread)} data sets were run with {seeds} seeds; largest and smallest "
        f"accuracy differ by {gaps.mean():.1f} points in the mean, by {gaps.max():.1f} at most "
        f"({gaps.idxmax()}).\n"
    )


def selection_summary(selection):
    """Return in words what the selection, a row a data set and setting of the grid, chose, and how far apart it was."""
    chosen, by_dataset = selection[selection["chosen"]], selection.groupby("dataset")["accuracy"]
    gaps = 100 * (by_dataset.max() - by_dataset.min())
    m, dropout = (
        ", ".join(f"{value:g} on {number}" for value, number in chosen[name].value_counts().sort_index().items())
        for name in ("n_replicates", "dropout")
    )
    return (
        f"Chosen on {len(chosen)} data sets: m = {m}; dropout {dropout}. The best of the grid was {gaps.mean():.1f} "
        f"points above its worst in the mean, on {chosen['n_cases'].median():.0f} cases in the median, and at most 5 "
        f"points on {(gaps <= 5).sum()} data sets, where the choice is a matter of luck.\n"
    )


def make_blocks(results=RESULTS):
    """Return the tables of the page by name, in Markdown, and the data of the figures."""
    runs, traces = read_runs(results), read_traces(results)
    table = accuracies(runs, traces, results)
    blocks = {
        "coverage": coverage_table(table),
        "training": TRAINING,
        "defects": defects_table(table, traces),
        "accuracy": accuracy_table(table),
        "claims": claims_table(runs, traces, table, results),
        "selection": selection_summary(read_table(results, "reproduction_selection")),
        "seeds": seeds_table(runs),
        "runs": runs_table(runs),
    }
    return blocks, table, traces
