"""The settings of torch and numpy that we compute with, whatever those of the caller are."""

import os
import threading
from contextlib import ContextDecorator, ExitStack

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from v2s_sklearn.runtime.compatibility import precision_flags
from v2s_sklearn.runtime.threads import one_thread

# What makes tensors of the default dtype.
FACTORIES = {
    torch.empty,
    torch.eye,
    torch.full,
    torch.hamming_window,
    torch.hann_window,
    torch.linspace,
    torch.logspace,
    torch.normal,
    torch.ones,
    torch.rand,
    torch.randn,
    torch.zeros,
}


class _Float32(TorchFunctionMode):
    """Give factories the dtype float32 where they are given none; unlike torch's own default, in this thread only."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in FACTORIES and kwargs.get("dtype") is None:
            kwargs = {**kwargs, "dtype": torch.float32}
        return func(*args, **kwargs)


class own_settings(ContextDecorator):
    """Context, or decorator, in which a thread computes as it does in a fresh process, restored at its end.

    In one thread, see `one_thread`, in single precision on the CPU where nothing else is said, with gradients, without
    inference mode and autocast, in full precision, and with numpy's own handling of floating-point errors. All but the
    number of threads and the precision belong to the calling thread.
    """

    def _recreate_cm(self):
        return own_settings()

    def __enter__(self):
        with ExitStack() as stack:
            stack.enter_context(one_thread())
            stack.enter_context(full_precision())
            stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            if torch.get_default_dtype() != torch.float32:
                stack.enter_context(_Float32())
            if torch.get_default_device().type != "cpu":
                stack.enter_context(torch.device("cpu"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.__exit__(*exception)


class _ProcessFlags(ContextDecorator):
    """Context, or decorator, in which some flags of torch have other values, restored at its end; others stay.

    Flags belong to the process, so the first of several threads in such a context sets them and the last one restores
    them. Not ``torch.backends.cudnn.flags``, which sets all, and restores what another thread has set.
    """

    def __init_subclass__(cls):
        cls._new_lock()
        cls._n_inside, cls._before = 0, []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=cls._new_lock)

    @classmethod
    def _new_lock(cls):
        cls._lock = threading.Lock()

    @staticmethod
    def _flags():
        """Yield what reads a flag, what sets it, and its value here."""
        raise NotImplementedError

    def __enter__(self):
        cls = type(self)
        with cls._lock:
            if cls._n_inside == 0:
                flags = list(self._flags())
                cls._before = [(read(), write) for read, write, _ in flags]
                for _, write, value in flags:
                    write(value)
            cls._n_inside += 1
        return self

    def __exit__(self, *exception):
        cls = type(self)
        with cls._lock:
            cls._n_inside -= 1
            if cls._n_inside == 0:
                for value, write in cls._before:
                    write(value)


class without_cudnn(_ProcessFlags):
    """Context in which torch leaves cuDNN alone."""

    @staticmethod
    def _flags():
        yield torch._C._get_cudnn_enabled, torch._C._set_cudnn_enabled, False


class full_precision(_ProcessFlags):
    """Context in which products of single-precision numbers have single precision, and the same bits each time.

    On a GPU torch computes convolutions with the 10 bits of TF32 unless it is told otherwise, and products of matrices
    where a caller allowed it. On a CPU a caller can allow bfloat16.
    """

    @staticmethod
    def _flags():
        if torch.backends.cuda.is_built():
            yield torch._C._get_cudnn_benchmark, torch._C._set_cudnn_benchmark, False
            yield torch._C._get_cudnn_deterministic, torch._C._set_cudnn_deterministic, True
        yield from precision_flags()
