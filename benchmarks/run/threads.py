"""Threads of this process."""


def set_threads(n_threads):
    """Give every library of this process this number of threads."""
    import numba
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(n_threads)
    numba.set_num_threads(n_threads)
    threadpool_limits(n_threads)
