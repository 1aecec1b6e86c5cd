"""The numbers of a comparison as an HTML page, a table for the terminal, and files."""

import csv
import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kanerva._core import checks, files
from kanerva._core.errors import InputError, InputTypeError, door, refuse
from kanerva.lab.report._columns import BASELINES, Row, Value, cell, column, number, require
from kanerva.lab.report._page import figure, flat, template
from kanerva.lab.report._recall import Numbers, full, held, pivot, reasons

__all__ = ["page", "summarise", "table", "write_csv", "write_json"]

KEYS = ("memory", "title", "damage", "level", "seed")


@door("report.page")
def page(
    *,
    heading: tuple[str, str],
    verdicts: Sequence[str],
    numbers: Numbers,
    figures: Sequence[tuple[str, *tuple[str, ...]]],
    notes: Sequence[str],
    manifest: Mapping[str, Any],
) -> str:
    """Return a comparison as one self-contained HTML page, without scripts, fonts or network.

    Args:
        heading: the title, and a sentence or two below it.
        verdicts: the findings, one sentence each.
        numbers: of the tables: rows, capacity and parameters; and a sentence for each memory.
        figures: a caption and a drawing as SVG text each, and optionally a second drawing for
            narrow screens.
        notes: remarks, a sentence or two each.
        manifest: versions, seeds and command of the run. Nested dicts are written as ``a.b``.

    Returns:
        the page. All text is escaped, so names may contain any characters; drawings are not.

    Raises:
        InputError: there are no rows or columns, a row lacks a column or contains NaN, there is
            more than one kind of damage, ``share`` is not in (0, 1], or a drawing is no SVG.

    Example:
        >>> from kanerva.lab.report import Numbers
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.75)
        >>> empty = dict(verdicts=[], figures=[], notes=[], manifest={})
        >>> text = page(heading=("Digits", ""), numbers=Numbers([row], ["exact"]), **empty)
        >>> "75.0%" in text
        True
    """
    rows, columns = numbers.rows, numbers.columns
    if not columns:
        refuse("columns", must="one measure or more", got="empty", do="give ['exact']")
    checks.number("share", numbers.share, 0, 1, open_low=True)
    levels = _levels(rows, columns)
    capacity = held(numbers)
    several = len(numbers.codecs()) > 1
    summaries = {level: summarise(rows, level) for level in levels}
    heads = [column(name) for name in columns]
    return template("recall").render(
        title=heading[0],
        lead=heading[1],
        verdicts=list(verdicts),
        several=several,
        code=column("codec"),
        pivot=pivot(summaries, columns[0], str(rows[0]["damage"])),
        capacity=capacity,
        sentences=list(numbers.sentences),
        figures=[figure(index, *one) for index, one in enumerate(figures)],
        heads=heads,
        full=full(summaries, columns),
        seeds=len({row["seed"] for row in rows}),
        notes=list(notes),
        parameters=reasons(numbers.parameters, several),
        tuned=any(row["gain"] is not None for row in numbers.parameters),
        manifest=list(flat(manifest)),
    )


@door("report.summarise")
def summarise(rows: Sequence[Row], level: int | float) -> list[dict[str, Value]]:
    """Average over seeds at one level of damage.

    Args:
        rows: a dict for each (memory, code, level, seed); ``codec``, the name of the code, is
            ``"none"`` where it is absent.
        level: one of the levels in ``rows``.

    Returns:
        a dict for each memory and code, in the order of ``rows``: ``memory``, ``title``,
        ``codec``, ``damage``, ``level``, ``seeds`` (their number), and for every other column its
        mean and, as ``column + "_sd"``, its standard deviation over seeds, None for fewer than two
        seeds. None values are left out of a mean; the mean of no values is None.

    Raises:
        InputError: there are no rows, a row lacks a key, a value is NaN or text in place of a
            number, there is more than one kind of damage, or no row has this level.

    Example:
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.75)
        >>> [line] = summarise([row, row | {"seed": 1, "exact": 0.25}], 0.1)
        >>> line["exact"], line["seeds"]
        (0.5, 2)
    """
    levels = _levels(rows, ())
    near = [row for row in rows if math.isclose(float(row["level"] or 0), level, abs_tol=1e-9)]
    if not near:
        known = ", ".join(f"{known:g}" for known in levels)
        refuse("level", must=f"one of {known}", got=f"{level:g}", do="choose one of those")
    groups: dict[tuple[Value, Value], list[Row]] = {}
    for row in near:
        groups.setdefault((row["memory"], row.get("codec", "none")), []).append(row)
    return [_mean(group, codec) for (_, codec), group in groups.items()]


def table(rows: Sequence[Row], columns: Sequence[str]) -> Table:
    """Return rows as a table for the terminal, with dimmed baselines.

    Args:
        rows: plain rows, or those of ``summarise``; a missing value is written as –.
        columns: the columns, from left to right.

    Returns:
        a ``rich.table.Table`` to print with a ``rich.console.Console``.

    Example:
        >>> table([dict(memory="sdm", title="SDM", exact=0.75)], ["title", "exact"]).row_count
        1
    """
    from rich.box import SIMPLE_HEAD

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        head, kind, _ = column(name)
        words = [*head.split(), *(cell(name, row.get(name)) for row in rows)]
        width = max(map(len, words))
        if kind == "text":
            grid.add_column(Text(head), overflow="fold", min_width=min(width, 14))
        else:
            grid.add_column(Text(head), justify="right", overflow="fold", min_width=width)
    for row in rows:
        style = "dim" if row.get("memory") in BASELINES else None
        grid.add_row(*(Text(cell(name, row.get(name))) for name in columns), style=style)
    return grid


@door("report.write_csv")
def write_csv(rows: Sequence[Row], path: str | os.PathLike[str]) -> None:
    """Write rows as comma-separated values with a header line; None is an empty cell.

    The columns are those of all rows in the order of their first occurrence. Numbers are written
    with all digits.

    Args:
        rows: dicts.
        path: the file.

    Raises:
        InputFileError: the file cannot be written; no part of it remains.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_csv([dict(memory="sdm", exact=0.75)], pathlib.Path(folder, "rows.csv"))
        ...     print(pathlib.Path(folder, "rows.csv").read_text())
        memory,exact
        sdm,0.75
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    with files.atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@door("report.write_json")
def write_json(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write an object as JSON, indented and in UTF-8.

    Args:
        obj: dicts, lists, text, numbers, booleans and None; numbers and arrays of numpy and torch
            are written as numbers and lists, paths as text.
        path: the file.

    Raises:
        InputError: ``obj`` contains NaN, infinity or itself, which JSON cannot represent.
        InputTypeError: ``obj`` contains anything else.
        InputFileError: the file cannot be written; no part of it remains.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json({"seed": 0}, pathlib.Path(folder, "manifest.json"))
        ...     print(pathlib.Path(folder, "manifest.json").read_text())
        {
          "seed": 0
        }
    """
    try:
        text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        do = "write None where there is no value"
        refuse("obj", must="finite and without loops", got=str(error).lower(), do=do)
    with files.atomic(path) as temporary:
        # The name of a file may hold bytes that are no text.
        temporary.write_text(text + "\n", encoding="utf-8", errors="replace")


def _levels(rows: Sequence[Row], columns: Sequence[str]) -> list[float]:
    """Check the rows and return their levels in increasing order."""
    if not rows:
        refuse("rows", must="one row or more", got="empty", do="run the comparison first")
    require(rows, (*KEYS, *columns))
    damages = list(dict.fromkeys(str(row["damage"]) for row in rows))
    if len(damages) > 1:
        got = " and ".join(damages)
        refuse("rows", must="of one kind of damage", got=got, do="summarise each separately")
    return sorted({number("level", row["level"]) for row in rows})


def _mean(rows: Sequence[Row], codec: Value) -> dict[str, Value]:
    """Average the rows of one memory, code and level over their seeds."""
    first = rows[0]
    line: dict[str, Value] = {"memory": first["memory"], "title": first["title"], "codec": codec}
    line |= {"damage": first["damage"], "level": first["level"]}
    line["seeds"] = len({row["seed"] for row in rows})
    keys = (*KEYS, "codec")
    for name in dict.fromkeys(name for row in rows for name in row if name not in keys):
        values = [number(name, row[name]) for row in rows if row.get(name) is not None]
        line[name] = statistics.fmean(values) if values else None
        line[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return line


def _plain(value: Any) -> Any:
    """Convert arrays, numbers of numpy and torch, and paths for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    must = "dicts, lists, text, numbers, booleans or None"
    refuse("obj", value, must=f"made of {must}", do="convert it first", error=InputTypeError)
