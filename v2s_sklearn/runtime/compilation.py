"""Kernels: machine code for this processor, by llvmlite, which aeon brings, in some hundredths of a second.

numba, for which aeon brings it, would take seconds, half a second where it finds what it compiled before, and a folder
to find it in.
"""

import ctypes
import importlib
import threading
import warnings
from contextlib import ContextDecorator, contextmanager
from functools import cache

import torch

from v2s_sklearn.runtime.compatibility import initialize_llvm


def compile_kernel(name, kinds, write):
    """Return a function of addresses and integers, as machine code; it runs without the interpreter's lock.

    Parameters
    ----------
    name : str
    kinds : sequence of llvmlite.ir.Type
        Of the arguments: pointers, and integers of 64 bits.
    write : callable
        Takes an `llvmlite.ir.IRBuilder`, at the start of the function, and the arguments; leaves it at the end.

    Raises
    ------
    ImportError
        If llvmlite is not installed.
    """
    import llvmlite.binding as llvm
    from llvmlite import ir

    module = ir.Module(name)
    module.triple = llvm.get_process_triple()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    builder = ir.IRBuilder(function.append_basic_block())
    write(builder, *function.args)
    builder.ret_void()
    initialize_llvm(llvm)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    # As numba has it: a virtual machine may lack what processors of its name have.
    processor = {"cpu": llvm.get_host_cpu_name(), "features": llvm.get_host_cpu_features().flatten()}
    machine = llvm.Target.from_default_triple().create_target_machine(**processor, opt=3)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    arguments = [ctypes.c_void_p if isinstance(kind, ir.PointerType) else ctypes.c_int64 for kind in kinds]
    kernel = ctypes.CFUNCTYPE(None, *arguments)(engine.get_function_address(name))
    kernel.engine = engine  # which owns the code
    return kernel


@contextmanager
def loop(builder, stop, step=1, carried=()):
    """Write ``for index in range(0, stop, step)`` around what is written inside.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    stop : llvmlite.ir.Value
        64 bits.
    step : int, default=1
    carried : sequence of llvmlite.ir.Value
        The first values of what changes from turn to turn.

    Yields
    ------
    index : llvmlite.ir.Value
    values : list of llvmlite.ir.Value
        Of this turn inside, of the last one after the loop.
    following : list
        To be extended by the values for the next turn.
    """
    before = builder.block
    head, body, end = (builder.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    index, *values = [builder.phi(kind) for kind in [stop.type, *(value.type for value in carried)]]
    for value, first in zip([index, *values], [index.type(0), *carried], strict=True):
        value.add_incoming(first, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, end)
    builder.position_at_end(body)
    following = []
    yield index, values, following
    following.insert(0, builder.add(index, index.type(step)))
    for value, after in zip([index, *values], following, strict=True):
        value.add_incoming(after, builder.block)
    builder.branch(head)
    builder.position_at_end(end)


@cache
def kernel_module(name):
    """Return a module with a kernel, compiled by its ``load_kernel``, or None where nothing can be compiled."""
    try:
        module = importlib.import_module(name)
        module.load_kernel()
    except ImportError:  # no llvmlite
        return None
    except Exception as error:  # whatever a compiler raises
        warnings.warn(
            f"llvmlite cannot compile for this machine ({type(error).__name__}: {error}). Torch computes the same, in "
            "more time.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return module


class torch_alone(ContextDecorator):
    """Context, or decorator, in which this thread uses no kernels, for what looks at the operations of torch."""

    _own = threading.local()  # how often this thread is inside

    def __enter__(self):
        self._own.depth = getattr(self._own, "depth", 0) + 1
        return self

    def __exit__(self, *exception):
        self._own.depth -= 1


def can_be_read(*tensors):
    """Return whether a kernel may read tensors: single precision in the CPU's memory, and nobody records operations."""
    if torch.jit.is_tracing() or getattr(torch_alone._own, "depth", 0):
        return False
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
