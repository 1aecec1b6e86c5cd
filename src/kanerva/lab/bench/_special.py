"""What is not a race of routes: a million patterns, the first call of a process, and how cost grows."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from kanerva import bits as vectors
from kanerva import models, theory
from kanerva._core.errors import InputError
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Row, peak, rounds
from kanerva.lab.bench._reads import BETA, _cues, _sharing
from kanerva.lab.bench._sizes import Sizes
from kanerva.memory import Patterns
from kanerva.separation import Softmax
from kanerva.similarity import dot

__all__ = ["exponents", "grown", "growth", "million", "start"]

BITS, FLIPS, WRITTEN = 256, 26, 10_000
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
    """Write a million patterns, then recall cues of which every tenth bit is wrong."""
    count, cues = sizes.million
    radius = theory.radius.optimal(BITS, count).radius
    rows = vectors.Packed.random(count, BITS, seed=0)
    memory, kept = _packing(radius)
    found: dict[str, Any] = {}

    def write() -> None:
        for start in range(0, count, WRITTEN):
            memory.write(rows[start : start + WRITTEN])

    asked = vectors.unpack(rows.words[torch.arange(cues) * count // cues], BITS)
    damaged = vectors.flip(asked, FLIPS, seed=1)

    def read() -> None:
        found["value"] = memory.recall(damaged)

    setting = {"n": BITS, "N": count, "B": cues, "radius": radius, "kept as": kept}
    before, wrote = peak(write)
    held = sum(buffer.numel() * buffer.element_size() for buffer in memory.buffers())
    extra, took = peak(read)
    right = int((found["value"] == asked).all(-1).sum())
    # Beyond the patterns: what writing needs besides what it leaves, or what recalling needs, whichever is more.
    beyond = None if before is None or extra is None else max(before - held, extra, 0)
    yield [
        _row("million", setting, "written", wrote, peak=before),
        _row("million", setting, "recalled", took, peak=extra, right=right, asked=cues),
        _row(
            "million",
            setting,
            "both",
            wrote + took,
            peak=beyond,
            held=held,
            right=right,
            asked=cues,
        ),
    ]


def start(sizes: Sizes, limits: Limits) -> Iterator[list[Row]]:
    """Start a process and call for the first time, with and without what an earlier one compiled."""
    cold, cached = [], []
    for _ in range(sizes.starts):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_process(folder))
            cached.append(_process(folder))
    engine = "numba" if cold[0][0] else "NumPy"
    runs = {"compiled before": cached} | ({"nothing compiled": cold} if cold[0][0] else {})
    yield [
        _row(
            "start",
            {"engine": engine, "cache": name},
            stage,
            *_middle([run[1 + place] for run in times]),
        )
        for name, times in runs.items()
        for stage, place in STAGES.items()
        if engine == "numba" or stage != "import numba"
    ]


def growth(sizes: Sizes, limits: Limits) -> Iterator[list[Row]]:
    """Do the same work with ever more locations or patterns."""
    for name, build in BUILDERS.items():
        calls, held = {}, {}
        for count in sizes.growth:
            calls[str(count)], held[str(count)] = build(count)
        for call in calls.values():
            call()
        times = rounds(calls, sizes.seconds * len(calls))
        yield [
            _row(
                "growth",
                {"what": name, "count": int(count)},
                "kanerva",
                took.median,
                took.low,
                took.high,
                took.rounds,
                peak=took.peak,
            )
            | {"held": held[count]}
            for count, took in times.items()
        ]


def exponents(rows: list[Row], column: str) -> tuple[float, float]:
    """Fit the power by which a column grows with the count: over all rows, and over the last factor of ten.

    Args:
        rows: of one thing that grows.
        column: ``"median"`` or ``"held"``.

    Returns:
        both slopes of the logarithms, by least squares.
    """
    points = [(math.log(row["setting"]["count"]), math.log(row[column])) for row in rows]
    last = [point for point in points if point[0] >= points[-1][0] - math.log(10) * 1.001]
    whole, end = (
        statistics.linear_regression(*zip(*some, strict=True)).slope for some in (points, last)
    )
    return whole, end


def grown(rows: list[Row]) -> dict[str, list[Row]]:
    """Gather the rows of each thing that grows."""
    things: dict[str, list[Row]] = {}
    for row in rows:
        if row["operation"] == "growth":
            things.setdefault(row["setting"]["what"], []).append(row)
    return things


def _packing(radius: int) -> tuple[Patterns, str]:
    """Build the pattern view with 64 bits to a word, or as floats where it cannot."""
    try:
        return models.sdm_patterns(BITS, radius, storage="bits"), "64 bits a word"
    except (InputError, TypeError):
        return models.sdm_patterns(BITS, radius), "float32"


def _process(folder: str) -> list[Any]:
    """Run the start in a process of its own that keeps what it compiles in a folder."""
    environment = os.environ | {"NUMBA_CACHE_DIR": folder}
    run = subprocess.run(
        [sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True
    )
    return list(json.loads(run.stdout))


def _middle(samples: list[float]) -> tuple[float, float, float, int]:
    return statistics.median(samples), min(samples), max(samples), len(samples)


def _row(
    operation: str, setting: dict[str, Any], route: str, median: float, *spread: Any, **more: Any
) -> Row:
    """Lay out what was measured once, or a few times, in the manner of the other rows."""
    low, high, times = spread or (median, median, 1)
    times = {"median": median, "low": low, "high": high, "rounds": times, "peak": None}
    return {
        "operation": operation,
        "setting": setting,
        "route": route,
        "ours": True,
        **times,
        **more,
    }


def _held(memory: torch.nn.Module) -> int:
    return sum(buffer.numel() * buffer.element_size() for buffer in memory.buffers())


def _locations(count: int, write: bool) -> tuple[Callable[[], Any], int]:
    """Write to, or read from, sparse distributed memory of so many locations."""
    memory = models.sdm(WIDTH, count, theory.radius.quantile(WIDTH, max(0.001, 4 / count)))
    x = vectors.random(BATCH, WIDTH, seed=1)
    memory.write(x)
    return partial(memory.write if write else memory.read, x), _held(memory)


def _attention(count: int) -> tuple[Callable[[], Any], int]:
    """Read from so many patterns by softmax."""
    keys = torch.randn(count, LENGTH, generator=torch.Generator().manual_seed(0))
    keys /= keys.norm(dim=1, keepdim=True)
    memory = _sharing(keys, dot, Softmax(BETA))
    return partial(memory.read, _cues(keys, BATCH)), _held(memory)


def _circles(count: int) -> tuple[Callable[[], Any], int]:
    """Read from so many patterns by circles."""
    memory, _ = _packing(theory.radius.optimal(BITS, count).radius)
    rows = vectors.Packed.random(count, BITS, seed=0)
    for first in range(0, count, WRITTEN):
        memory.write(rows[first : first + WRITTEN])
    query = vectors.flip(
        vectors.unpack(rows.words[torch.arange(BATCH) * count // BATCH], BITS), FLIPS, seed=1
    )
    return partial(memory.read, query), _held(memory)


BUILDERS: dict[str, Callable[[int], tuple[Callable[[], Any], int]]] = {
    f"SDM read of {BATCH}, n = {WIDTH}, against locations M": partial(_locations, write=False),
    f"SDM write of {BATCH}, n = {WIDTH}, against locations M": partial(_locations, write=True),
    f"softmax read of {BATCH}, d = {LENGTH}, against patterns N": _attention,
    f"circle read of {BATCH}, n = {BITS}, against patterns N": _circles,
}
