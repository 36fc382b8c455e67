"""The stages of a `ContourNet` for given statistics as machine code: one layer after another, in a core's cache.

Shape legend: B series, L points, D channels of a layer, D' of its output, K taps.
"""

import threading
from functools import cache

import numpy as np
import torch
from llvmlite import ir
from torch import nn

from v2s_sklearn.acoustic.networks.contour import EPSILON, ContourNet, changes_of
from v2s_sklearn.runtime.compilation import compile_kernel, loop
from v2s_sklearn.runtime.vectors import FLOAT, INTEGER, LANES, Code, n_lanes

# Output channels that are computed at a time.
N_HELD = 8
# Series whose layers lie in the cache together.
PART_SERIES = 8
# Zeros around a row: what a filter reaches at most, in whole cache lines.
MARGIN = 16
SIZES = ("n_series", "size", "n_groups", "n_taps", "n_points", "output", "row_size", "added", "added_row_size")
ARGUMENTS = {
    "buffer": FLOAT.as_pointer(),  # (B, size)
    "weights": FLOAT.as_pointer(),  # (D' / N_HELD, K, N_HELD)
    "bias": FLOAT.as_pointer(),  # (D',)
    "places": INTEGER.as_pointer(),  # (K,), of the taps in a buffer
    **dict.fromkeys(SIZES, INTEGER),
}


def _write_layer(builder, *arguments):
    """Write a layer: rectified sums of bias, rows that are added and weighted taps, from a buffer into itself."""
    code = Code(builder, ARGUMENTS, arguments)
    given, width = code.given, n_lanes()
    zero = ir.VectorType(FLOAT, width)([0.0] * width)
    with loop(builder, given.n_series) as (series, *_), loop(builder, given.n_groups) as (group, *_):
        buffer = code.at(given.buffer, series, given.size, 0)
        weights = code.at(given.weights, group, given.n_taps, 0, N_HELD, 0)
        biases = [code.spread(code.at(given.bias, group, N_HELD, row), width) for row in range(N_HELD)]
        numbers = [builder.add(builder.mul(group, INTEGER(N_HELD)), INTEGER(row)) for row in range(N_HELD)]
        with loop(builder, given.n_points, width) as (point, *_):
            added = builder.gep(buffer, [builder.add(given.added, point)])
            output = builder.gep(buffer, [builder.add(given.output, point)])
            start = [
                builder.fadd(bias, code.load(code.at(added, number, given.added_row_size, 0), width))
                for bias, number in zip(biases, numbers, strict=True)
            ]
            taps = builder.gep(buffer, [point])
            sums = code.weighted_sums(start, taps, given.places, given.n_taps, weights, N_HELD)
            for number, total in zip(numbers, sums, strict=True):
                rectified = builder.select(builder.fcmp_ordered(">", total, zero), total, zero)
                code.store(rectified, code.at(output, number, given.row_size, 0))


@cache
def load_kernel():
    """Return the kernel of a layer, compiled at the first call."""
    return compile_kernel("contour_layer", list(ARGUMENTS.values()), _write_layer)


class _Rows:
    """A layer in the buffer: D rows of L points, with zeros around."""

    def __init__(self, place, n_rows, n_points):
        self.start, self.n_rows, self.n_points = place, n_rows, n_points
        self.row_size = n_points + 2 * MARGIN
        self.place, self.end = place + MARGIN, place + n_rows * self.row_size

    def of(self, buffer):
        """Return the rows as a view of the buffer, (B, D, L)."""
        rows = buffer[:, self.start : self.end].unflatten(1, (self.n_rows, self.row_size))
        return rows[:, :, MARGIN : MARGIN + self.n_points]

    def taps(self, kernel_size=1, dilation=1):
        """Return the places of the taps of a filter on all rows, (D * kernel_size,)."""
        reach = np.arange(kernel_size) * dilation - (kernel_size - 1) * dilation // 2
        return (self.place + np.arange(self.n_rows)[:, None] * self.row_size + reach).ravel()


def fits(network, n_points):
    """Return whether the kernel can be given a model and a length: it looks at no shape.

    Stages have whole vectors of points and of channels, and filters reach no further than the zeros around a row.
    """
    if not isinstance(network, ContourNet) or n_points % (LANES << (len(network.blocks) - 1)):
        return False
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv1d)]
    reach = max((module.kernel_size[0] - 1) * module.dilation[0] // 2 for module in convolutions)
    return reach <= MARGIN and all(module.out_channels % N_HELD == 0 for module in convolutions)


class PreparedStages:
    """The stages of a `ContourNet` for series of one length and given statistics, without gradients, on the CPU.

    Its weights, with the normalisations in them, are made once.

    Parameters
    ----------
    network : ContourNet
    statistics : sequence of tensors
        See `ContourNet.stages`.
    n_points : int
        L, see `fits`.
    """

    def __init__(self, network, statistics, n_points):
        self._given, self._own = iter(statistics), threading.local()
        self._last = _Rows(0, 1, n_points)  # zeros, which are added where nothing is
        self.n_points, self.layers, self.stages = n_points, [], []
        x = self.input = self._rows(2, n_points)
        x = self._layer(network.stem, network.stem_norm, x)
        for blocks in network.blocks:
            if self.stages:
                n_points //= 2
                x = self._rows(x.n_rows, n_points)
            first = x
            for block in blocks:
                x = self._layer(
                    block.second, block.second_norm, self._layer(block.first, block.first_norm, x), block, x
                )
            self.stages.append((first, len(self.layers), x))
        self.size = self._last.end

    def _rows(self, n_rows, n_points):
        self._last = _Rows(self._last.end, n_rows, n_points)
        return self._last

    def _layer(self, convolution, norm, x, block=None, source=None):
        """Plan a convolution and the normalisation after it, and the shortcut of a block; return its output."""
        mean, variance = next(self._given), next(self._given)
        scale = norm.weight / (variance + EPSILON).sqrt()
        weights = (convolution.weight * scale[:, None, None]).flatten(1)
        places, added, added_row_size = x.taps(convolution.kernel_size[0], convolution.dilation[0]), MARGIN, 0
        if block is not None and isinstance(block.shortcut, nn.Conv1d):
            weights = torch.cat([weights, block.shortcut.weight.squeeze(2)], 1)
            places = np.concatenate([places, source.taps()])
        elif block is not None:
            added, added_row_size = source.place, source.row_size
        output = self._rows(len(weights), x.n_points)
        weights = weights.unflatten(0, (-1, N_HELD)).transpose(1, 2).contiguous()
        sizes = (*weights.shape[:2], x.n_points, output.place, output.row_size, added, added_row_size)
        bias = (norm.bias - mean * scale).contiguous()
        self.layers.append((weights, bias, torch.from_numpy(places.astype(np.int64)), sizes))
        return output

    @property
    def _workspace(self):
        """The buffer of this thread, with its rows as views: made once, since new memory costs more than its layers."""
        if not hasattr(self._own, "workspace"):
            self._own.workspace = _Workspace(self)
        return self._own.workspace

    def __call__(self, series):
        """Return the stages as `ContourNet.stages` does: (B, L) to a list of (B, D, L')."""
        found = [series.new_empty(len(series), x.n_rows, x.n_points) for *_, x in self.stages]
        heard, workspace = torch.stack([series, changes_of(series)], 1), self._workspace
        for start in range(0, len(series), PART_SERIES):
            part = slice(start, start + PART_SERIES)
            workspace.compute(heard[part], [stage[part] for stage in found])
        return found


class _Workspace:
    """The layers of `PART_SERIES` series, in memory that is written over and over; zeros around the rows stay.

    Parameters
    ----------
    prepared : PreparedStages
    """

    def __init__(self, prepared):
        self.buffer = torch.zeros(PART_SERIES, prepared.size, dtype=torch.float32)
        self.input = prepared.input.of(self.buffer)
        self.stages, n_done = [], 0
        for first, n_layers, x in prepared.stages:
            calls = [
                (self.buffer.data_ptr(), weights.data_ptr(), bias.data_ptr(), places.data_ptr(), sizes)
                for weights, bias, places, sizes in prepared.layers[n_done:n_layers]
            ]
            self.stages.append((first.of(self.buffer), calls, x.of(self.buffer)))
            n_done = n_layers

    def compute(self, heard, found):
        """Write the stages, each (B, D, L'), of at most `PART_SERIES` inputs, (B, 2, L)."""
        n_series, size, kernel = len(heard), self.buffer.shape[1], load_kernel()
        self.input[:n_series] = heard
        before = None
        for (first, calls, x), stage in zip(self.stages, found, strict=True):
            if before is not None:
                # As torch's avg_pool1d, which takes thirty times as long where time is the last axis.
                torch.add(before[..., ::2], before[..., 1::2], out=first[:n_series]).mul_(0.5)
            for *addresses, sizes in calls:
                kernel(*addresses, n_series, size, *sizes)
            before = x[:n_series]
            stage.copy_(before)
