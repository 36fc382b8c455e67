"""Source logits of speech, packaged, and of reprogrammed series.

Shape legend: n source clips, N target cases, K source classes.
"""

import json
from functools import cache
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save
from sklearn.utils.validation import check_is_fitted

from v2s_sklearn.acoustic.registry import load_acoustic_model
from v2s_sklearn.base import BaseV2SClassifier, Cases, Source
from v2s_sklearn.errors import InvalidParameterError, WeightsError
from v2s_sklearn.files.writing import write_atomically
from v2s_sklearn.network.inference import compute, in_blocks
from v2s_sklearn.network.reprogrammed import cases_per_pass
from v2s_sklearn.runtime.threads import one_thread
from v2s_sklearn.series.wrapped import unwrap

# On a disk or in a zip.
LOGITS_FILE: Any = files("v2s_sklearn.alignment") / "source_logits.safetensors"


class SourceLogits(NamedTuple):
    """Source logits of some clips of the source's test data.

    Attributes
    ----------
    logits : ndarray of shape (n, K)
    labels : ndarray of shape (n,), int
        True source classes.

    Examples
    --------
    >>> from v2s_sklearn.alignment import load_source_logits
    >>> logits, labels = load_source_logits("v2sa")
    >>> logits.shape[1], len(logits) == len(labels)
    (36, True)
    """

    logits: np.ndarray
    labels: np.ndarray


def save_source_logits(path, source_logits):
    """Write the source logits of several models to one file, in half precision.

    Parameters
    ----------
    path : path
    source_logits : dict of str to (SourceLogits, str)
        By name of the model: its logits, and the sha256 of the weights that gave them.
    """
    tensors, digests = {}, {}
    for name, (found, digest) in sorted(source_logits.items()):
        tensors[f"{name}.logits"] = np.asarray(found.logits, dtype=np.float16)
        tensors[f"{name}.labels"] = np.asarray(found.labels, dtype=np.int16)
        digests[name] = digest
    # One entry: the order of several would not always be the same.
    write_atomically(path, save(tensors, metadata={"weights_sha256": json.dumps(digests)}))


@cache
def read_source_logits(place):
    """Return what `save_source_logits` wrote to a file, on a disk or in a zip."""
    with as_file(place) as path, safe_open(path, framework="numpy") as file:
        return {
            name: (
                SourceLogits(
                    file.get_tensor(f"{name}.logits").astype(np.float64),
                    file.get_tensor(f"{name}.labels").astype(np.int64),
                ),
                digest,
            )
            for name, digest in json.loads(file.metadata()["weights_sha256"]).items()
        }


def load_source_logits(acoustic_model: Source = "v2sa") -> SourceLogits:
    """Return the source logits of a packaged acoustic model on some hundreds of test clips of its own data.

    Parameters
    ----------
    acoustic_model : str, path or AcousticModel, default="v2sa"
        As for :func:`v2s_sklearn.load_acoustic_model`.

    Returns
    -------
    SourceLogits
        Logits (n, K), packaged in half precision, and labels (n,), an equal number of each class where there are so
        many.

    Raises
    ------
    InvalidParameterError
        If there are none for this model.
    WeightsError
        If they were made with other weights.

    Examples
    --------
    >>> from v2s_sklearn.alignment import load_source_logits
    >>> logits, labels = load_source_logits("v2sa")
    >>> logits.shape[1], bool((logits.argmax(axis=1) == labels).mean() > 0.9)
    (36, True)
    """
    model = load_acoustic_model(acoustic_model)
    model = model.full_rate or model
    name, digest = model.source or (None, None)
    if name not in packaged_logits():
        raise InvalidParameterError(
            f"There are no packaged source logits for the acoustic model {name!r}, only for "
            f"{', '.join(packaged_logits())}. Give the logits of clips that it was not trained on: "
            "load_acoustic_model(NAME)(clips)."
        )
    source_logits, weights_sha256 = read_source_logits(LOGITS_FILE)[name]
    if digest != weights_sha256:
        raise WeightsError(
            f"The source logits of {name!r} were made with weights of sha256 {weights_sha256}, but those loaded have "
            f"{digest}. Run python -m v2s_sklearn.pretrain.source_logits {name} --speech FOLDER."
        )
    return source_logits


def packaged_logits():
    """Return the names of the acoustic models whose source logits are packaged."""
    return sorted(read_source_logits(LOGITS_FILE))


def speaking_views(network):
    """Return the views of a network in which the source names its classes; those of a transferred network are none."""
    return [view for view in getattr(network, "views", ()) if view.names_words]


def logits_of_view(view, batch, n_jobs=None):
    """Return the source logits of scaled series, a `SeriesBatch`, through a view, (N, K)."""

    def logits(series, lengths):
        """Return the source logits of a chunk: (B, C, T), (B,) to (B, K)."""
        return view.source_logits(view.waveforms(series, lengths))

    device = next(view.transformation.parameters()).device
    return compute(logits, batch, cases_per_pass(view.n_waveforms), device, n_jobs)


@one_thread()
def target_logits(clf: BaseV2SClassifier, X: Cases) -> np.ndarray | list[np.ndarray]:
    """Return the source logits of reprogrammed series.

    Parameters
    ----------
    clf : V2SClassifier
        Fitted.
    X : collection
        N series, as in fit.

    Returns
    -------
    float32 ndarray of shape (N, K), or list of them
        The mean over the waveforms of a case. A list where the estimator has several sources that name their classes;
        those that hear "playback" and "contour" give embeddings only.

    Raises
    ------
    InvalidParameterError
        If no source of the estimator names its classes.

    Examples
    --------
    >>> from aeon.datasets import load_italy_power_demand
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.alignment import load_source_logits, sliced_wasserstein, target_logits
    >>> X, y = load_italy_power_demand(split="train")
    >>> clf = V2SClassifier.icml2021(max_epochs=2, random_state=0).fit(X, y)
    >>> target_logits(clf, X).shape
    (67, 36)
    >>> distance = sliced_wasserstein(load_source_logits("v2sa").logits, target_logits(clf, X))
    """
    clf, X = unwrap(clf, BaseV2SClassifier, "V2SClassifier", X)
    check_is_fitted(clf)
    views = speaking_views(clf.net_.module_)
    if not views:
        raise InvalidParameterError(
            "No source of this estimator names its classes: it hears series by 'playback' or 'contour' only, or was "
            "fine-tuned. Fit with reprogramming='pad' or 'modulation'."
        )
    X = clf._preprocess_collection(X, store_metadata=False)
    found = [
        in_blocks(lambda batch, view=view: logits_of_view(view, batch, clf.n_jobs), X, clf.scaler_) for view in views
    ]
    return found[0] if len(found) == 1 else found
