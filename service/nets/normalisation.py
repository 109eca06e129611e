"""Local response normalisation: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3."""

from torch import Tensor, nn
from torch.nn.functional import pad


class ResponseNorm(nn.Module):
    """b = a / (k + α Σ a²)^β, the sum over n neighbouring maps: (N, C, H, W) → (N, C, H, W).

    The paper's α. Caffe and `nn.LocalResponseNorm` divide theirs by n, so that their α is n times this one.
    """

    def __init__(self, *, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def forward(self, a: Tensor) -> Tensor:
        """Each activation divided by what its neighbours say at the same place."""
        maps = a.shape[1]
        squares = pad(a.square(), (0, 0, 0, 0, self.n // 2, (self.n - 1) // 2))  # (N, C + n − 1, H, W)
        total = squares[:, :maps]
        for shift in range(1, self.n):
            total = total + squares[:, shift : shift + maps]
        return a * (self.k + self.alpha * total).pow(-self.beta)

    def extra_repr(self) -> str:
        """The paper's constants."""
        return f"n={self.n}, k={self.k}, α={self.alpha}, β={self.beta}"
