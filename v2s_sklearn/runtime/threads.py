"""Settings of the process while something of ours is computed, and one thread for torch and BLAS."""

import os
import threading
from contextlib import ContextDecorator
from functools import cache

import torch
from threadpoolctl import OpenBLASController, ThreadpoolController


class process_setting(ContextDecorator):
    """Context, or decorator, in which a setting of the process is another one, restored at its end.

    The setting belongs to the process, so the first of several threads inside sets it and the last one restores it. A
    forked child has the forking thread only: what other threads were inside of is over there.
    """

    def __init_subclass__(cls):
        cls._lock, cls._n_inside, cls._restore = threading.Lock(), 0, None
        cls._own = threading.local()  # how often this thread is inside
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=cls._forget_other_threads)

    def _recreate_cm(self):
        return type(self)()

    @staticmethod
    def _set():
        """Change the setting; return a function without arguments that restores it."""
        raise NotImplementedError

    def __enter__(self):
        cls = type(self)
        with cls._lock:
            if cls._n_inside == 0:
                cls._restore = cls._set()
            cls._n_inside += 1
        cls._own.depth = getattr(cls._own, "depth", 0) + 1
        return self

    def __exit__(self, *exception):
        cls = type(self)
        cls._own.depth -= 1
        with cls._lock:
            cls._n_inside -= 1
            if cls._n_inside == 0:
                cls._restore()

    @classmethod
    def _forget_other_threads(cls):
        """Start a forked child, which may have been given a closed lock."""
        cls._lock = threading.Lock()
        others = cls._n_inside
        cls._n_inside = getattr(cls._own, "depth", 0)
        if others > cls._n_inside == 0:
            cls._restore()


@cache
def _thread_pools(user_api):
    # Selected first: a limit on some of the libraries would restore the others, too.
    return ThreadpoolController().select(user_api=user_api)


def _claim_blas():
    """Let any thread change the setting of OpenBLAS, which threadpoolctl leaves to the one that changed it first."""
    getattr(OpenBLASController, "clear_controlling_thread", lambda force: None)(force=True)


class one_thread(process_setting):
    """Context, or decorator, in which torch and BLAS compute in one thread, restored at its end.

    The order of summation, and with it the last bits, depends on the number of threads; and the small matrices of these
    models gain little from more. ``n_jobs`` runs whole chunks side by side instead.

    OpenMP's setting, torch's, belongs to the calling thread; that of BLAS to the process.
    """

    def __enter__(self):
        torch.get_num_threads()  # torch sets its number of threads at a thread's first use, and would undo the limit
        super().__enter__()
        self._openmp = _thread_pools("openmp").limit(limits=1)
        return self

    def __exit__(self, *exception):
        self._openmp.restore_original_limits()
        super().__exit__(*exception)

    @staticmethod
    def _set():
        _claim_blas()
        blas = _thread_pools("blas").limit(limits=1)

        def restore():
            """Give BLAS the number of threads that it had."""
            _claim_blas()
            blas.restore_original_limits()
            _claim_blas()

        return restore


def check_n_jobs(n_jobs):
    """Return a number of threads for ``n_jobs``: None is 1, -1 all processors, -2 all but one."""
    if n_jobs is None or n_jobs == 0:
        return 1
    return int(n_jobs) if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + int(n_jobs))
