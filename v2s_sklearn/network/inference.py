"""Running a frozen module on many cases: constant chunks, workers, blocks of cases.

Shape legend: N cases, C channels, T time points, D embedding, K source classes.
"""

import numpy as np
import torch

from v2s_sklearn.errors import InvalidSeriesError
from v2s_sklearn.mapping.embeddings import ComputedEmbeddings
from v2s_sklearn.runtime.parallel import side_by_side
from v2s_sklearn.runtime.progress import advance
from v2s_sklearn.runtime.threads import check_n_jobs

# Cases that are scaled and computed at a time in prediction.
BLOCK_CASES = 4096


def compute(function, batch, chunk_cases, device, n_jobs=None):
    """Return what a function of a frozen module gives for all cases, an array (N, ...).

    It is given chunks of one constant size, the last one filled up with copies of its first case, so that every result
    has the same bits whatever else is computed with it.

    Parameters
    ----------
    function : callable
        Takes tensors of series (chunk_cases, C, T) and lengths (chunk_cases,), returns a tensor (chunk_cases, ...).
    batch : SeriesBatch
    chunk_cases : int
    device : torch.device
        Where the module is.
    n_jobs : int, optional
        In scikit-learn's meaning: threads, or the workers of the backend that `joblib.parallel_config` sets.
    """
    found = None
    starts = range(0, len(batch), chunk_cases)
    tasks = ((function, batch[start : start + chunk_cases], chunk_cases, device) for start in starts)
    results = side_by_side(_compute_chunk, tasks, min(check_n_jobs(n_jobs), len(starts)), prefer="threads")
    for start, result in zip(starts, results, strict=True):
        if found is None:
            found = np.empty((len(batch), *result.shape[1:]), result.dtype)
        found[start : start + len(result)] = result
        advance(len(result))
    return found


@torch.no_grad()
def _compute_chunk(function, chunk, chunk_cases, device):
    """Return the results for a chunk, which is filled up to its constant size."""
    rows = np.arange(chunk_cases)
    full = chunk if len(chunk) == chunk_cases else chunk[np.where(rows < len(chunk), rows, 0)]
    result = function(torch.from_numpy(full.series).to(device), torch.from_numpy(full.lengths).to(device))
    return result[: len(chunk)].cpu().numpy()


def compute_embeddings(network, batch, device, n_jobs=None):
    """Return the embeddings of all cases of a `SeriesBatch`, float32 array (N, D)."""
    network = network.for_inference()
    return compute(network.embed, batch, network.chunk_cases, device, n_jobs)


def embeddings_of(network, batch, device, n_jobs=None):
    """Return the embeddings of all cases as `Embeddings`, computed block by block whenever they are read."""

    def rows(index):
        """Return the embeddings of some cases, (n, D)."""
        return _check_answers(compute_embeddings(network, batch[index], device, n_jobs))

    embeddings = ComputedEmbeddings(rows, len(batch), network.n_features)
    # Whole chunks, so that none has to be filled up.
    chunk_cases = network.chunk_cases
    embeddings.block_cases = max(chunk_cases, embeddings.block_cases // chunk_cases * chunk_cases)
    return embeddings


def compute_source_probabilities(network, batch, device, n_jobs=None):
    """Return the source probabilities of all cases of a `SeriesBatch`, float32 array (N, K)."""
    network = network.for_inference()

    def probabilities(series, lengths):
        """Return the source probabilities of a chunk, (B, K)."""
        return torch.softmax(network.source_logits(series, lengths), dim=1)

    return _check_answers(compute(probabilities, batch, network.chunk_cases, device, n_jobs))


def _check_answers(values, start=None):
    """Return what the acoustic models answer, (N, ...); raise an error where it is not finite.

    ``start``, the number of the first case, is for the error; without it cases have none.
    """
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        which = "a training series" if start is None else f"series {start + finite.argmin()}"
        raise InvalidSeriesError(
            f"The acoustic_model answers {which} of X with NaN or infinity. Rescale X, set standardize=True, or take "
            "other voices or another acoustic_model."
        )
    return values


def in_blocks(function, X, scaler):
    """Return what a function gives for scaled cases, a block at a time, so that X is never held in other precision.

    Parameters
    ----------
    function : callable
        Takes a `SeriesBatch`; gives an array (n, ...).
    X : array of shape (N, C, T), or list of N arrays (C, T_i)
    scaler : SeriesScaler
        Fitted.

    Returns
    -------
    array of shape (N, ...)

    Raises
    ------
    InvalidSeriesError
        That names the case, if a value is not finite.
    """
    starts = range(0, len(X), BLOCK_CASES)
    blocks = (function(scaler.transform(X[start : start + BLOCK_CASES])) for start in starts)
    return np.concatenate([_check_answers(block, start) for start, block in zip(starts, blocks, strict=True)])


def normalise(log_probabilities):
    """Return probabilities that sum to one, which those of a many-to-one mapping do not: (B, n_classes) to the same."""
    return torch.softmax(log_probabilities.double(), dim=1)


def predict_proba(network, X, scaler, device, n_jobs=None):
    """Return the class probabilities by a fitted network: (N, C, T) or list of (C, T_i) to float64 (N, n_classes)."""
    network = network.for_inference()

    def probabilities(series, lengths):
        """Return the class probabilities of a chunk, (B, n_classes)."""
        return normalise(network(series, lengths))

    found = in_blocks(lambda batch: compute(probabilities, batch, network.chunk_cases, device, n_jobs), X, scaler)
    return found / found.sum(axis=1, keepdims=True)
