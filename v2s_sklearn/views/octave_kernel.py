"""The pooling of `octaves.OctavePooling` as machine code: one pass over a case, whose values stay in a core's cache.

Neighbouring moments lie side by side in a register. Each sum over the samples under a filter has one order, whatever
else is computed.

Shape legend: B cases, G kinds of waveforms, O octaves, C channels, S samples, M mixtures, K samples of a filter, Q
quantiles, L the samples of a waveform with the zeros around it.
"""

from functools import cache, lru_cache

import numpy as np
import torch
from llvmlite import ir
from torch import nn

from v2s_sklearn.runtime.compilation import compile_kernel, loop
from v2s_sklearn.runtime.vectors import COUNT, FLOAT, INTEGER, LANES, Code, n_lanes
from v2s_sklearn.views.mixtures import GROUP_SIZES, N_POOLED, QUANTILES

# Mixtures that compete, and are computed, at a time; and that have their sums in registers at a time.
N_ROWS = max(GROUP_SIZES)
N_HELD = 8
# Moments of a tile, whose rows are the mixtures and the largest and smallest of their groups.
N_MOMENTS = 256
N_TILE_ROWS = N_ROWS + sum(2 * N_ROWS // size for size in GROUP_SIZES)
# So that places are integers of 64 bits, whatever a file says.
MOST_OCTAVES = 32

ARGUMENTS = {
    "waveforms": FLOAT.as_pointer(),  # (B, G, C * L)
    "kernels": FLOAT.as_pointer(),  # (G, O, M / N_ROWS, C * K, N_ROWS)
    "levels": FLOAT.as_pointer(),  # (G, O, M, Q)
    "places": INTEGER.as_pointer(),  # (O, C * K), of the sample that a filter hears at the first moment
    "silence": FLOAT.as_pointer(),  # (S,), zeros and NaN at moments that do not count
    "tile": FLOAT.as_pointer(),  # (N_TILE_ROWS, N_MOMENTS), written over and over
    "counts": COUNT.as_pointer(),  # (B, G, O, N_POOLED, M), zeros
    **dict.fromkeys(("n_cases", "n_kinds", "n_octaves", "n_groups", "n_taps", "n_samples", "n_moments"), INTEGER),
}


def _write_mixtures(code, waveform, kernel, places, silence, moment, width):
    """Write what a tile holds at some moments: mixtures, and the extremes of their groups."""
    builder, given, mixtures = code.builder, code.given, []
    heard_at = builder.gep(waveform, [moment])
    for first in range(0, N_ROWS, N_HELD):
        start = [code.load(builder.gep(silence, [moment]), width)] * N_HELD
        weights = builder.gep(kernel, [INTEGER(first)])
        mixtures += code.weighted_sums(start, heard_at, places, given.n_taps, weights, N_ROWS)
    rows, groups, size = list(mixtures), [(mixture, mixture) for mixture in mixtures], 1
    for larger in GROUP_SIZES:
        n_parts = larger // size
        groups = [code.extremes(groups[part : part + n_parts]) for part in range(0, len(groups), n_parts)]
        rows += [largest for largest, _ in groups] + [smallest for _, smallest in groups]
        size = larger
    for row, values in enumerate(rows):
        code.store(values, code.at(given.tile, row, N_MOMENTS, moment))


def _write_counts(code, row, levels, n_moments, counts, width):
    """Write the counts of a mixture: above its levels, and as the largest and the smallest of its groups."""
    builder, given, kind = code.builder, code.given, ir.VectorType(COUNT, width)
    of_mixture = [code.spread(code.at(levels, row, len(QUANTILES), level), width) for level in range(len(QUANTILES))]
    rivals, first = [], N_ROWS
    for size in GROUP_SIZES:
        group = builder.udiv(row, INTEGER(size))
        for _ in range(2):
            rivals.append(code.at(given.tile, builder.add(group, INTEGER(first)), N_MOMENTS, 0))
            first += N_ROWS // size
    values_at = code.at(given.tile, row, N_MOMENTS, 0)
    with loop(builder, n_moments, width, [kind([0] * width)] * N_POOLED) as (moment, sums, following):
        values = code.load(builder.gep(values_at, [moment]), width)
        found = [builder.fcmp_ordered(">", values, level) for level in of_mixture]
        for rival in rivals:
            extreme = code.load(builder.gep(rival, [moment]), width)
            found.append(builder.fcmp_ordered("==", values, extreme))
        following += [builder.sub(count, builder.sext(one, kind)) for count, one in zip(sums, found, strict=True)]
    total = ir.Function(builder.module, ir.FunctionType(COUNT, [kind]), f"llvm.vector.reduce.add.v{width}i32")
    n_mixtures = builder.mul(given.n_groups, INTEGER(N_ROWS))
    for number, count in enumerate(sums):
        place = code.at(counts, number, n_mixtures, row)
        builder.store(builder.add(builder.load(place), builder.call(total, [count])), place)


def _write_pooling(builder, *arguments):
    """Write the kernel, see ``ARGUMENTS``."""
    code = Code(builder, ARGUMENTS, arguments)
    given = code.given
    with (
        loop(builder, given.n_cases) as (case, *_),
        loop(builder, given.n_kinds) as (kind, *_),
        loop(builder, given.n_octaves) as (octave, *_),
        loop(builder, given.n_moments, N_MOMENTS) as (begin, *_),
        loop(builder, given.n_groups) as (group, *_),
    ):
        rest = builder.sub(given.n_moments, begin)
        n_moments = builder.select(builder.icmp_signed("<", rest, INTEGER(N_MOMENTS)), rest, INTEGER(N_MOMENTS))
        waveform = builder.gep(code.at(given.waveforms, case, given.n_kinds, kind, given.n_samples, 0), [begin])
        which = (kind, given.n_octaves, octave, given.n_groups, group)
        kernel = code.at(given.kernels, *which, given.n_taps, 0, N_ROWS, 0)
        levels = code.at(given.levels, *which, N_ROWS * len(QUANTILES), 0)
        pooled = (case, given.n_kinds, kind, given.n_octaves, octave, N_POOLED, 0)
        counts = code.at(given.counts, *pooled, given.n_groups, group, N_ROWS, 0)
        places = code.at(given.places, octave, given.n_taps, 0)
        silence = builder.gep(given.silence, [begin])
        width = n_lanes()
        with loop(builder, n_moments, width) as (moment, *_):
            _write_mixtures(code, waveform, kernel, places, silence, moment, width)
        with loop(builder, INTEGER(N_ROWS)) as (row, *_):
            _write_counts(code, row, levels, n_moments, counts, 8)


@cache
def load_kernel():
    """Return the kernel, compiled at the first call."""
    return compile_kernel("pool_octaves", list(ARGUMENTS.values()), _write_pooling)


def fits(waveforms, kernels, levels):
    """Return whether the kernel may be given tensors: it looks at no shape, and reads what their shapes say.

    Parameters
    ----------
    waveforms : tensor of shape (B, G, C, S)
    kernels : tensor of shape (G, O, M, C * K)
    levels : tensor of shape (G, O, M, Q)
    """
    if not waveforms.ndim == kernels.ndim == levels.ndim == 4 or min(*waveforms.shape, *kernels.shape) == 0:
        return False
    return (
        levels.shape == (*kernels.shape[:3], len(QUANTILES))
        and waveforms.shape[1] == kernels.shape[0]
        and kernels.shape[1] <= MOST_OCTAVES
        and kernels.shape[2] % N_ROWS == 0
        and kernels.shape[3] % waveforms.shape[2] == 0
    )


@lru_cache(64)
def _fixed(n_octaves, n_channels, kernel_size, n_samples, row_size):
    """Return the places and the silence of some sizes, see ``ARGUMENTS``; they are read, not written."""
    dilations = 2 ** np.arange(n_octaves)[:, None, None]
    reach = (kernel_size - 1) * dilations
    starts = row_size * np.arange(n_channels)[:, None] + reach[-1] // 2
    places = starts + dilations * np.arange(kernel_size) - reach // 2
    silence = torch.zeros(-(-n_samples // LANES) * LANES, dtype=torch.float32)
    silence[n_samples:] = torch.nan
    return torch.from_numpy(places.reshape(n_octaves, -1).astype(np.int64)), silence


@torch.no_grad()
def pool_by_kernel(waveforms, kernels, levels):
    """Return what `octaves.pool_by_torch` does; tensors of single precision on the CPU that `fits` takes."""
    n_cases, n_kinds, n_channels, n_samples = waveforms.shape
    n_octaves, n_mixtures, n_taps = kernels.shape[1:]
    kernel_size = n_taps // n_channels
    reach = (kernel_size - 1) * 2 ** (n_octaves - 1)
    n_after = -n_samples % LANES + reach - reach // 2
    padded = nn.functional.pad(waveforms, (reach // 2, n_after)) if reach + n_after else waveforms
    padded = padded.contiguous()
    places, silence = _fixed(n_octaves, n_channels, kernel_size, n_samples, padded.shape[3])
    counts = torch.zeros(n_cases, n_kinds, n_octaves, N_POOLED, n_mixtures, dtype=torch.int32)
    arrays = (
        padded,
        kernels.unflatten(2, (-1, N_ROWS)).transpose(3, 4).contiguous(),
        levels.contiguous(),
        places,
        silence,
        torch.empty(N_TILE_ROWS, N_MOMENTS, dtype=torch.float32),
        counts,
    )
    sizes = (n_cases, n_kinds, n_octaves, n_mixtures // N_ROWS, n_taps, n_channels * padded.shape[3], len(silence))
    load_kernel()(*(array.data_ptr() for array in arrays), *sizes)
    shares = counts.to(torch.float32) / n_samples
    shares[..., len(QUANTILES) :, :].sqrt_()
    return shares.flatten(1)
