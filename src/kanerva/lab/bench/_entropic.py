"""Registers of counts beside a loop over their cells, and beside attention over what was stored."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kanerva._engine.draws import chances
from kanerva.entropic import EntropicMemory, Gaussian
from kanerva.entropic._recall import hashes
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._patterns import CHECKED
from kanerva.lab.bench._sizes import Sizes

__all__ = ["ATTENDED", "FEWER", "LOOP", "READ", "RECALLED", "RECOGNISED", "entropic"]

RECOGNISED, RECALLED, READ = (f"kanerva, {verb}" for verb in ("recognise", "recall", "read"))
FEWER = "kanerva, recall where few are stored"
LOOP, ATTENDED = "a loop over cells in Python", "attention over all rows, column by column"
# The standard deviation as a share of the levels, and that of what is stored, in levels.
SIGMA, WIDE = 0.1, 2.0
# The share of the cells that may differ: a draw may fall to either side of a sum by a rounding.
ALLOWED = 1e-3
Table = Sequence[Sequence[int]]


def entropic(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Recognise and recall cues that were stored, and read cues near them."""
    columns, levels, stored, few, batch = sizes.register
    source = torch.Generator().manual_seed(0)
    centre = torch.randint(levels, (columns,), generator=source)
    noise = WIDE * torch.randn(stored, columns, generator=source)
    rows = (centre + noise).round().clamp(0, levels - 1)
    cues = rows[torch.arange(batch) % few]
    memory, other = (_filled(rows[:count], levels) for count in (stored, few))
    sizes_of = {"n": columns, "m": levels, "N": stored, "B": batch}
    yield Case("entropic", {"verb": "recognise"} | sizes_of, _recognised(memory, cues), ALLOWED)
    yield Case("entropic", {"verb": "recall"} | sizes_of, _recalled(memory, other, cues), ALLOWED)
    near = (cues + 0.3 * torch.rand(cues.shape, generator=source)).clamp(max=levels - 1)
    yield Case("entropic", {"verb": "read"} | sizes_of, _read(memory, rows, near), ALLOWED)


def _filled(rows: Tensor, levels: int) -> EntropicMemory:
    memory = EntropicMemory(rows.shape[1], levels, spread=Gaussian(SIGMA), cap=None)
    memory.write(rows)
    return memory


def _recognised(memory: EntropicMemory, cues: Tensor) -> list[Route]:
    """Return the routes of recognition: the cells of cues that the register does not hold."""
    some, table = cues[:CHECKED].long(), memory.counts.tolist()
    expected = (memory.counts.gather(0, some) == 0).sum(-1)

    def loop() -> Tensor:
        return torch.tensor([_mismatches(table, cue) for cue in some.tolist()])

    def ours() -> Tensor:
        return memory.recognise(cues).mismatches

    times = len(cues) / len(some)
    return [_route(RECOGNISED, ours, expected, True), _route(LOOP, loop, expected, times=times)]


def _recalled(memory: EntropicMemory, other: EntropicMemory, cues: Tensor) -> list[Route]:
    """Return the routes of recall, all with the same uniform numbers."""
    some = cues[:CHECKED].long()
    column = torch.arange(1, some.shape[1] + 1)
    chance = chances(hashes(some, 0), torch.ones(1, dtype=torch.int64), column)[0]
    table, given = memory.counts.tolist(), chance.tolist()

    def loop() -> Tensor:
        return torch.tensor(
            [_drawn(table, *each) for each in zip(some.tolist(), given, strict=True)]
        )

    ours = [
        _route(name, partial(one.recall, cues), _answer(one, some, chance), True)
        for name, one in ((RECALLED, memory), (FEWER, other))
    ]
    answer = _answer(memory, some, chance)
    return [*ours, _route(LOOP, loop, answer, times=len(cues) / len(some))]


def _read(memory: EntropicMemory, rows: Tensor, cues: Tensor) -> list[Route]:
    """Return the routes of the read: a register, and a softmax over all rows for each column."""
    keys, query = rows[:, :CHECKED].T.contiguous(), cues[:, :CHECKED].T.contiguous()
    scale = 2 * (SIGMA * memory.levels) ** 2

    def attended(dtype: torch.dtype = torch.float32) -> Tensor:
        each = [
            torch.softmax(-(q.unsqueeze(-1) - k).square() / scale, -1) @ k
            for q, k in zip(query.to(dtype), keys.to(dtype), strict=True)
        ]
        return torch.stack(each, -1)

    expected, times = attended(torch.float64), rows.shape[1] / len(keys)
    ours = _route(READ, partial(memory.read, cues), expected, True)
    return [ours, _route(ATTENDED, attended, expected, times=times)]


def _mismatches(table: Table, cue: Sequence[int]) -> int:
    """Count the columns with a cell that the cue marks and the table does not, as published."""
    found = 0
    for column, level in enumerate(cue):
        for place, row in enumerate(table):
            if place == level and row[column] == 0:
                found += 1
    return found


def _drawn(table: Table, cue: Sequence[int], chance: Sequence[float]) -> list[int]:
    """Draw a level of each column of an accepted cue by a walk over its cells, as published."""
    if _mismatches(table, cue):
        return [0] * len(cue)
    wide, found = 2 * (SIGMA * len(table)) ** 2, []
    for column, (level, share) in enumerate(zip(cue, chance, strict=True)):
        masses = [
            row[column] * math.exp(-((place - level) ** 2) / wide)
            for place, row in enumerate(table)
        ]
        left, place = share * sum(masses), 0
        while left >= masses[place]:
            left -= masses[place]
            place += 1
        found.append(place)
    return found


def _answer(memory: EntropicMemory, cues: Tensor, chance: Tensor) -> Tensor:
    """Return the recalls of cues in float64, from all masses at once."""
    apart = torch.arange(memory.levels).unsqueeze(-1) - cues.unsqueeze(-2)
    near = torch.exp(-apart.double().square() / (2 * (SIGMA * memory.levels) ** 2))
    sums = (memory.counts * near).cumsum(-2)
    drawn = (sums <= (chance * sums[..., -1, :]).unsqueeze(-2)).sum(-2)
    accepted = (memory.counts.gather(0, cues) > 0).all(-1, keepdim=True)
    return torch.where(accepted, drawn, 0)


def _route(
    name: str, call: Callable[[], Any], expected: Tensor, ours: bool = False, times: float = 1.0
) -> Route:
    """Return a route whose error is the mean difference of cells, over the largest number."""

    def check() -> float:
        found = call().double()
        part = found[tuple(slice(length) for length in expected.shape)]
        most = max(1.0, float(expected.abs().max()))
        return float((part - expected.double()).abs().mean()) / most

    return Route(name, call, check, ours, times)
