r"""Softmax reads that score all keys in low precision, then the few relevant ones exactly.

The error of a read has a bound. The error of a score from rounded keys and queries is at most
:math:`\varepsilon = |q - \hat q| |\hat k| + |q| |k - \hat k|`, plus the rounding of the product. A
key whose rounded score is more than :math:`2 \varepsilon + w` below the largest has a true score
more than w below the largest true one, and so less than :math:`e^{-\beta w}` of its weight. Leaving
out n such keys changes no coordinate of the read by more than

.. math:: 2 \max |v| \, n \, e^{-\beta w} / Z

where Z >= 1 is the sum of the remaining weights, of which the largest is 1.
"""

import math
import platform
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine.scores import Rows, together, unmixed
from kanerva._engine.select import take

# The largest relative change of a number by rounding to bfloat16.
ROUNDING = 2.0**-8
# Relevant keys of a query above which a plain read is faster.
ROOM = 2048
# Keys that are scored first, to find queries for which too many keys are relevant.
SAMPLE = 4096


class Coarse(NamedTuple):
    """The rounded keys, and the bounds that a pruned read needs.

    Attributes:
        keys: ``(m, d)`` rounded.
        length: the length of the longest rounded key.
        away: the largest distance of a key from its rounding.
        size: the largest absolute number in the values.
    """

    keys: Tensor
    length: float
    away: float
    size: float


def coarse(keys: Tensor, values: Rows) -> Coarse:
    """Round keys to bfloat16 where the processor multiplies that fast, and measure the rounding."""
    rounded = keys.to(torch.bfloat16) if _fast(keys.device.type) else keys
    length = away = size = 0.0
    for start in range(0, len(keys), 4096):
        exact, near = keys[start : start + 4096].double(), rounded[start : start + 4096].double()
        length = max(length, float(near.square().sum(-1).amax()))
        away = max(away, 0.0 if rounded is keys else float((exact - near).square().sum(-1).amax()))
        some = values[start : start + 4096].double()  # the least integer has no absolute value
        size = max(size, float(some.abs().amax()))
    return Coarse(rounded, math.sqrt(length) * (1 + 1e-9), math.sqrt(away) * (1 + 1e-9), size)


@cache
def _fast(device: str) -> bool:
    """Return whether products of bfloat16 are fast, with sums in float32.

    oneDNN has them for every processor with AVX-512. Without instructions for bfloat16 they take
    several times as long as those of float32.
    """
    if device == "cuda":
        return True
    known = bool(torch._C._has_mkldnn) and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return known
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return known and any(getattr(torch.cpu, name, bool)() for name in names)


@unmixed
def pruned(
    query: Tensor, keys: Tensor, values: Rows, beta: float, tolerance: float, near: Coarse
) -> tuple[Tensor, Tensor, Tensor]:
    """Read from the relevant keys alone.

    Args:
        query: ``(b, d)``.
        keys: ``(m, d)``, m >= 1.
        values: ``(m, e)``.
        beta: inverse temperature, > 0.
        tolerance: error that is allowed, as a share of the largest value.
        near: the result of ``coarse`` for keys and values.

    Returns:
        the sums ``(b, e)``, a bound on their error ``(b,)``, and the number of keys in each sum
        ``(b,)``, 0 where too many keys are relevant.
    """
    # The scores and the comparisons with them take about 8 bytes for each query and key.
    size = max(1, settings.budget // (8 * len(keys)))
    several = (query[start : start + size] for start in range(0, max(1, len(query)), size))
    given = (keys, values, beta, tolerance, near)
    value, bound, active = together(_pruned(part, *given) for part in several)
    return value, bound, active


def _pruned(
    query: Tensor, keys: Tensor, values: Rows, beta: float, tolerance: float, near: Coarse
) -> tuple[Tensor, Tensor, Tensor]:
    """Read from the relevant keys, for as many queries as fit the budget."""
    window = math.log(2 * len(keys) / tolerance) / beta
    rounded = query.to(near.keys.dtype)
    down = 2 * _slack(query, rounded, near) + window
    # No score exceeds the product of the lengths, so the keys above this floor among the first
    # ones are relevant, whatever the largest score is.
    first = near.keys[:SAMPLE] @ rounded.mT
    highest = rounded.double().norm(dim=-1) * near.length
    many = (first.double() >= highest - down).sum(0) > ROOM
    if many.all():
        nothing = query.new_zeros(len(query), values.shape[1])
        return nothing, nothing[:, 0].double(), torch.zeros_like(many, dtype=torch.int64)
    with _rounded_once(query.device):
        scores = near.keys @ rounded.mT
    places, rows, found = _above(scores, scores.amax(0).double() - down)
    full = found > ROOM
    places, rows = places[~full[rows]], rows[~full[rows]]
    value, mass = _sums(query, keys, values, beta, places, rows)
    value = (value / mass[:, None]).to(query.dtype)
    left = 2 * near.size * (len(keys) - found) * math.exp(-beta * window) / mass
    # The last rounding of the result, and the roundings of the sums in float64, which are smaller.
    moved = _moved(query, keys, beta, near, 2.0**-53)
    last = value.abs().amax(-1).double() * torch.finfo(query.dtype).eps / 2
    rounding = last + near.size * (1e-12 + 2 * moved)
    return value, left + rounding, torch.where(full, 0, found)


def _sums(
    query: Tensor, keys: Tensor, values: Rows, beta: float, places: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the weighted sums and their masses in float64, over pairs of a key and a query.

    The largest weight of each query is 1, and so is its mass at least.
    """
    # A few pairs at a time, so that copies of keys and values fit the budget.
    most = max(1, settings.budget // (32 * max(keys.shape[1], values.shape[1])))
    parts = [slice(start, start + most) for start in range(0, max(1, len(rows)), most)]
    wide = query.double()
    exact = [(wide[rows[part]] * take(keys, places[part]).double()).sum(-1) for part in parts]
    scores = torch.cat(exact)
    top = scores.new_full((len(query),), -torch.inf).scatter_reduce(0, rows, scores, "amax")
    weights = (beta * (scores - top[rows])).exp()
    mass = torch.zeros_like(top).index_add(0, rows, weights).clamp_min(1)
    value = scores.new_zeros(len(query), values.shape[1])
    for part in parts:
        terms = take(values, places[part]).double() * weights[part, None]
        value.index_add_(0, rows[part], terms)
    return value, mass


def plain_bound(query: Tensor, keys: Tensor, beta: float, near: Coarse) -> Tensor:
    """Bound the error of a read that sums over all keys in the dtype of the query, in any order."""
    unit = torch.finfo(query.dtype).eps / 2
    return near.size * (2 * _moved(query, keys, beta, near, unit) + 4 * (len(keys) + 8) * unit)


def _moved(query: Tensor, keys: Tensor, beta: float, near: Coarse, unit: float) -> Tensor:
    """Bound the relative change of a weight whose score is summed with roundings of ``unit``."""
    length = query.double().norm(dim=-1) * (near.length + near.away)
    return torch.expm1(2 * beta * (keys.shape[1] + 4) * unit * length)


def _rounded_once(device: torch.device) -> AbstractContextManager[None]:
    """Make a GPU sum products of bfloat16 in float32, as a CPU does."""
    if device.type != "cuda":
        return nullcontext()
    from kanerva._engine import gpu

    return gpu.rounded_once(device)


def _slack(query: Tensor, near_query: Tensor, near: Coarse) -> Tensor:
    """Bound the error ``(b,)`` of the scores of rounded keys and queries."""
    exact, rounded = query.double(), near_query.double()
    length = rounded.norm(dim=-1)
    inputs = (exact - rounded).norm(dim=-1) * near.length + exact.norm(dim=-1) * near.away
    result = {torch.bfloat16: ROUNDING, torch.float16: 2.0**-11}.get(near.keys.dtype, 0.0)
    return inputs + length * near.length * (result + (query.shape[1] + 4) * 2.0**-23)


def _above(scores: Tensor, floor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the scores ``(m, b)`` that reach the floor of their column.

    Returns:
        their rows and columns, for columns with few of them, and how many each column has.
    """
    # Two roundings lower, so that none is lost.
    low = (floor - floor.abs() * 2 * ROUNDING).to(scores.dtype)
    if scores.dtype == torch.bfloat16 and bool((low > 0).all()):
        # Positive floats have the order of the integers of their bits, which are compared faster.
        reached = scores.view(torch.int16) >= low.view(torch.int16)
    else:
        reached = scores >= low
    flat = reached.view(-1)
    even = len(flat) // 8 * 8
    # Few scores reach the floor, so eight flags are tested at a time.
    words = flat[:even].view(torch.int64)
    count = None
    if words.count_nonzero() > ROOM * scores.shape[1] // 8:
        count = reached.sum(0)
        reached &= count <= ROOM
    words = words.nonzero()
    eights = (words * 8 + torch.arange(8, device=words.device)).flatten()
    some = torch.cat([eights, torch.arange(even, len(flat), device=words.device)])
    some = some[flat[some]]
    places, columns = some // scores.shape[1], some % scores.shape[1]
    if count is None:
        count = torch.bincount(columns, minlength=scores.shape[1])
    return places, columns, count
