"""What older releases of our dependencies lack; nothing else in the package asks for a release."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import torch

try:
    from aeon.utils.decorators.method_timer import method_timer
except ImportError:  # aeon < 1.4
    method_timer = None

# What torch calls the precisions below single precision.
REDUCED = ("tf32", "bf16")

Method = TypeVar("Method", bound=Callable)


def timed(fit: Method) -> Method:
    """Return a ``fit`` that notes its time in ``fit_time_millis_``, where aeon's own do."""
    if method_timer is None:
        return fit
    return method_timer("fit_time_millis_", overwrite=False, remove_on_start=True)(fit)


def precision_flags() -> Iterator[tuple[Callable, Callable, Any]]:
    """Yield what reads a flag of torch that allows less than single precision, what sets it, and full precision."""
    if hasattr(torch.backends, "fp32_precision"):
        for backend, places in _places_of_precision().items():
            yield from (_precision_flag(backend, place) for place in places if place.fp32_precision in REDUCED)
    else:  # torch < 2.9
        yield torch._C._get_cudnn_allow_tf32, torch._C._set_cudnn_allow_tf32, False
        yield torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"


def _places_of_precision() -> dict[Any, tuple[Any, ...]]:
    """Return what has a precision of its own, by the backend whose precision it has where it has none."""
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    on_gpu = {cudnn: (cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul)} if torch.backends.cuda.is_built() else {}
    return on_gpu | {mkldnn: (mkldnn.conv, mkldnn.rnn, mkldnn.matmul)}


def _precision_flag(backend: Any, place: Any) -> tuple[Callable, Callable, Any]:
    """Return what reads the precision of a place and what sets it, and full precision."""

    def read():
        """Return "none" where the backend says the same, so that the place goes on following it."""
        return "none" if place.fp32_precision == backend.fp32_precision else place.fp32_precision

    return read, lambda precision: setattr(place, "fp32_precision", precision), "ieee"


def initialize_llvm(llvm: Any) -> None:
    """Let llvmlite compile for this machine, if need be for the first time."""
    with suppress(RuntimeError):  # llvmlite >= 0.45 has done it
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
