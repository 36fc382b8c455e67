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
N_TRACES = 6


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
    """Draw loss, distance and the accuracy on the test split by epoch, with the epoch that would be reported.

    Parameters
    ----------
    traces : dict of str to DataFrame
        From `reproduction.read_traces`; the first `N_TRACES` are drawn.
    path : path
        Of the image.
    """
    shown = list(traces.items())[:N_TRACES]
    if not shown:
        return
    figure = Figure(figsize=(2.3 * len(shown) + 1, 5.2), layout="constrained")
    axes = figure.subplots(3, len(shown), sharex="col", squeeze=False)
    names = (("train_loss", "training loss (nats)"), ("train_swd", "SWD (nats)"), ("test_acc", "test accuracy (%)"))
    for column, (dataset, trace) in enumerate(shown):
        for row, (name, label) in enumerate(names):
            values = trace[name] * (100 if name == "test_acc" else 1)
            axes[row, column].plot(trace["epoch"], values, color="#0072B2", linewidth=1.2)
            if column == 0:
                axes[row, column].set_ylabel(label)
        best, last = trace["test_acc"].idxmax(), len(trace) - 1
        for epoch, marker, colour in ((best, "^", "#E69F00"), (last, "o", "#0072B2")):
            axes[2, column].scatter(
                trace["epoch"][epoch], 100 * trace["test_acc"][epoch], marker=marker, color=colour, zorder=3
            )
        axes[0, column].set_title(dataset, fontsize="medium")
        axes[2, column].set_xlabel("epoch")
    _save(figure, path)
