"""The kernel around each mean of a mixture: Gaussian in space, von Mises and Fisher on the sphere.

Everything is computed in float64.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import refuse
from kanerva._core.settings import settings
from kanerva.density import _draws
from kanerva.density._draws import Points
from kanerva.similarity import Similarity, closeness, cosine
from kanerva.theory.kernel import log_normaliser

__all__ = ["SHAPES", "Directional", "Gaussian", "Kernel", "scale"]

# Squares of these, and their quotients with squares of data, are floats.
SMALLEST, LARGEST = 1e-50, 1e50


def scale(name: str, value: float) -> float:
    """Return a standard deviation whose square is a float."""
    return checks.number(name, value, SMALLEST, LARGEST)


@dataclass(frozen=True)
class Kernel(ABC):
    """One kernel shape of one scale, which all means share.

    Args:
        sigma: standard deviation in the unit of the data; beta is 1 / sigma^2.
    """

    sigma: float
    space: ClassVar[str]

    def __post_init__(self) -> None:
        checks.keep(self, sigma=scale("sigma", self.sigma))

    @property
    def beta(self) -> float:
        """The inverse temperature of the energy."""
        return 1 / self.sigma**2

    @property
    @abstractmethod
    def similarity(self) -> Similarity:
        """What the exponent is, up to the factor beta."""

    def points(self, name: str, rows: Tensor) -> Tensor:
        """Return rows as points of the space in which the kernel is a density."""
        return rows

    def centres(self, means: Tensor) -> Tensor:
        """Return the centres of the kernels from means of points."""
        return means

    @abstractmethod
    def exponents(self, rows: Tensor, means: Tensor) -> Tensor:
        """Return the logarithms ``(n, k)`` of the kernels at rows ``(n, d)``."""

    @abstractmethod
    def log_integral(self, dim: int) -> float:
        """Return the logarithm of the integral of one kernel."""

    @abstractmethod
    def draw(self, source: np.random.Generator, centres: Points) -> Points:
        """Draw one point from the kernel around each centre ``(n, d)``."""


class Gaussian(Kernel):
    """exp(-|x - m|^2 / (2 sigma^2)); distances are sums of squared differences."""

    space = "real"

    @property
    def similarity(self) -> Similarity:
        """Minus half the squared distance."""
        return closeness

    def exponents(self, rows: Tensor, means: Tensor) -> Tensor:
        """Return -beta |x - m|^2 / 2."""
        size = max(1, settings.budget // (16 * max(1, means.numel())))
        parts = (part.unsqueeze(-2) - means for part in torch.split(rows, size))
        return -0.5 * self.beta * torch.cat([part.square().sum(-1) for part in parts])

    def log_integral(self, dim: int) -> float:
        """Return log (2 pi sigma^2)^(d / 2)."""
        return log_normaliser("gaussian", dim, self.sigma)

    def draw(self, source: np.random.Generator, centres: Points) -> Points:
        """Draw from normal distributions."""
        return _draws.gaussian(source, centres, self.sigma)


class Directional(Kernel):
    """exp(kappa m x) of directions, with kappa = 1 / sigma^2."""

    space = "sphere"

    @property
    def similarity(self) -> Similarity:
        """The cosine."""
        return cosine

    def points(self, name: str, rows: Tensor) -> Tensor:
        """Return the directions of rows; refuse a row of zeros, which has none."""
        size = rows.detach().abs().amax(-1, keepdim=True)
        if not arrays.tracing() and (size == 0).any():
            got = f"zeros in {int((size == 0).sum())} of {size.numel()} rows"
            must = "of rows with a direction, not all zero"
            refuse(name, got=got, must=must, do="leave these rows out")
        # Squares of scaled rows neither overflow nor vanish.
        return nn.functional.normalize(rows / torch.where(size > 0, size, 1.0), dim=-1)

    def centres(self, means: Tensor) -> Tensor:
        """Return the directions of means."""
        return nn.functional.normalize(means, dim=-1, eps=torch.finfo(means.dtype).tiny)

    def exponents(self, rows: Tensor, means: Tensor) -> Tensor:
        """Return kappa m x."""
        return self.beta * (rows @ self.centres(means).mT)

    def log_integral(self, dim: int) -> float:
        """Return -log C_d(kappa)."""
        return log_normaliser("vmf", dim, self.beta)

    def draw(self, source: np.random.Generator, centres: Points) -> Points:
        """Draw directions."""
        return _draws.vmf(source, centres, self.beta)


SHAPES: dict[str, type[Kernel]] = {"gaussian": Gaussian, "vmf": Directional}
