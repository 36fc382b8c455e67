"""Figures of docs/reproduction, from the same tables as the page."""

import numpy as np
from matplotlib.figure import Figure

# Colours of Okabe and Ito, told apart by the colour-blind.
MARKS = {
    "printed": ("printed V2Sa", "x", "#D55E00"),
    "best epoch": ("V2Sa, best epoch on the test split (simulation)", "^", "#E69F00"),
    "V2Sa": ("V2Sa, frozen, test split unseen", "o", "#0072B2"),
    "MiniRocket": ("MiniRocket", "|", "#000000"),
}
N_TRACES = 4
# Of the figure of training, by column of a trace: the title, and the factor.
MEASURES = {
    "test_acc": ("test accuracy (%)", 100),
    "train_loss": ("training loss (nats)", 1),
    "train_swd": ("SWD to speech (nats)", 1),
}


def _save(figure, path):
    figure.savefig(path, dpi=90, bbox_inches="tight", facecolor="white", metadata={"Software": None})


def draw_accuracies(table, path):
    """Draw the accuracies (%) of each data set with a run of V2Sa, sorted by how much is missing to the printed one.

    Parameters
    ----------
    table : DataFrame
        From `reproduction.accuracies`.
    path : path
        Of the image.
    """
    table = table[table["V2Sa"].notna()]
    table = table.loc[(table["printed"] - table["V2Sa"]).sort_values().index]
    figure = Figure(figsize=(7, 1.2 + 0.22 * len(table)))
    axes = figure.subplots()
    rows = np.arange(len(table))
    axes.hlines(rows, table["V2Sa"], table["printed"], color="0.8", zorder=1)
    for column, (label, marker, colour) in MARKS.items():
        if table[column].isna().all():
            continue
        axes.scatter(table[column], rows, marker=marker, color=colour, label=label, s=36, zorder=2)
    axes.set_yticks(rows, table.index)
    axes.set_xlabel("accuracy on the test split (%)")
    axes.grid(axis="x", color="0.92")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, frameon=False)
    _save(figure, path)


def draw_training(traces, path):
    """Draw the accuracy on the test split, loss and distance by epoch, with the epoch that would be reported.

    A row a data set, a column a measure; a column has one scale.

    Parameters
    ----------
    traces : dict of str to DataFrame
        From `reproduction.read_traces`; the `N_TRACES` with the most epochs are drawn.
    path : path
        Of the image.
    """
    shown = sorted(traces.items(), key=lambda item: -len(item[1]))[:N_TRACES]
    if not shown:
        return
    figure = Figure(figsize=(8, 0.9 + 1.75 * len(shown)), layout="constrained")
    axes = figure.subplots(
        len(shown), len(MEASURES), sharex="col", sharey="col", squeeze=False, width_ratios=[1.3, 1, 1]
    )
    for row, (dataset, trace) in zip(axes, shown, strict=True):
        for panel, (name, (label, scale)) in zip(row, MEASURES.items(), strict=True):
            panel.plot(trace["epoch"], scale * trace[name], color="#0072B2", linewidth=1.2)
            panel.grid(axis="y", color="0.92")
            panel.spines[["top", "right"]].set_visible(False)
            if panel in axes[0]:
                above = {"textcoords": "offset points", "ha": "center", "annotation_clip": False}
                panel.annotate(label, (0.5, 1), (0, 26), xycoords="axes fraction", fontsize=12, **above)
            if panel in axes[-1]:
                panel.set_xlabel("epoch", fontsize=12)
        row[0].set_title(dataset, loc="left", fontsize=12, fontweight="bold")
        best, last = trace["test_acc"].idxmax(), len(trace) - 1
        _mark_epoch(row[0], trace, best, "best", "^", "#B35900", (0, 7), "center")
        _mark_epoch(row[0], trace, last, "last", "o", "#0072B2", (7, -4), "left")
    # Room for the label of the best epoch above the line, and for that of the last one beside it.
    longest = len(shown[0][1])
    axes[0, 0].set(
        xlim=(0, 1.45 * longest), xticks=range(0, longest + 1, 50), ylim=(0, 118), yticks=[0, 25, 50, 75, 100]
    )
    _save(figure, path)


def _mark_epoch(panel, trace, epoch, name, marker, colour, offset, side):
    """Mark the accuracy (%) of one epoch and write it beside the mark."""
    place = trace["epoch"][epoch], 100 * trace["test_acc"][epoch]
    panel.scatter(*place, marker=marker, color=colour, s=45, zorder=3)
    panel.annotate(
        f"{name} {place[1]:.1f}", place, offset, textcoords="offset points", ha=side, color=colour, fontsize=11
    )
