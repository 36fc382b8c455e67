"""Which acoustic model to take: criteria that need no cross-validation, in a table.

Shape legend: N cases, n source clips, K source classes, D embedding values.
"""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import log_softmax
from sklearn.utils import check_random_state

from v2s_sklearn.acoustic.registry import list_acoustic_models, load_acoustic_model
from v2s_sklearn.alignment.distances import sliced_wasserstein, target_risk_bound
from v2s_sklearn.alignment.information import labelled_information, split_sections, unlabelled_information
from v2s_sklearn.alignment.logits import load_source_logits, packaged_logits, target_logits
from v2s_sklearn.base import Cases, Source
from v2s_sklearn.classifier import V2SClassifier
from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.mapping.embeddings import ArrayEmbeddings, StandardisedEmbeddings, standardisation
from v2s_sklearn.mapping.ridge import counted_cases, solve_ridge
from v2s_sklearn.runtime.optional import import_optional
from v2s_sklearn.runtime.threads import one_thread
from v2s_sklearn.transformer import V2SFeatures

#: Each criterion, and whether more of it speaks for a source.
CRITERIA = {
    "loo_log_loss": False,
    "mi_labelled": True,
    "mi_unlabelled": True,
    "target_risk_bound": False,
    "swd_before": False,
    "swd_after": False,
}
NEED_LABELS = ("loo_log_loss", "mi_labelled", "swd_after")
# The linear program of the exact distance grows with the square.
MAX_BOUND_CASES = 300


def rank_acoustic_models(
    X: Cases,
    y: Cases | None = None,
    models: Sequence[Source] | None = None,
    criteria: Sequence[str] | None = None,
    *,
    max_epochs: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Return what speaks for and against each source, in a table, without cross-validation of classifiers.

    Parameters
    ----------
    X : collection
        N series, as for :class:`~v2s_sklearn.V2SClassifier`; training cases only.
    y : array of shape (N,), optional
        Labels; some criteria do without.
    models : list of str, path or AcousticModel, optional
        By default all of :func:`~v2s_sklearn.list_acoustic_models`.
    criteria : list of str, optional
        By default all that can be computed. The table is sorted by the first.

        - "loo_log_loss": leave-one-out log loss (nats) of a ridge on the frozen embedding; least is best.
        - "mi_labelled": `labelled_information` (nats) of the frozen embedding; greatest is best.
        - "mi_unlabelled": `unlabelled_information` (nats) of the embeddings of both halves; greatest is best.
        - "target_risk_bound": Theorem 1, at the trained theta if there are labels, else at the initial one; least is
          best. Of more than 300 cases a random part.
        - "swd_before", "swd_after": sliced Wasserstein distance of source and target logits at the initial theta,
          and after a short training in the settings of the paper; least is best.
    max_epochs : int, default=5
        Of the short training.
    random_state : int, default=0
    n_jobs : int, default=1
        Threads of inference.

    Returns
    -------
    pandas.DataFrame
        A row a source, best first, a column a criterion, and "seconds". NaN where a criterion cannot be computed: for a
        source without packaged source logits, and for a training with more target than source classes.

    Raises
    ------
    InvalidParameterError
        If a criterion is unknown or needs labels and there are none, or there is no source.
    MissingDependencyError
        If pandas or POT is not installed.

    References
    ----------
    .. [1] Voice2Series, ICML 2021, Theorem 1 and section 5.3.
    .. [2] A. H. Liu, S.-L. Yeh, J. Glass, Revisiting self-supervised learning of speech representation from a mutual
       information perspective, ICASSP 2024, arXiv 2401.08833.

    Examples
    --------
    >>> from aeon.datasets import load_gunpoint
    >>> from v2s_sklearn.alignment import rank_acoustic_models
    >>> X, y = load_gunpoint(split="train")
    >>> table = rank_acoustic_models(X, y, models=["v2sa", "v2sa-digits"], criteria=["loo_log_loss", "swd_before"])
    >>> list(table.columns)
    ['loo_log_loss', 'swd_before', 'seconds']
    """
    pandas = import_optional("pandas", "theory", "The table of sources")
    criteria = _check_criteria(criteria, y)
    models = list_acoustic_models() if models is None else list(models)
    if not models:
        raise InvalidParameterError("models=[]: there is nothing to rank. Give at least one source, or None for all.")
    rows = {}
    for model in models:
        started = time.perf_counter()
        model = load_acoustic_model(model)
        row = measure(model, X, y, criteria, max_epochs=max_epochs, random_state=random_state, n_jobs=n_jobs)
        rows[model.name] = row | {"seconds": time.perf_counter() - started}
    table = pandas.DataFrame.from_dict(rows, orient="index", columns=[*criteria, "seconds"])
    table.index.name = "acoustic_model"
    return table.sort_values(criteria[0], ascending=not CRITERIA[criteria[0]], kind="stable")


def _check_criteria(criteria, y):
    """Return the criteria to compute."""
    possible = [name for name in CRITERIA if y is not None or name not in NEED_LABELS]
    if criteria is None:
        return possible
    wrong = [name for name in criteria if name not in possible]
    if wrong or not list(criteria):
        raise InvalidParameterError(
            f"criteria={list(criteria)!r}: {wrong or 'nothing'} cannot be computed. Take some of "
            f"{', '.join(possible)}" + ("." if y is not None else f"; {', '.join(NEED_LABELS)} need labels y.")
        )
    return list(criteria)


@one_thread()
def measure(model, X, y, criteria, *, max_epochs=5, random_state=0, n_jobs=1):
    """Return the criteria of one source: a dict; see `rank_acoustic_models`."""
    row = dict.fromkeys(criteria, np.nan)
    embedding = None
    if {"loo_log_loss", "mi_labelled"} & row.keys():
        embedding = V2SFeatures(model, n_jobs=n_jobs).fit_transform(X)
    if "loo_log_loss" in row:
        row["loo_log_loss"] = leave_one_out_log_loss(embedding, y)
    if "mi_labelled" in row:
        row["mi_labelled"] = labelled_information(embedding, y, random_state=random_state)
    if "mi_unlabelled" in row:
        halves = [V2SFeatures(model, n_jobs=n_jobs).fit_transform(half) for half in split_sections(X)]
        row["mi_unlabelled"] = unlabelled_information(*halves, random_state=random_state)
    alignment = {"target_risk_bound", "swd_before", "swd_after"} & row.keys()
    if alignment and model.source is not None and model.source.name in packaged_logits():
        row |= {
            name: value for name, value in _align(model, X, y, max_epochs, random_state, n_jobs).items() if name in row
        }
    return row


def _align(model, X, y, max_epochs, random_state, n_jobs):
    """Return the distances between the source logits of speech and of the series in paper mode."""
    source = load_source_logits(model)

    def reprogram(labels, max_epochs):
        """Return the target logits (N, K) after some epochs in the settings of the paper."""
        settings = {"max_epochs": max_epochs, "random_state": random_state, "n_jobs": n_jobs}
        return target_logits(V2SClassifier.icml2021(acoustic_model=model, **settings).fit(X, labels), X)

    # The initial theta knows nothing of the labels.
    target = reprogram(np.zeros(len(X), dtype=int), 0)
    found = {"swd_before": sliced_wasserstein(source.logits, target, random_state=random_state)}
    if y is not None:
        if len(np.unique(y)) > model.n_classes:
            return found
        target = reprogram(y, max_epochs)
        found["swd_after"] = sliced_wasserstein(source.logits, target, random_state=random_state)
    chosen = check_random_state(random_state).permutation(len(target))[:MAX_BOUND_CASES]
    return found | {"target_risk_bound": target_risk_bound(source.logits, source.labels, target[chosen])}


@one_thread()
def leave_one_out_log_loss(embedding, y):
    """Return the leave-one-out log loss of a ridge whose strength and calibration have been chosen by it, in nats.

    Parameters
    ----------
    embedding : array of shape (N, D)
    y : array of shape (N,)
        Labels; classes of one case are not counted.
    """
    classes, labels = np.unique(np.asarray(y), return_inverse=True)
    embedding, weights = ArrayEmbeddings(np.asarray(embedding)), np.ones(len(labels))
    values = StandardisedEmbeddings(embedding, *standardisation(embedding, weights)).rows(np.arange(len(labels)))
    ridge = solve_ridge(values, labels, weights, len(classes))
    answers = log_softmax(ridge.sharpness * ridge.loo_scores, axis=1)[np.arange(len(labels)), labels]
    return float(-answers[counted_cases(labels)].mean())
