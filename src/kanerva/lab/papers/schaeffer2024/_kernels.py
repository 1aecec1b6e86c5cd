"""Densities of small memories on grids, and what follows from the slips of the sources."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import kanerva
from kanerva import density
from kanerva.similarity import closeness, dot

__all__ = ["Slips", "integral", "slips"]

# Where densities on a line are drawn and summed, in the unit of the rows.
ENDS, STEPS, DRAWN = 16.0, 2**17, 97
BITS = 10


class Slips(NamedTuple):
    """How far formulas of the sources are from the density.

    * ``constant``: mean of -log p / beta less CLAM's energy.
    * ``spread``: the largest difference of that between two places.
    * ``printed``: the same with the covariance 2 / beta.
    * ``slope``: error of the gradient of log p as 2 beta sum r (m - x).
    * ``sign``: error of the same without its sign.
    * ``biased``, ``unbiased``: error of softmax weights with and without the bias of the keys.
    """

    constant: float
    spread: float
    printed: float
    slope: float
    sign: float
    biased: float
    unbiased: float


def integral(name: str, source: np.random.Generator) -> tuple[list[float], list[float], float]:
    """Return places, the density there, and its integral over all of its space."""
    if name in ("bits", "circles"):
        return [], [], _on_bits(name, int(source.integers(2**31)))
    rows = torch.from_numpy(source.uniform(-2, 2, (3, 1)))
    if name == "sphere":
        return [], [], _on_circle(torch.from_numpy(source.standard_normal((3, 2))))
    memory = _line(name)
    memory.write(rows)
    found = density.Density(memory)
    step = 2 * ENDS / STEPS
    grid = torch.linspace(-ENDS, ENDS, STEPS + 1, dtype=torch.float64).unsqueeze(-1)
    heights = found.log_prob(grid).exp()
    shown = torch.linspace(-5, 5, DRAWN, dtype=torch.float64)
    drawn = found.log_prob(shown.unsqueeze(-1)).exp()
    return shown.tolist(), drawn.tolist(), float(heights.sum() * step)


def _line(name: str) -> Any:
    if name == "modern Hopfield":
        return kanerva.modern_hopfield(1, beta=4.0, dtype=torch.float64)
    if name == "crp":
        return density.crp(1, 0.5, 1.5, 1.0, dtype=torch.float64)
    return density.kernel(1, 0.5, name, dtype=torch.float64)


def _on_circle(rows: Tensor) -> float:
    """Sum over equal steps of the angle, which is exact for smooth periodic functions."""
    memory = density.vmf(2, 5.0, dtype=torch.float64)
    memory.write(rows)
    angle = torch.arange(1024, dtype=torch.float64) * (2 * math.pi / 1024)
    points = torch.stack((angle.cos(), angle.sin()), -1)
    return float(density.Density(memory).log_prob(points).exp().sum() * (2 * math.pi / 1024))


def _on_bits(name: str, seed: int) -> float:
    """Sum over all vectors of bits."""
    if name == "circles":
        memory = kanerva.sdm_patterns(BITS, 3, dtype=torch.float64)
    else:
        memory = kanerva.sdm_attention(BITS, 3, dtype=torch.float64)
    memory.write(kanerva.bits.random(3, BITS, seed=seed).double())
    numbers = torch.arange(2**BITS).unsqueeze(-1)
    vectors = ((numbers >> torch.arange(BITS) & 1) * 2 - 1).double()
    return float(density.Density(memory).log_prob(vectors).exp().sum())


def slips(source: np.random.Generator, beta: float) -> Slips:
    """Compare formulas of the sources with the density of four kernels in three dimensions."""
    means = torch.from_numpy(source.standard_normal((4, 3)))
    x = torch.from_numpy(source.standard_normal((7, 3)))
    square = (x.unsqueeze(-2) - means).square().sum(-1)
    energy = -(-beta * square).logsumexp(-1) / beta
    found = _of(means, (2 * beta) ** -0.5)
    wide = _of(means, (2 / beta) ** 0.5)
    gaps = [-each.log_prob(x) / beta - energy for each in (found, wide)]
    step = (-beta * square).softmax(-1) @ means - x
    slope = found.score(x)
    keys = means * torch.tensor([[0.5], [1.0], [1.5], [2.0]], dtype=torch.float64)
    near = (beta * closeness(x, keys)).softmax(-1)
    product = beta * dot(x, keys)
    bias = -beta * keys.square().sum(-1) / 2
    return Slips(
        float(gaps[0].mean()),
        *(float(gap.max() - gap.min()) for gap in gaps),
        *(float((slope - sign * 2 * beta * step).abs().max()) for sign in (1, -1)),
        *(float((each.softmax(-1) - near).abs().max()) for each in (product + bias, product)),
    )


def _of(means: Tensor, sigma: float) -> density.Density:
    memory = density.kernel(3, sigma, dtype=torch.float64)
    memory.write(means)
    return density.Density(memory)
