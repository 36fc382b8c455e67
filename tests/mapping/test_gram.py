import numpy as np
import pytest

from v2s_sklearn.mapping.embeddings import ArrayEmbeddings, ComputedEmbeddings
from v2s_sklearn.mapping.gram import SignedSums, sum_moments

GROUPS = [np.arange(12), np.arange(1, 12, 2), np.arange(15, 60), np.arange(5, 20)]


@pytest.mark.parametrize("max_sums", [10, 1000])
@pytest.mark.parametrize("block_cases", [1, 4, 100])
def test_moments_are_those_of_centred_weighted_sums(block_cases, max_sums):
    rng = np.random.default_rng(0)
    x, weights, residuals = rng.normal(size=(21, 60)), rng.uniform(0.5, 2, 21), rng.normal(size=(21, 3))
    sums, index = [SignedSums(columns, max_sums) for columns in GROUPS], np.array([0, 3, 4, 20])
    for one, found in zip(
        sums, sum_moments(ArrayEmbeddings(x, block_cases), sums, weights, residuals, index), strict=True
    ):
        summed = one.of(x)
        mean = np.average(summed, axis=0, weights=weights)
        weighted = (summed - mean) * np.sqrt(weights)[:, None]
        np.testing.assert_allclose(found.mean, mean, atol=1e-5)
        np.testing.assert_allclose(found.cross, summed.T @ residuals, atol=1e-4)
        np.testing.assert_allclose(found.scored, (summed - mean)[index], atol=1e-5)
        np.testing.assert_allclose(np.tril(found.gram), np.tril(weighted.T @ weighted), atol=1e-3)
        assert found.gram.dtype == found.scored.dtype == np.float32
        assert found.gram.flags.f_contiguous


def test_cases_are_read_once():
    table, read = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32), []

    def compute(index):
        read.extend(index)
        return table[index]

    sums = [SignedSums(np.arange(30)), SignedSums(np.arange(10))]
    sum_moments(ComputedEmbeddings(compute, 20, 30, 7), sums, np.ones(20), np.zeros((20, 2)), np.arange(20))
    assert read == list(range(20))


def test_few_features_are_themselves():
    values = np.arange(12.0).reshape(2, 6)
    one = SignedSums(np.array([0, 2, 3]), 3)
    np.testing.assert_array_equal(one.of(values), values[:, [0, 2, 3]])
    np.testing.assert_array_equal(one.spread(np.eye(3)), np.eye(3))


@pytest.mark.parametrize(("n_features", "n_sums"), [(100, 50), (101, 50), (101, 33), (101, 100)])
def test_each_feature_is_in_one_sum_with_a_sign(n_features, n_sums):
    columns = np.arange(0, 2 * n_features, 2)
    one = SignedSums(columns, n_sums)
    matrix = one.of(np.eye(2 * n_features, dtype=np.float32))
    assert not matrix[1::2].any()
    assert (np.abs(matrix[columns]).sum(axis=1) == 1).all()
    sizes = np.abs(matrix).sum(axis=0)
    assert sizes.min() >= n_features // n_sums
    assert sizes.max() <= -(-n_features // n_sums)
    # What the coefficients of the sums make of a case is what those of the features make of it.
    coef, case = (
        np.random.default_rng(0).normal(size=(n_sums, 2)),
        np.random.default_rng(1).normal(size=(1, 2 * n_features)),
    )
    np.testing.assert_allclose(case[:, columns] @ one.spread(coef), one.of(case) @ coef)


def test_sums_keep_products_of_cases_and_are_drawn_alike_each_time():
    x = np.random.default_rng(0).normal(size=(30, 4000))
    summed = SignedSums(np.arange(4000), 2000).of(x)
    exact, kept = x @ x.T, summed @ summed.T
    assert np.abs(kept - exact).max() < 0.15 * exact.max()
    np.testing.assert_array_equal(summed, SignedSums(np.arange(4000), 2000).of(x))
