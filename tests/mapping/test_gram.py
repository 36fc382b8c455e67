import numpy as np
import pytest

from v2s_sklearn.mapping.embeddings import ArrayEmbeddings, ComputedEmbeddings
from v2s_sklearn.mapping.gram import GramMatrices, find_hosts, take_columns

GROUPS = [np.arange(3), np.arange(12), np.arange(1, 12, 2), np.arange(12), np.arange(15, 60), np.arange(5, 20)]


@pytest.mark.parametrize("limit_bytes", [1, 60 * 8 * 8, 10**6])
@pytest.mark.parametrize("block_cases", [1, 4, 100])
def test_matrices_are_those_of_centred_weighted_features(block_cases, limit_bytes):
    rng = np.random.default_rng(0)
    x, weights, residuals = rng.normal(size=(21, 60)), rng.uniform(0.5, 2, 21), rng.normal(size=(21, 3))
    grams = GramMatrices(ArrayEmbeddings(x, block_cases), GROUPS, weights, residuals, limit_bytes)
    mean = np.average(x, axis=0, weights=weights)
    np.testing.assert_allclose(grams.mean, mean)
    np.testing.assert_allclose(grams.cross, x.T @ residuals)
    centred = (x - mean) * np.sqrt(weights)[:, None]
    assert sorted(grams.order) == list(range(len(GROUPS)))
    for number in grams.order:
        part = centred[:, GROUPS[number]]
        assert grams.is_of_cases(number, 21) == (number == 4)
        expected = part @ part.T if number == 4 else part.T @ part
        matrix = grams.take(number)
        assert matrix.flags.f_contiguous
        np.testing.assert_allclose(np.tril(matrix), np.tril(expected), atol=1e-12)


def test_a_group_within_another_has_no_matrix_of_its_own():
    assert find_hosts(GROUPS, 21) == [1, 1, 1, 1, 4, 5]
    # Matrices of cases have no parts.
    assert find_hosts(GROUPS, 3) == [0, 1, 2, 3, 4, 5]


def test_cases_before_a_slab_are_read_again():
    table, read = np.random.default_rng(0).normal(size=(20, 30)), []

    def compute(index):
        read.extend(index)
        return table[index]

    embeddings = ComputedEmbeddings(compute, 20, 30, block_cases=5)
    for slab_cases, n_read in ((20, 20), (10, 20 + 10), (5, 20 + 5 + 10 + 15)):
        read.clear()
        GramMatrices(embeddings, [np.arange(30)], np.ones(20), np.zeros((20, 2)), slab_cases * 30 * 8)
        assert len(read) == n_read


def test_columns_without_a_gap_are_a_view():
    values = np.arange(12.0).reshape(2, 6)
    assert np.shares_memory(take_columns(values, np.arange(2, 5)), values)
    np.testing.assert_array_equal(take_columns(values, np.array([0, 2, 3])), values[:, [0, 2, 3]])
