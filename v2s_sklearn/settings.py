"""The settings of torch and numpy that we compute with, whatever those of the caller are."""

import threading
from contextlib import ContextDecorator, ExitStack

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from v2s_sklearn.threads import one_thread

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
    inference mode and autocast, and with numpy's own handling of floating-point errors. All but the number of threads
    belong to the calling thread.
    """

    def _recreate_cm(self):
        return own_settings()

    def __enter__(self):
        with ExitStack() as stack:
            stack.enter_context(one_thread())
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


class without_cudnn(ContextDecorator):
    """Context, or decorator, in which torch leaves cuDNN alone, restored at its end; its other flags stay.

    The flag belongs to the process, so the first of several threads in such a context sets it and the last one restores
    it. Not ``torch.backends.cudnn.flags``, which sets all flags, and restores what another thread has set.
    """

    _lock = threading.Lock()
    _n_inside = 0
    _enabled = True

    def __enter__(self):
        with self._lock:
            if without_cudnn._n_inside == 0:
                without_cudnn._enabled = torch._C._get_cudnn_enabled()
                torch._C._set_cudnn_enabled(False)
            without_cudnn._n_inside += 1
        return self

    def __exit__(self, *exception):
        with self._lock:
            without_cudnn._n_inside -= 1
            if without_cudnn._n_inside == 0:
                torch._C._set_cudnn_enabled(without_cudnn._enabled)
