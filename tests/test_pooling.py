"""Whitened shares."""

import numpy as np
import torch

from v2s_sklearn.pooling import QUANTILES, WhitenedShares, fit_whitened_shares


def together(n_moments=4000):
    """Two waveforms a case; four channels that mostly go together, the last one constant."""
    random_state = np.random.RandomState(0)
    common = random_state.normal(size=(2, n_moments, 1))
    values = common + 0.01 * random_state.normal(size=(2, n_moments, 4))
    values[:, :, 3] = 5.0
    return values.astype(np.float32)


def test_rotated_channels_are_white():
    values = together()
    rotation, levels = fit_whitened_shares(values, seed=0)
    assert rotation.shape == (2, 4, 4)
    assert levels.shape == (2, 4, len(QUANTILES))
    # In the directions that vary; the constant channel has none of its own.
    for own, one in zip(values, rotation, strict=True):
        variances = np.linalg.eigvalsh(np.cov(own.astype(float) @ one, rowvar=False))
        assert np.allclose(variances[1:], 1.0, atol=0.02)
        assert variances[0] < 1e-6


def test_shares_of_the_training_moments_are_those_of_the_quantiles():
    values = together()
    shares = WhitenedShares(*fit_whitened_shares(values, seed=0))
    activations = torch.from_numpy(values).transpose(1, 2).unsqueeze(0)  # one case, (1, G, D, S)
    pooled = shares(activations).reshape(2, 4, len(QUANTILES))
    varying = np.abs(pooled.numpy() - (1 - np.array(QUANTILES))).max(axis=2) < 0.01
    assert varying.all()
    assert torch.all(shares(activations - 100.0).reshape(2, 4, -1).sum(2) != pooled.sum(2))


def test_seed_rotates():
    values = together(500)
    one, again, other = (fit_whitened_shares(values, seed) for seed in (0, 0, 1))
    assert np.array_equal(one[0], again[0])
    assert not np.allclose(one[0], other[0])


def test_a_single_moment_and_a_constant_layer():
    for values in (np.ones((1, 1, 3), np.float32), np.zeros((1, 50, 3), np.float32)):
        rotation, levels = fit_whitened_shares(values, seed=0)
        assert np.isfinite(rotation).all()
        assert np.isfinite(levels).all()
