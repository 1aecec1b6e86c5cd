"""Single measurements: a million patterns, the first call of a process, and the growth of cost."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kanerva import bits as vectors
from kanerva import models, theory
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Row, peak, rounds
from kanerva.lab.bench._patterns import BETA, cues, over, unit_rows
from kanerva.lab.bench._sizes import Sizes
from kanerva.memory import Patterns
from kanerva.separation import Softmax
from kanerva.similarity import dot

__all__ = ["exponents", "grown", "growth", "million", "start"]

# The length of patterns, the wrong bits of a cue, and the patterns of one write.
BITS, FLIPS, WRITTEN = 256, 26, 10_000
# The lengths of addresses and of vectors, and the number of queries, of the growth.
WIDTH, LENGTH, BATCH = 256, 64, 16

START = """
import json, time
times = [time.perf_counter()]
def mark(): times.append(time.perf_counter())
import torch; mark()
import kanerva; mark()
try:
    import numba
except ImportError:
    numba = None
mark()
memory = kanerva.sdm(bits=256, locations=2000, radius=112)
x = kanerva.bits.random(4, 256, seed=0); mark()
memory.write(x); memory.read(x); mark()
memory.write(x); memory.read(x); mark()
print(json.dumps([numba is not None] + [b - a for a, b in zip(times, times[1:])]))
"""
STAGES = {
    "import torch": 0,
    "import kanerva, after torch": 1,
    "import numba": 2,
    "first write and read": 4,
    "the same again": 5,
}


def million(sizes: Sizes, limits: Limits) -> Iterator[list[Row]]:
    """Write a million patterns, then recall cues with a tenth of the bits wrong."""
    count, batch = sizes.million
    radius = theory.radius.optimal(BITS, count).radius
    rows = vectors.Packed.random(count, BITS, seed=0)
    memory = models.sdm_patterns(BITS, radius, storage="bits")
    targets, damaged = _damaged(rows, batch)
    found: dict[str, Any] = {}

    def recall() -> None:
        found["value"] = memory.recall(damaged)

    wrote, seconds = peak(partial(_fill, memory, rows))
    held = _held(memory)
    read, took = peak(recall)
    right = int((found["value"] == targets).all(-1).sum())
    # Memory beyond the stored patterns, of the write or of the recall, whichever is larger.
    beyond = None if wrote is None or read is None else max(wrote - held, read, 0)
    setting = {"n": BITS, "N": count, "B": batch, "radius": radius, "kept as": "64 bits a word"}
    count_right = {"right": right, "asked": batch}
    yield [
        _row("million", setting, "written", (seconds,), peak=wrote),
        _row("million", setting, "recalled", (took,), peak=read, **count_right),
        _row("million", setting, "both", (seconds + took,), peak=beyond, held=held, **count_right),
    ]


def start(sizes: Sizes, limits: Limits) -> Iterator[list[Row]]:
    """Time the first calls of a process, with and without code compiled by an earlier one."""
    cold, cached = [], []
    for _ in range(sizes.starts):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_process(folder))
            cached.append(_process(folder))
    engine = "numba" if cold[0][0] else "NumPy"
    runs = {"compiled before": cached} | ({"nothing compiled": cold} if cold[0][0] else {})
    stages = {name: place for name, place in STAGES.items() if cold[0][0] or "numba" not in name}
    yield [
        _row("start", {"engine": engine, "cache": cache}, stage, [run[1 + place] for run in times])
        for cache, times in runs.items()
        for stage, place in stages.items()
    ]


def growth(sizes: Sizes, limits: Limits) -> Iterator[list[Row]]:
    """Time the same operation with increasing numbers of locations or patterns."""
    for name, build in BUILDERS.items():
        calls, held = {}, {}
        for count in sizes.growth:
            calls[str(count)], held[str(count)] = build(count)
        for call in calls.values():
            call()
        times = rounds(calls, sizes.seconds * len(calls))
        yield [
            _row("growth", {"what": name, "count": int(count)}, "kanerva", (took.median,))
            | took._asdict()
            | {"held": held[count]}
            for count, took in times.items()
        ]


def exponents(rows: list[Row], column: str) -> tuple[float, float]:
    """Fit the exponent with which a column grows: over all rows, and over the last factor of ten.

    Args:
        rows: of one operation.
        column: ``"median"`` or ``"held"``.

    Returns:
        both slopes of the logarithms, by least squares.

    Example:
        >>> from kanerva.lab.bench import exponents
        >>> rows = [dict(setting=dict(count=n), median=n**1.5) for n in (10, 100, 1000)]
        >>> [round(power, 6) for power in exponents(rows, "median")]
        [1.5, 1.5]
    """
    points = [(math.log(row["setting"]["count"]), math.log(row[column])) for row in rows]
    last = [point for point in points if point[0] >= points[-1][0] - math.log(10) * 1.001]
    return _slope(points), _slope(last)


def _slope(points: list[tuple[float, float]]) -> float:
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def grown(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the rows of each operation whose growth was measured, by its name.

    Args:
        rows: of a run.

    Returns:
        the rows of each operation, in increasing order of the count.

    Example:
        >>> from kanerva.lab.bench import grown
        >>> row = {"operation": "growth", "setting": {"what": "a read", "count": 10}}
        >>> list(grown([row]))
        ['a read']
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["operation"] == "growth":
            found.setdefault(row["setting"]["what"], []).append(row)
    return found


def _fill(memory: Patterns, rows: vectors.Packed) -> None:
    """Write packed rows in blocks, which are unpacked one at a time."""
    for start in range(0, len(rows), WRITTEN):
        memory.write(rows[start : start + WRITTEN])


def _damaged(rows: vectors.Packed, batch: int) -> tuple[Tensor, Tensor]:
    """Return some of the rows, spread over all, and the same with a tenth of the bits flipped."""
    targets = vectors.unpack(rows.words[torch.arange(batch) * len(rows) // batch], BITS)
    return targets, vectors.flip(targets, FLIPS, seed=1)


def _process(folder: str) -> list[Any]:
    """Run the code of ``START`` in a new process, with a folder as the cache of numba."""
    environment = os.environ | {"NUMBA_CACHE_DIR": folder}
    command = [sys.executable, "-c", START]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return list(json.loads(run.stdout))


def _row(
    operation: str, setting: dict[str, Any], route: str, samples: Sequence[float], **more: Any
) -> Row:
    """Return a row, of few samples, with the columns of the other operations."""
    times = {"median": statistics.median(samples), "low": min(samples), "high": max(samples)}
    row = {"operation": operation, "setting": setting, "route": route, "ours": True}
    return row | times | {"rounds": len(samples), "peak": None} | more


def _held(memory: torch.nn.Module) -> int:
    """Return the size of a memory in bytes."""
    return sum(buffer.numel() * buffer.element_size() for buffer in memory.buffers())


def _locations(count: int, write: bool) -> tuple[Callable[[], Any], int]:
    """Return a write to, or a read of, so many locations, and the size of the memory."""
    memory = models.sdm(WIDTH, count, theory.radius.quantile(WIDTH, max(0.001, 4 / count)))
    x = vectors.random(BATCH, WIDTH, seed=1)
    memory.write(x)
    return partial(memory.write if write else memory.read, x), _held(memory)


def _attention(count: int) -> tuple[Callable[[], Any], int]:
    """Return a softmax read of so many patterns, and the size of the memory."""
    keys = unit_rows(count, LENGTH)
    memory = over(keys, (dot, Softmax(BETA)))
    return partial(memory.read, cues(keys, BATCH)), _held(memory)


def _circles(count: int) -> tuple[Callable[[], Any], int]:
    """Return a read of so many patterns by circles, and the size of the memory."""
    radius = theory.radius.optimal(BITS, count).radius
    memory = models.sdm_patterns(BITS, radius, storage="bits")
    rows = vectors.Packed.random(count, BITS, seed=0)
    _fill(memory, rows)
    return partial(memory.read, _damaged(rows, BATCH)[1]), _held(memory)


BUILDERS: dict[str, Callable[[int], tuple[Callable[[], Any], int]]] = {
    f"SDM read of {BATCH}, n = {WIDTH}, against locations M": partial(_locations, write=False),
    f"SDM write of {BATCH}, n = {WIDTH}, against locations M": partial(_locations, write=True),
    f"softmax read of {BATCH}, d = {LENGTH}, against patterns N": _attention,
    f"circle read of {BATCH}, n = {BITS}, against patterns N": _circles,
}
