"""A skorch callback that follows the alignment of source and target logits in training.

Shape legend: N cases, K source classes.
"""

from typing import Any

import numpy as np
from skorch.callbacks import Callback

from v2s_sklearn.alignment.distances import sliced_wasserstein
from v2s_sklearn.alignment.logits import load_source_logits, logits_of_view, speaking_views
from v2s_sklearn.base import Cases
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.series.scaling import SeriesBatch


class AlignmentHistory(Callback):
    """Writes accuracy and sliced Wasserstein distance to the net's history after each epoch.

    Beside skorch's ``train_loss`` and ``valid_loss``: ``train_acc``, ``train_swd`` and, where cases were set aside by
    ``early_stopping``, ``valid_acc`` and ``valid_swd``. The distance is that between the packaged logits of the
    source's own clips and the source logits of the reprogrammed cases, the mean over the sources that name their
    classes; it is left out where none does. Training is not changed by it.

    Parameters
    ----------
    source_logits : array of shape (n, K), or list of them, optional
        One for each source that names its classes; by default those of `load_source_logits`.
    n_projections : int, default=1000
    random_state : int, default=0
        Of the projections.

    Raises
    ------
    InvalidParameterError
        At the start of training, if there are no logits for a source.

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 5.3 and figure 3.

    Examples
    --------
    >>> from aeon.datasets import load_italy_power_demand
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.alignment import AlignmentHistory
    >>> X, y = load_italy_power_demand(split="train")
    >>> clf = V2SClassifier.icml2021(max_epochs=2, callbacks=[AlignmentHistory()], random_state=0).fit(X, y)
    >>> sorted(name for name in clf.net_.history[-1] if name.endswith(("acc", "swd")))
    ['train_acc', 'train_swd']
    """

    def __init__(self, source_logits: Any = None, n_projections: int = 1000, random_state: int = 0) -> None:
        self.source_logits = source_logits
        self.n_projections = n_projections
        self.random_state = random_state

    def _references(self, views):
        """Return the source logits for each view."""
        if self.source_logits is None:
            return [load_source_logits(view.acoustic).logits for view in views]
        given = self.source_logits if isinstance(self.source_logits, list | tuple) else [self.source_logits]
        if len(given) != len(views):
            raise InvalidParameterError(
                f"source_logits has {len(given)} tables, but {len(views)} sources of this estimator name their "
                "classes. Give one table (n_clips, n_classes) for each."
            )
        return given

    def on_train_begin(self, net: Any, X: Cases = None, y: Cases = None, **kwargs: Any) -> None:
        """Look for the source logits before any time is spent."""
        self._references(speaking_views(net.module_))

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        """Record the values of the epoch."""
        for name, dataset in (("train", dataset_train), ("valid", dataset_valid)):
            if dataset is not None:
                for key, value in self._measure(net, dataset).items():
                    net.history.record(f"{name}_{key}", value)

    def _measure(self, net, dataset):
        """Return accuracy and distance on the cases of a data set."""
        data, labels = cases_of(dataset)
        correct = net.predict_proba(data).argmax(axis=1) == labels
        values = {"acc": float(np.average(correct, weights=data["sample_weight"]))}
        views = speaking_views(net.module_)
        batch = SeriesBatch(data["series"], data["lengths"])
        distances = [
            sliced_wasserstein(reference, logits_of_view(view, batch), self.n_projections, self.random_state)
            for view, reference in zip(views, self._references(views), strict=True)
        ]
        return values | ({"swd": float(np.mean(distances))} if distances else {})


def cases_of(dataset):
    """Return the arrays, by name, and the labels of a skorch data set, or of a part of one."""
    if hasattr(dataset, "indices"):
        data, labels = cases_of(dataset.dataset)
        return {name: values[dataset.indices] for name, values in data.items()}, labels[dataset.indices]
    return dataset.X, np.asarray(dataset.y)
