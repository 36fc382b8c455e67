"""Loss, accuracy and alignment by epoch."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from v2s_sklearn.base import BaseV2SClassifier
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.inspection.cases import opened
from v2s_sklearn.inspection.drawing import PALETTE, legend_outside, make_axes

METRICS = {"loss": "loss (nats)", "acc": "accuracy", "swd": "sliced Wasserstein\ndistance (nats)"}
PARTS = {"train": ("training", "-", "o"), "valid": ("validation", "--", "s")}


class TrainingDisplay:
    """Accuracy, loss and sliced Wasserstein distance by epoch, as in the paper's figure 3.

    Parameters
    ----------
    history : dict of str to sequence of float
        "train_loss", "valid_loss", "train_acc", "valid_acc", "train_swd", "valid_swd", one value an epoch; those there
        are.

    Attributes
    ----------
    ax_ : ndarray of Axes
        One for each quantity that was recorded.
    figure_ : Figure

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 5.3 and figure 3.

    Examples
    --------
    >>> from aeon.datasets import load_italy_power_demand
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.alignment import AlignmentHistory
    >>> from v2s_sklearn.inspection import TrainingDisplay
    >>> X, y = load_italy_power_demand(split="train")
    >>> clf = V2SClassifier.icml2021(max_epochs=3, callbacks=[AlignmentHistory()], random_state=0).fit(X, y)
    >>> len(TrainingDisplay.from_estimator(clf).ax_)
    3
    """

    def __init__(self, history: Any) -> None:
        self.history = history

    @classmethod
    def from_estimator(cls, clf: BaseV2SClassifier, *, ax: Any = None) -> Self:
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        clf : V2SClassifier or TransferClassifier
            Fitted with ``max_epochs`` of at least 1. Accuracy and distance are there with
            ``callbacks=[AlignmentHistory()]`` of :mod:`v2s_sklearn.alignment`, validation with ``early_stopping``.
        ax : Axes or array of Axes, optional

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        InvalidParameterError
            If nothing was trained.
        """
        clf, _ = opened(clf)
        check_is_fitted(clf)
        epochs = getattr(getattr(clf, "net_", None), "history", None)
        if not epochs:
            raise InvalidParameterError(
                f"{type(clf).__name__} has no epochs to draw: nothing was trained. Fit with max_epochs of at least 1, "
                "or take V2SClassifier.icml2021()."
            )
        names = [f"{part}_{metric}" for metric in METRICS for part in PARTS if f"{part}_{metric}" in epochs[-1]]
        return cls({name: epochs[:, name] for name in names}).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; return self.

        Parameters
        ----------
        ax : Axes or array of Axes, optional
            Where to, as many as there are quantities; by default a new figure.
        """
        metrics = [metric for metric in METRICS if any(f"{part}_{metric}" in self.history for part in PARTS)]
        axes = make_axes(ax, 1, len(metrics), size=(3.2 * len(metrics) + 0.4, 2.9))[0]
        for one, metric in zip(axes, metrics, strict=True):
            for index, (part, (label, line, marker)) in enumerate(PARTS.items()):
                values = self.history.get(f"{part}_{metric}")
                if values is not None:
                    epochs = np.arange(1, len(values) + 1)
                    look = {"color": PALETTE[(0, 5)[index]], "marker": marker if len(epochs) <= 30 else None}
                    one.plot(epochs, values, line, markersize=3.5, label=label, **look)
            one.set(xlabel="epoch", ylabel=METRICS[metric])
            one.xaxis.get_major_locator().set_params(integer=True)
        if any(name.startswith("valid") for name in self.history):
            legend_outside(axes[-1], "above")
        self.ax_, self.figure_ = axes, axes[0].figure
        return self
