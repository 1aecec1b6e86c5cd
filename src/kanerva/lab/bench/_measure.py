"""Check the answers of several implementations of one operation, then time them in rounds.

All implementations run in one process, and a round times each of them. Times are wall-clock times.
The memory of a call is the kernel's high-water mark of resident memory, reset before the call
(Linux: ``/proc/self/clear_refs``), minus the memory that was resident then. The kernel counts
pages, and its counts may be some hundred kilobytes late. Freed memory is returned to the kernel
before the call, so that its reuse counts.
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

__all__ = ["Case", "Result", "Route", "Row", "Times", "compare", "failed", "peak", "rounds"]

Row = dict[str, Any]

# A sample is as many calls as take so many seconds, or fewer where little time is given, so that
# the fewest rounds keep to it.
SAMPLE = 0.02
# The numbers of rounds.
MOST, FEWEST = 25, 3


class Route(NamedTuple):
    """One implementation of an operation.

    * ``name``: of the implementation.
    * ``call``: run the operation once.
    * ``check``: run the operation once and return the error of the answer.
    * ``ours``: True for kanerva.
    * ``times``: how often a call is done for the whole work, where it does a part of it: its time
      is multiplied by this number.
    """

    name: str
    call: Callable[[], Any]
    check: Callable[[], float]
    ours: bool = False
    times: float = 1.0


class Case(NamedTuple):
    """One operation at one size.

    * ``operation``: its name.
    * ``setting``: the sizes by their symbols.
    * ``routes``: implementations with the same answer.
    * ``allowed``: the largest error of an answer.
    * ``limit``: the fewest seconds by the limits of the machine, None where they are unknown.
    * ``longer``: by what the time for each case of the run is multiplied for this one.
    """

    operation: str
    setting: Mapping[str, Any]
    routes: Sequence[Route]
    allowed: float
    limit: float | None = None
    longer: float = 1.0


class Times(NamedTuple):
    """Median and quartiles of the seconds of a call, the number of rounds, and memory in bytes."""

    median: float
    low: float
    high: float
    rounds: int
    peak: int | None

    def of(self, times: float) -> "Times":
        """Return the seconds of so many calls, one after another."""
        median, low, high = (times * each for each in self[:3])
        return self._replace(median=median, low=low, high=high)


class Result(NamedTuple):
    """The result of a run.

    * ``size``, ``only``: the arguments of the run.
    * ``machine``: its description.
    * ``limits``: its rates, each per second.
    * ``rows``: a dict for each route of each case.
    * ``notes``: failures and wrong answers, one sentence each.
    * ``seconds``: the duration of the run.
    """

    size: str
    only: tuple[str, ...]
    machine: dict[str, Any]
    limits: dict[str, Any]
    rows: list[Row]
    notes: list[str]
    seconds: float


def compare(case: Case, seconds: float) -> tuple[list[Row], list[str]]:
    """Check and time the routes of a case.

    Args:
        case: the operation, its size and its routes.
        seconds: the approximate time for the case, which its ``longer`` multiplies. A route whose
            single call takes longer is called once to check it and once to time it.

    Returns:
        a row for each route with the right answer, and a sentence for each other route.

    Example:
        >>> from kanerva.lab.bench import Case, Route, compare
        >>> good = Route("good", lambda: None, lambda: 0.0)
        >>> bad = Route("bad", lambda: None, lambda: 0.5)
        >>> rows, notes = compare(Case("read", {"B": 1}, [good, bad], allowed=0.1), 0.01)
        >>> [row["route"] for row in rows]
        ['good']
        >>> notes
        ['read B=1: bad gave another answer (off by 0.5, 0.1 allowed) and was not timed']
    """
    errors, notes = {}, []
    for route in case.routes:
        try:
            error = route.check()
        except Exception as failure:  # Of any kind: the other routes are timed nevertheless.
            notes.append(f"{route.name} failed: {failed(failure, 200)}")
            continue
        if error <= case.allowed:
            errors[route.name] = error
        else:
            off = f"off by {error:.2g}, {case.allowed:g} allowed"
            notes.append(f"{route.name} gave another answer ({off}) and was not timed")
    good = [route for route in case.routes if route.name in errors]
    found = rounds({route.name: route.call for route in good}, seconds * case.longer)
    times = {route.name: found[route.name].of(route.times) for route in good}
    peers = {route.name: times[route.name].median for route in good if not route.ours}
    best = min(peers, key=peers.__getitem__, default=None)
    rows = [
        {
            "operation": case.operation,
            "setting": dict(case.setting),
            "route": route.name,
            "ours": route.ours,
            **times[route.name]._asdict(),
            "difference": errors[route.name],
            "best_peer": best if route.ours else None,
            "faster": peers[best] / times[route.name].median if route.ours and best else None,
            "limit": case.limit,
            "over_limit": times[route.name].median / case.limit if case.limit else None,
        }
        for route in good
    ]
    where = " ".join(f"{name}={value}" for name, value in case.setting.items())
    return rows, [f"{case.operation} {where}: {note}" for note in notes]


def failed(error: Exception, letters: int) -> str:
    """Return the kind and the message of an error, in so many letters at most."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:letters]}"


def rounds(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Times]:
    """Time calls in rounds; a sample of a short call is the mean of many calls.

    Args:
        calls: by name, called at least once before.
        seconds: the approximate time for all calls together, in equal shares.

    Returns:
        the times by name. A call that takes longer than ``seconds`` is made once.

    Example:
        >>> from kanerva.lab.bench import rounds
        >>> times = rounds({"sum": lambda: sum(range(1000))}, 0.01)
        >>> times["sum"].rounds >= 3
        True
    """
    samples: dict[str, list[float]] = {}
    peaks: dict[str, int | None] = {}
    with _undisturbed():
        for name, call in calls.items():
            peaks[name], took = peak(call)
            samples[name] = [took]
        single = {name: took[0] for name, took in samples.items()}
        share = seconds / max(1, len(calls))
        sample = min(SAMPLE, share / FEWEST)
        inner = {name: max(1, math.ceil(sample / max(took, 1e-7))) for name, took in single.items()}
        left = dict.fromkeys(calls, share)
        again = [name for name in calls if single[name] <= seconds]
        for name in again:
            samples[name].clear()
        for turn in range(MOST):
            # Each round starts with another call, since a call leaves its data in the cache.
            places = [again[(turn + place) % len(again)] for place in range(len(again))]
            for name in places:
                if turn < FEWEST or left[name] > 0:
                    took = _sample(calls[name], inner[name])
                    left[name] -= took * inner[name]
                    samples[name].append(took)
    return {name: _times(samples[name], peaks[name]) for name in calls}


def _times(samples: Sequence[float], peak: int | None) -> Times:
    """Return median and quartiles of samples."""
    if len(samples) < 2:
        return Times(samples[0], samples[0], samples[0], len(samples), peak)
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Times(median, low, high, len(samples), peak)


def _sample(call: Callable[[], Any], times: int) -> float:
    """Return the mean seconds of so many calls."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Turn off garbage collection and gradients within the block."""
    gc.collect()
    gc.disable()
    try:
        with torch.no_grad():
            yield
    finally:
        gc.enable()


def peak(call: Callable[[], Any]) -> tuple[int | None, float]:
    """Call a function once and return the memory and the seconds that it took.

    Args:
        call: the function; its result is dropped.

    Returns:
        the growth of the highest resident memory in bytes, None where the system does not report
        it, and seconds.

    Example:
        >>> from kanerva.lab.bench import peak
        >>> size, seconds = peak(lambda: bytearray(2**24))
        >>> seconds > 0
        True
    """
    with suppress(OSError, AttributeError):  # A C library other than that of GNU.
        ctypes.CDLL(None).malloc_trim(0)
    before = _resident("VmRSS") if _reset() else None
    start = time.perf_counter()
    call()
    took = time.perf_counter() - start
    after = _resident("VmHWM")
    return (None if before is None or after is None else max(0, after - before)), took


def _reset() -> bool:
    """Reset the high-water mark of resident memory; return whether the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident(name: str) -> int | None:
    """Return a memory entry of ``/proc/self/status`` in bytes, or None."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    sizes = (1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    return next(sizes, None)
