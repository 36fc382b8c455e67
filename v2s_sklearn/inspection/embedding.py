"""Series as points of the plane or of space: before and after reprogramming.

Shape legend: N cases, D values, S waveform samples.
"""

from typing import Any, Self

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from v2s_sklearn.base import BaseV2SClassifier, Cases, RandomState
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.inspection.cases import opened
from v2s_sklearn.inspection.drawing import MARKERS, PALETTE, class_colours, colour_bar, legend_outside, make_axes, short
from v2s_sklearn.network.inference import BLOCK_CASES, compute, in_blocks
from v2s_sklearn.network.reprogrammed import CHUNK_WAVEFORMS
from v2s_sklearn.runtime.threads import one_thread
from v2s_sklearn.series.frames import align
from v2s_sklearn.views.pad import PadReprogram

# t-SNE of more values takes their first principal components.
N_PRINCIPAL = 50


class EmbeddingDisplay:
    """t-SNE of series before and after reprogramming, coloured by class.

    Parameters
    ----------
    points : dict of str to ndarray of shape (N, 2) or (N, 3)
        Of each panel, by its title.
    y : ndarray of shape (N,), optional
        Labels.

    Attributes
    ----------
    ax_ : ndarray of Axes
    figure_ : Figure

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 5.4 (t-SNE of the logits).
    .. [2] L. van der Maaten, G. Hinton, Visualizing data using t-SNE, JMLR 9, 2008.

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import EmbeddingDisplay
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier.icml2021(max_epochs=1, random_state=0).fit(X, y)
    >>> display = EmbeddingDisplay.from_estimator(clf, X, y)
    >>> {title: points.shape for title, points in display.points.items()}
    {'before reprogramming': (50, 2), 'after reprogramming': (50, 2)}
    """

    def __init__(self, points: dict[str, np.ndarray], y: Cases = None) -> None:
        self.points = points
        self.y = y

    @classmethod
    @one_thread()
    def from_estimator(
        cls,
        clf: BaseV2SClassifier,
        X: Cases,
        y: Cases | None = None,
        *,
        n_components: int = 2,
        perplexity: float | None = None,
        random_state: RandomState = 0,
        ax: Any = None,
    ) -> Self:
        """Draw series as a fitted estimator sees them.

        "Before" are the source logits of the zero-padded series. "After" is what the mapping reads: the source logits
        of the reprogrammed series, or, for a learned mapping, the embedding. For `TransferClassifier`, "after" is the
        fine-tuned copy's last layer before the target logits.

        Parameters
        ----------
        clf : V2SClassifier or TransferClassifier
            Fitted.
        X : collection
            N series, at least 4.
        y : array of shape (N,), optional
            Labels, for the colours.
        n_components : {2, 3}, default=2
        perplexity : float, optional
            Of t-SNE; by default 30, or a third of the cases where there are fewer than 90.
        random_state : int or RandomState, default=0
            Of t-SNE.
        ax : Axes or array of 2 Axes, optional

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        InvalidParameterError
            If there are fewer than 4 series, or labels of another number.
        InvalidSeriesError
            If X does not fit the estimator.
        """
        y = align(y, X)
        clf, X = opened(clf, X)
        check_is_fitted(clf)
        if n_components not in (2, 3):
            raise InvalidParameterError(f"n_components={n_components!r}: a figure has 2 or 3 dimensions.")
        X = clf._preprocess_collection(X, store_metadata=False)
        clf._check_shape(X)
        if len(X) < 4 or (y is not None and len(y) != len(X)):
            raise InvalidParameterError(
                f"Got {len(X)} series and {'no' if y is None else len(y)} labels; needed are at least 4 series, and a "
                "label for each or none."
            )
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        perplexity = min(30.0, len(X) / 3) if perplexity is None else perplexity
        points = {
            title: _project(in_blocks(values, X, clf.scaler_), n_components, perplexity, seed)
            for title, values in _representations(clf).items()
        }
        return cls(points, None if y is None else np.asarray(y)).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; return self.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to, as many as there are panels; by default a new figure.
        """
        n_panels, n_components = len(self.points), next(iter(self.points.values())).shape[1]
        options = {"subplot_kw": {"projection": "3d"}} if n_components == 3 else {}
        axes = make_axes(ax, 1, n_panels, size=(4.2 * n_panels + 1.2, 4.0), **options)[0]
        for one, (title, points) in zip(axes, self.points.items(), strict=True):
            self._scatter(one, points)
            one.set_title(title, fontsize="medium")
            one.set(xlabel="t-SNE 1", ylabel="t-SNE 2", xticks=[], yticks=[])
            if n_components == 3:
                one.set(zlabel="t-SNE 3", zticks=[])
        if self.y is not None:
            labels = np.unique(self.y)
            if len(labels) <= len(PALETTE):
                legend_outside(axes[-1], title="class")
            else:
                bar = colour_bar(axes[-1], len(labels) - 1, "class")
                ticks = np.unique(np.linspace(0, len(labels) - 1, 8).round().astype(int))
                bar.set_ticks(ticks, labels=[short(labels[tick], 8) for tick in ticks])
        self.ax_, self.figure_ = axes, axes[0].figure
        return self

    def _scatter(self, ax, points):
        """Draw the points, a colour and a marker a class."""
        y = np.zeros(len(points), dtype=int) if self.y is None else np.unique(self.y, return_inverse=True)[1]
        labels = [""] if self.y is None else np.unique(self.y)
        for number, colour in enumerate(class_colours(len(labels))):
            chosen = points[y == number]
            marker = MARKERS[number % len(MARKERS)]
            ax.scatter(*chosen.T, color=[colour], marker=marker, s=16, linewidth=0, label=short(labels[number]))


def _representations(clf):
    """Return functions from scaled series to values (N, D), by the title of the panel."""
    network = clf.net_.module_
    device = next(network.parameters()).device
    views = list(getattr(network, "views", ()))

    def function(compute_values, chunk_cases=CHUNK_WAVEFORMS):
        """Return the function that computes some values of a batch of series in chunks."""
        return lambda batch: compute(compute_values, batch, chunk_cases, device, clf.n_jobs)

    acoustics = [view.acoustic for view in views] or [clf.acoustic_model_]
    acoustics = [acoustic.full_rate or acoustic for acoustic in acoustics]
    n_replicates = clf.n_replicates

    def padded(series, lengths):
        """Return the source logits of the zero-padded series: (B, C, T), (B,) to (B, K)."""
        logits = []
        for acoustic in acoustics:
            padding = PadReprogram(acoustic.n_samples, n_replicates).to(device)
            padding.theta.data.zero_()
            logits.append(acoustic(_fitting(series, lengths, padding)))
        return torch.cat(logits, dim=1)

    if not views:
        after = function(lambda series, lengths: network.embed(network.padding(series, lengths).squeeze(1)))
        return {"before fine-tuning": function(padded), "after fine-tuning": after}
    heard = network.embed if network.mapping.takes == "embeddings" else network.source_logits
    return {"before reprogramming": function(padded), "after reprogramming": function(heard, network.chunk_cases)}


def _fitting(series, lengths, padding):
    """Return zero-padded waveforms (B, S); series that are too long for the window are shortened to it."""
    longest = max(1, padding.n_samples // series.shape[1])
    if series.shape[2] > longest:
        series = torch.nn.functional.adaptive_avg_pool1d(series, longest)
        lengths = torch.full_like(lengths, longest)
    return padding(series, lengths)[:, 0]


def _project(values, n_components, perplexity, seed):
    """Return t-SNE of values: (N, D) to (N, n_components)."""
    values = values.astype(np.float64)
    scale = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(scale > 1e-9, scale, np.inf)
    if values.shape[1] > N_PRINCIPAL:
        values = PCA(min(N_PRINCIPAL, len(values)), svd_solver="full").fit_transform(values)
    method = "barnes_hut" if len(values) <= BLOCK_CASES or n_components == 2 else "exact"
    tsne = TSNE(n_components, perplexity=perplexity, init="pca", random_state=seed, method=method, n_jobs=1)
    return tsne.fit_transform(values)
