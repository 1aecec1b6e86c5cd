r"""Softmax reads that look at all keys in low precision, and then exactly at the few that matter, with a bound on the error.

Scores from rounded keys and queries are wrong by at most :math:`\varepsilon = |q - \hat q| |\hat k| + |q| |k - \hat k|` and the
rounding of the product. A key whose rounded score lies more than :math:`2 \varepsilon + w` below the largest one has a true score more
than w below the largest true one, and so less than :math:`e^{-\beta w}` of its weight. Leaving out n such keys moves no
coordinate of the read by more than

.. math:: 2 \max |v| \, n \, e^{-\beta w} / Z

where Z >= 1 is the sum of the weights that are left, the largest of them one.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine.scores import Rows, together, unmixed
from kanerva._engine.select import take

# What rounding to bfloat16 changes a number by, at most, as a share of it.
ROUNDING = 2.0**-8
# Keys that may matter to a query before a plain read is faster.
ROOM = 2048
# Keys that are looked at first, to see whether too many matter whatever the others are.
SAMPLE = 4096


class Coarse(NamedTuple):
    """What a pruned read needs of keys and values.

    Attributes:
        keys: ``(m, d)`` rounded.
        length: of the longest rounded key.
        away: largest distance of a key from its rounding.
        size: largest absolute value.
    """

    keys: Tensor
    length: float
    away: float
    size: float


def coarse(keys: Tensor, values: Rows) -> Coarse:
    """Round keys, to bfloat16 where the processor multiplies that faster, and measure what is lost."""
    rounded = (
        keys
        if keys.dtype == torch.bfloat16 or not _fast(keys.device.type)
        else keys.to(torch.bfloat16)
    )
    length = away = size = 0.0
    for start in range(0, len(keys), 4096):
        exact, near = keys[start : start + 4096].double(), rounded[start : start + 4096].double()
        length = max(length, float(near.square().sum(-1).amax()))
        away = max(away, 0.0 if rounded is keys else float((exact - near).square().sum(-1).amax()))
        some = values[start : start + 4096]
        size = max(size, float(some.abs().amax()))
    return Coarse(rounded, math.sqrt(length) * (1 + 1e-9), math.sqrt(away) * (1 + 1e-9), size)


@cache
def _fast(device: str) -> bool:
    """Tell whether products of bfloat16 are summed in float32, and fast."""
    return device == "cuda" or (
        bool(torch._C._has_mkldnn) and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


@unmixed
def pruned(
    query: Tensor, keys: Tensor, values: Rows, beta: float, tolerance: float, near: Coarse
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sums ``(b, e)``, bounds of their error ``(b,)``, and of how many keys ``(b,)`` they were made; 0 where too many matter.

    Args:
        query: ``(b, d)``.
        keys: ``(m, d)``, m >= 1.
        values: ``(m, e)``.
        beta: inverse temperature, > 0.
        tolerance: error that is allowed, as a share of the largest value.
        near: what ``coarse`` made of keys and values.
    """
    # Scores, what is compared with them and where they are large: about so many bytes for each query and key.
    size = max(1, settings.budget // (8 * len(keys)))
    starts = range(0, max(1, len(query)), size)
    parts = [
        _pruned(query[start : start + size], keys, values, beta, tolerance, near)
        for start in starts
    ]
    value, bound, active = together(parts)
    return value, bound, active


def _pruned(
    query: Tensor, keys: Tensor, values: Rows, beta: float, tolerance: float, near: Coarse
) -> tuple[Tensor, Tensor, Tensor]:
    """Prune for as many queries as fit the budget."""
    count = len(keys)
    window = math.log(2 * count / tolerance) / beta
    asked = query.to(near.keys.dtype)
    down = 2 * _slack(query, asked, near) + window
    # No score is larger than the product of the lengths: what that leaves among the first keys, any largest score would.
    first = near.keys[:SAMPLE] @ asked.mT
    hopeless = (first.double() >= asked.double().norm(dim=-1) * near.length - down).sum(0) > ROOM
    if hopeless.all():
        nothing = query.new_zeros(len(query), values.shape[1])
        return nothing, nothing[:, 0].double(), hopeless.long() * 0
    with _rounded_once(query.device):
        scores = near.keys @ asked.mT
    places, rows, found = _above(scores, scores.amax(0).double() - down)
    full = found > ROOM
    places, rows = places[~full[rows]], rows[~full[rows]]
    # A few pairs at a time, so that copies of keys and values fit the budget.
    most = max(1, settings.budget // (32 * max(keys.shape[1], values.shape[1])))
    pairs = [
        (places[start : start + most], rows[start : start + most])
        for start in range(0, max(1, len(rows)), most)
    ]
    exact = torch.cat(
        [(query.double()[row] * take(keys, place).double()).sum(-1) for place, row in pairs]
    )
    top = exact.new_full((len(query),), -torch.inf).scatter_reduce(0, rows, exact, "amax")
    weights = (beta * (exact - top[rows])).exp()
    mass = torch.zeros_like(top).index_add(0, rows, weights).clamp_min(1)
    value = exact.new_zeros(len(query), values.shape[1])
    for turn, (place, row) in enumerate(pairs):
        value.index_add_(
            0, row, take(values, place).double() * weights[turn * most : (turn + 1) * most, None]
        )
    value = (value / mass[:, None]).to(query.dtype)
    left = 2 * near.size * (count - found) * math.exp(-beta * window) / mass
    # What the last rounding of the result adds, and sums of float64, which are right to far less.
    moved = _moved(query, keys, beta, near, 2.0**-53)
    rounding = value.abs().amax(-1).double() * torch.finfo(query.dtype).eps / 2 + near.size * (
        1e-12 + 2 * moved
    )
    return value, left + rounding, torch.where(full, 0, found)


def plain_bound(query: Tensor, keys: Tensor, beta: float, near: Coarse) -> Tensor:
    """Bound the error of a read that sums everything in the dtype of the query, in whatever order: a bound for the worst case."""
    unit = torch.finfo(query.dtype).eps / 2
    return near.size * (2 * _moved(query, keys, beta, near, unit) + 4 * (len(keys) + 8) * unit)


def _moved(query: Tensor, keys: Tensor, beta: float, near: Coarse, unit: float) -> Tensor:
    """Bound the share of itself by which a weight is moved where its score is summed with roundings of ``unit``."""
    length = query.double().norm(dim=-1) * (near.length + near.away)
    return torch.expm1(2 * beta * (keys.shape[1] + 4) * unit * length)


def _rounded_once(device: torch.device) -> AbstractContextManager[None]:
    """Keep a GPU from adding products of bfloat16 up in bfloat16; the kernels for it are not loaded elsewhere."""
    if device.type != "cuda":
        return nullcontext()
    from kanerva._engine import gpu

    return gpu.rounded_once(device)


def _slack(query: Tensor, asked: Tensor, near: Coarse) -> Tensor:
    """Bound how far scores of rounded keys and queries are from the true ones, ``(b,)``."""
    exact, rounded = query.double(), asked.double()
    length = rounded.norm(dim=-1)
    inputs = (exact - rounded).norm(dim=-1) * near.length + exact.norm(dim=-1) * near.away
    result = {torch.bfloat16: ROUNDING, torch.float16: 2.0**-11}.get(near.keys.dtype, 0.0)
    return inputs + length * near.length * (result + (query.shape[1] + 4) * 2.0**-23)


def _above(scores: Tensor, floor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows and columns of the scores ``(m, b)`` that reach the floor of their column, where they are few, and how many do."""
    # A rounding less, that none is lost.
    low = (floor - floor.abs() * 2 * ROUNDING).to(scores.dtype)
    if scores.dtype == torch.bfloat16 and bool((low > 0).all()):
        # Positive floats are ordered as the integers of their bits are, which are compared much faster.
        reached = scores.view(torch.int16) >= low.view(torch.int16)
    else:
        reached = scores >= low
    flat = reached.view(-1)
    even = len(flat) // 8 * 8
    # Eight at a time first: hardly anything reaches the floor, but where too much does.
    words = flat[:even].view(torch.int64)
    count = None
    if words.count_nonzero() > ROOM * scores.shape[1] // 8:
        count = reached.sum(0)
        reached &= count <= ROOM
    words = words.nonzero()
    some = torch.cat(
        [
            (words * 8 + torch.arange(8, device=words.device)).flatten(),
            torch.arange(even, len(flat), device=words.device),
        ]
    )
    some = some[flat[some]]
    places, columns = some // scores.shape[1], some % scores.shape[1]
    return (
        places,
        columns,
        torch.bincount(columns, minlength=scores.shape[1]) if count is None else count,
    )
