"""The input of each view for one series, and what the view adds to the decision.

Shape legend: C channels, T time points, G waveforms of a case, S waveform samples, D embedding values of a view.
"""

from typing import Any, Self

import numpy as np
import torch

from v2s_sklearn.base import BaseV2SClassifier, Cases
from v2s_sklearn.inspection.cases import fitted_views, one_case, opened_for_one
from v2s_sklearn.inspection.drawing import COLORMAP, PALETTE, class_colours, make_axes, short
from v2s_sklearn.inspection.reprogrammed_input import log_mel_of, waveforms_of
from v2s_sklearn.mapping.embeddings import STANDARDISED_LIMIT
from v2s_sklearn.runtime.threads import one_thread
from v2s_sklearn.views import ContourView, PlaybackView

# So many classes or words are shown, those with the largest values.
N_BARS = 8
KINDS = {
    PlaybackView: ("series", "differences", "running sum", "log spectrum"),
    ContourView: ("contour",),
}


class ViewsDisplay:
    """A row for each view: the input of its source, and what the view adds to the decision.

    Parameters
    ----------
    heard : list of dict
        Of each view "title"; "lines" (G, S) and their "names", or "log_mel", as `log_mel_of` returns it.
    said : list of dict of str to float
        Of each view: what it adds to the decision value of each class, less the mean over the classes (nats), or the
        probability of each word.
    unit : str
        Of the values of ``said``.
    title : str, default=""

    Attributes
    ----------
    ax_ : ndarray of Axes of shape (n_views, 2)
    figure_ : Figure

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import ViewsDisplay
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier(random_state=0).fit(X, y)
    >>> [view["title"] for view in ViewsDisplay.from_estimator(clf, X[0]).heard]
    ['v2sa: modulation', 'wav2vec: playback', 'v2sc: contour', 'v2sc-varied: contour']
    """

    def __init__(self, heard: Any, said: Any, unit: str, title: str = "") -> None:
        self.heard = heard
        self.said = said
        self.unit = unit
        self.title = title

    @classmethod
    def from_estimator(cls, clf: BaseV2SClassifier, x: Cases, *, ax: Any = None) -> Self:
        """Draw the input of each view of a fitted estimator for one series, and what the view adds to the decision.

        Parameters
        ----------
        clf : V2SClassifier
            Fitted.
        x : array of shape (T,) or (C, T)
        ax : Axes or array of Axes, optional

        Returns
        -------
        ViewsDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        InvalidParameterError
            If it is no V2SClassifier.
        InvalidSeriesError
            If x does not fit the estimator.
        """
        clf, x = opened_for_one(clf, x)
        views, case = fitted_views(clf), one_case(clf, x)
        probabilities = clf.predict_proba([case])[0]
        best = probabilities.argmax()
        learned = clf.net_.module_.mapping.takes != "logits"
        return cls(
            [_heard(clf, view, case) for view in views],
            _contributions(clf, views, case) if learned else [_words(clf, view, case) for view in views],
            "added to the decision (nats)" if learned else "probability of the word",
            f"all views together: class {short(clf.classes_[best])}, probability {probabilities[best]:.2f}",
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; return self.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to; by default a new figure.
        """
        n_views = len(self.heard)
        axes = make_axes(ax, n_views, 2, size=(9.5, 0.5 + 2.3 * n_views), width_ratios=(2.2, 1))
        for (left, right), heard, said in zip(axes, self.heard, self.said, strict=True):
            self._plot_heard(left, **heard)
            names = sorted(said, key=lambda name: -abs(said[name]))[:N_BARS]
            names.sort(key=lambda name: -said[name])
            values = np.array([said[name] for name in names])
            colours = np.where(values >= 0, PALETTE[0], PALETTE[5])
            right.barh(np.arange(len(names)), values, color=colours)
            right.set_yticks(np.arange(len(names)), [short(name) for name in names], fontsize=8)
            right.axvline(0, color="black", linewidth=0.8)
            right.set(xlabel=self.unit)
            right.invert_yaxis()
        figure = axes[0, 0].figure
        axes[0, 1].set_title(self.title.replace(": ", ":\n", 1), fontsize="medium", loc="right")
        self.ax_, self.figure_ = axes, figure
        return self

    @staticmethod
    def _plot_heard(ax, title, lines=None, names=None, log_mel=None):
        """Draw waveforms above one another, or the spectrogram of one."""
        if lines is not None and len(lines) > len(names):
            title += f" ({len(lines) // len(names)} channels or mixtures of them, a colour each)"
        ax.set_title(title, fontsize="medium")
        if log_mel is not None:
            features, frame_edges, band_edges = log_mel
            mesh = ax.pcolormesh(frame_edges, band_edges / 1000, features.T, cmap=COLORMAP, rasterized=True)
            ax.set(xlabel="time (s)", ylabel="frequency (kHz)")
            ax.figure.colorbar(mesh, ax=ax, label="log-mel (stand.)")
            return
        per_kind = len(lines) // len(names)
        for number, row in enumerate(lines):
            kind, channel = divmod(number, per_kind)
            spread = np.ptp(row)
            scaled = (row - row.min()) / (spread if spread > 0 else 1) - 0.5 * (spread == 0)
            ax.plot(0.8 * scaled - kind, color=class_colours(per_kind)[channel], linewidth=0.9)
        ax.set_yticks(0.4 - np.arange(len(names)), names, fontsize=8)
        ax.set(xlabel="sample", xlim=(0, lines.shape[1] - 1), ylim=(0.9 - len(names), 1.0))


def _heard(clf, view, case):
    """Return the input of a view, for the display."""
    waveforms, _ = waveforms_of(clf, view, case)
    kind = type(view).__name__.removesuffix("View").lower()
    title = f"{view.acoustic.name}: {kind}"
    if type(view) in KINDS:
        return {"title": title, "lines": waveforms, "names": KINDS[type(view)]}
    if len(waveforms) > 1:
        title += f" (the first of {len(waveforms)} waveforms)"
    return {"title": title, "log_mel": log_mel_of(view.acoustic, waveforms[0])}


@one_thread()
@torch.no_grad()
def _contributions(clf, views, case):
    """Return what each view adds to the decision value of each class, less the mean over the classes."""
    network, batch = clf.net_.module_, clf.scaler_.transform([case])
    mapping = network.mapping
    said, start = [], 0
    for view, waveforms in network.waveforms(batch.series, batch.lengths):
        columns = slice(start, start + view.n_features)
        start = columns.stop
        values = (view.embed(waveforms).double() - mapping.mean[columns]) / mapping.scale[columns]
        decision = values.clamp(-STANDARDISED_LIMIT, STANDARDISED_LIMIT) @ mapping.weight[columns]
        decision = (decision - decision.mean(1, keepdim=True))[0].cpu().numpy()
        said.append(dict(zip(map(str, clf.classes_), decision.tolist(), strict=True)))
    return said


@one_thread()
@torch.no_grad()
def _words(clf, view, case):
    """Return the probability of each source class, by a view."""
    batch = clf.scaler_.transform([case])
    logits = view.source_logits(view.waveforms(batch.series, batch.lengths))
    probabilities = torch.softmax(logits, dim=1)[0].cpu().numpy()
    return dict(zip(view.acoustic.source_labels, probabilities.tolist(), strict=True))
