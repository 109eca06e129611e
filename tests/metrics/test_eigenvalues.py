import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import eigvals_banded

from service.metrics import eigenvalues
from service.metrics.eigenvalues import band_of, eigenvalues_of

EPS = np.finfo(np.float64).eps


def covariance(n: int, least: float = 1e-4) -> NDArray[np.float64]:
    """Of samples that vary less and less from dimension to dimension."""
    rows = np.random.default_rng(n).standard_normal((2 * n, n)) * np.geomspace(1, least, n)
    return rows.T @ rows


@pytest.mark.parametrize("width", [1, 7, 48])
@pytest.mark.parametrize("n", [2, 8, 9, 15, 49, 50, 97, 98, 150])
def test_a_band_has_the_eigenvalues_of_its_matrix(n: int, width: int) -> None:
    matrix = covariance(n)
    expected = np.linalg.eigvalsh(matrix)
    width = min(width, n - 1)
    found = eigvals_banded(band_of(np.asfortranarray(np.tril(matrix)), width), lower=True)
    assert np.abs(found - expected).max() < 8 * EPS * expected[-1]


def test_a_large_matrix_gives_the_eigenvalues_of_a_triangle_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eigenvalues, "LARGE", 300)
    matrix = covariance(300)
    before = matrix.copy()
    expected = np.linalg.eigvalsh(matrix)
    assert np.abs(eigenvalues_of(matrix) - expected).max() < 8 * EPS * expected[-1]
    assert np.array_equal(matrix, before), "the matrix is its caller's"


@pytest.mark.parametrize("kind", ["zero", "one", "diagonal", "blocks"])
def test_a_matrix_with_nothing_to_reflect_keeps_its_eigenvalues(kind: str) -> None:
    matrix = {
        "zero": np.zeros((60, 60)),
        "one": np.ones((60, 60)),
        "diagonal": np.diag(np.arange(60.0)),
        "blocks": np.kron(np.eye(6), covariance(10)),
    }[kind]
    expected = np.linalg.eigvalsh(matrix)
    found = eigvals_banded(band_of(matrix, 4), lower=True)
    assert np.abs(found - expected).max() <= 8 * EPS * np.abs(expected).max()
