import threading
import time

import numpy as np
import pytest
from scipy.linalg import blas, cholesky, eigh, lapack

from v2s_sklearn.runtime.lapack import (
    add_products,
    eigen_decomposition,
    factorise,
    invert_triangle,
    solve_triangle,
)


@pytest.fixture(params=[1, 2, 37], ids="{} rows".format)
def matrix(request):
    """Symmetric, positive."""
    vectors = np.random.default_rng(0).normal(size=(request.param, 50))
    return np.asfortranarray(vectors @ vectors.T)


@pytest.fixture
def single(matrix):
    return np.asfortranarray(matrix, dtype=np.float32)


def test_factors_are_those_of_scipy(single):
    expected = cholesky(single, lower=True)
    above = np.triu(single, 1)
    assert factorise(single)
    np.testing.assert_array_equal(np.tril(single), expected)
    np.testing.assert_array_equal(np.triu(single, 1), above)


def test_there_is_no_factor_of_a_matrix_that_is_not_positive(single):
    single[-1, -1] = -1.0
    assert not factorise(single)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("transposed", [False, True])
def test_triangles_are_solved_as_by_scipy(single, transposed, order):
    right = np.random.default_rng(1).normal(size=(len(single), 3)).astype(np.float32, order=order)
    before = right.copy()
    solution = solve_triangle(single, right, transposed=transposed)
    np.testing.assert_array_equal(solution, blas.strsm(1.0, single, right, lower=1, trans_a=transposed))
    np.testing.assert_array_equal(right, before)
    np.testing.assert_array_equal(solve_triangle(single, right.astype(np.float64), transposed=transposed), solution)


def test_a_part_of_a_triangle_is_inverted_as_by_scipy(single):
    factorise(single)
    part = single[len(single) // 2 :, len(single) // 2 :]
    before = part.copy()
    np.testing.assert_array_equal(invert_triangle(part), lapack.strtri(part, lower=1)[0])
    np.testing.assert_array_equal(part, before)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("transposed", [False, True])
def test_products_are_added_in_place_below_the_diagonal(single, transposed, order):
    vectors = np.random.default_rng(1).normal(size=(len(single), 9)).astype(order=order, dtype=np.float32)
    expected = single + 0.5 * vectors @ vectors.T
    above = np.triu(single, 1)
    add_products(0.5, vectors.T if transposed else vectors, single, transposed=transposed)
    np.testing.assert_allclose(np.tril(single), np.tril(expected), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(np.triu(single, 1), above)


def test_eigenvalues_and_vectors_are_those_of_scipy(matrix):
    expected = eigh(matrix, driver="evd" if len(matrix) > 1 else "ev")
    found = eigen_decomposition(matrix)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[1] is matrix


def test_what_lies_otherwise_in_memory_is_refused(matrix):
    matrix = np.vstack([matrix, matrix])[::2]
    if len(matrix) > 1:
        with pytest.raises(ValueError, match="order of Fortran"):
            eigen_decomposition(matrix)


def test_other_threads_go_on_meanwhile():
    """One that takes its turn whenever it can has many in one call, where the interpreter's lock is not kept."""
    n_turns, done = 0, threading.Event()

    def take_turns():
        nonlocal n_turns
        while not done.is_set():
            n_turns += 1
            time.sleep(0)

    def turns_in_a_call():
        matrix, before = np.asfortranarray(np.eye(400) + 1.0), n_turns
        eigen_decomposition(matrix)
        return n_turns - before

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        # A processor may be busy with others for a while.
        assert any(turns_in_a_call() > 20 for _ in range(200))
    finally:
        done.set()
        thread.join()
