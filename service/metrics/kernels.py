"""Kernels by name.

Each is a function of one number a pair, z = scale · a·b + term(a) + term(b), of rows that share a centre. In many
dimensions the products are most of the work, and several kernels use the same.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.metrics.centred import Centred
from service.metrics.samples import Real


class Kernel(Protocol):
    """k(z) of all pairs of rows."""

    def scale(self, dimensions: int) -> float:
        """What the product of two centred rows is multiplied by in z."""
        ...

    def terms(self, rows: Centred) -> Real:
        """What each row (n,) adds to z."""
        ...

    def __call__(self, z: Real) -> Real:
        """The kernel of these z, in their place."""
        ...

    def derivative(self, means: Real) -> Real:
        """By z, where the kernel has these values."""
        ...

    def slope(self, mean_square: float) -> float:
        """What an error of z does to the kernel's mean, at most, where the kernel's mean square is this."""
        ...


class Radial(Kernel, Protocol):
    """A kernel of the distance alone, which at a small bandwidth wants more digits of it than products keep."""

    sigma: float

    def z_of(self, squares: Real) -> Real:
        """Z of squared distances."""
        ...

    def squares_of(self, z: Real) -> Real:
        """The squared distances of these z."""
        ...


@dataclass(frozen=True, slots=True)
class Gaussian:
    """exp( −‖a − b‖² / 2σ² )."""

    sigma: float

    def scale(self, dimensions: int) -> float:  # noqa: ARG002
        """Of a·b."""
        return 1 / (self.sigma * self.sigma)

    def terms(self, rows: Centred) -> Real:
        """−‖a‖² / 2σ²."""
        return rows.norms * (-1 / (2 * self.sigma * self.sigma))

    def z_of(self, squares: Real) -> Real:
        """−‖a − b‖² / 2σ²."""
        return squares / (-2 * self.sigma * self.sigma)

    def squares_of(self, z: Real) -> Real:
        """Its inverse."""
        return z * (-2 * self.sigma * self.sigma)

    def __call__(self, z: Real) -> Real:
        """The exponential; rounding may leave the z of copies above zero."""
        np.minimum(z, 0.0, out=z)
        return np.exp(z, out=z)

    def derivative(self, means: Real) -> Real:
        """The kernel itself."""
        return means

    def slope(self, mean_square: float) -> float:
        """The root of its mean square."""
        return float(np.sqrt(mean_square))


@dataclass(frozen=True, slots=True)
class RationalQuadratic:
    """1 / ( 1 + ‖a − b‖² / 2σ² )."""

    sigma: float

    def scale(self, dimensions: int) -> float:  # noqa: ARG002
        """Of a·b."""
        return -1 / (self.sigma * self.sigma)

    def terms(self, rows: Centred) -> Real:
        """½ + ‖a‖² / 2σ²."""
        return rows.norms / (2 * self.sigma * self.sigma) + 0.5

    def z_of(self, squares: Real) -> Real:
        """1 + ‖a − b‖² / 2σ²."""
        return 1 + squares / (2 * self.sigma * self.sigma)

    def squares_of(self, z: Real) -> Real:
        """Its inverse."""
        return (z - 1) * (2 * self.sigma * self.sigma)

    def __call__(self, z: Real) -> Real:
        """The reciprocal; rounding may leave the z of copies below one."""
        np.maximum(z, 1.0, out=z)
        return np.reciprocal(z, out=z)

    def derivative(self, means: Real) -> Real:
        """−1 / z²."""
        slopes: Real = -np.square(means)
        return slopes

    def slope(self, mean_square: float) -> float:
        """The derivative is no more than the kernel."""
        return float(np.sqrt(mean_square))


@dataclass(frozen=True, slots=True)
class Polynomial:
    """( a·b / d + 1 )ᵖ, p = 3 as in KID."""

    degree: int = 3

    def scale(self, dimensions: int) -> float:
        """Of the product of rows that are centred."""
        return 1 / dimensions

    def terms(self, rows: Centred) -> Real:
        """What the centre c adds: (a + c)·(b + c) = a·b + a·c + b·c + c·c."""
        d, c = len(rows.centre), rows.centre
        return rows.along / d + (float(c @ c) / d + 1) / 2

    def __call__(self, z: Real) -> Real:
        """The power, by products: numpy raises to one several times as slowly."""
        square = np.square(z) if self.degree > 1 else z
        if self.degree % 2 == 0:
            z[...] = 1.0
        for _ in range(self.degree // 2):
            z *= square
        return z

    def derivative(self, means: Real) -> Real:
        """In terms of zᵖ: p zᵖ⁻¹."""
        slopes: Real = self.degree * np.abs(means) ** ((self.degree - 1) / self.degree)
        return slopes

    def slope(self, mean_square: float) -> float:
        """The derivative, of whose size the mean square of zᵖ knows (Hölder's inequality)."""
        return self.degree * float(mean_square ** ((self.degree - 1) / (2 * self.degree)))
