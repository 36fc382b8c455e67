"""What stands first in README and on the pages: the headline table, and the pictures of time, ranks and few labels."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import rankdata, wilcoxon

from benchmarks.reports import accuracy
from benchmarks.reports.published import our_means, read_published
from benchmarks.run.tables import read_table

ALPHA = 0.05
# Names of classifiers as they are shown.
SHOWN = {
    "V2S": "V2SClassifier()",
    "V2S-fast": "V2SClassifier.fast()",
    "HC2": "HIVE-COTE 2",
    "MultiRocketHydra": "MultiRocket-Hydra",
    "MR-Hydra": "MultiRocket-Hydra",
    "MiniROCKET": "MiniRocket",
    "MR": "MultiRocket",
    "WEASEL-2": "WEASEL 2",
}
MEASURED = ["V2S", "V2S-fast", "MiniRocket"]
PUBLISHED = ["HC2", "MR-Hydra", "Hydra", "H-InceptionTime", "QUANT", "1NN-DTW"]
TIMED = ["V2S", "V2S-fast", "MiniRocket", "QUANT", "Hydra", "MultiRocketHydra"]
# Okabe and Ito's colours: ours, and others.
OURS, OTHERS = "#0072B2", "#444444"
LINES = {"V2S": (OURS, "o"), "MultiRocketHydra": ("#D55E00", "s"), "MiniRocket": ("#444444", "^")}
# Room in points between a mark and its name, and where the name is, for marks that stand close together.
PLACES = {
    "V2S": (0, 9, "center"),
    "V2S-fast": (8, -14, "left"),
    "QUANT": (7, -12, "left"),
    "Hydra": (-4, 8, "center"),
    "MultiRocketHydra": (8, -4, "left"),
}


def shown(classifier):
    """Return the name under which a classifier is shown."""
    return SHOWN.get(classifier, classifier)


def thirty_by_thirty(results):
    """Return the accuracy of each classifier on the 30 sets, means of 30 resamples, and where it comes from.

    Returns
    -------
    accuracies : DataFrame
        A row a data set, a column a classifier; shares.
    origins : dict of str to str
        "measured" or "published" for each column, ours first.
    """
    runs = accuracy.read_results(results, MEASURED)
    published = read_published(Path(results) / "published_resampled.csv")[PUBLISHED]
    measured = {name: our_means(runs, name)["accuracy"] for name in MEASURED}
    table = pd.DataFrame(measured).join(published)
    table = table[["V2S", *table.drop(columns="V2S").mean().sort_values(ascending=False).index]]
    return table, {name: "measured" if name in measured else "published" for name in table}


def pair(ours, theirs):
    """Return mean difference in points, wins, ties, losses and the two-sided p of Wilcoxon's signed-rank test."""
    difference = (ours - theirs).round(6)  # published accuracies have six places
    p = wilcoxon(difference, zero_method="pratt").pvalue if (difference != 0).any() else 1.0
    return 100 * difference.mean(), (difference > 0).sum(), (difference == 0).sum(), (difference < 0).sum(), p


def headline_table(results):
    """Return the table of the 30 sets x 30 resamples in Markdown."""
    table, origins = thirty_by_thirty(results)
    lines = [
        "| classifier | accuracy (%) | source | our lead | better, equal, worse | p |",
        "|---|---|---|---|---|---|",
        f"| **V2SClassifier()** | **{100 * table['V2S'].mean():.2f}** | measured | | | |",
    ]
    for name in table.columns[1:]:
        lead, wins, ties, losses, p = pair(table["V2S"], table[name])
        lines.append(
            f"| {shown(name)} | {100 * table[name].mean():.2f} | {origins[name]} | {lead:+.2f} "
            f"| {wins}, {ties}, {losses} | {accuracy.p_cell(p)} |"
        )
    return "\n".join(lines) + "\n"


def few_labels_table(results):
    """Return accuracies by labels a class on the sets outside the paper's, in Markdown."""
    table = read_table(results, "outside_few_labels")
    names = ["V2S", "MultiRocketHydra", "MiniRocket", "V2S-fast"]
    lines = [
        f"| labels a class | {' | '.join(map(shown, names))} | lead over MultiRocket-Hydra | better, worse "
        "| data sets |",
        "|---" * (len(names) + 4) + "|",
    ]
    for per_class, rows in table.groupby("per_class"):
        rows = rows.set_index("classifier")
        rival = rows.loc["MultiRocketHydra"]
        cells = " | ".join(f"{rows.loc[name, 'accuracy']:.2f}" for name in names)
        lines.append(
            f"| {per_class} | {cells} | {rival['lead']:+.2f} (p {rival['p']}) "
            f"| {rival['wins']:.0f}, {rival['losses']:.0f} | {rival['datasets']} |"
        )
    return "\n".join(lines) + "\n"


def outside_table(results):
    """Return our accuracy and the published ones on the sets that chose nothing, in Markdown."""
    ours, rivals = read_table(results, "outside"), read_table(results, "outside_rivals")
    lines = [
        "| classifier | accuracy (%) | source | we are better, equal, worse | p |",
        "|---|---|---|---|---|",
        f"| **V2SClassifier()** | **{100 * ours['accuracy'].mean():.2f}** | measured | | |",
    ]
    for row in rivals.to_dict("records"):
        counts = [f"{row[key]:.0f}" for key in ("wins", "ties", "losses") if row[key] == row[key]]
        p = row["p"] if counts else ""
        lines.append(
            f"| {shown(row['classifier'])} | {row['accuracy']:.2f} | {row['origin']} | {', '.join(counts)} | {p} |"
        )
    return "\n".join(lines) + "\n"


def _save(figure, path):
    figure.savefig(path, dpi=160, facecolor="white", metadata={"Software": None})


def _frame(axes):
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def _mark(axes, x, y, colour, ours, filled):
    """Draw a circle for ours and a square for others, empty where the figure is published."""
    face, marker = colour if filled else "white", "o" if ours else "s"
    axes.scatter(x, y, s=64, color=face, edgecolor=colour, marker=marker, zorder=3)


def front(points):
    """Return the points that no other one beats in both time and accuracy, the fastest first."""
    best, kept = -np.inf, []
    for seconds, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if value > best:
            best = value
            kept.append((seconds, value))
    return kept


def times_and_accuracies(results):
    """Return seconds and accuracy (%) of the 30 default splits: a dict of classifier to two numbers.

    HIVE-COTE 2 was not run: its accuracy is published, and its time is that of MiniRocket here, times how many times as
    long its training took as MiniRocket's runs where both were published, a data set.
    """
    runs = accuracy.compared(accuracy.read_results(results, TIMED), TIMED)
    summary = accuracy.summarise(runs, TIMED)
    points = {name: (row["seconds"], row["mean accuracy"]) for name, row in summary.iterrows()}
    constants = read_table(results, "constants").set_index("name")["value"]
    ratio = (3600 * constants["published_hours_hc2"] / 112) / (constants["published_seconds_minirocket"] / 109)
    published = 100 * read_published(Path(results) / "published_default.csv")["HC2"].mean()
    return points | {"HC2": (ratio * points["MiniRocket"][0], published)}


def draw_accuracy_time(results, path):
    """Draw accuracy over time on the 30 default splits, with the line of those that none beats in both."""
    points = times_and_accuracies(results)
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    _frame(axes)
    line = front(points.values())
    axes.step(*zip(*line, strict=True), where="post", color=OURS, linewidth=1.2, linestyle="--", zorder=1)
    for name, (seconds, value) in points.items():
        ours, run = name.startswith("V2S"), name != "HC2"
        colour = OURS if ours else OTHERS
        _mark(axes, seconds, value, colour, ours, filled=run)
        dx, dy, align = PLACES.get(name, (0, 8, "center"))
        label = shown(name) if run else f"{shown(name)}\n(published)"
        axes.annotate(
            label, (seconds, value), (dx, dy), textcoords="offset points", ha=align, color=colour, fontsize=10,
            fontweight="bold" if ours else "normal",
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = {10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36000: "10 h", 360000: "100 h"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_xlim(0.35 * min(seconds for seconds, _ in points.values()), 1_000_000)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.05, high + 0.15)
    axes.set_xlabel("fit and predict of all 30 data sets, one thread")
    axes.set_ylabel("mean test accuracy (%)")
    _save(figure, path)


def cliques(p_values):
    """Return the longest runs of neighbours, from first to last, in which no pair differs.

    Parameters
    ----------
    p_values : array of shape (n_classifiers, n_classifiers)
        Corrected p-values of all pairs, in the order of the ranks.
    """
    n, found = len(p_values), []
    for first in range(n):
        last = first
        while last + 1 < n and (p_values[first : last + 1, last + 1] >= ALPHA).all():
            last += 1
        if last > first and not any(last <= end for _, end in found):
            found.append((first, last))
    return found


def ranks_and_cliques(table):
    """Return mean ranks, the best first, and the cliques: two-sided Wilcoxon tests of all pairs, Holm's correction."""
    ranks = pd.Series(rankdata(-table.to_numpy().round(6), axis=1).mean(axis=0), index=table.columns).sort_values()
    names, p_values = list(ranks.index), np.ones((len(ranks), len(ranks)))
    upper = np.triu_indices(len(ranks), 1)
    p_values[upper] = accuracy.holm([pair(table[names[i]], table[names[j]])[-1] for i, j in zip(*upper, strict=True)])
    return ranks, cliques(np.minimum(p_values, p_values.T))


def draw_critical_difference(results, path):
    """Draw the mean ranks on the 30 sets x 30 resamples; a bar joins classifiers whose difference may be chance."""
    table, origins = thirty_by_thirty(results)
    # Without our second preset: bars join neighbours, and it stands between classifiers whose difference may be chance.
    ranks, joined = ranks_and_cliques(table.drop(columns="V2S-fast"))
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(ranks))
    for row, (name, rank) in zip(rows, ranks.items(), strict=True):
        ours = name == "V2S"
        colour, published = OURS if ours else OTHERS, origins[name] == "published"
        axes.hlines(row, 0, rank, color="0.9", linewidth=1, zorder=1)
        _mark(axes, rank, row, colour, ours, filled=not published)
        axes.annotate(
            f"{rank:.2f}", (rank, row), (8, 0), textcoords="offset points", va="center", fontsize=10, color=colour
        )
    for place, (first, last) in enumerate(joined):
        x = -0.16 - 0.2 * place
        axes.plot([x, x], [first - 0.2, last + 0.2], color="black", linewidth=4, solid_capstyle="butt", clip_on=False)
    axes.set_yticks(rows, [shown(name) for name in ranks.index], fontsize=10)
    for label, name in zip(axes.get_yticklabels(), ranks.index, strict=True):
        label.set(color=OURS if name == "V2S" else OTHERS, fontweight="bold" if name == "V2S" else "normal")
    axes.tick_params(axis="y", length=0, pad=6)
    axes.set_xlim(-0.3 - 0.2 * len(joined), ranks.max() + 1.2)
    axes.invert_yaxis()
    axes.set_xticks(np.arange(1, int(ranks.max()) + 1))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("mean rank over 30 data sets (1 is best)")
    _save(figure, path)


def draw_few_labels(results, path):
    """Draw accuracy over labels a class: above on the sets outside the paper's, below on 18 of the paper's."""
    outside = read_table(results, "outside_few_labels")
    runs = accuracy.read_results(results, list(LINES), setting="few_labels")
    inside = accuracy.few_labels_table(runs, list(LINES))
    wide = outside.pivot(index="per_class", columns="classifier", values="accuracy")
    panels = {
        "UCR sets outside the paper's 30": wide.assign(sets=outside.groupby("per_class")["datasets"].first()),
        "18 of the paper's 30 UCR sets": inside.rename(columns={"data sets": "sets"}),
    }
    figure = Figure(figsize=(5, 6.4), layout="constrained")
    for axes, (title, table) in zip(figure.subplots(2), panels.items(), strict=True):
        _frame(axes)
        places = np.arange(len(table))
        for name, (colour, marker) in LINES.items():
            axes.plot(places, table[name], color=colour, marker=marker, markersize=7, linewidth=2, label=shown(name))
        labels = [f"{per_class}\n({sets:.0f} sets)" for per_class, sets in table["sets"].items()]
        axes.set_xticks(places, labels, fontsize=10)
        axes.set_xlim(-0.2, len(table) - 0.8)
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_ylabel("mean test accuracy (%)")
        axes.legend(frameon=False, fontsize=10, loc="lower right")
    axes.set_xlabel("labelled cases of each class")
    _save(figure, path)


def draw_figures(folder, results):
    """Draw all three into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw_accuracy_time(results, folder / "accuracy-time.png")
    draw_critical_difference(results, folder / "critical-difference.png")
    draw_few_labels(results, folder / "few-labels.png")
