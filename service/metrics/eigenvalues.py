"""Eigenvalues of a large symmetric matrix by way of a band: nearly all of the work is products of matrices.

A triangle as LAPACK makes it at once takes half of its multiplications from products with vectors, for which the matrix
comes from memory every time. A band of some diagonals is made by products of matrices only, and a triangle of that in
the caches (Bischof, Lang and Sun 2000, ACM Transactions on Mathematical Software 26, p. 581).
"""

import numpy as np
from scipy.linalg import eigvals_banded
from scipy.linalg.blas import dsymm, dsyr2k
from scipy.linalg.lapack import dgeqrt

from service.metrics.samples import Real

WIDTH = 48
"""Diagonals below the main one: with more, products take less time and the band takes more."""
LARGE = 2000
"""Rows from which on a band pays: 1,500, whose triangle the caches hold, take a quarter longer so."""


def eigenvalues_of(symmetric: Real) -> Real:
    """The eigenvalues, in rising order, of a symmetric matrix of which the lower triangle counts."""
    if len(symmetric) < LARGE:
        return np.linalg.eigvalsh(symmetric).astype(np.float64, copy=False)
    values: Real = eigvals_banded(band_of(symmetric), lower=True, overwrite_a_band=True, check_finite=False)
    return values


def band_of(symmetric: Real, width: int = WIDTH) -> Real:
    """A band (width + 1, n) with the eigenvalues of a symmetric matrix (n, n): row k holds its k-th lower diagonal.

    Reflections bring what is below the band in its first columns to 0, and the same is done with what is left.
    """
    band = np.zeros((width + 1, len(symmetric)))
    A = symmetric  # what is left, (m, m)
    while (m := len(A)) > width + 1:
        reflected = min(width, m - width)
        at = len(symmetric) - m
        QR, T, _ = dgeqrt(reflected, A[width:, :width])  # Q = 1 − V T Vᵀ (Schreiber and Van Loan 1989)
        for k in range(width):
            band[k, at : at + width - k] = A[:width, :width].diagonal(-k)
        for k, diagonal in enumerate(map(QR.diagonal, range(width))):
            band[width - k, at + k : at + k + min(reflected, width - k)] = diagonal
        V = np.tril(QR[:, :reflected], -1)
        np.fill_diagonal(V, 1)
        T = np.triu(T)
        A = np.asfortranarray(A[width:, width:])
        W = dsymm(1.0, A, V, lower=1) @ T
        W -= V @ (T.T @ (V.T @ W) / 2)
        A = dsyr2k(-1.0, V, W, beta=1.0, c=A, lower=1, overwrite_c=1)  # Qᵀ A Q
    for k in range(len(A)):
        band[k, len(symmetric) - len(A) : len(symmetric) - k] = A.diagonal(-k)
    return band
