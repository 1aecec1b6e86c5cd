"""The sparse distributed memory that is nearest to a head: radius, regime, agreement."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import refuse
from kanerva.probe._circles import CosineCircle
from kanerva.probe._summary import Summary
from kanerva.separation import Cap, Separation
from kanerva.theory import beta as beta_
from kanerva.theory import cap, circle
from kanerva.theory import radius as radius_

__all__ = ["Agreement", "Fit", "agreement", "fit", "memory", "named", "nearest", "optima", "radii"]

CRITERIA = ("noise", "snr", "capacity")
SPACES = ("binary", "continuous")


class Agreement(NamedTuple):
    """How similar the weights of a head and of a memory are, on the kept rows of the head's scores.

    * ``variation``: mean total variation, half the sum of absolute differences; 0 for equal, 1 for
      disjoint weights. A row with nothing in reach counts as 1.
    * ``r2``: share of the variance of the head's weights that the memory's weights explain. It is
      negative where the mean of the head's weights explains more. Where these do not vary, it is 1
      for equal weights and 0 for others.
    * ``unreached``: share of the rows in which the memory has nothing in reach.
    """

    variation: float
    r2: float
    unreached: float


class Fit(NamedTuple):
    """The sparse distributed memory that is nearest to a head.

    * ``radius``: in bits; the one whose fitted beta is nearest to the head's.
    * ``activation``: share of the space within that radius.
    * ``beta``: fitted beta of that radius. It differs much from the head's beta where no radius has
      one as large.
    * ``regime``: the nearest of the three optimal radii, by the logarithm of beta: ``"noise"``,
      ``"snr"`` or ``"capacity"``.
    * ``outside``: ``"broader"`` or ``"sharper"`` where the head's beta lies outside the range of
      the three optimal betas, else ``""``.
    * ``optima``: betas of the three optimal radii, in the order above, for as many patterns as the
      head attends to.
    * ``agreement``: of the head with circles of that radius.
    * ``matched``: radius of the circles that agree best with the head on its own scores.
    * ``matched_agreement``: agreement at that radius.
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


def fit(summary: Summary, head: int, patterns: int | None, space: str) -> Fit:
    """Find the memory that is nearest to a head."""
    checks.choice("space", space, SPACES)
    beta, attended = summary.moments["beta"].mean(head), summary.moments["attended"].mean(head)
    if beta is None or attended is None:
        must, do = "one that attended to something", "call the model on more than padding"
        refuse("head", got="one without such a query", must=must, do=do)
    count = max(2, round(attended)) if patterns is None else checks.integer("patterns", patterns, 2)
    radius, dim = nearest(summary.dim, beta, space), summary.dim
    share = circle.activation(dim, radius) if space == "binary" else cap.activation(dim, radius)
    best = optima(dim, count, space)
    curve = agreement(summary, space)
    matched = min(curve, key=lambda radius: curve[radius][head].variation)
    return Fit(
        radius=radius,
        activation=share,
        beta=beta_.fit(dim, radius, space=space).beta,
        regime=_regime(beta, best),
        outside=_outside(beta, best),
        optima=best,
        agreement=curve[radius][head],
        matched=matched,
        matched_agreement=curve[matched][head],
    )


def _regime(beta: float, best: tuple[float, float, float]) -> str:
    """Return the criterion whose optimal beta is nearest, by the logarithm."""
    log = math.log(max(beta, 1e-9))
    return min(zip(CRITERIA, best, strict=True), key=lambda pair: abs(log - math.log(pair[1])))[0]


def _outside(beta: float, best: tuple[float, float, float]) -> str:
    """Return on which side of all optimal betas a beta lies; nothing where it is among them."""
    if beta < min(best):
        return "broader"
    return "sharper" if beta > max(best) else ""


def optima(dim: int, patterns: int, space: str = "binary") -> tuple[float, float, float]:
    """Return the betas of the radii best for noise, signal to noise and capacity.

    The memories have a hard location at every point of the space.
    """
    radii = (max(1, _optimal(dim, patterns, criterion)) for criterion in CRITERIA)
    return tuple(beta_.fit(dim, radius, space=space).beta for radius in radii)  # type: ignore[return-value]


def radii(dim: int) -> range:
    """Return the radii that are compared: all below half the bits."""
    return range(1, max(2, dim // 2))


def agreement(summary: Summary, space: str) -> dict[int, list[Agreement]]:
    """Compare every head of an attention with the memories of all radii, on its own rows."""
    if not summary.rows:
        must, do = "one or more that were kept", "watch with rows=32, and call the model"
        refuse("rows", got="none", must=must, do=do)
    if space not in summary.compared:
        inputs, cosines, null = _stacked(summary)
        there, every = inputs > -math.inf, torch.cat((inputs, null), -1)
        own, kept = every.softmax(-1), every > -math.inf
        summary.compared[space] = {
            radius: _compared(
                own, _beside(memory(summary.dim, radius, space)(cosines, there)), kept
            )
            for radius in radii(summary.dim)
        }
    found: dict[int, list[Agreement]] = summary.compared[space]
    return found


def memory(dim: int, radius: int, space: str) -> Separation:
    """Return the rule of a memory of real vectors, a function of their cosines."""
    return CosineCircle(dim, radius) if space == "binary" else Cap(dim, radius)


def _beside(weights: Tensor) -> Tensor:
    """Append the weight of the learned sink, which a memory does not have."""
    return torch.cat((weights, torch.zeros_like(weights[..., :1])), -1)


def _compared(own: Tensor, other: Tensor, there: Tensor) -> list[Agreement]:
    """Compare weights ``(rows, heads, keys)``, head by head."""
    empty = other.sum(-1) == 0
    variation = ((own - other).abs().sum(-1) / 2).masked_fill(empty, 1)
    missed = (own - other).square().masked_fill(~there, 0).sum((0, 2))
    mean = own.sum((0, 2)) / there.sum((0, 2))
    whole = (own - mean[None, :, None]).square().masked_fill(~there, 0).sum((0, 2))
    even = whole < 1e-12  # the head's weights do not vary, so R2 has no denominator
    r2 = torch.where(even, (missed < 1e-12).double(), 1 - missed / whole.clamp_min(1e-12))
    columns = (variation.mean(0), r2, empty.double().mean(0))
    return [Agreement(*map(float, line)) for line in zip(*columns, strict=True)]


def _stacked(summary: Summary) -> tuple[Tensor, Tensor, Tensor]:
    """Stack the kept rows as ``(rows, heads, keys)``, padded with inputs of -inf.

    The last are the inputs ``(rows, heads, 1)`` of a learned sink, -inf without one.
    """
    longest = max(cosines.shape[-1] for _, cosines in summary.rows)
    shape = (len(summary.rows), summary.heads, longest)
    inputs = torch.full(shape, -math.inf, dtype=torch.float64)
    cosines = torch.zeros(shape, dtype=torch.float64)
    null = torch.full((*shape[:2], 1), -math.inf, dtype=torch.float64)
    for place, (some, others) in enumerate(summary.rows):
        count = others.shape[-1]
        inputs[place, :, :count] = some[:, :count]
        cosines[place, :, :count] = others
        null[place, :, : some.shape[-1] - count] = some[:, count:]
    return inputs, cosines, null


@functools.lru_cache(4096)
def _optimal(dim: int, patterns: int, criterion: str) -> int:
    return radius_.optimal(dim, patterns, criterion=criterion).radius


@functools.lru_cache(64)
def _betas(dim: int, space: str) -> np.ndarray:
    """Return the fitted betas of all radii that are compared."""
    return np.array([beta_.fit(dim, radius, space=space).beta for radius in radii(dim)])


def nearest(dim: int, beta: float, space: str = "binary") -> int:
    """Return the radius whose fitted beta is nearest; the smallest where none is as large."""
    return radii(dim)[int(np.abs(_betas(dim, space) - beta).argmin())]


def named(found: Fit) -> dict[str, Any]:
    """Return a fit as columns of a table."""
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
