"""Every core operation beside other libraries, in one run on the same data.

The answers are checked first, then all implementations are timed in rounds. A run writes a page
with the requirements beside the measurements; it does not fail when a requirement is missed.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kanerva._core import checks, files
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._engine.threads import using
from kanerva.lab import report
from kanerva.lab.bench import (
    _codes,
    _diffusion,
    _entropic,
    _gates,
    _layers,
    _limits,
    _linked,
    _machine,
    _quarks,
    _reads,
    _sdm,
    _special,
    _training,
)
from kanerva.lab.bench._asked import found
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Result, Route, Row, compare, failed, peak, rounds
from kanerva.lab.bench._page import page
from kanerva.lab.bench._picture import picture
from kanerva.lab.bench._sizes import SIZES, Sizes
from kanerva.lab.bench._special import exponents, grown

__all__ = [
    "OPERATIONS",
    "SIZES",
    "Case",
    "Limits",
    "Operation",
    "Result",
    "Route",
    "compare",
    "exponents",
    "found",
    "grown",
    "page",
    "peak",
    "rounds",
    "run",
    "save",
]


class Operation(NamedTuple):
    """An operation that can be chosen by name.

    * ``title``: a few words.
    * ``cases``: a function that yields cases to be timed, or rows that are measured already.
    * ``count``: a function that returns their number.
    """

    title: str
    cases: Callable[[Sizes, Limits], Iterator[Case] | Iterator[list[Row]]]
    count: Callable[[Sizes], int]


def _sdm_count(sizes: Sizes) -> int:
    return len(sizes.bits) * len(sizes.locations) * len(sizes.batches)


def _reads_count(sizes: Sizes) -> int:
    return len(sizes.dims) * len(sizes.patterns) * len(sizes.queries)


def _one(sizes: Sizes) -> int:
    return 1


OPERATIONS = {
    "activation": Operation("active locations", _sdm.activation, _sdm_count),
    "write": Operation("writing to locations", _sdm.write, _sdm_count),
    "read": Operation("reading from locations", _sdm.read, _sdm_count),
    "softmax": Operation("softmax reads", _reads.softmax, _reads_count),
    "rules": Operation("reads by other rules", _reads.rules, _reads_count),
    "recall": Operation("recall of five steps", _reads.recall, _one),
    "pruned": Operation("pruned reads", _reads.pruned, _one),
    "nearest": Operation("nearest pattern", _reads.nearest, _one),
    "density": Operation("density", _reads.density, _one),
    "linked": Operation("reads with links", _linked.linked, _one),
    "diffusion": Operation("the exact denoiser", _diffusion.denoised, lambda sizes: 2),
    "entropic": Operation("registers of counts", _entropic.entropic, lambda sizes: 3),
    "encode": Operation("codes of data", _codes.encode, _one),
    "train": Operation("training of attention", _training.train, _one),
    "layers": Operation("layers to train", _layers.layers, lambda sizes: 3),
    "quarks": Operation("gates of a model", _quarks.watched, lambda sizes: 2),
    "gates": Operation("gates of blocks", _gates.gated, lambda sizes: len(sizes.gated[1])),
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
    """Check and time operations and their peers.

    Args:
        size: ``"tiny"`` (seconds, to try a run), ``"quick"`` (minutes) or ``"full"`` (a quarter of
            an hour).
        only: names in ``OPERATIONS``; all of them unless given.
        threads: of torch and of the engines during the run; None for the current number.
        seconds: the approximate time for each case, > 0; None for that of the size.
        out: a folder for ``benchmarks.json``, written after each case, and for ``benchmarks.md``
            and ``images/benchmarks.png``, written at the end or on an interrupt; None for no files.
        progress: called with the title of the last operation, the number of finished parts, and the
            number of all parts.

    Returns:
        the rows, the limits of the machine, its description, and notes.

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
    chosen = checks.several("only", only, "a sequence of names of operations")
    names = [checks.choice("only", name, tuple(OPERATIONS)) for name in chosen] or list(OPERATIONS)
    if seconds is not None:
        sizes = replace(sizes, seconds=checks.number("seconds", seconds, 0, open_low=True))
    if threads is None:
        threads = torch.get_num_threads()
    threads = checks.integer("threads", threads, 1, 4096)
    folder = None if out is None else files.folder(out)
    begin, rows, notes = time.perf_counter(), list[Row](), list[str]()
    total, done = sum(OPERATIONS[name].count(sizes) for name in names), 0

    def result() -> Result:
        took = time.perf_counter() - begin
        return Result(size, tuple(names), machine, limits.plain(), rows, notes, took)

    with using(threads):
        machine = _machine.describe(threads)
        limits = _limits.measure(min(8.0, 4 * sizes.seconds), sizes.side)
        try:
            for name in dict.fromkeys(names):
                for more, failures in _measured(name, sizes, limits):
                    rows += more
                    notes += failures
                    done += 1
                    if progress:
                        progress(OPERATIONS[name].title, min(done, total), total)
                    if folder:
                        report.write_json(result()._asdict(), folder / "benchmarks.json")
        except KeyboardInterrupt:
            notes.append("The run was interrupted; the remaining operations are missing.")
            raise
        finally:
            if folder:
                save(result(), folder)
    return result()


@door("bench")
def save(result: Result, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``benchmarks.json``, ``benchmarks.md`` and, with matplotlib, ``images/benchmarks.png``.

    Args:
        result: of a run.
        folder: created if it does not exist.

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
    if not isinstance(result, Result):
        do = "give what bench.run returned"
        refuse("result", result, must="the Result of a run", do=do, error=InputTypeError)
    home = files.folder(folder)
    report.write_json(result._asdict(), home / "benchmarks.json")
    drawn = picture(result)
    with files.atomic(home / "benchmarks.md") as temporary:
        temporary.write_text(page(result, pictured=drawn is not None), encoding="utf-8")
    written = [home / "benchmarks.json", home / "benchmarks.md"]
    if drawn is not None:
        written.append(files.folder(home / "images") / "benchmarks.png")
        with files.atomic(written[-1]) as temporary:
            temporary.write_bytes(drawn)
    return written


def _measured(name: str, sizes: Sizes, limits: Limits) -> Iterator[tuple[list[Row], list[str]]]:
    """Yield the rows and notes of each part of an operation; a failure becomes a note."""
    try:
        part: Any
        for part in OPERATIONS[name].cases(sizes, limits):
            yield (part, []) if isinstance(part, list) else compare(part, sizes.seconds)
    except Exception as error:  # Of any kind: the other operations are run nevertheless.
        yield [], [f"{name} failed: {failed(error, 300)}"]
