"""The register: a table of counts with a column for each feature and a row for each level."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, refuse
from kanerva.entropic._histogram import histogram

__all__ = [
    "Limits",
    "Recognition",
    "added",
    "entropies",
    "in_bits",
    "limits",
    "means",
    "recognised",
    "thinned",
]

Counts = Int[Tensor, "levels columns"]
POLICIES = ("pass", "fail")
# Numbers of keys that are counted at once: a few that stay in the caches are faster than many.
TOGETHER = 2**18


class Recognition(NamedTuple):
    r"""Whether cues are contained in a register, and the numbers that decide it.

    Attributes:
        accepted: ``(...)`` bool: at most xi mismatches, and a weight of at least kappa times the
            mean.
        mismatches: ``(...)`` int64: how many columns do not hold the level of the cue.
        weight: ``(...)`` float64, rho: the mean count of the cells of the cue over all columns,
            0 for those that are not known.
        mean: ``(...)`` float64, Omega: the mean over columns of the mean count of their cells that
            are not 0.
    """

    accepted: Bool[Tensor, "*batch"]
    mismatches: Int64[Tensor, "*batch"]
    weight: Float[Tensor, "*batch"]
    mean: Float[Tensor, "*batch"]


class Limits(NamedTuple):
    """What a register accepts.

    Attributes:
        iota: cells below iota times the mean of their column do not count as marked.
        kappa: a cue weighs at least kappa times the mean of the register.
        xi: so many columns may mismatch.
        undefined: whether columns that are not known ``"pass"`` or ``"fail"``.
    """

    iota: float
    kappa: float
    xi: int
    undefined: str


def limits(
    iota: float,
    kappa: float,
    xi: int | float,
    undefined: str,
    columns: int,
    what: str = "columns",
) -> Limits:
    """Check what a register accepts; xi may be a whole float, as files hold it."""
    do = f"give how many {what} may mismatch"
    if isinstance(xi, float) and xi.is_integer():
        xi = int(xi)
    elif isinstance(xi, float):
        must = f"a whole number from 0 to {columns}"
        refuse("xi", xi, must=must, do=do, error=InputTypeError)
    return Limits(
        checks.number("iota", iota, 0),
        checks.number("kappa", kappa, 0),
        checks.integer("xi", xi, 0, columns, do),
        checks.choice("undefined", undefined, POLICIES),
    )


def added(
    counts: Counts,
    levels: Int64[Tensor, "b columns"],
    known: Bool[Tensor, "b columns"],
    times: int = 1,
) -> Counts:
    """Return counts with one more, or one less, in the cell of every known level."""
    rows, columns = counts.shape
    size, found = rows * columns, torch.zeros_like(counts).reshape(-1)
    column = torch.arange(columns, device=counts.device)
    step = max(1, TOGETHER // columns)
    for some, seen in zip(torch.split(levels, step), torch.split(known, step), strict=True):
        # What is not known is counted behind the last cell.
        place = torch.where(seen, column + columns * some, size).reshape(-1)
        found += histogram(place, size + 1)[:size]
    return counts + times * found.reshape(rows, columns)


def means(counts: Counts) -> Float64[Tensor, "columns"]:
    """Return omega: the mean count of the cells of each column that are not 0; 0 without these."""
    marked = (counts > 0).sum(-2)
    return counts.sum(-2).double() / marked.clamp(min=1)


def thinned(
    cells: Int64[Tensor, "rows columns"], iota: float, omega: Float64[Tensor, "columns"]
) -> Bool[Tensor, "rows columns"]:
    """Return which cells are marked, without those below iota times the mean of their column."""
    marked = cells > 0
    if iota > 0:
        marked &= cells >= iota * omega
    return marked


def entropies(counts: Counts) -> Float64[Tensor, "columns"]:
    """Return the entropy of each column in bits; 0 for one without counts."""
    shares = counts.double() / counts.sum(-2).clamp(min=1)
    return in_bits(shares.mT)


def in_bits(shares: Float64[Tensor, "*batch cells"]) -> Float64[Tensor, "*batch"]:
    """Return the entropy of shares, in bits."""
    return torch.special.entr(shares).sum(-1) / math.log(2)


def recognised(
    counts: Counts,
    levels: Int64[Tensor, "b columns"],
    known: Bool[Tensor, "b columns"],
    given: Limits,
) -> Recognition:
    """Compare cues with a register; the thinned table decides on mismatches alone."""
    omega, parts, size = means(counts), [], max(1, TOGETHER // levels.shape[-1])
    for some, seen in zip(torch.split(levels, size), torch.split(known, size), strict=True):
        # What is not known has no count, and is marked nowhere.
        touched = torch.where(seen, counts.gather(0, some), 0)
        fails = ~thinned(touched, given.iota, omega)
        if given.undefined == "pass":
            fails &= seen
        parts.append((fails.sum(-1), touched.sum(-1).double() / levels.shape[-1]))
    mismatches, weight = (torch.cat(same) for same in zip(*parts, strict=True))
    mean = omega.mean().expand(weight.shape)
    accepted = (mismatches <= given.xi) & (weight >= given.kappa * mean)
    return Recognition(accepted, mismatches, weight, mean)
