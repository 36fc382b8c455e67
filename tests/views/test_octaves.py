"""Octave pooling."""

import numpy as np
import pytest
import torch

from v2s_sklearn.views.mixtures import GROUP_SIZES, QUANTILES
from v2s_sklearn.views.octaves import (
    N_MIXTURES,
    OctavePooling,
    dilated_patches,
    fit_octaves,
    n_octaves,
)


@pytest.fixture
def filters():
    """Filters that mostly go together, the last one a copy."""
    random_state = np.random.RandomState(0)
    filters = random_state.normal(size=(1, 10)) + 0.1 * random_state.normal(size=(12, 10))
    filters[-1] = filters[0]
    return filters


@pytest.fixture
def waveforms():
    return torch.randn(20, 2, 120, generator=torch.Generator().manual_seed(0)).cumsum(2)


def split_pooled(pooled, n_waveforms, n_octaves_, n_mixtures=N_MIXTURES[0]):
    """Return shares (B, G, O, Q, M) and wins (B, G, O, ...) of pooled values."""
    pooled = pooled.reshape(len(pooled), n_waveforms, n_octaves_, -1)
    n_shares = len(QUANTILES) * n_mixtures
    shares, wins = pooled[..., :n_shares], pooled[..., n_shares:]
    return shares.unflatten(-1, (len(QUANTILES), -1)), wins.unflatten(-1, (len(GROUP_SIZES), 2, -1))


@pytest.mark.parametrize("dilation", [1, 4, 16])
def test_filters_times_patches_are_a_dilated_convolution(dilation, waveforms):
    kernel = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    reach = 9 * dilation
    padded = torch.nn.functional.pad(waveforms[:, :1], (reach // 2, reach - reach // 2))
    expected = torch.nn.functional.conv1d(padded, kernel.unsqueeze(1), dilation=dilation)
    torch.testing.assert_close(kernel @ dilated_patches(waveforms[:, 0], 10, dilation), expected, rtol=1e-4, atol=1e-4)


def test_octaves_as_long_as_the_filter_fits():
    assert [n_octaves(n, 10) for n in (1, 9, 10, 18, 19, 36, 37, 3000)] == [1, 1, 1, 1, 2, 2, 3, 9]


def test_channels_are_white_and_levels_are_quantiles(filters, waveforms):
    kernels, levels = fit_octaves(filters, waveforms.unsqueeze(2), seed=0)
    assert kernels.shape == (2, 4, N_MIXTURES[0], 10)
    assert levels.shape == (2, 4, N_MIXTURES[0], len(QUANTILES))
    heard = torch.from_numpy(kernels[0, 2]) @ dilated_patches(waveforms[:, 0], 10, 4)
    # As many directions as the filters have, each of variance 1: so has every mixture of unit length.
    assert np.allclose(heard.transpose(0, 1).flatten(1).var(1), 1.0, atol=0.05)
    shares, _ = split_pooled(OctavePooling(kernels, levels)(waveforms.unsqueeze(2)), 2, 4)
    for quantile, mean in zip(QUANTILES, shares.mean(0).permute(2, 0, 1, 3), strict=True):
        assert torch.allclose(mean, torch.tensor(1 - quantile), atol=0.02)


def test_wins_are_the_shares_of_the_largest_and_the_smallest(filters, waveforms):
    kernels, levels = fit_octaves(filters, waveforms.unsqueeze(2), seed=0)
    _, wins = split_pooled(OctavePooling(kernels, levels)(waveforms.unsqueeze(2)), 2, 4)
    heard = torch.from_numpy(kernels[1, 0]) @ dilated_patches(waveforms[:, 1], 10, 1)
    for index, size in enumerate(GROUP_SIZES):
        groups = heard[3].unflatten(0, (-1, size))
        for which, winner in enumerate((groups.argmax(1), groups.argmin(1))):
            counts = torch.nn.functional.one_hot(winner, size).float().mean(1)
            torch.testing.assert_close(wins[3, 1, 0, index, which].square(), counts.flatten(), atol=0.01, rtol=0)


def test_neither_level_nor_scale_of_all_series_matters(filters, waveforms):
    one, other = (
        OctavePooling(*fit_octaves(filters, series, seed=0))(series)
        for series in (waveforms.unsqueeze(2), 1000 * waveforms.unsqueeze(2))
    )
    assert (one - other).abs().mean() < 1e-3


def test_a_case_is_the_same_alone_and_among_others(filters, waveforms):
    pooling = OctavePooling(*fit_octaves(filters, waveforms.unsqueeze(2), seed=0))
    torch.testing.assert_close(
        pooling(waveforms.unsqueeze(2))[7:8], pooling(waveforms[7:8].unsqueeze(2)), atol=0.02, rtol=0
    )


def test_seed_mixes(filters, waveforms):
    one, again, other = (fit_octaves(filters, waveforms.unsqueeze(2), seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("series", [torch.zeros(1, 1, 1, 1), torch.zeros(5, 1, 3, 50), torch.ones(5, 2, 1, 3)])
def test_a_single_point_and_constant_series(series, filters):
    kernels, levels = fit_octaves(filters, series, seed=0)
    assert np.isfinite(kernels).all()
    assert np.isfinite(levels).all()
    assert OctavePooling(kernels, levels)(series).isfinite().all()


def test_mixtures_hear_several_channels_with_as_many_values(filters):
    series = torch.randn(20, 1, 5, 120, generator=torch.Generator().manual_seed(0)).cumsum(3)
    kernels, levels = fit_octaves(filters, series, seed=0)
    assert kernels.shape == (1, 4, N_MIXTURES[1], 5 * 10)
    members = np.abs(kernels.reshape(4, N_MIXTURES[1], 5, 10)).max(axis=3) > 0
    assert set(members.sum(axis=2).ravel()) == {1, 2, 3, 4, 5}
    assert members.any(axis=1).all()
    pooling = OctavePooling(kernels, levels)
    shares, _ = split_pooled(pooling(series), 1, 4, N_MIXTURES[1])
    for quantile, mean in zip(QUANTILES, shares.mean(0).permute(2, 0, 1, 3), strict=True):
        assert torch.allclose(mean, torch.tensor(1 - quantile), atol=0.02)
    # By hand: the sum over the channels of what their filters say.
    heard = sum(
        torch.from_numpy(kernels[0, 1, :, 10 * c : 10 * c + 10]) @ dilated_patches(series[:, 0, c], 10, 2)
        for c in range(5)
    )
    expected = (heard > torch.from_numpy(levels[0, 1, :, 1])[:, None]).float().mean(2)
    torch.testing.assert_close(shares[:, 0, 1, 1], expected, atol=0.01, rtol=0)
    one_less = series.clone()
    one_less[:, :, 2] = 0
    assert not torch.allclose(pooling(one_less), pooling(series))
