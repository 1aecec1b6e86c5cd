"""Which kernel a similarity and a rule make, where its integral is known."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva.density import _draws
from kanerva.density._sums import LogSum
from kanerva.separation import Separation
from kanerva.similarity import declared
from kanerva.theory import circle
from kanerva.theory.kernel import log_normaliser

__all__ = ["Kind", "kind_of", "number"]

Draw = Callable[[np.random.Generator, Any], Any]


class Kind(NamedTuple):
    """A shape and a scale of kernels, which all stored rows share.

    Attributes:
        space: ``"real"``, ``"sphere"`` or ``"cube"``, where the density lives.
        rule: the logarithm of the sum of kernels, from scores.
        temperature: T = 1 / beta; 1 where the rule has no beta, or beta is 0.
        log_integral: returns the logarithm of the integral of one kernel.
        draw: from a generator and centres ``(n, d)`` to points.
        scaled: whether a kernel also has the factor exp(beta |k|^2 / 2).
        biased: whether a bias b of a key is a factor exp(beta b).
        shifts: whether the gradient of the logarithm is (read - x) / T.
    """

    space: str
    rule: LogSum
    temperature: float
    log_integral: Callable[[], float]
    draw: Draw
    scaled: bool = False
    biased: bool = True
    shifts: bool = False


def kind_of(similarity: Any, rule: Separation, dim: int, bits: bool) -> Kind | None:
    """Return the kind of kernels; None where their integral is not known."""
    if rule.kernel is None:
        return None
    kernel = {"exponential": _exponential, "reach": _reach, "shared": _shared}[rule.kernel]
    return kernel(similarity, rule, dim, bits)


def _exponential(similarity: Any, rule: Separation, dim: int, bits: bool) -> Kind | None:
    """Return kernels exp(beta s), on the cube, on the sphere or in space."""
    beta, shape = number(rule.temperature()), declared(similarity, "shape")
    rise = LogSum(rule.log_kernel)
    temperature = 1 / beta if beta else 1.0
    if bits:
        return _bernoulli(similarity, rise, beta, dim)
    if shape == "vmf":
        whole = partial(log_normaliser, "vmf", dim, beta)
        return Kind("sphere", rise, temperature, whole, partial(_draws.vmf, kappa=beta))
    if shape is None:
        return None
    if beta == 0:
        must, do = "one with beta > 0, for a density in all of space", "choose a larger beta"
        refuse("memory", got="one with beta 0", must=must, do=do)
    if shape == "laplace":
        whole = partial(log_normaliser, "laplace", dim, temperature)
        draw: Draw = partial(_draws.laplace, width=temperature)
        return Kind("real", rise, temperature, whole, draw)
    sigma = temperature**0.5
    whole = partial(log_normaliser, "gaussian", dim, sigma)
    draw = partial(_draws.gaussian, sigma=sigma)
    product = shape == "product"
    return Kind("real", rise, temperature, whole, draw, scaled=product, shifts=True)


def _bernoulli(similarity: Any, rise: LogSum, beta: float, dim: int) -> Kind | None:
    """Return products of Bernoulli distributions."""
    line, size = declared(similarity, "line"), declared(similarity, "regulariser")
    if line is None or size is None:
        return None
    slope, offset = line(dim)
    temperature = 1 / beta if beta else 1.0

    def whole() -> float:
        constant = float(size(torch.ones(dim, dtype=torch.float64))) / temperature
        return log_normaliser("bernoulli", dim, beta * slope) + beta * offset - constant

    return Kind("cube", rise, temperature, whole, partial(_draws.bernoulli, slope=beta * slope))


def _reach(similarity: Any, rule: Separation, dim: int, bits: bool) -> Kind | None:
    """Return Epanechnikov's kernels."""
    if bits or declared(similarity, "shape") != "gaussian":
        return None
    beta = number(rule.temperature())
    radius = math.sqrt(2 / beta)
    whole = partial(log_normaliser, "epanechnikov", dim, radius)
    draw = partial(_draws.epanechnikov, radius=radius)
    return Kind("real", LogSum(rule.log_kernel), 1 / beta, whole, draw, biased=False)


def _shared(similarity: Any, rule: Any, dim: int, bits: bool) -> Kind:
    """Return the kernels of sparse distributed memory: the share of the cube in both balls."""
    radius = rule.radius

    def whole() -> float:
        return 2 * circle.log_activation(dim, radius) + dim * math.log(2)

    draw = partial(_draws.circle, radius=radius)
    return Kind("cube", LogSum(rule.log_kernel), 1.0, whole, draw, biased=False)


def number(beta: Any) -> float:
    """Return an inverse temperature as a number."""
    return float(beta.detach() if isinstance(beta, Tensor) else beta)
