"""Check that routes to the same answer give it, then time them in turn: rounds over all of them in one process.

Times are of the clock on the wall. The highest resident memory of a call is the kernel's own high-water mark, set back before
the call (Linux: ``/proc/self/clear_refs``), less what was resident then: a page fine, but for some hundred kilobytes by which
the kernel's own counts are late. Memory that freed arrays left behind is handed back first, so that it is seen again.
"""

import ctypes
import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

__all__ = ["Case", "Route", "Row", "Times", "peak", "rounds", "rows"]

Row = dict[str, Any]

# A sample lasts so long at least, by as many calls as it takes.
SAMPLE = 0.02
MOST, FEWEST = 25, 3


class Route(NamedTuple):
    """A way to do the work.

    * ``name``: what it is called.
    * ``call``: does it once.
    * ``check``: does it once and returns how far the answer is from what it must be.
    * ``ours``: whether it is kanerva's.
    """

    name: str
    call: Callable[[], Any]
    check: Callable[[], float]
    ours: bool = False


class Case(NamedTuple):
    """One operation at one size.

    * ``operation``: its name.
    * ``setting``: the sizes by their symbols.
    * ``routes``: ways to the same answer.
    * ``allowed``: how far an answer may be from what it must be.
    * ``limit``: seconds that the machine needs at least, None where that is not known.
    """

    operation: str
    setting: Mapping[str, Any]
    routes: Sequence[Route]
    allowed: float
    limit: float | None = None


class Times(NamedTuple):
    """Seconds a call: the median and the quartiles of the rounds, how many there were, and the memory of a call in bytes."""

    median: float
    low: float
    high: float
    rounds: int
    peak: int | None


def rows(case: Case, seconds: float) -> tuple[list[Row], list[str]]:
    """Check and time the routes of a case.

    Args:
        case: what to do.
        seconds: about so long is spent on it; a route whose one call takes longer is called once to check and once to time.

    Returns:
        a row for each route that gave the answer, and a sentence for each that did not.
    """
    good, errors, notes = [], {}, []
    for route in case.routes:
        try:
            errors[route.name] = route.check()
        except Exception as error:  # whatever a stranger raises: the others are timed all the same
            notes.append(
                f"{route.name} failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            )
            continue
        if errors[route.name] <= case.allowed:
            good.append(route)
        else:
            notes.append(
                f"{route.name} gave another answer (off by {errors[route.name]:.2g}, {case.allowed:g} allowed) and was not timed"
            )
    times = rounds({route.name: route.call for route in good}, seconds)
    peers = {route.name: times[route.name].median for route in good if not route.ours}
    best = min(peers, key=peers.__getitem__, default=None)
    found = []
    for route in good:
        took = times[route.name]
        found.append(
            {
                "operation": case.operation,
                "setting": dict(case.setting),
                "route": route.name,
                "ours": route.ours,
                **took._asdict(),
                "difference": errors[route.name],
                "best_peer": best if route.ours else None,
                "faster": peers[best] / took.median if route.ours and best else None,
                "limit": case.limit,
                "over_limit": took.median / case.limit if case.limit else None,
            }
        )
    where = " ".join(f"{name}={value}" for name, value in case.setting.items())
    return found, [f"{case.operation} {where}: {note}" for note in notes]


def rounds(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Times]:
    """Time calls in turn, each in samples of many where it is short.

    Args:
        calls: by name; what their first call prepares is prepared.
        seconds: about so long is spent on all of them together, each with the same share.

    Returns:
        the times by name. A call that takes longer than ``seconds`` is made once.
    """
    samples: dict[str, list[float]] = {}
    peaks: dict[str, int | None] = {}
    with _undisturbed():
        for name, call in calls.items():
            peaks[name], took = peak(call)
            samples[name] = [took]
        single = {name: took[0] for name, took in samples.items()}
        inner = {name: max(1, math.ceil(SAMPLE / max(took, 1e-7))) for name, took in single.items()}
        left = {name: seconds / len(calls) for name in calls}
        again = [name for name in calls if single[name] <= seconds]
        for name in again:
            samples[name].clear()
        for turn in range(MOST):
            # The start moves on, so that no call always finds the cache as the same other one left it.
            places = [again[(turn + place) % len(again)] for place in range(len(again))]
            for name in places:
                if turn < FEWEST or left[name] > 0:
                    took = _sample(calls[name], inner[name])
                    left[name] -= took * inner[name]
                    samples[name].append(took)
    return {name: _times(samples[name], peaks[name]) for name in calls}


def _times(samples: Sequence[float], peak: int | None) -> Times:
    if len(samples) < 2:
        return Times(samples[0], samples[0], samples[0], len(samples), peak)
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Times(median, low, high, len(samples), peak)


def _sample(call: Callable[[], Any], times: int) -> float:
    """Return the seconds of one call, of so many."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the collector of garbage, and gradients, out of the times."""
    gc.collect()
    gc.disable()
    try:
        with torch.no_grad():
            yield
    finally:
        gc.enable()


def peak(call: Callable[[], Any]) -> tuple[int | None, float]:
    """Call, and return the highest resident memory beyond that before, in bytes, and the seconds it took.

    Args:
        call: what to do; what it returns is dropped.

    Returns:
        bytes, None where the system does not tell, and seconds.
    """
    with suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)
    before = _resident("VmRSS") if _reset() else None
    start = time.perf_counter()
    call()
    took = time.perf_counter() - start
    after = _resident("VmHWM")
    return (None if before is None or after is None else max(0, after - before)), took


def _reset() -> bool:
    """Set the high-water mark of resident memory back to what is resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident(name: str) -> int | None:
    """Read one line of what Linux tells about the memory of this process, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next(
        (1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None
    )
