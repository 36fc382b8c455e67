"""The settings of torch and numpy that we compute with, whatever those of the caller are."""

from contextlib import ContextDecorator, ExitStack

import numpy as np
import torch

from v2s_sklearn.runtime.compatibility import precision_flags
from v2s_sklearn.runtime.threads import one_thread, process_setting


class own_settings(ContextDecorator):
    """Context, or decorator, in which a thread computes as it does in a fresh process, restored at its end.

    In one thread, see `one_thread`, on the CPU where nothing else is said, with gradients, without inference mode and
    autocast, in full precision, and with numpy's own handling of floating-point errors. All but the number of threads
    and the precision belong to the calling thread. Of the caller's default dtype nothing of ours depends: what makes
    tensors says theirs.
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
            if torch.get_default_device().type != "cpu":
                stack.enter_context(torch.device("cpu"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.__exit__(*exception)


class _ProcessFlags(process_setting):
    """Context, or decorator, in which some flags of torch have other values; others stay.

    Not ``torch.backends.cudnn.flags``, which sets all, and restores what another thread has set.
    """

    @staticmethod
    def _flags():
        """Yield what reads a flag, what sets it, and its value here."""
        raise NotImplementedError

    @classmethod
    def _set(cls):
        before = [(write, read(), value) for read, write, value in cls._flags()]
        for write, _, value in before:
            write(value)

        def restore():
            """Give each flag the value that it had."""
            for write, value, _ in before:
                write(value)

        return restore


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
