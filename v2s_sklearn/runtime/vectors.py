"""What kernels are written with: places in arrays, and vectors of neighbouring floats."""

from types import SimpleNamespace

import llvmlite.binding as llvm
from llvmlite import ir

from v2s_sklearn.runtime.compilation import loop

INTEGER, COUNT, FLOAT = ir.IntType(64), ir.IntType(32), ir.FloatType()
LAST_BIT = ("contract",)  # a product and its sum may be rounded once, as in torch
# Rows are as long as a multiple of it.
LANES = 16


def n_lanes():
    """Return how many floats are computed at a time, of many sums at a time; where registers are wide, as many."""
    return LANES if llvm.get_host_cpu_features().get("avx512f") else 8


class Code:
    """A kernel in the making.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    names : iterable of str
        Of the arguments, which stand in ``given``.
    arguments : sequence of llvmlite.ir.Value
    """

    def __init__(self, builder, names, arguments):
        self.builder = builder
        self.given = SimpleNamespace(**dict(zip(names, arguments, strict=True)))

    def at(self, array, *factors_and_terms):
        """Return the address of an element: of (((a * n + b) * m + c) ...) for ``a, n, b, m, c ...``."""
        place, *others = [INTEGER(part) if isinstance(part, int) else part for part in factors_and_terms]
        for factor, term in zip(others[::2], others[1::2], strict=True):
            place = self.builder.add(self.builder.mul(place, factor), term)
        return self.builder.gep(array, [place])

    def load(self, address, width):
        """Return floats that lie side by side."""
        values = self.builder.load(self.builder.bitcast(address, ir.VectorType(FLOAT, width).as_pointer()))
        values.align = 4
        return values

    def store(self, values, address):
        """Write floats side by side."""
        self.builder.store(values, self.builder.bitcast(address, values.type.as_pointer())).align = 4

    def spread(self, address, width):
        """Return a float as often as a vector has places."""
        kind = ir.VectorType(FLOAT, width)
        one = self.builder.insert_element(kind(ir.Undefined), self.builder.load(address), COUNT(0))
        return self.builder.shuffle_vector(one, kind(ir.Undefined), ir.VectorType(COUNT, width)([0] * width))

    def extremes(self, values):
        """Return the largest and the smallest of pairs of the largest and the smallest."""
        (largest, smallest), *others = values
        for high, low in others:
            largest = self.builder.select(self.builder.fcmp_ordered(">", high, largest), high, largest)
            smallest = self.builder.select(self.builder.fcmp_ordered("<", low, smallest), low, smallest)
        return largest, smallest

    def weighted_sums(self, start, samples, places, n_taps, weights, stride):
        """Return sums of products in the order of the taps, one a row, of neighbouring samples.

        Parameters
        ----------
        start : list of llvmlite.ir.Value
            Vectors, one a row, to which products are added.
        samples, places : llvmlite.ir.Value
            Addresses of floats, and of the integer places from there at which the taps lie, (n_taps,).
        n_taps : llvmlite.ir.Value
        weights : llvmlite.ir.Value
            Address of floats (n_taps, stride), of which the first ones of a tap are those of the rows.
        stride : int
        """
        builder, width = self.builder, start[0].type.count
        with loop(builder, n_taps, carried=start) as (tap, sums, following):
            sample = self.load(builder.gep(samples, [builder.load(builder.gep(places, [tap]))]), width)
            for row, total in enumerate(sums):
                weight = self.spread(self.at(weights, tap, stride, row), width)
                following.append(builder.fadd(total, builder.fmul(weight, sample, flags=LAST_BIT), flags=LAST_BIT))
        return sums
