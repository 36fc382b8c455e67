import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2s_sklearn.alignment import sliced_wasserstein, source_risk, target_risk_bound, wasserstein_1
from v2s_sklearn.errors import InvalidParameterError

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 8))


def cloud(shape, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape)


@settings(deadline=None, max_examples=25)
@given(SHAPES, st.integers(0, 99), st.floats(0, 10))
def test_a_shifted_cloud(shape, seed, length):
    points, direction = cloud(shape, seed), cloud(shape[1], seed + 1)
    shift = length * direction / np.linalg.norm(direction)
    np.testing.assert_allclose(wasserstein_1(points, points + shift), length, atol=1e-6)
    # E (u . s)^2 = |s|^2 / d for u uniform on the sphere.
    found = sliced_wasserstein(points, points + shift)
    np.testing.assert_allclose(found, length / np.sqrt(shape[1]), rtol=0.15, atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(SHAPES, st.integers(0, 99))
def test_order_does_not_matter_and_the_distance_is_symmetric(shape, seed):
    points, others = cloud(shape, seed), cloud(shape, seed + 100)
    shuffled = np.random.default_rng(seed).permutation(points)
    for distance in (sliced_wasserstein, wasserstein_1):
        assert distance(points, shuffled) < 1e-6
        np.testing.assert_allclose(distance(points, others), distance(others, shuffled), rtol=1e-9)


def test_gaussians():
    # W2 of N(0, 1) and N(0, 4) is |1 - 2|, in every direction; N(m, 1) is at |m| / sqrt(d).
    a, b, c = cloud((2000, 3), 0), cloud((2000, 3), 1, scale=2.0), cloud((2000, 3), 2) + 2.0
    np.testing.assert_allclose(sliced_wasserstein(a, b, n_projections=100), 1.0, atol=0.06)
    np.testing.assert_allclose(sliced_wasserstein(a, c, n_projections=400), 2.0, atol=0.1)
    # W1 of one-dimensional ones of equal spread is the distance of their means.
    np.testing.assert_allclose(wasserstein_1(cloud((400, 1), 3), cloud((400, 1), 4) + 5.0), 5.0, atol=0.2)


def test_samples_of_different_size_by_hand():
    # Half of the mass of each target point comes from 0, half from 3.
    np.testing.assert_allclose(wasserstein_1([[0.0], [3.0]], [[0.0]]), 1.5)
    np.testing.assert_allclose(sliced_wasserstein([[0.0], [3.0]], [[0.0]]), 3 / np.sqrt(2))


def test_against_pot():
    a, b = cloud((60, 5)), cloud((45, 5), 1) + 1.0
    directions = np.random.RandomState(7).normal(size=(5, 200))
    directions /= np.linalg.norm(directions, axis=0)
    # Each projection solved as a linear program, not by sorting.
    costs = [ot.emd2([], [], ot.dist(a @ u[:, None], b @ u[:, None])) for u in directions.T]
    np.testing.assert_allclose(
        sliced_wasserstein(a, b, n_projections=200, random_state=7), np.sqrt(np.mean(costs)), rtol=1e-9
    )
    plan = ot.emd([], [], ot.dist(a, b, metric="euclidean"))
    by_plan = (plan * np.linalg.norm(a[:, None] - b, axis=2)).sum()
    np.testing.assert_allclose(wasserstein_1(a, b), by_plan, rtol=1e-9)


def test_the_same_seed_gives_the_same_bits_and_no_global_state_is_touched():
    a, b = cloud((30, 6)), cloud((20, 6), 1)
    state = np.random.get_state()[1].copy()
    assert sliced_wasserstein(a, b, random_state=3) == sliced_wasserstein(a, b, random_state=3)
    assert sliced_wasserstein(a, b, random_state=3) != sliced_wasserstein(a, b, random_state=4)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_source_risk():
    labels = np.array([0, 1, 2])
    assert source_risk(100 * np.eye(3), labels) < 1e-6
    np.testing.assert_allclose(source_risk(100 * np.eye(3), [1, 2, 0]), np.sqrt(2))
    # Equal probabilities: (2/3)^2 + 2 (1/3)^2 = 2/3.
    np.testing.assert_allclose(source_risk(np.zeros((3, 3)), labels), np.sqrt(2 / 3))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 99), st.integers(2, 8), st.floats(0, 3))
def test_the_bound_holds(seed, n_classes, shift):
    """Target logits are source logits moved, with their labels: then the risk is at most the bound."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, 40)
    source = 3 * np.eye(n_classes)[labels] + rng.normal(size=(40, n_classes))
    target = source + shift * rng.normal(size=n_classes)
    bound = target_risk_bound(source, labels, target)
    assert source_risk(target, labels) <= bound + 1e-9
    expected = source_risk(source, labels) + 2 * np.sqrt(n_classes) * wasserstein_1(source, target)
    np.testing.assert_allclose(bound, expected)


@pytest.mark.parametrize("distance", [sliced_wasserstein, wasserstein_1])
@pytest.mark.parametrize(
    "source, target, words",
    [
        (np.zeros((3, 4)), np.zeros((3, 5)), "4 columns"),
        (np.zeros(4), np.zeros((3, 4)), r"source sample has shape \(4,\)"),
        (np.zeros((3, 4)), np.full((3, 4), np.nan), "target sample .* 12 values"),
        (np.zeros((0, 4)), np.zeros((3, 4)), r"\(0, 4\)"),
    ],
)
def test_samples_that_do_not_fit(distance, source, target, words):
    with pytest.raises(InvalidParameterError, match=words):
        distance(source, target)
