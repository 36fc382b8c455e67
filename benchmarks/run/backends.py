"""Where runs are made: each in a fresh process, or by the lasting workers of joblib or of a dask cluster.

Each function takes a function that makes one run, the arguments of each run, and yields a run's key with its result or
its exception as soon as it ends, in any order. A run that raises does not touch the others. What happens to the run of
a worker that is killed is said below; the files of finished runs are on the disk by then, written by the workers.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from benchmarks.paths import ROOT

# How often a run may lose its worker before it is given up; as in dask (distributed.scheduler.allowed-failures).
N_LOSSES = 3


def fresh_processes(function, tasks, n_jobs, runs_per_process=1):
    """Make each run in a process of its own, so that none sees the memory, caches or threads of another.

    The loss of a process ends the pool: what had not finished is yielded with the error.

    Parameters
    ----------
    function : callable
        Of a module's top level.
    tasks : dict of key to tuple
        Positional arguments of each run.
    n_jobs : int
        Runs at a time.
    runs_per_process : int or None, default=1
        None for no limit.

    Yields
    ------
    key, result or exception
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context, max_tasks_per_child=runs_per_process) as pool:
        futures = {pool.submit(function, *arguments): key for key, arguments in tasks.items()}
        for future in as_completed(futures):
            yield futures[future], future.exception() or future.result()


def _attempt(function, key, arguments):
    try:
        return key, function(*arguments)
    except Exception as error:
        return key, error


def loky_workers(function, tasks, n_jobs):
    """Make the runs over joblib's loky backend, by ``n_jobs`` processes that go on from run to run.

    The loss of a worker takes loky's other workers with it; what had not finished is begun again, three times at most.
    Parameters and yields as in `fresh_processes`.
    """
    remaining = dict(tasks)
    for loss in range(N_LOSSES + 1):
        parallel = Parallel(n_jobs=n_jobs, backend="loky", batch_size=1, return_as="generator_unordered")
        try:
            for key, outcome in parallel(delayed(_attempt)(function, *task) for task in list(remaining.items())):
                del remaining[key]
                yield key, outcome
            return
        except TerminatedWorkerError as error:
            if loss == N_LOSSES:
                yield from ((key, error) for key in remaining)


def zip_of_our_code(folder):
    """Write this package without its results to an archive that workers without it can import from."""
    path, package = Path(folder) / "benchmarks.zip", ROOT / "benchmarks"
    with ZipFile(path, "w") as archive:
        # Folders, too: an import from an archive finds a folder without __init__.py only where it is listed.
        files = sorted(package.rglob("*.py"))
        for path_of_code in [*sorted({file.parent for file in files}), *files]:
            archive.write(path_of_code, path_of_code.relative_to(ROOT))
    return path


def dask_workers(function, tasks, n_jobs, scheduler=None):
    """Make the runs on a dask cluster, whose workers are sent the code of the benchmark, later ones too.

    The scheduler gives the run of a lost worker to another one. What has lost four workers is tried again when all else
    has ended, alone, since it may only have waited where another run killed them; the one that kills four workers alone
    is yielded with dask's ``KilledWorker``.

    Parameters
    ----------
    function, tasks
        As in `fresh_processes`.
    n_jobs : int
        Worker processes of one thread each, where there is no scheduler yet.
    scheduler : str, optional
        Address of a running one. Default: a cluster on this machine, for as long as the runs take.

    Yields
    ------
    key, result or exception
    """
    from dask.distributed import Client, KilledWorker, LocalCluster
    from dask.distributed import as_completed as dask_as_completed

    with ExitStack() as stack:
        is_own = scheduler is None
        if is_own:
            cluster = LocalCluster(n_workers=n_jobs, threads_per_worker=1, dashboard_address=None)
            scheduler = stack.enter_context(cluster)
        client = stack.enter_context(Client(scheduler))
        client.upload_file(str(zip_of_our_code(stack.enter_context(TemporaryDirectory()))))
        futures = {client.submit(function, *arguments, pure=False): key for key, arguments in tasks.items()}
        suspects = []
        for future in dask_as_completed(list(futures)):
            # Popped, so that the cluster forgets the result.
            key, error = futures.pop(future), future.exception()
            if isinstance(error, KilledWorker):
                suspects.append(key)
                continue
            yield key, future.result() if error is None else error
        for key in suspects:
            future = client.submit(function, *tasks[key], pure=False)
            error = future.exception()
            yield key, future.result() if error is None else error
        if is_own:
            # A cluster cannot be closed while it starts a worker in place of a killed one.
            with suppress(TimeoutError):
                client.wait_for_workers(n_jobs, timeout=60)


def set_threads(n_threads):
    """Give every library of this process this number of threads."""
    import numba
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(n_threads)
    numba.set_num_threads(n_threads)
    threadpool_limits(n_threads)
