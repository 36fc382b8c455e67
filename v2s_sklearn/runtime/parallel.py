"""Tasks side by side, each as in a fresh process."""

from joblib import Parallel, delayed

from v2s_sklearn.runtime.settings import own_settings


def side_by_side(function, tasks, n_jobs, **options):
    """Yield what a function gives for each of some tasks, in their order.

    Parameters
    ----------
    function : callable
        Computes with `own_settings`, and the same whatever is computed beside it.
    tasks : iterable of tuple
        Of arguments. Taken when there is a worker for them, or soon.
    n_jobs : int
        Workers; one is the calling thread.
    **options
        Of `joblib.Parallel`, which workers they are.
    """
    if n_jobs == 1:
        with own_settings():
            for task in tasks:
                yield function(*task)
    else:
        parallel = Parallel(n_jobs=n_jobs, return_as="generator", **options)
        yield from parallel(delayed(_work)(function, task) for task in tasks)


@own_settings()
def _work(function, task):
    """Return what a function gives for a task, in a worker."""
    return function(*task)
