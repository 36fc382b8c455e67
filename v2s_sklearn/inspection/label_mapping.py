"""Which spoken words stand for which class; for a learned mapping, what the views and layers have to say.

Shape legend: C target classes, K source classes.
"""

from typing import Any, Self

import numpy as np

from v2s_sklearn.base import BaseV2SClassifier
from v2s_sklearn.inspection.cases import fitted_views, opened
from v2s_sklearn.inspection.drawing import PALETTE, make_axes, short


class LabelMappingDisplay:
    """The mapping of source to target labels.

    Parameters
    ----------
    classes : sequence of C labels
    words : list of lists of str, optional
        Source labels of each class, of a many-to-one mapping.
    view_shares : dict of str to float, optional
        Of a learned mapping: the weight of each view of the stack, as a share of all.
    layer_shares : dict of str to float, optional
        Of a learned mapping: the squared weights of the standardised values of each layer, as a share of all.

    Attributes
    ----------
    ax_ : ndarray of Axes
        One, or, for a learned mapping, two: views and layers.
    figure_ : Figure

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 3 (many-to-one label mapping).

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.inspection import LabelMappingDisplay
    >>> X, y = load_gunpoint(split="train")
    >>> clf = V2SClassifier.icml2021(max_epochs=1, random_state=0).fit(X, y)
    >>> [len(words) for words in LabelMappingDisplay.from_estimator(clf).words]
    [18, 18]
    """

    def __init__(self, classes: Any, *, words: Any = None, view_shares: Any = None, layer_shares: Any = None) -> None:
        self.classes = classes
        self.words = words
        self.view_shares = view_shares
        self.layer_shares = layer_shares

    @classmethod
    def from_estimator(cls, clf: BaseV2SClassifier, *, ax: Any = None) -> Self:
        """Draw the mapping of a fitted estimator.

        Parameters
        ----------
        clf : V2SClassifier
            Fitted.
        ax : Axes or array of Axes, optional

        Returns
        -------
        LabelMappingDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        InvalidParameterError
            If it is no V2SClassifier.
        """
        clf, _ = opened(clf)
        views, mapping = fitted_views(clf), clf.net_.module_.mapping
        if mapping.takes == "logits":
            several = len(views) > 1
            labels = [
                f"{view.acoustic.name}: {label}" if several else label
                for view in views
                for label in view.acoustic.source_labels
            ]
            words = [[labels[index] for index in row] for row in clf.label_mapping_]
            return cls(clf.classes_, words=words).plot(ax=ax)
        weights = mapping.stack_weights.cpu().numpy()
        view_shares = dict(zip(mapping.group_names, (weights / weights.sum()).tolist(), strict=True))
        squares = (clf.label_mapping_**2).sum(axis=1)
        layer_shares, start = {}, 0
        for view in views:
            for layer, columns in view.layers().items():
                share = squares[start + columns].sum() / max(squares.sum(), 1e-300)
                layer_shares[f"{view.acoustic.name}: {layer}"] = float(share)
            start += view.n_features
        return cls(clf.classes_, view_shares=view_shares, layer_shares=layer_shares).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; return self.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to; by default a new figure.
        """
        self.ax_ = self._plot_words(ax) if self.words is not None else self._plot_shares(ax)
        self.figure_ = self.ax_[0].figure
        return self

    def _plot_words(self, ax):
        """Draw a column of words for each class, in rows of eight classes."""
        n_classes, n_words = len(self.words), max(map(len, self.words))
        per_row = min(n_classes, 8)
        n_rows = -(-n_classes // per_row)
        axes = make_axes(ax, 1, size=(max(3.6, 0.6 + 1.15 * per_row), 0.4 + n_rows * (0.5 + 0.2 * n_words)))[:, 0]
        (one,) = axes
        height = n_words + 2.2
        for number, (label, words) in enumerate(zip(self.classes, self.words, strict=True)):
            left, top = number % per_row, (number // per_row) * height
            one.fill_between([left + 0.04, left + 0.96], top, top + 1.2, color=PALETTE[0], linewidth=0)
            one.text(left + 0.5, top + 0.6, short(label, 11), color="white", ha="center", va="center", fontsize=9)
            for row, word in enumerate(words):
                one.text(left + 0.5, top + 1.8 + row, short(word, 16), ha="center", va="center", fontsize=8)
        one.set(xlim=(0, per_row), ylim=(n_rows * height, -0.2))
        one.set_title("spoken words that stand for each class", fontsize="medium")
        one.set_axis_off()
        return axes

    def _plot_shares(self, ax):
        """Draw bars of the shares of views and of layers."""
        n_bars = max(len(self.view_shares), len(self.layer_shares))
        axes = make_axes(ax, 1, 2, size=(10, 1.2 + 0.26 * n_bars))[0]
        for one, shares, colour, title in (
            (axes[0], self.view_shares, PALETTE[0], "weights of the views in the stack"),
            (axes[1], self.layer_shares, PALETTE[1], "squared weights of the layers"),
        ):
            names = [short(name, 30) for name in shares]
            one.barh(np.arange(len(names)), 100 * np.array(list(shares.values())), color=colour)
            one.set_yticks(np.arange(len(names)), names, fontsize=8)
            one.set(xlabel="share (%)", xlim=(0, None))
            one.set_title(title, fontsize="medium")
            one.invert_yaxis()
        return axes
