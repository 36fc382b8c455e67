"""Routines of SciPy's BLAS and LAPACK, called without the interpreter's lock.

SciPy's own functions keep it, so that of several threads one would compute. Behind them are the same routines, with the
same bits; `scipy.linalg.cython_blas` and `cython_lapack` have them for compiled code.
"""

import ctypes
from functools import cache

import numpy as np
from scipy.linalg import LinAlgError, cython_blas, cython_lapack

_name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
_address_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


@cache
def _routine(name):
    """Return a routine by its name, a function of addresses."""
    capsules = cython_blas.__pyx_capi__ | cython_lapack.__pyx_capi__
    return ctypes.CFUNCTYPE(None)(_address_in(capsules[name], _name_of(capsules[name])))


def _call(name, *arguments):
    """Call a routine.

    Parameters
    ----------
    name : str
        Of Fortran.
    *arguments : bytes, int or ndarray
        Letters, integers, and arrays in the order of Fortran, of which a number is one, too.
    """
    addresses = []
    for argument in arguments:
        if isinstance(argument, int):
            # The first four bytes, or all eight where the library has integers of 64 bits.
            argument = ctypes.byref(ctypes.c_int64(argument))
        elif isinstance(argument, np.ndarray):
            if not argument.flags.f_contiguous:
                raise ValueError(f"{name} takes arrays in the order of Fortran.")
            argument = argument.ctypes.data_as(ctypes.c_void_p)
        addresses.append(argument)
    _routine(name)(*addresses)


def add_products(factor, vectors, gram, transposed=False):
    """Add factor * vectors @ vectors.T to the lower triangle of a matrix, in place where += would need another.

    Parameters
    ----------
    factor : float
    vectors : ndarray of shape (n, k), or (k, n) with ``transposed``
        In Fortran order it is not copied.
    gram : float32 ndarray of shape (n, n), Fortran order
    transposed : bool
        Add those of vectors.T @ vectors.
    """
    vectors = np.asfortranarray(vectors, dtype=np.float32)
    n_products = len(vectors) if transposed else vectors.shape[1]
    factor, one = np.array([factor], dtype=np.float32), np.ones(1, dtype=np.float32)
    letter, n, rows = b"T" if transposed else b"N", len(gram), len(vectors)
    _call("ssyrk", b"L", letter, n, n_products, factor, vectors, rows, one, gram, n)


def factorise(matrix):
    """Replace the lower triangle of a matrix by its Cholesky factor; return whether there is one.

    Parameters
    ----------
    matrix : float32 ndarray of shape (n, n), Fortran order
    """
    info = np.zeros(1, dtype=np.int64)
    _call("spotrf", b"L", len(matrix), matrix, len(matrix), info)
    return not info.any()


def solve_triangle(factor, right, transposed=False):
    """Return inv(factor) @ right, or inv(factor.T) @ right, of the lower triangle of a matrix.

    Parameters
    ----------
    factor : float32 ndarray of shape (n, n), Fortran order
    right : ndarray of shape (n, k)
    transposed : bool

    Returns
    -------
    float32 ndarray of shape (n, k), Fortran order
    """
    solution = np.array(right, dtype=np.float32, order="F")
    letter, n = b"T" if transposed else b"N", len(factor)
    _call("strsm", b"L", b"L", letter, b"N", n, right.shape[1], np.ones(1, dtype=np.float32), factor, n, solution, n)
    return solution


def invert_triangle(factor):
    """Return the inverse of the lower triangle of a float32 matrix (n, n); above it is what was there."""
    inverse = np.array(factor, order="F")
    _call("strtri", b"L", b"N", len(inverse), inverse, len(inverse), np.zeros(1, dtype=np.int64))
    return inverse


def eigen_decomposition(matrix):
    """Return the eigenvalues (n,), ascending, and the eigenvectors (n, n) of a symmetric matrix, which they replace.

    By LAPACK's "evd": "evr" takes half the memory, but three times as long where there are many zeros, and is less
    exact.

    Parameters
    ----------
    matrix : float64 ndarray of shape (n, n), Fortran order
        Its lower triangle is read.
    """
    n = len(matrix)
    values, info = np.empty(n), np.zeros(1, dtype=np.int64)
    size, int_size = np.zeros(1), np.zeros(1, dtype=np.int64)
    _call("dsyevd", b"V", b"L", n, matrix, n, values, size, -1, int_size, -1, info)
    work, int_work = np.empty(int(size[0])), np.empty(int_size[0], dtype=np.int64)
    _call("dsyevd", b"V", b"L", n, matrix, n, values, work, len(work), int_work, len(int_work), info)
    if info.any():
        raise LinAlgError("An eigen-decomposition did not converge.")
    return values, matrix
