"""What the displays have in common on the side of the figure: axes, colours, legends. matplotlib is imported here only.

Shape legend: C classes or channels, T time points.
"""

from typing import Any

import numpy as np

from v2s_sklearn.runtime.optional import import_optional

# Colours that colour-blind readers can tell apart (M. Okabe, K. Ito, Color universal design, 2008), black last.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = "osD^vPX*"
# Sequential and even in lightness, also in grey.
COLORMAP = "cividis"


def pyplot():
    """Return matplotlib.pyplot."""
    return import_optional("matplotlib.pyplot", "plots", "Drawing")


def make_axes(ax, n_rows, n_columns=1, *, size, height_ratios=None, width_ratios=None, **kwargs):
    """Return an array of axes (n_rows, n_columns) in a new figure, in the place of ``ax``, or as given.

    Parameters
    ----------
    ax : Axes, array of Axes, or None
    n_rows, n_columns : int
    size : pair of float
        Of a new figure, in inches.
    height_ratios, width_ratios : sequence of float, optional
    **kwargs
        For ``subplots``.
    """
    ratios = {"height_ratios": height_ratios, "width_ratios": width_ratios}
    if ax is None:
        figure = pyplot().figure(figsize=size, layout="constrained")
        return figure.subplots(n_rows, n_columns, squeeze=False, **ratios, **kwargs)
    if isinstance(ax, np.ndarray | list):
        axes = np.array(ax, dtype=object)
        if axes.size != n_rows * n_columns:
            raise ValueError(f"ax has {axes.size} axes, but {n_rows * n_columns} are drawn: give one, or as many.")
        return axes.reshape(n_rows, n_columns)
    if n_rows * n_columns == 1:
        return np.array([[ax]], dtype=object)
    ax.set_axis_off()
    grid = ax.get_subplotspec().subgridspec(n_rows, n_columns, **ratios)
    return grid.subplots(squeeze=False, **kwargs)


def class_colours(n_classes):
    """Return as many colours: the palette, or an even walk through the colour map where there are more."""
    if n_classes <= len(PALETTE):
        return list(PALETTE[:n_classes])
    return list(pyplot().get_cmap(COLORMAP)(np.linspace(0, 1, n_classes)))


def legend_outside(ax, where="right", **kwargs):
    """Draw a legend to the right of the axes or above them, where it covers no data; its lines are thick enough."""
    places: dict[str, dict[str, Any]] = {
        "right": {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)},
        "above": {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 2},
    }
    legend = ax.legend(frameon=False, borderaxespad=0.2, fontsize="small", **places[where], **kwargs)
    for line in legend.get_lines():
        line.set_linewidth(2)
    return legend


def draw_series(ax, series, *, xlabel="time point"):
    """Draw the channels of a series: (C, T). Few points are marked."""
    n_channels, n_points = series.shape
    marker = "o" if n_points <= 40 else None
    for channel, (values, colour) in enumerate(zip(series, class_colours(n_channels), strict=True)):
        ax.plot(values, color=colour, marker=marker, markersize=3, linewidth=1.2, label=f"channel {channel}")
    ax.set(ylabel="series", xlabel=xlabel)
    ax.margins(x=0.01)
    if 1 < n_channels <= len(PALETTE):
        legend_outside(ax)
    elif n_channels > 1:
        colour_bar(ax, n_channels - 1, "channel")


def colour_bar(ax, last, label):
    """Draw a colour bar from 0 to ``last`` beside axes whose lines have the colours of `class_colours`."""
    scale = pyplot().cm.ScalarMappable(pyplot().Normalize(0, last), COLORMAP)
    return ax.figure.colorbar(scale, ax=ax, label=label)


def short(label, n_characters=14):
    """Return a label cut to some characters."""
    text = str(label)
    return text if len(text) <= n_characters else text[: n_characters - 1] + "…"
