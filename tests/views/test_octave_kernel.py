"""The compiled pooling: what torch's operations give, whatever else is computed, and torch where it cannot be."""

import sys
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest
import torch
from aeon.datasets import load_basic_motions, load_gunpoint

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.runtime.compilation import kernel_module, torch_alone
from v2s_sklearn.runtime.flops import count_flops
from v2s_sklearn.views.mixtures import N_POOLED, QUANTILES
from v2s_sklearn.views.octave_kernel import N_MOMENTS, fits, pool_by_kernel
from v2s_sklearn.views.octaves import KERNEL, n_octaves, pool, pool_by_torch
from v2s_sklearn.views.playback import PlaybackView


def drawn(n_channels=1, n_samples=60, n_mixtures=64, kernel_size=10, n_cases=3, n_kinds=2):
    """Return random waveforms, kernels and levels."""
    generator = torch.Generator().manual_seed(0)
    bank = (n_kinds, n_octaves(n_samples, kernel_size), n_mixtures)
    return (
        torch.randn(n_cases, n_kinds, n_channels, n_samples, generator=generator),
        torch.randn(*bank, n_channels * kernel_size, generator=generator),
        torch.randn(*bank, len(QUANTILES), generator=generator),
    )


def assert_same_moments(found, expected, n_mixtures, n_samples):
    """Check pooled values: few moments may be at the other side of a level, where the last bit of a sum decides."""
    moments = []
    for pooled in (found, expected):
        pooled = pooled.double().reshape(len(pooled), -1, N_POOLED, n_mixtures).clone()
        pooled[:, :, len(QUANTILES) :].square_()
        moments.append(n_samples * pooled)
    moved = (moments[0] - moments[1]).abs()
    assert moved.max() < 2.5
    assert (moved > 0.5).double().mean() < 1e-3


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("n_samples", [1, 5, 16, 60, 150, N_MOMENTS, 2 * N_MOMENTS + 17])
def test_as_torch(n_channels, n_samples):
    data = drawn(n_channels, n_samples, n_mixtures=64 * n_channels)
    found = pool_by_kernel(*data)
    assert found.dtype == torch.float32
    assert_same_moments(found, pool_by_torch(*data), 64 * n_channels, n_samples)


@pytest.mark.parametrize("kernel_size", [1, 3, 10, 11])
def test_filters_of_any_length(kernel_size):
    data = drawn(n_channels=2, kernel_size=kernel_size)
    assert_same_moments(pool_by_kernel(*data), pool_by_torch(*data), 64, 60)


def test_equal_mixtures_all_win_and_what_is_at_a_level_is_not_above_it():
    waveforms, kernels, levels = (torch.round(tensor) for tensor in drawn(n_samples=150))  # whose sums are exact
    kernels[:, :, 1::2] = kernels[:, :, ::2]
    expected = pool_by_torch(waveforms, kernels, levels)
    torch.testing.assert_close(pool_by_kernel(waveforms, kernels, levels), expected, rtol=1e-6, atol=0)
    silence = torch.zeros_like(waveforms)
    pooled = pool_by_kernel(silence, kernels, 0 * levels).unflatten(1, (-1, N_POOLED, 64))
    assert (pooled[:, :, : len(QUANTILES)] == 0).all()
    assert (pooled[:, :, len(QUANTILES) :] == 1).all()


def test_memory_of_any_order():
    waveforms, kernels, levels = drawn(n_channels=2)
    expected = pool_by_kernel(waveforms, kernels, levels)
    other = (tensor.transpose(0, 3).contiguous().transpose(0, 3) for tensor in (waveforms, kernels, levels))
    assert torch.equal(pool_by_kernel(*other), expected)


@pytest.mark.parametrize(("load", "n_mixtures"), [(load_gunpoint, 64), (load_basic_motions, 128)])
def test_playback_of_real_series(load, n_mixtures):
    X = load(split="train")[0][::2].astype(np.float32)
    X = (X - X.mean(axis=(0, 2), keepdims=True)) / X.std(axis=(0, 2), keepdims=True)
    lengths = np.full(len(X), X.shape[2])
    view = PlaybackView(load_acoustic_model("tiny-wave")).fit(X, lengths)
    waveforms = view.waveforms(X, lengths)
    with torch_alone():
        expected = view.embed(waveforms)
    assert_same_moments(view.embed(waveforms), expected, n_mixtures, X.shape[2])


@pytest.mark.parametrize("n_channels", [1, 4])
def test_bits_do_not_depend_on_company_or_threads(n_channels):
    waveforms, *fitted = drawn(n_channels, n_samples=150, n_cases=24)
    together = pool(waveforms, *fitted)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    assert torch.equal(pool(waveforms[order], *fitted), together[order])
    with ThreadPool(4) as threads:
        alone = threads.map(lambda case: pool(waveforms[case : case + 1], *fitted), range(24))
    assert torch.equal(torch.cat(alone), together)


# Where torch computes


@pytest.fixture
def uncompiled(monkeypatch):
    """What was compiled is forgotten before and after."""
    kernel_module.cache_clear()
    monkeypatch.delitem(sys.modules, "v2s_sklearn.views.octave_kernel")
    monkeypatch.delattr("v2s_sklearn.views.octave_kernel")
    yield monkeypatch
    kernel_module.cache_clear()


def test_without_llvmlite(uncompiled):
    uncompiled.setitem(sys.modules, "llvmlite", None)
    data = drawn()
    assert kernel_module(KERNEL) is None
    assert torch.equal(pool(*data), pool_by_torch(*data))


def test_a_processor_that_llvmlite_does_not_know(uncompiled):
    def fail():
        raise RuntimeError("no such processor")

    uncompiled.setattr("llvmlite.binding.get_host_cpu_features", fail)
    data = drawn()
    with pytest.warns(RuntimeWarning, match=r"cannot compile .*no such processor.* Torch computes the same"):
        found = pool(*data)
    assert torch.equal(found, pool_by_torch(*data))


def test_an_older_processor(uncompiled):
    import llvmlite.binding

    uncompiled.setattr("llvmlite.binding.get_host_cpu_name", lambda: "")
    uncompiled.setattr("llvmlite.binding.get_host_cpu_features", llvmlite.binding.FeatureMap)
    data = drawn(n_samples=150)
    kernel = kernel_module(KERNEL)
    assert_same_moments(kernel.pool_by_kernel(*data), pool_by_torch(*data), 64, 150)


def test_what_needs_the_operations_of_torch(monkeypatch):
    waveforms, kernels, _ = data = drawn()
    assert kernel_module(KERNEL) is not None
    monkeypatch.setattr("v2s_sklearn.views.octave_kernel.pool_by_kernel", lambda *data: pytest.fail("a kernel"))
    n_products = waveforms[:, 0, 0].numel() * kernels[0, 0].numel() * kernels.shape[0] * kernels.shape[1]
    assert count_flops(pool, *data) == 2 * n_products
    double = [tensor.double() for tensor in data]
    assert pool(*double).dtype == torch.float64


def test_tensors_that_do_not_go_together_are_not_read():
    waveforms, kernels, levels = drawn(n_channels=2)
    assert fits(waveforms, kernels, levels)
    for wrong in (
        (waveforms[:, :1], kernels, levels),
        (waveforms, kernels[..., :-1], levels),
        (waveforms, kernels[:, :, :8], levels[:, :, :8]),
        (waveforms, kernels, levels[:, :, :-16]),
        (waveforms, kernels, levels[:, :-1]),
        (waveforms, kernels.repeat(1, 33, 1, 1), levels.repeat(1, 33, 1, 1)),
        (waveforms[0], kernels, levels),
        (waveforms[:0], kernels, levels),
    ):
        assert not fits(*wrong)
    with pytest.raises((RuntimeError, ValueError)):
        pool(waveforms, kernels[..., :-1], levels)
