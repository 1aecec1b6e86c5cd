"""Every core operation against what others offer, in one run on the same data: checked equal first, then timed in turn.

A benchmark has no pass mark of its own: its page sets what was asked for beside what was measured.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kanerva._core import checks, files
from kanerva._core.errors import door
from kanerva.lab import report
from kanerva.lab.bench import _limits, _machine, _measure, _page, _reads, _sdm, _special
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Row
from kanerva.lab.bench._page import Result
from kanerva.lab.bench._sizes import SIZES, Sizes

__all__ = ["OPERATIONS", "SIZES", "Operation", "Result", "run", "save"]


class Operation(NamedTuple):
    """What can be asked for by name.

    * ``title``: what it is, in a few words.
    * ``cases``: yields cases to be timed, or rows that were measured already.
    * ``count``: how many those are.
    """

    title: str
    cases: Callable[[Sizes, Limits], Iterator[Case] | Iterator[list[Row]]]
    count: Callable[[Sizes], int]


def _places(sizes: Sizes) -> int:
    return len(sizes.bits) * len(sizes.locations) * len(sizes.batches)


def _reading(sizes: Sizes) -> int:
    return len(sizes.dims) * len(sizes.patterns) * len(sizes.queries)


def _one(sizes: Sizes) -> int:
    return 1


OPERATIONS = {
    "activation": Operation("active locations", _sdm.activation, _places),
    "write": Operation("writing to locations", _sdm.write, _places),
    "read": Operation("reading from locations", _sdm.read, _places),
    "softmax": Operation("softmax reads", _reads.softmax, _reading),
    "rules": Operation("reads by other rules", _reads.rules, _reading),
    "recall": Operation("recall of five steps", _reads.recall, _one),
    "pruned": Operation("pruned reads", _reads.pruned, _one),
    "nearest": Operation("nearest pattern", _reads.nearest, _one),
    "density": Operation("density", _reads.density, _one),
    "million": Operation("a million patterns", _special.million, _one),
    "start": Operation("first call of a process", _special.start, _one),
    "growth": Operation("growth of cost", _special.growth, lambda sizes: len(_special.BUILDERS)),
}


@door("bench")
def run(
    size: str = "quick",
    only: Sequence[str] = (),
    *,
    threads: int | None = None,
    seconds: float | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Result:
    """Run operations against their peers: check each route's answer, then time all routes in turn.

    Args:
        size: ``"tiny"`` (seconds, to see that all works), ``"quick"`` (minutes) or ``"full"`` (a quarter of an hour).
        only: names in ``OPERATIONS``; all of them unless given.
        threads: of torch and of the engines, for the length of the run; None leaves them.
        seconds: about so long is spent on each case, > 0; None for what the size says.
        out: a folder for ``benchmarks.json``, written after each case, and at the end, or when the run is interrupted,
            ``benchmarks.md`` and ``images/benchmarks.png``; None writes nothing.
        progress: called with what was done last, how many parts are done, and how many there are.

    Returns:
        the rows, the limits of the machine, the machine in words, and notes.

    Raises:
        InputError: another size or name, or a number out of range.
        InputFileError: the folder cannot be written.

    Example:
        >>> from kanerva.lab import bench
        >>> result = bench.run("tiny", ["nearest"])
        >>> max(row["difference"] for row in result.rows) < 1e-5
        True
    """
    sizes = SIZES[checks.choice("size", size, tuple(SIZES))]
    names = [checks.choice("only", name, tuple(OPERATIONS)) for name in only] or list(OPERATIONS)
    if seconds is not None:
        sizes = replace(sizes, seconds=checks.number("seconds", seconds, 0, open_low=True))
    threads = (
        torch.get_num_threads() if threads is None else checks.integer("threads", threads, 1, 4096)
    )
    folder = None if out is None else files.folder(out)
    begin, rows, notes = time.perf_counter(), list[Row](), list[str]()
    total, done = sum(OPERATIONS[name].count(sizes) for name in names), 0

    def result() -> Result:
        took = time.perf_counter() - begin
        return Result(size, tuple(names), machine, limits.plain(), rows, notes, took)

    with _threads(threads):
        machine, limits = _machine.describe(threads), _limits.measure(min(8.0, 4 * sizes.seconds))
        try:
            for name in dict.fromkeys(names):
                for found, said in _done(name, sizes, limits):
                    rows += found
                    notes += said
                    done += 1
                    if progress:
                        progress(OPERATIONS[name].title, min(done, total), total)
                    if folder:
                        report.write_json(result()._asdict(), folder / "benchmarks.json")
        except KeyboardInterrupt:
            notes.append("The run was interrupted: what follows is missing.")
            raise
        finally:
            if folder:
                save(result(), folder)
    return result()


@door("bench")
def save(result: Result, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``benchmarks.json``, ``benchmarks.md`` and, where matplotlib is installed, ``images/benchmarks.png``.

    Args:
        result: of a run.
        folder: made if it is not there.

    Returns:
        the files.

    Raises:
        InputFileError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from kanerva.lab import bench
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in bench.save(bench.run("tiny", ["nearest"]), folder)]
        ['benchmarks.json', 'benchmarks.md', 'benchmarks.png']
    """
    home = files.folder(folder)
    report.write_json(result._asdict(), home / "benchmarks.json")
    drawn = _page.picture(result)
    with files.atomic(home / "benchmarks.md") as temporary:
        temporary.write_text(_page.page(result, pictured=drawn is not None), encoding="utf-8")
    written = [home / "benchmarks.json", home / "benchmarks.md"]
    if drawn is not None:
        written.append(files.folder(home / "images") / "benchmarks.png")
        with files.atomic(written[-1]) as temporary:
            temporary.write_bytes(drawn)
    return written


def _done(name: str, sizes: Sizes, limits: Limits) -> Iterator[tuple[list[Row], list[str]]]:
    """Yield the rows and notes of each part of an operation; what fails is said, and the next operation goes on."""
    try:
        found: Any
        for found in OPERATIONS[name].cases(sizes, limits):
            yield (found, []) if isinstance(found, list) else _measure.rows(found, sizes.seconds)
    except Exception as error:  # one operation must not take the others' rows with it
        yield [], [f"{name} failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch, and with it the engines, use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
