"""Running a frozen module on many cases: constant chunks, one thread, blocks of cases.

Shape legend: N cases, G waveforms of a case.
"""

from functools import cache, wraps

import numpy as np
import torch
from joblib import Parallel, delayed
from threadpoolctl import ThreadpoolController

from v2s_sklearn.errors import InvalidParameterError

# Waveforms computed at a time. A constant, so that a case has the same bits alone and among others.
CHUNK_WAVEFORMS = 64
# Cases that are scaled and computed at a time in prediction.
BLOCK_CASES = 4096


@cache
def _thread_pools():
    return ThreadpoolController()


def one_thread(user_api=None):
    """Return a context in which torch and BLAS compute in one thread, restored at its end.

    The order of summation, and with it the last bits, depends on the number of threads; and the small matrices of these
    models gain little from more. ``n_jobs`` runs whole chunks side by side instead.

    Parameters
    ----------
    user_api : {"openmp", "blas"}, optional
        Limit these libraries only. OpenMP's setting, torch's, belongs to the calling thread.
    """
    torch.get_num_threads()  # torch sets its number of threads at a thread's first use, and would undo the limit
    return _thread_pools().limit(limits=1, user_api=user_api)


def one_thread_method(method):
    """Decorate a method to run within `one_thread`."""

    @wraps(method)
    def limited(*args, **kwargs):
        with one_thread():
            return method(*args, **kwargs)

    return limited


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
        Threads, in joblib's meaning.

    Returns
    -------
    tensor of shape (N, ...)
    """
    n_cases = len(next(iter(data.values())))

    def compute(start):
        index = torch.arange(start, start + chunk_size)
        index = torch.where(index < n_cases, index, start)
        with torch.no_grad(), one_thread("openmp"):
            result = function(**{name: values[index.to(values.device)] for name, values in data.items()})
        return result[: n_cases - start]

    starts = range(0, n_cases, chunk_size)
    return torch.cat(Parallel(n_jobs=n_jobs, prefer="threads")(delayed(compute)(start) for start in starts))


def chunk_size(n_waveforms):
    """Return how many cases make a chunk when each has ``n_waveforms`` waveforms."""
    return max(1, CHUNK_WAVEFORMS // n_waveforms)


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
    return compute(network.embed, data, chunk_size(network.n_waveforms), device, n_jobs)


def compute_source_probabilities(network, data, device, n_jobs=None):
    """Return the source probabilities of all cases, float32 array (N, K); ``data`` as for `compute`."""

    def probabilities(**chunk):
        return torch.softmax(network.source_logits(**chunk), dim=1)

    return compute(probabilities, data, chunk_size(network.n_waveforms), device, n_jobs)


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
    """
    blocks = (X[start : start + BLOCK_CASES] for start in range(0, len(X), BLOCK_CASES))
    return np.concatenate([function(scaler.transform(block)) for block in blocks])


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
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InvalidParameterError(
            f"device={device!r} cannot be used here: {str(error).splitlines()[0]} Take 'auto', 'cpu' or a device of "
            "this machine."
        ) from error
