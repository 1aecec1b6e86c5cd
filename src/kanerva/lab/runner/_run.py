"""Run a recipe, or read a finished run."""

import json
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from kanerva._core import checks
from kanerva._core.errors import InputFileError, door, refuse
from kanerva._core.locks import locked
from kanerva.lab import plot, plugins, report
from kanerva.lab.recipe import Cell, Recipe, Row, Value, Verdict
from kanerva.lab.runner import _rows
from kanerva.lab.runner._journal import JOURNAL, MANIFEST, TABLE, Journal

__all__ = ["Result", "read", "run"]

Progress = Callable[[str, int, int], None]


class Result(NamedTuple):
    """The outcome of a run.

    * ``name``: the name of the recipe.
    * ``rows``: the table, in the order of the cells.
    * ``verdicts``: the outcome of each check.
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

    The rows of each cell are appended to ``table.csv`` when the cell ends. An interrupted run is
    resumed from there by another call with the same parameters. A cell is measured with one thread,
    so the table does not depend on the number of threads or jobs. The cells are independent and run
    through joblib, so its backends can distribute them::

        from dask.distributed import Client
        from joblib import parallel_config

        with Client("scheduler:8786"), parallel_config(backend="dask"):
            runner.run(recipe, "runs/far", size="paper")

    Args:
        recipe: one of ``kanerva.lab.papers.RECIPES``, or your own.
        folder: the folder for table, manifest and figure; it is made if it does not exist. Nothing
            is written unless it is given.
        size: ``"quick"`` or ``"paper"``.
        seed: an integer >= 0, added to the seed of every cell.
        given: values that replace those of the cells, such as ``{"radius": "9,11"}``; commas make a
            sweep.
        jobs: the number of cells that run side by side, each in its own process; -1 for one per
            core. None leaves it to joblib: 1, unless ``joblib.parallel_config`` sets it.
        progress: a function called with the name of the recipe, the cells done and the cells in
            all.

    Returns:
        rows, verdicts, manifest and files.

    Raises:
        InputError: a parameter is unknown or out of range, or a recipe from outside this library
            raises an error or yields something else than rows.
        InputFileError: the folder cannot be written, holds an unfinished run of other parameters or
            a run of another recipe, or another run is at work in it.

    Example:
        >>> from kanerva.lab import runner
        >>> from kanerva.lab.papers import RECIPES
        >>> result = runner.run(RECIPES["sdm.weights"], given={"bits": 64, "radius": 11})
        >>> result.passed
        True
    """
    start = time.perf_counter()
    checks.instance("recipe", recipe, Recipe, "take one of kanerva.lab.papers.RECIPES")
    checks.function("progress", progress, "give one of a name and two numbers")
    if given is not None:
        must, do = "a dict from parameters to values", "write {'radius': 11}"
        checks.instance("given", given, Mapping, do, must)
    where = None if folder is None else checks.path(folder, "folder", "the name of a folder")
    cells = recipe.cells(size, seed, given)
    if jobs is not None and checks.integer("jobs", jobs, -1) == 0:
        must = "1 or more, or -1 for one a core"
        refuse("jobs", must=must, got="0", do="leave it out for one")
    request = {
        "recipe": recipe.name,
        "version": version("kanerva"),
        "size": size,
        "seed": seed,
        "given": dict(given or {}),
    }
    with locked(where) as home:
        journal = Journal(home, request, cells)
        report_progress = progress or (lambda *_: None)
        report_progress(recipe.name, len(journal.done), len(cells))
        open_cells = [place for place in range(len(cells)) if place not in journal.done]
        for place, rows in _measured(recipe, cells, open_cells, jobs):
            journal.add(place, rows)
            report_progress(recipe.name, len(journal.done), len(cells))
        rows = journal.table()
        if not rows:
            journal.forget()
            refuse("rows", must="one or more", got="none in any cell", do="yield a dict")
        verdicts = recipe.judge(rows)
        seconds = round(time.perf_counter() - start, 2)
        counts = {"cells": len(cells), "rows": len(rows), "seconds": seconds}
        manifest = _manifest(recipe, request, counts)
        files = [] if home is None else _finish(recipe, home, rows, verdicts, manifest)
    return Result(recipe.name, rows, verdicts, manifest, files)


@door
def read(recipe: Recipe, folder: str | Path) -> Result:
    """Read a finished run, and judge its rows.

    Args:
        recipe: the recipe that was run.
        folder: the folder that ``run`` wrote.

    Returns:
        rows, verdicts, manifest and files.

    Raises:
        InputFileError: the folder holds no finished run of this recipe.

    Example:
        >>> import tempfile
        >>> from kanerva.lab import runner
        >>> from kanerva.lab.papers import RECIPES
        >>> recipe = RECIPES["sdm.weights"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = runner.run(recipe, folder, given={"bits": 64, "radius": 11}).rows
        ...     runner.read(recipe, folder).rows == rows
        True
    """
    checks.instance("recipe", recipe, Recipe, "take one of kanerva.lab.papers.RECIPES")
    home = checks.path(folder, "folder", "the name of a folder")
    table, manifest_path = home / TABLE, home / MANIFEST
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        rows = _rows.parse(table.read_bytes().decode())
    except (OSError, ValueError) as error:
        must, got = "that of a finished run", f"{str(folder)!r} ({error})"
        do = f"run it first: kanerva run {recipe.name} --out {folder}"
        refuse("folder", must=must, got=got, do=do, error=InputFileError)
    name = manifest.get("recipe") if isinstance(manifest, dict) else None
    if name != recipe.name:
        must, got = f"that of a run of {recipe.name!r}", f"one of {name!r}"
        refuse("folder", must=must, got=got, do="name its folder", error=InputFileError)
    return Result(recipe.name, rows, recipe.judge(rows), manifest, [table, manifest_path])


def _measured(
    recipe: Recipe, cells: Sequence[Cell], places: Sequence[int], jobs: int | None
) -> Iterator[tuple[int, list[Row]]]:
    """Measure cells through joblib, and yield the rows of each as it ends."""
    import joblib

    jobs = jobs if jobs is None else min(jobs, max(1, len(places)))
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    with warnings.catch_warnings():
        # joblib replaces a worker that has used much memory by a fresh one.
        replaced = "A worker stopped while some jobs were given"
        warnings.filterwarnings("ignore", replaced, UserWarning)
        try:
            yield from parallel(
                joblib.delayed(_cell)(recipe, place, cells[place]) for place in places
            )
        except BrokenExecutor:
            must, got = "few enough for the memory of this machine", "and one of them was killed"
            do = "give fewer, or ask for less; the same command goes on from there"
            refuse("jobs", must=must, got=f"{jobs}, {got}", do=do)


def _cell(recipe: Recipe, place: int, cell: Cell) -> tuple[int, list[Row]]:
    """Measure one cell; return its place and its rows, with the parameters in front."""
    from kanerva._engine import threads

    # Several threads add floats in another order.
    with threads.using(1), _blamed(recipe, "a generator of rows that raises no error"):
        rows = recipe.measure(**cell)
        if not isinstance(rows, Iterable):
            refuse("rows", rows, must="yielded by a generator", do='yield {"column": value}')
        return place, [_rows.complete(row, cell) for row in rows]


def _blamed(recipe: Recipe, must: str, do: str = "correct it") -> AbstractContextManager[None]:
    """Turn whatever a recipe from outside this library raises into one sentence that names it."""
    if not recipe.origin:
        return nullcontext()
    return plugins.foreign("recipe", recipe.origin, must, do)


def _manifest(recipe: Recipe, request: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    versions = {name: version(name) for name in ("torch", "numpy", "scipy")}
    return {
        **request,
        "title": recipe.title,
        "source": recipe.source,
        "figure": recipe.figure,
        **counts,
        "versions": {"python": platform.python_version(), **versions},
    }


def _finish(
    recipe: Recipe, folder: Path, rows: list[Row], verdicts: list[Verdict], manifest: dict[str, Any]
) -> list[Path]:
    """Write the figure, the table in order and the manifest; then remove the journal."""
    files = [folder / TABLE, folder / MANIFEST]
    if find_spec("matplotlib"):
        do = "correct its draw; the same command goes on from the rows that are kept"
        with _blamed(recipe, "one whose draw makes a figure of the rows", do):
            for name, figure in recipe.figures([dict(row) for row in rows]).items():
                files += plot.save(figure, folder, name)
    report.write_csv(rows, files[0])
    report.write_json(manifest | {"checks": [verdict._asdict() for verdict in verdicts]}, files[1])
    (folder / JOURNAL).unlink(missing_ok=True)
    return files
