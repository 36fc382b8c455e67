import os
import threading

import numpy as np
import pytest
import torch
from joblib import parallel_config
from threadpoolctl import ThreadpoolController, threadpool_limits

from v2s_sklearn.runtime.parallel import side_by_side
from v2s_sklearn.runtime.settings import without_cudnn
from v2s_sklearn.runtime.threads import one_thread


def blas_threads():
    return {pool["num_threads"] for pool in ThreadpoolController().info() if pool["user_api"] == "blas"}


def test_both_libraries_compute_in_one_thread_inside():
    with threadpool_limits(2):
        with one_thread():
            assert blas_threads() == {1}
            assert torch.get_num_threads() == 1
            with one_thread():
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == {2}
        assert torch.get_num_threads() == 2


def test_the_last_of_many_threads_restores_what_was():
    barrier, seen = threading.Barrier(8), []

    def work():
        for _ in range(20):
            barrier.wait()
            with one_thread():
                seen.append(blas_threads() | {torch.get_num_threads()})

    with threadpool_limits(2):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert blas_threads() == {2}
    assert len(seen) == 160
    assert all(numbers == {1} for numbers in seen)


def test_an_error_inside_restores_what_was():
    @one_thread()
    def fail():
        raise KeyError("inside")

    with threadpool_limits(2):
        with pytest.raises(KeyError):
            fail()
        assert blas_threads() == {2}


def test_cudnn_is_left_alone_until_the_last_of_many_threads_is_done():
    barrier, seen, cudnn = threading.Barrier(8), [], torch.backends.cudnn

    def flags():
        return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32

    def work():
        for _ in range(20):
            barrier.wait()
            with without_cudnn():
                seen.append(flags())

    for enabled in (True, False):
        with cudnn.flags(enabled=enabled, benchmark=True, deterministic=True, allow_tf32=False):
            before = flags()
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert flags() == before == (enabled, True, True, False)
    assert set(seen) == {(False, True, True, False)}
    assert len(seen) == 320


@pytest.mark.parametrize("setting", [one_thread, without_cudnn])
def test_a_forked_child_of_a_busy_parent_restores_the_setting(setting):
    inside, done = threading.Event(), threading.Event()

    def work():
        with setting():
            inside.set()
            done.wait()

    def settings():
        return blas_threads(), torch.backends.cudnn.enabled

    with threadpool_limits(2):
        before = settings()
        thread = threading.Thread(target=work)
        thread.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            # The other thread is not here, nor what it was inside of.
            same = settings() == before
            with setting():
                same = same and settings() != before
            os._exit(0 if same and settings() == before else 1)
        status = os.waitpid(child, 0)[1]
        done.set()
        thread.join()
        assert settings() == before
    assert status == 0


SHARED = {"require": "sharedmem"}


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_results_come_in_the_order_of_the_tasks(n_jobs):
    tasks = ((number, 10) for number in range(20))
    assert list(side_by_side(np.add, tasks, n_jobs, prefer="threads")) == list(range(10, 30))


def test_tasks_run_at_the_same_time():
    both = threading.Barrier(2, timeout=60)
    assert sorted(side_by_side(lambda _: both.wait(), ((number,) for number in range(2)), 2, **SHARED)) == [0, 1]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_is_computed_with_our_settings(n_jobs):
    with threadpool_limits(2), np.errstate(divide="ignore"):
        found = side_by_side(lambda _: (torch.get_num_threads(), np.geterr()["divide"]), [(0,), (1,)], n_jobs, **SHARED)
        assert list(found) == [(1, "warn")] * 2
        assert torch.get_num_threads() == 2


def test_shared_memory_is_shared_whatever_backend_is_configured():
    table = np.zeros(4)
    with parallel_config(backend="loky"):
        list(side_by_side(table.__setitem__, ((number, number) for number in range(4)), 2, **SHARED))
    assert table.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_of_a_task_is_raised(n_jobs):
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda number: 1 // number, [(1,), (0,)], n_jobs, **SHARED))
