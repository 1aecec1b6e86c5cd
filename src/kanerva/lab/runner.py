"""Run recipes: rows to a file as they come, cells side by side, nothing lost when it is interrupted."""

import csv
import io
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from kanerva._core import checks, files
from kanerva._core.errors import InputFileError, door, refuse
from kanerva.lab import plot, report
from kanerva.lab.recipe import Cell, Recipe, Row, Value, Verdict

__all__ = ["Result", "read", "run"]

TABLE, JOURNAL, MANIFEST = "table.csv", "unfinished.jsonl", "manifest.json"
Progress = Callable[[str, int, int], None]


class Result(NamedTuple):
    """What came out of a run.

    * ``name``: of the recipe.
    * ``rows``: of the table, in the order of the cells.
    * ``verdicts``: what the checks found.
    * ``manifest``: parameters, seed, versions, seconds.
    * ``files``: the files written; none without a folder.
    """

    name: str
    rows: list[Row]
    verdicts: list[Verdict]
    manifest: dict[str, Any]
    files: list[Path]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(verdict.ok is not False for verdict in self.verdicts)


@door
def run(
    recipe: Recipe,
    folder: str | Path | None = None,
    *,
    size: str = "quick",
    seed: int = 0,
    given: Mapping[str, str | Value] | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run a recipe: measure every cell, judge the rows, draw the figure.

    Rows go to ``table.csv`` as each cell ends. A run that was interrupted goes on from there when it is asked for again
    with the same parameters. Cells are independent and run through joblib, so its backends can carry them elsewhere::

        from dask.distributed import Client
        from joblib import parallel_config

        with Client("scheduler:8786"), parallel_config(backend="dask"):
            runner.run(recipe, "runs/far", size="paper")

    Args:
        recipe: of ``kanerva.lab.papers.RECIPES``, or your own.
        folder: for table, manifest and figure; made if it is not there. Nothing is written unless given.
        size: ``"quick"`` or ``"paper"``.
        seed: an integer >= 0, added to the seed of every cell.
        given: parameters to take instead, such as ``{"radius": "9,11"}``; commas make a sweep.
        jobs: how many cells side by side, in processes of their own; -1 for one a core. None leaves it to joblib: one,
            unless ``joblib.parallel_config`` says otherwise.
        progress: called with what is being done, cells done, cells in all.

    Returns:
        rows, verdicts, manifest and files.

    Raises:
        InputError: a parameter is unknown or out of range.
        InputFileError: the folder cannot be written, or holds a run of other parameters that was not finished, or one that
            is at work.

    Example:
        >>> from kanerva.lab import runner
        >>> from kanerva.lab.papers import RECIPES
        >>> result = runner.run(RECIPES["sdm.weights"], given={"bits": 64, "radius": 11})
        >>> result.passed
        True
    """
    start = time.perf_counter()
    cells = recipe.cells(size, seed, given)
    if jobs is not None and (checks.integer("jobs", jobs, -1) == 0):
        refuse("jobs", must="1 or more, or -1 for one a core", got="0", do="leave it out for one")
    request = {
        "recipe": recipe.name,
        "version": version("kanerva"),
        "size": size,
        "seed": seed,
        "given": dict(given or {}),
    }
    with _alone(None if folder is None else Path(folder)) as home:
        log = _Log(home, request, cells)
        if progress:
            progress(recipe.name, len(log.done), len(cells))
        for index, rows in _measured(
            recipe, cells, [place for place in range(len(cells)) if place not in log.done], jobs
        ):
            log.add(index, rows)
            if progress:
                progress(recipe.name, len(log.done), len(cells))
        rows = log.table()
        verdicts = recipe.judge(rows)
        manifest = _manifest(recipe, request, cells, rows, time.perf_counter() - start)
        files = [] if home is None else _finish(recipe, home, rows, verdicts, manifest)
    return Result(recipe.name, rows, verdicts, manifest, files)


@door
def read(recipe: Recipe, folder: str | Path) -> Result:
    """Read back a run that was finished, and judge its rows.

    Args:
        recipe: the recipe that was run.
        folder: where ``run`` wrote it.

    Returns:
        rows, verdicts, manifest and files.

    Raises:
        InputFileError: there is no finished run of this recipe.

    Example:
        >>> import tempfile
        >>> from kanerva.lab import runner
        >>> from kanerva.lab.papers import RECIPES
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = runner.run(RECIPES["sdm.weights"], folder, given={"bits": 64, "radius": 11}).rows
        ...     runner.read(RECIPES["sdm.weights"], folder).rows == rows
        True
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        rows = _parse((folder / TABLE).read_bytes().decode())
    except (OSError, ValueError) as error:
        do = f"run it first: kanerva run {recipe.name} --out {folder}"
        refuse(
            "folder",
            must="that of a finished run",
            got=f"{str(folder)!r} ({error})",
            do=do,
            error=InputFileError,
        )
    name = manifest.get("recipe") if isinstance(manifest, dict) else None
    if name != recipe.name:
        got = f"one of {name!r}"
        refuse(
            "folder",
            must=f"that of a run of {recipe.name!r}",
            got=got,
            do="name its folder",
            error=InputFileError,
        )
    return Result(
        recipe.name, rows, recipe.judge(rows), manifest, [folder / TABLE, folder / MANIFEST]
    )


@contextmanager
def _alone(folder: Path | None) -> Iterator[Path | None]:
    """Make a folder and keep other runs out of it; the lock goes with the process, however that ends."""
    if folder is None:
        yield None
        return
    files.folder(folder)
    with files.writing(folder), tempfile.TemporaryFile(dir=folder):
        pass
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield folder
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            got, do = (
                f"{str(folder)!r}, where another run is at work",
                "wait for it to end, or choose another --out",
            )
            refuse("out", must="a folder of its own", got=got, do=do, error=InputFileError)
        except OSError:  # a file system without such locks
            pass
        yield folder
    finally:
        os.close(place)


class _Log:
    """The rows so far, in memory and, where there is a folder, on disk with a journal of which cells are whole.

    Nothing is written before the first cell is whole: what is refused leaves an earlier run as it is.
    """

    @door("run")
    def __init__(self, folder: Path | None, request: dict[str, Any], cells: Sequence[Cell]) -> None:
        self.folder, self.request, self.cells = folder, request, cells
        self.done: dict[int, str] = {}
        self.head = ""
        if folder is None:
            return
        self.table_path, self.journal_path = folder / TABLE, folder / JOURNAL
        with files.writing(folder):
            if self.journal_path.exists():
                self._resume()
            else:
                self._own(folder)

    def _own(self, folder: Path) -> None:
        """Refuse a folder with a finished run of another recipe."""
        try:
            name = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["recipe"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        if name != self.request["recipe"]:
            got = f"{str(folder)!r}, which holds a run of {name!r}"
            refuse(
                "out",
                must="a folder of its own",
                got=got,
                do="choose another --out, or remove the folder",
                error=InputFileError,
            )

    def _resume(self) -> None:
        """Take up what an interrupted run left; a row that was being written is cut off."""
        journal = self.journal_path.read_bytes()
        raw = self.table_path.read_bytes() if self.table_path.exists() else b""
        told = _told(journal)
        if len(told) > 1 and told[0] != json.loads(json.dumps(self.request)):
            do = "repeat its command to finish it, choose another --out, or remove the folder"
            got = f"{str(self.folder)!r}, where another run is unfinished"
            refuse("out", must="a folder of its own", got=got, do=do, error=InputFileError)
        kept = [cell for cell in told[1:] if cell["end"] <= len(raw)]
        if not kept:
            return
        ends = [raw.find(b"\n") + 1, *(cell["end"] for cell in kept)]
        sizes = {
            cell["cell"]: end - start
            for cell, start, end in zip(kept, ends[:-1], ends[1:], strict=True)
        }
        if self._cut(raw, ends[0], sizes):
            os.truncate(self.table_path, ends[-1])
            os.truncate(
                self.journal_path, sum(map(len, journal.splitlines(keepends=True)[: 1 + len(kept)]))
            )
        elif len(kept) < len(self.cells) or not self._cut(
            raw, ends[0], dict(sorted(sizes.items()))
        ):
            # Only a run that was stopped while it ended has put the table into the order of the cells.
            got, do = (
                f"changed since by others in {str(self.folder)!r}",
                "bring the table back, or remove the folder",
            )
            refuse(
                "out",
                must="a folder with the table as the run left it",
                got=got,
                do=do,
                error=InputFileError,
            )

    def _cut(self, raw: bytes, place: int, sizes: Mapping[int, int]) -> bool:
        """Cut a table into cells of these sizes in bytes, and tell whether each begins with what its cell was called with."""
        self.done, self.head = {}, raw[:place].decode()
        for index, size in sizes.items():
            text = raw[place : place + size].decode(errors="replace")
            called = _format([self.cells[index]])[1][:-1] if index < len(self.cells) else "\n"
            if text and not text.startswith((called + ",", called + "\n")):
                return False
            self.done[index], place = text, place + size
        return True

    def _begin(self, folder: Path) -> None:
        """Start table and journal. The manifest says that a table is whole, so it goes before the table does."""
        (folder / MANIFEST).unlink(missing_ok=True)
        self._append(self.table_path, "", fresh=True)
        self._append(self.journal_path, json.dumps(self.request) + "\n", fresh=True)

    @door("run")
    def add(self, index: int, rows: list[Row]) -> None:
        """Keep the rows of a cell that is whole: first the rows, then the line that says so."""
        head, text = _format(rows)
        if self.head and head and head != self.head:
            refuse(
                "rows",
                must=f"with the columns {self.head.strip()}",
                got=head.strip(),
                do="yield the same keys in the same order",
            )
        begun, first, self.head = bool(self.done), not self.head, self.head or head
        self.done[index] = text
        if self.folder is not None:
            with files.writing(self.folder):
                if not begun:
                    self._begin(self.folder)
                end = self._append(self.table_path, (head if first else "") + text)
                self._append(self.journal_path, json.dumps({"cell": index, "end": end}) + "\n")

    def table(self) -> list[Row]:
        """Return all rows in the order of the cells, as they read from the file."""
        return _parse(self.head + "".join(self.done[index] for index in sorted(self.done)))

    @staticmethod
    def _append(path: Path, text: str, *, fresh: bool = False) -> int:
        with path.open("wb" if fresh else "ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            return file.tell()


def _measured(
    recipe: Recipe, cells: Sequence[Cell], places: Sequence[int], jobs: int | None
) -> Iterator[tuple[int, list[Row]]]:
    """Measure cells as joblib is told to, and hand each over as it ends."""
    import joblib

    jobs = jobs if jobs is None else min(jobs, max(1, len(places)))
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    with warnings.catch_warnings():
        # A worker that has used much memory is replaced by a fresh one, which is as it should be.
        warnings.filterwarnings(
            "ignore", "A worker stopped while some jobs were given", UserWarning
        )
        try:
            yield from parallel(
                joblib.delayed(_cell)(recipe, place, cells[place]) for place in places
            )
        except BrokenExecutor:
            do = "give fewer, or ask for less; the same command goes on from there"
            refuse(
                "jobs",
                must="few enough for the memory of this machine",
                got=f"{jobs}, and one of them was killed",
                do=do,
            )


def _cell(recipe: Recipe, place: int, cell: Cell) -> tuple[int, list[Row]]:
    rows = []
    for row in recipe.measure(**cell):
        both = set(row) & set(cell)
        if both:
            do = "give the measured column another name"
            refuse(
                "rows", must="without the names of parameters", got=", ".join(sorted(both)), do=do
            )
        rows.append(cell | {name: _plain(value) for name, value in row.items()})
    return place, rows


def _plain(value: Any) -> Value:
    """Turn numbers of numpy and torch, and truth values, into plain ones."""
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, bool) else value


def _format(rows: Sequence[Row]) -> tuple[str, str]:
    """Write rows as CSV: the line of names, and the rest."""
    if not rows:
        return "", ""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    head = buffer.getvalue()
    for row in rows:
        if list(row) != list(rows[0]):
            refuse(
                "rows",
                must=f"with the columns {head.strip()}",
                got=",".join(row),
                do="yield the same keys in the same order",
            )
        for name, value in row.items():
            # CSV would give back a number for the first, and two lines for the second.
            if isinstance(value, str) and (_value(value) not in (value, None) or "\r" in value):
                must = "a word that does not read as a number, without carriage returns"
                refuse(
                    f"rows, column {name!r},",
                    value,
                    must=must,
                    do="write it with a letter before it, or with \\n",
                )
            if not (value is None or isinstance(value, str)):
                checks.number(
                    f"rows, column {name!r},", value, do="yield None where there is no value"
                )
    writer.writerows(rows)
    return head, buffer.getvalue()[len(head) :]


def _parse(text: str) -> list[Row]:
    lines = csv.reader(io.StringIO(text, newline=""))
    head = next(lines, [])
    return [dict(zip(head, map(_value, line), strict=True)) for line in lines if line]


def _told(journal: bytes) -> list[dict[str, Any]]:
    """Read the lines of a journal down to the first that is torn."""
    told = []
    for line in journal[: journal.rfind(b"\n") + 1].splitlines():
        try:
            told.append(json.loads(line))
        except ValueError:
            break
    return told


def _value(text: str) -> Value:
    """Read a cell of a table: nothing, a number, or a word."""
    if text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _manifest(
    recipe: Recipe,
    request: dict[str, Any],
    cells: Sequence[Cell],
    rows: Sequence[Row],
    seconds: float,
) -> dict[str, Any]:
    names = ("torch", "numpy", "scipy")
    versions = {"python": platform.python_version()} | {name: version(name) for name in names}
    return {
        **request,
        "title": recipe.title,
        "source": recipe.source,
        "figure": recipe.figure,
        "cells": len(cells),
        "rows": len(rows),
        "seconds": round(seconds, 2),
        "versions": versions,
    }


def _finish(
    recipe: Recipe, folder: Path, rows: list[Row], verdicts: list[Verdict], manifest: dict[str, Any]
) -> list[Path]:
    """Write what a finished run leaves: the figure, the table in order, the manifest; then the journal goes."""
    files = [folder / TABLE, folder / MANIFEST]
    if find_spec("matplotlib"):
        files += plot.save(recipe.draw(rows), folder, "figure")
    report.write_csv(rows, files[0])
    report.write_json(manifest | {"checks": [verdict._asdict() for verdict in verdicts]}, files[1])
    (folder / JOURNAL).unlink(missing_ok=True)
    return files
