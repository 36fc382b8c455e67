import threading

import numpy as np
import pytest
import torch
from joblib import parallel_config
from threadpoolctl import threadpool_limits

from v2s_sklearn.runtime.parallel import side_by_side

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
