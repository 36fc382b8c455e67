"""One thread for torch and BLAS while something of ours is computed."""

import os
import threading
from contextlib import ContextDecorator
from functools import cache

import torch
from threadpoolctl import OpenBLASController, ThreadpoolController


@cache
def _thread_pools(user_api):
    # Selected first: a limit on some of the libraries would restore the others, too.
    return ThreadpoolController().select(user_api=user_api)


def _claim_blas():
    """Let any thread change the setting of OpenBLAS, which threadpoolctl leaves to the one that changed it first."""
    getattr(OpenBLASController, "clear_controlling_thread", lambda force: None)(force=True)


class one_thread(ContextDecorator):
    """Context, or decorator, in which torch and BLAS compute in one thread, restored at its end.

    The order of summation, and with it the last bits, depends on the number of threads; and the small matrices of these
    models gain little from more. ``n_jobs`` runs whole chunks side by side instead.

    OpenMP's setting, torch's, belongs to the calling thread; that of BLAS to the process, so the first of several
    threads in such a context sets it and the last one restores it.
    """

    _lock = threading.Lock()
    _n_inside = 0
    _blas = None
    _own = threading.local()  # how often this thread is inside

    def _recreate_cm(self):
        return one_thread()

    def __enter__(self):
        torch.get_num_threads()  # torch sets its number of threads at a thread's first use, and would undo the limit
        with self._lock:
            if one_thread._n_inside == 0:
                _claim_blas()
                one_thread._blas = _thread_pools("blas").limit(limits=1)
            one_thread._n_inside += 1
        self._own.depth = getattr(self._own, "depth", 0) + 1
        self._openmp = _thread_pools("openmp").limit(limits=1)
        return self

    def __exit__(self, *exception):
        self._openmp.restore_original_limits()
        self._own.depth -= 1
        with self._lock:
            one_thread._n_inside -= 1
            if one_thread._n_inside == 0:
                self._restore()

    @staticmethod
    def _restore():
        _claim_blas()
        one_thread._blas.restore_original_limits()
        _claim_blas()

    @staticmethod
    def _forget_other_threads():
        """Start a forked child, which has the forking thread only and may have been given a closed lock."""
        one_thread._lock = threading.Lock()
        others = one_thread._n_inside
        one_thread._n_inside = getattr(one_thread._own, "depth", 0)
        if others > one_thread._n_inside == 0:
            one_thread._restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=one_thread._forget_other_threads)


def check_n_jobs(n_jobs):
    """Return a number of threads for ``n_jobs``: None is 1, -1 all processors, -2 all but one."""
    if n_jobs is None or n_jobs == 0:
        return 1
    return int(n_jobs) if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + int(n_jobs))
