"""Kernels: machine code from a few lines, and when tensors are theirs to read."""

import numpy as np
import torch
from llvmlite import ir

from v2s_sklearn.runtime.compilation import can_be_read, compile_kernel, loop, torch_alone

INTEGER = ir.IntType(64)


def test_a_loop_that_carries_values():
    def write(builder, numbers, count):
        start = [INTEGER(0), INTEGER(1)]
        with loop(builder, count, step=2, carried=start) as (index, (total, product), following):
            number = builder.load(builder.gep(numbers, [index]))
            following += [builder.add(total, number), builder.mul(product, number)]
        builder.store(total, builder.gep(numbers, [INTEGER(0)]))
        builder.store(product, builder.gep(numbers, [INTEGER(1)]))

    kernel = compile_kernel("every_other", [INTEGER.as_pointer(), INTEGER], write)
    numbers = np.array([2, 3, 5, 7, 11, 13])
    kernel(numbers.ctypes.data, 5)
    assert numbers.tolist() == [18, 110, 5, 7, 11, 13]
    kernel(numbers.ctypes.data, 0)
    assert numbers.tolist() == [0, 1, 5, 7, 11, 13]


def test_tensors_that_can_be_read():
    tensor = torch.zeros(3)
    assert can_be_read(tensor, tensor)
    assert not can_be_read(tensor, tensor.double())
    assert not can_be_read(tensor, tensor.to("meta"))
    with torch_alone():
        with torch_alone():
            assert not can_be_read(tensor)
        assert not can_be_read(tensor)
    assert can_be_read(tensor)
