"""Kernel densities as memories: every stored row is the centre of one kernel."""

from typing import Any

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.memory import Patterns
from kanerva.separation import Compact, Normalised, Softmax
from kanerva.similarity import closeness, cosine, manhattan

__all__ = ["SHAPES", "kernel", "vmf"]

SHAPES = ("gaussian", "epanechnikov", "laplace")
STORE = ("dtype", "storage", "empty")
# Squares of these are floats.
SMALLEST, LARGEST = 1e-150, 1e150
# Beyond it, kappa times a cosine in float64 says nothing about a probability.
SHARPEST = 1e12


@door
def kernel(dim: int, bandwidth: float, shape: str = "gaussian", **store: Any) -> Patterns:
    r"""Build a kernel density: each stored row is the centre of one kernel.

    .. math:: p(x) = \frac{\sum_i \pi_i K(x - x_i)}{\sum_i \pi_i}, \quad
        K(r) \propto e^{-|r|^2 / 2 \sigma^2}, \quad [1 - |r|^2 / h^2]_+, \quad e^{-|r|_1 / b}

    A read is the mean shift: for Gaussian kernels the mean of the rows weighted by their posterior,
    for Epanechnikov's the mean of the rows within reach. ``Density(memory)`` has the likelihood,
    the score and samples; priors are the sample weights of ``write(x, prior=...)``.

    Args:
        dim: d, length of a row.
        bandwidth: in the unit of the data, > 0: the standard deviation sigma of a Gaussian, whose
            beta is 1 / sigma^2; the radius h of Epanechnikov's kernel, with beta 2 / h^2; the width
            b of Laplace's, with beta 1 / b.
        shape: ``"gaussian"``, ``"epanechnikov"`` or ``"laplace"``, whose distance is the sum of
            absolute differences.
        **store: ``dtype``, ``storage`` and ``empty`` of ``Patterns``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.kernel(dim=2, bandwidth=0.5, dtype=torch.float64)
        >>> ids = memory.write(torch.eye(2, dtype=torch.float64), prior=[1.0, 3.0])
        >>> memory.weights(torch.zeros(2, dtype=torch.float64)).tolist()
        [0.25, 0.75]

    Source: Silverman 1986; Schaeffer and others 2024, section on kernel density estimators.
    """
    checks.keywords(store, *STORE)
    do = "give a positive bandwidth in the unit of the data, or find one with density.bandwidth"
    width = checks.number("bandwidth", bandwidth, SMALLEST, LARGEST, do=do)
    shape = checks.choice("shape", shape, SHAPES)
    if shape == "laplace":
        return Patterns(dim, similarity=manhattan, separation=Softmax(1 / width), **store)
    if shape == "epanechnikov":
        rule = Normalised(Compact(2 / width**2))
        return Patterns(dim, similarity=closeness, separation=rule, **store)
    return Patterns(dim, similarity=closeness, separation=Softmax(1 / width**2), **store)


@door
def vmf(dim: int, kappa: float, **store: Any) -> Patterns:
    r"""Build a kernel density on the unit sphere, of von Mises and Fisher's kernels.

    .. math:: p(u) = \frac{\sum_i \pi_i C_d(\kappa)\, e^{\kappa\, m_i \cdot u}}{\sum_i \pi_i},
        \quad m_i = \frac{x_i}{|x_i|}

    Args:
        dim: d, length of a row; rows and queries stand for their directions.
        kappa: concentration from 0 to 1e12, which is the memory's beta; 1 / kappa is about the
            variance of each coordinate across the direction.
        **store: ``dtype``, ``storage`` and ``empty`` of ``Patterns``.

    Returns:
        an empty memory.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.vmf(dim=3, kappa=0.0)
        >>> ids = memory.write(torch.eye(3))
        >>> round(density.Density(memory).log_prob(torch.ones(3)).exp().item(), 6)  # 1 / (4 pi)
        0.079577

    Source: Mardia and Jupp 2000; Schaeffer and others 2024, section on attention.
    """
    checks.keywords(store, *STORE)
    kappa = checks.number("kappa", kappa, 0, SHARPEST)
    return Patterns(dim, similarity=cosine, separation=Softmax(kappa), **store)
