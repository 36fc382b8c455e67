"""Running a frozen module on many cases: constant chunks, workers, blocks of cases.

Shape legend: N cases, C channels, T time points, D embedding, K source classes.
"""

import numpy as np
import torch
from joblib import Parallel, delayed

from v2s_sklearn.embeddings import ComputedEmbeddings
from v2s_sklearn.errors import InvalidParameterError, InvalidSeriesError
from v2s_sklearn.progress import advance, is_shown
from v2s_sklearn.settings import own_settings

# Chunks that one worker computes at a time.
TASK_CHUNKS = 4
# Cases that are scaled and computed at a time in prediction.
BLOCK_CASES = 4096


def in_constant_chunks(function, data, chunk_size, n_jobs=None):
    """Apply a function to chunks of one constant size, without gradients.

    The last chunk is filled up with copies of its first case, so that every result has the same bits whatever else is
    computed with it.

    Parameters
    ----------
    function : callable
        Takes the tensors of a chunk as keyword arguments, returns a tensor (chunk_size, ...).
    data : dict of str to tensor
        Each (N, ...).
    chunk_size : int
    n_jobs : int, optional
        In joblib's meaning: threads, or the workers of the backend that `joblib.parallel_config` sets.

    Returns
    -------
    tensor of shape (N, ...)
    """
    n_cases = len(next(iter(data.values())))
    n_task = TASK_CHUNKS * chunk_size
    tasks = (
        {name: values[start : start + n_task] for name, values in data.items()} for start in range(0, n_cases, n_task)
    )
    if n_jobs is not None and n_jobs > 0:
        n_jobs = min(n_jobs, -(-n_cases // n_task))
    # A bar needs the results one by one.
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator" if is_shown() else "list")
    results = []
    for result in parallel(delayed(_run_chunks)(function, task, chunk_size) for task in tasks):
        results.append(result)
        advance(len(result))
    return torch.cat(results)


@own_settings()
def _run_chunks(function, data, chunk_size):
    """Return the results for the cases of a task, chunk by chunk."""
    n_cases = len(next(iter(data.values())))
    results = []
    with torch.no_grad():
        for start in range(0, n_cases, chunk_size):
            index = torch.arange(start, start + chunk_size)
            index = torch.where(index < n_cases, index, start)
            result = function(**{name: values[index.to(values.device)] for name, values in data.items()})
            results.append(result[: n_cases - start])
    return torch.cat(results)


def compute(function, data, chunk_size, device, n_jobs=None):
    """Return what a function of a frozen module gives for all cases, an array (N, ...).

    Parameters
    ----------
    function : callable
        Takes tensors ``series`` and ``lengths``, returns a tensor (chunk_size, ...).
    data : dict of arrays
        "series" (N, C, T) and "lengths" (N,).
    chunk_size : int
        Cases at a time, see `in_constant_chunks`.
    device : torch.device
        Where the module is.
    n_jobs : int, optional
        Threads.
    """
    inputs = {name: torch.as_tensor(data[name]).to(device) for name in ("series", "lengths")}
    return in_constant_chunks(function, inputs, chunk_size, n_jobs).cpu().numpy()


def compute_embeddings(network, data, device, n_jobs=None):
    """Return the embeddings of all cases, float32 array (N, D); ``data`` as for `compute`."""
    return compute(network.embed, data, network.chunk_cases, device, n_jobs)


def embeddings_of(network, data, device, n_jobs=None):
    """Return the embeddings of all cases as `Embeddings`, computed block by block whenever they are read.

    ``data`` as for `compute`.
    """

    def rows(index):
        """Return the embeddings of some cases, (n, D)."""
        part = {name: values[index] for name, values in data.items()}
        return _check_answers(compute_embeddings(network, part, device, n_jobs))

    n_features = sum(view.n_features for view in network.views)
    embeddings = ComputedEmbeddings(rows, len(data["series"]), n_features)
    # Whole tasks, so that no chunk has to be filled up.
    n_task = TASK_CHUNKS * network.chunk_cases
    embeddings.block_cases = max(n_task, embeddings.block_cases // n_task * n_task)
    return embeddings


def compute_source_probabilities(network, data, device, n_jobs=None):
    """Return the source probabilities of all cases, float32 array (N, K); ``data`` as for `compute`."""

    def probabilities(**chunk):
        """Return the source probabilities of a chunk, (B, K)."""
        return torch.softmax(network.source_logits(**chunk), dim=1)

    return _check_answers(compute(probabilities, data, network.chunk_cases, device, n_jobs))


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
        Takes what ``scaler.transform`` returns; gives an array (n, ...).
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


def predict_proba(net, X, scaler):
    """Return the class probabilities by a fitted net: array (N, C, T) or list of (C, T_i) to (N, n_classes)."""
    probabilities = in_blocks(net.predict_proba, X, scaler)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def resolve_device(device):
    """Return the torch device that a ``device`` parameter stands for.

    Raises
    ------
    InvalidParameterError
        If torch does not know it or cannot use it here.
    """
    if device == "auto":
        # A forked child cannot use the GPU if its parent did.
        usable = torch.cuda.is_available() and not torch.cuda._is_in_bad_fork()
        device = "cuda" if usable else "cpu"
    try:
        return torch.empty(0, device=device).device  # with its number
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InvalidParameterError(
            f"device={device!r} cannot be used here: {reason}. Take 'auto', 'cpu' or a device of this machine."
        ) from error


def device_or_cpu(device):
    """Return the torch device that a ``device`` parameter stands for, the CPU if this machine has none such."""
    try:
        return resolve_device(device)
    except InvalidParameterError:
        return torch.device("cpu")
