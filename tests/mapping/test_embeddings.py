import numpy as np
import pytest

from v2s_sklearn.mapping.embeddings import (
    PART_VALUES,
    STANDARDISED_LIMIT,
    WORKER_VALUES,
    ArrayEmbeddings,
    ComputedEmbeddings,
    StandardisedEmbeddings,
    hold,
    select,
    standardisation,
)

TABLE = np.random.default_rng(0).normal(size=(23, 6)).astype(np.float32)


class Counted:
    """A function of cases that counts them."""

    def __init__(self, table):
        self.table = table
        self.n_computed = 0

    def __call__(self, index):
        self.n_computed += len(index)
        return self.table[index]


@pytest.mark.parametrize("block_cases", [1, 5, 23, 100, None])
@pytest.mark.parametrize("computed", [False, True])
def test_blocks_are_all_cases_in_order_each_time(block_cases, computed):
    embeddings = ComputedEmbeddings(Counted(TABLE), 23, 6, block_cases)
    if not computed:
        embeddings = ArrayEmbeddings(TABLE, block_cases)
    for _ in range(2):
        read = np.full(TABLE.shape, np.nan)
        for cases, block in embeddings.blocks():
            assert np.isnan(read[cases]).all()
            read[cases] = block
        np.testing.assert_array_equal(read, TABLE)
    np.testing.assert_array_equal(embeddings.rows(np.array([4, 2])), TABLE[[4, 2]])


def test_blocks_may_be_overwritten():
    embeddings = ArrayEmbeddings(TABLE.copy(), 5)
    for _, block in embeddings.blocks():
        block[:] = 0
    np.testing.assert_array_equal(embeddings.array, TABLE)


def test_small_embeddings_are_computed_once_and_held():
    for limit_bytes, n_computed in ((23 * 6 * 8, 23), (23 * 6 * 8 - 1, 3 * 23)):
        counted = Counted(TABLE)
        embeddings = hold(ComputedEmbeddings(counted, 23, 6, 5), limit_bytes)
        for _ in range(3):
            read = np.vstack([block for _, block in embeddings.blocks()])
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, TABLE)
        assert counted.n_computed == n_computed


def test_selected_cases():
    index = np.array([1, 8, 22])
    some = select(ComputedEmbeddings(Counted(TABLE), 23, 6, 2), index)
    np.testing.assert_array_equal(np.vstack([block for _, block in some.blocks()]), TABLE[index])


@pytest.mark.parametrize("block_cases", [1, 4, 100])
def test_standardisation_is_the_weighted_mean_and_deviation(block_cases):
    table = TABLE * 1e-3 + 50.0
    table[:, 2] = 7.7
    weights = np.random.default_rng(1).uniform(0.5, 3, 23)
    mean, scale = standardisation(ArrayEmbeddings(table, block_cases), weights)
    expected = np.average(table, axis=0, weights=weights)
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    deviation = np.sqrt(np.average((table - expected) ** 2, axis=0, weights=weights))
    varies = np.arange(6) != 2
    np.testing.assert_allclose(scale[varies], deviation[varies], rtol=1e-9)
    assert np.isinf(scale[2])
    standardised = StandardisedEmbeddings(ArrayEmbeddings(table, block_cases), mean, scale)
    values = np.vstack([block for _, block in standardised.blocks()])
    unlimited = (table - mean) / scale
    assert np.abs(unlimited).max() > STANDARDISED_LIMIT
    np.testing.assert_allclose(values, np.clip(unlimited, -STANDARDISED_LIMIT, STANDARDISED_LIMIT))
    assert not values[:, 2].any()
    for some in (np.array([1, 2, 5]), np.array([2, 3, 4]), np.array([4, 3]), np.array([], dtype=int)):
        np.testing.assert_array_equal(standardised.columns(some), values[:, some])
    assert standardised.columns(some, np.float32).dtype == np.float32


def test_standardisation_has_the_same_bits_whatever_the_number_of_threads():
    table = np.random.default_rng(0).normal(size=(9, 2 * WORKER_VALUES + PART_VALUES + 3)).astype(np.float32)
    weights = np.random.default_rng(1).uniform(0.5, 3, 9)
    expected, found = (standardisation(ArrayEmbeddings(table, 4), weights, n_jobs) for n_jobs in (1, 3))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(expected[0], np.average(table, axis=0, weights=weights), atol=1e-12)
