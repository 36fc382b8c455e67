"""What an attention source attends to, on the time axis of the series.

Shape legend: C channels, T time points, G waveforms of a case, S waveform samples, F' frames.
"""

from typing import Any, Self

import numpy as np
import torch

from v2s_sklearn.base import BaseV2SClassifier, Cases
from v2s_sklearn.inspection.cases import on_time_axis, one_case, opened_for_one, sounding_view
from v2s_sklearn.inspection.drawing import PALETTE, class_colours, colour_bar, draw_series, legend_outside, make_axes
from v2s_sklearn.inspection.reprogrammed_input import waveforms_of
from v2s_sklearn.runtime.threads import one_thread


class AttentionDisplay:
    """Series, and the attention weight of each of its time points.

    Parameters
    ----------
    series : ndarray of shape (C, T)
    weights : ndarray of shape (G, T)
        One row a waveform, each of sum 1.
    share : float, default=1.0
        Of all attention, how much falls on samples that play the series; the rest falls on theta.
    title : str, default=""

    Attributes
    ----------
    ax_ : ndarray of Axes
        Series, weights.
    figure_ : Figure

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 5.4 (attention of V2Sa).
    .. [2] D. C. de Andrade et al., A neural attention model for speech command recognition, arXiv 1808.08929, 2018.

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import AttentionDisplay
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier(random_state=0).fit(X, y)                       # its first source, v2sa, has attention
    >>> AttentionDisplay.from_estimator(clf, X[0]).weights.shape
    (1, 150)
    """

    def __init__(self, series: np.ndarray, weights: np.ndarray, share: float = 1.0, title: str = "") -> None:
        self.series = series
        self.weights = weights
        self.share = share
        self.title = title

    @classmethod
    @one_thread()
    def from_estimator(cls, clf: BaseV2SClassifier, x: Cases, *, source: str | None = None, ax: Any = None) -> Self:
        """Draw the attention of a source of a fitted estimator to one series.

        Parameters
        ----------
        clf : V2SClassifier
            Fitted, with a source that has attention: "v2sa", "v2su", or a transformer of Hugging Face.
        x : array of shape (T,) or (C, T)
        source : str, optional
            Name of the acoustic model; by default the first that hears "pad" or "modulation".
        ax : Axes or array of 2 Axes, optional

        Returns
        -------
        AttentionDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        InvalidParameterError
            If the source has no attention, or there is no such source.
        InvalidSeriesError
            If x does not fit the estimator.
        """
        clf, x = opened_for_one(clf, x)
        view = sounding_view(clf, source)
        case = one_case(clf, x)
        waveforms, points = waveforms_of(clf, view, case)
        device = next(view.transformation.parameters()).device
        with torch.no_grad():
            frames = view.acoustic.attention(torch.from_numpy(waveforms).to(device)).cpu().numpy()
        frame_of = np.minimum((np.arange(len(points)) + 0.5) / len(points) * frames.shape[1], frames.shape[1] - 1)
        of_samples = frames[:, frame_of.astype(int)]
        share = of_samples[:, ~np.isnan(points)].sum() / of_samples.sum()
        weights = on_time_axis(frames, points, case.shape[1])
        weights /= weights.sum(axis=1, keepdims=True)
        return cls(case, weights, float(share), view.acoustic.name).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; return self.

        Parameters
        ----------
        ax : Axes or array of 2 Axes, optional
            Where to; by default a new figure.
        """
        axes = make_axes(ax, 2, size=(7.5, 4), sharex=True)[:, 0]
        series, weights = axes
        draw_series(series, self.series, xlabel="")
        series.set_title(f"{self.title}: {self.share:.0%} of the attention is on the series", fontsize="medium")
        colours = class_colours(len(self.weights))
        for number, (row, colour) in enumerate(zip(self.weights, colours, strict=True)):
            weights.step(np.arange(len(row)), row, where="mid", color=colour, linewidth=1.2, label=f"waveform {number}")
        if len(self.weights) > len(PALETTE):
            colour_bar(weights, len(self.weights) - 1, "waveform")
        elif len(self.weights) > 1:
            legend_outside(weights)
        weights.set(ylabel="attention weight", xlabel="time point", ylim=(0, 1.08 * self.weights.max()))
        self.ax_, self.figure_ = axes, series.figure
        return self
