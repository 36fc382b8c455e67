"""Tables of the acoustic models: what they are, what speech brings, how to choose one."""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr, wilcoxon
from scipy.stats import t as student

from v2s_sklearn.alignment import CRITERIA

WEIGHTS = ["trained", "random 0", "random 1", "noise"]
# Columns of the table of controls: heading, and what stands behind the names of its scores.
REGIMES = {"5 folds": "", "2 a class": "_2", "5 a class": "_5", "10 a class": "_10"}
MODES = ["default", "paper"]


def sources_table(sources, ranking):
    """Return the packaged models in Markdown, with the mean accuracies of the table ``ranking``."""
    lines = [
        "| source | trained on | accuracy | loss | weights | embedding | ms a clip | as v2sa | default | paper mode |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    accuracies = ranking.groupby("source")[MODES].mean()
    for _, row in sources.join(accuracies, on="source").iterrows():
        lines.append(
            f"| {row['source']} | {row['dataset']} | {100 * row['accuracy']:.2f} | {row['loss']:.3f} "
            f"| {row['n_parameters']:,} | {row['n_embedding']:,} | {row['milliseconds']:.2f} "
            f"| {row['milliseconds'] / row['milliseconds_v2sa']:.1f} x | {100 * row['default']:.1f} "
            f"| {100 * row['paper']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def controls_table(controls):
    """Return trained weights beside random ones and such of noise, in Markdown."""
    lines = [f"| source | weights | {' | '.join(REGIMES)} |", "|---" * (2 + len(REGIMES)) + "|"]
    for source, rows in controls.groupby("source"):
        by_weights = {weights: table.set_index("dataset") for weights, table in rows.groupby("weights")}
        for weights in [name for name in WEIGHTS if name in by_weights]:
            cells = []
            for suffix in REGIMES.values():
                accuracy = 100 * by_weights[weights][f"accuracy{suffix}"]
                log_loss = by_weights[weights][f"log_loss{suffix}"]
                cell = f"{accuracy.mean():.2f} ({log_loss.mean():.3f})"
                if weights != "trained":
                    lead = (100 * by_weights["trained"][f"accuracy{suffix}"] - accuracy).dropna()
                    p = wilcoxon(lead).pvalue if lead.any() else 1.0
                    cell += f", trained {lead.mean():+.2f} (p {p:.2g})"
                cells.append(cell)
            lines.append(f"| {source} | {weights} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def correlations(ranking, mode):
    """Return the rank correlation of each criterion with accuracy: a frame with a row a data set, positive if right."""
    rows = {}
    for dataset, table in ranking.groupby("dataset"):
        if table[mode].nunique() > 1:
            rows[dataset] = {
                name: (1 if more else -1) * spearmanr(table[name], table[mode]).statistic
                for name, more in CRITERIA.items()
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def interval(values):
    """Return mean and 95 % interval over data sets, by Student's t: there are few of them."""
    values = np.asarray(values)
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), values.mean() - half, values.mean() + half


def ranking_table(ranking):
    """Return how well each criterion orders the sources, in Markdown; of data sets that all sources are measured on."""
    n_sources = ranking["source"].nunique()
    complete = ranking.groupby("dataset").filter(lambda table: len(table) == n_sources)
    found = {mode: correlations(complete, mode) for mode in MODES}
    lines = [
        f"Spearman's correlation over {n_sources} sources, mean and 95 % interval over data sets (Student's t); "
        "positive where the criterion is right.\n",
        "| criterion | " + " | ".join(f"{mode} mode, {len(found[mode])} data sets" for mode in found) + " |",
        "|---|" + "---|" * len(found),
    ]
    for name in CRITERIA:
        cells = ["{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(found[mode][name])) for mode in found]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
