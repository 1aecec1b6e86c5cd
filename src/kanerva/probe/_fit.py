"""Which sparse distributed memory does a head come nearest to? Radius, regime, and how well the two agree."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.probe._circles import CosineCircle
from kanerva.probe._summary import Summary
from kanerva.separation import Cap, Separation
from kanerva.theory import beta as beta_
from kanerva.theory import cap, circle
from kanerva.theory import radius as radius_

__all__ = ["Agreement", "Fit", "agreement", "fit", "named", "nearest", "optima", "part", "radii"]

CRITERIA = ("noise", "snr", "capacity")
SPACES = ("binary", "continuous")


class Agreement(NamedTuple):
    """How alike a head's weights and those of a memory are, over the kept rows of the head's own scores.

    * ``variation``: mean total variation, half the sum of absolute differences; 0 equal, 1 apart. A row with nothing in reach
      counts as 1.
    * ``r2``: the share of the variance of the head's weights that the memory's explain; below 0 where the mean explains more, and
      where there is no variance 1 for the same weights, 0 for others.
    * ``unreached``: share of the rows in which the memory has nothing in reach.
    """

    variation: float
    r2: float
    unreached: float


class Fit(NamedTuple):
    """The sparse distributed memory of a head.

    * ``radius``: in bits, whose fitted beta is nearest to the head's.
    * ``activation``: share of the space that it holds.
    * ``beta``: the fitted beta of that radius; far from the head's where no radius has one as large.
    * ``regime``: the best radius that it is nearest to, by the logarithm of beta: ``"noise"``, ``"snr"`` or ``"capacity"``.
    * ``outside``: ``"broader"`` or ``"sharper"`` where the head's beta lies beyond that of all three, else ``""``.
    * ``optima``: the betas of the three best radii, in the order above, for as many patterns as the head attends to.
    * ``agreement``: of the head with circles of that radius.
    * ``matched``: the radius whose circles agree best with the head on its own scores.
    * ``matched_agreement``: how well they do.
    """

    radius: int
    activation: float
    beta: float
    regime: str
    outside: str
    optima: tuple[float, float, float]
    agreement: Agreement
    matched: int
    matched_agreement: Agreement


@door
def fit(summary: Summary, head: int, patterns: int | None, space: str) -> Fit:
    """Fit a memory to what was seen of a head."""
    checks.choice("space", space, SPACES)
    beta, attended = summary.moments["beta"].mean(head), summary.moments["attended"].mean(head)
    if beta is None or attended is None:
        refuse(
            "head",
            must="one that was watched at work",
            got="one that saw nothing",
            do="call the model inside probe.watch",
        )
    count = max(2, round(attended)) if patterns is None else checks.integer("patterns", patterns, 2)
    found = nearest(summary.dim, beta, space)
    best = optima(summary.dim, count, space)
    regime = min(range(3), key=lambda place: abs(math.log(max(beta, 1e-9)) - math.log(best[place])))
    outside = "broader" if beta < min(best) else "sharper" if beta > max(best) else ""
    curve = agreement(summary, space)
    matched = min(curve, key=lambda radius: curve[radius][head].variation)
    activation = (
        circle.activation(summary.dim, found)
        if space == "binary"
        else cap.activation(summary.dim, found)
    )
    fitted = beta_.fit(summary.dim, found, space=space).beta
    return Fit(
        found,
        activation,
        fitted,
        CRITERIA[regime],
        outside,
        best,
        curve[found][head],
        matched,
        curve[matched][head],
    )


def optima(dim: int, patterns: int, space: str = "binary") -> tuple[float, float, float]:
    """Return the betas of the radii that are best against noise, for signal to noise and for capacity, with locations everywhere."""
    radii = (max(1, _optimal(dim, patterns, criterion)) for criterion in CRITERIA)
    return tuple(beta_.fit(dim, radius, space=space).beta for radius in radii)  # type: ignore[return-value]


def radii(dim: int) -> range:
    """Return the radii that are compared: all that are local, up to half the bits."""
    return range(1, max(2, dim // 2))


@door("fit")
def agreement(summary: Summary, space: str) -> dict[int, list[Agreement]]:
    """Compare every head of an attention with the memories of all radii, on its own rows."""
    if not summary.rows:
        refuse(
            "rows",
            must="one or more that were kept",
            got="none",
            do="watch with rows=32, and call the model",
        )
    if space not in summary.compared:
        inputs, cosines = _stacked(summary)
        there = inputs > -math.inf
        own = inputs.softmax(-1)
        parts = {
            radius: part(summary.dim, radius, space)(cosines, there)
            for radius in radii(summary.dim)
        }
        summary.compared[space] = {
            radius: _compared(own, weights, there) for radius, weights in parts.items()
        }
    found: dict[int, list[Agreement]] = summary.compared[space]
    return found


def part(dim: int, radius: int, space: str) -> Separation:
    """Build the weights of a memory of real vectors."""
    return CosineCircle(dim, radius) if space == "binary" else Cap(dim, radius)


def _compared(own: Tensor, other: Tensor, there: Tensor) -> list[Agreement]:
    empty = other.sum(-1) == 0
    variation = ((own - other).abs().sum(-1) / 2).masked_fill(empty, 1)
    missed = (own - other).square().masked_fill(~there, 0).sum((0, 2))
    mean = own.sum((0, 2)) / there.sum((0, 2))
    whole = (own - mean[None, :, None]).square().masked_fill(~there, 0).sum((0, 2))
    even = whole < 1e-12  # the head's weights do not vary: all is explained, or nothing
    r2 = torch.where(even, (missed < 1e-12).double(), 1 - missed / whole.clamp_min(1e-12))
    columns = (variation.mean(0), r2, empty.double().mean(0))
    return [Agreement(*map(float, line)) for line in zip(*columns, strict=True)]


def _stacked(summary: Summary) -> tuple[Tensor, Tensor]:
    """Lay the kept rows out as ``(rows, heads, keys)``, with inputs of -inf where a row ends."""
    longest = max(inputs.shape[-1] for inputs, _ in summary.rows)
    shape = (len(summary.rows), summary.heads, longest)
    inputs, cosines = (
        torch.full(shape, -math.inf, dtype=torch.float64),
        torch.zeros(shape, dtype=torch.float64),
    )
    for place, (one, other) in enumerate(summary.rows):
        inputs[place, :, : one.shape[-1]] = one
        cosines[place, :, : other.shape[-1]] = other
    return inputs, cosines


@functools.lru_cache(4096)
def _optimal(dim: int, patterns: int, criterion: str) -> int:
    return radius_.optimal(dim, patterns, criterion=criterion).radius


@functools.lru_cache(64)
def _betas(dim: int, space: str) -> np.ndarray:
    """Return the fitted betas of all radii that are compared."""
    return np.array([beta_.fit(dim, radius, space=space).beta for radius in radii(dim)])


def nearest(dim: int, beta: float, space: str = "binary") -> int:
    """Find the radius whose fitted beta is nearest to a given one; the smallest where none is as large."""
    return radii(dim)[int(np.abs(_betas(dim, space) - beta).argmin())]


def named(found: Fit) -> dict[str, Any]:
    """Lay a fit out as columns of a table."""
    return {
        "radius": found.radius,
        "activation": found.activation,
        "regime": found.regime,
        "outside": found.outside,
        "variation": found.agreement.variation,
        "r2": found.agreement.r2,
        "unreached": found.agreement.unreached,
        "matched_radius": found.matched,
        "matched_variation": found.matched_agreement.variation,
        "matched_r2": found.matched_agreement.r2,
    }
