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
from kanerva.lab.report._page import Column, Grid, Section, article, figure, flat, template, written

__all__ = [
    "Column",
    "Grid",
    "Section",
    "article",
    "page",
    "summarise",
    "table",
    "write_csv",
    "write_json",
]

Value = str | int | float | None
Row = Mapping[str, Value]

COLUMNS = {
    "title": Column("memory", "text", "the memory that stored the patterns"),
    "memory": Column("name", "text", "the name of the memory in kanerva"),
    "damage": Column("damage", "text", "how the cues were damaged"),
    "level": Column("damage", "share", "the amount of damage to a cue"),
    "seed": Column("seed", "count", "the seed of the damage and of every random choice"),
    "seeds": Column("seeds", "count", "the number of seeds of a mean"),
    "cues": Column("cues", "count", "the number of cues"),
    "exact": Column("exact", "share", "cues recalled without a single wrong bit"),
    "nearest": Column("nearest", "share", "recalls whose nearest stored pattern is their original"),
    "repaired": Column("repaired", "share", "wrong bits of the cue that the recall corrected"),
    "broken": Column("broken", "share", "correct bits of the cue that the recall made wrong"),
    "echoed": Column("echoed", "share", "damaged cues returned unchanged"),
    "lost": Column("no answer", "share", "cues without a stored pattern within reach"),
    "stored": Column("stored", "share", "recalls that are a stored pattern, the right one or not"),
    "class_kept": Column("class kept", "share", "recalls nearest to a pattern of the right class"),
    "effective": Column("memories read", "number", "effective number of patterns in a read, 1/Σw²"),
    "steps": Column("steps", "number", "reads until the state no longer changed"),
    "converged": Column("at rest", "share", "recalls that converged within the steps allowed"),
    "seconds": Column("time", "seconds", "time of the recall of one cue"),
    "bytes": Column("size", "bytes", "the size of the memory"),
}
KEYS = ("memory", "title", "damage", "level", "seed")
BASELINES = ("cue", "nearest")
DAMAGES = {
    "flip": "bits flipped",
    "occlude": "picture covered",
    "mask": "bits unknown",
    "gaussian": "strength of the noise",
}


@door("report.page")
def page(
    *,
    heading: tuple[str, str],
    verdicts: Sequence[str],
    rows: Sequence[Row],
    columns: Sequence[str],
    figures: Sequence[tuple[str, *tuple[str, ...]]],
    notes: Sequence[str],
    parameters: Sequence[tuple[str, str, Value, str]],
    manifest: Mapping[str, Any],
) -> str:
    """Return a comparison as one self-contained HTML page, without scripts, fonts or network.

    Args:
        heading: the title, and a sentence or two below it.
        verdicts: the findings, one sentence each.
        rows: a dict for each (memory, level, seed) with ``memory``, ``title``, ``damage``,
            ``level``, ``seed`` and ``columns``.
        columns: the measures; the first one is that of the table of memories by levels.
        figures: a caption and a drawing as SVG text each, and optionally a second drawing for
            narrow screens.
        notes: remarks, a sentence or two each.
        parameters: memory, name, value, and the reason for the value.
        manifest: versions, seeds and command of the run. Nested dicts are written as ``a.b``.

    Returns:
        the page. All text is escaped, so names may contain any characters; drawings are not.

    Raises:
        InputError: there are no rows or columns, a row lacks a column or contains NaN, there is
            more than one kind of damage, or a drawing is no SVG.

    Example:
        >>> row = dict(memory="sdm", title="SDM", damage="flip", level=0.1, seed=0, exact=0.75)
        >>> empty = dict(verdicts=[], figures=[], notes=[], parameters=[], manifest={})
        >>> text = page(heading=("Digits", ""), rows=[row], columns=["exact"], **empty)
        >>> "75.0%" in text
        True
    """
    if not columns:
        refuse("columns", must="one measure or more", got="empty", do="give ['exact']")
    levels = _levels(rows, columns)
    summaries = {level: summarise(rows, level) for level in levels}
    return template("recall").render(
        title=heading[0],
        lead=heading[1],
        verdicts=list(verdicts),
        pivot=_pivot(summaries, columns[0], str(rows[0]["damage"])),
        figures=[figure(index, *one) for index, one in enumerate(figures)],
        heads=[_column(name) for name in columns],
        full=[
            (_cell("level", level), [_line(row, columns) for row in summary])
            for level, summary in summaries.items()
        ],
        seeds=len({row["seed"] for row in rows}),
        notes=list(notes),
        parameters=_grouped(parameters),
        manifest=list(flat(manifest)),
    )


@door("report.summarise")
def summarise(rows: Sequence[Row], level: int | float) -> list[dict[str, Value]]:
    """Average over seeds at one level of damage.

    Args:
        rows: a dict for each (memory, level, seed).
        level: one of the levels in ``rows``.

    Returns:
        a dict for each memory, in the order of ``rows``: ``memory``, ``title``, ``damage``,
        ``level``, ``seeds`` (their number), and for every other column its mean and, as
        ``column + "_sd"``, its standard deviation over seeds, None for fewer than two seeds. None
        values are left out of a mean; the mean of no values is None.

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
    lines: list[dict[str, Value]] = []
    for memory in dict.fromkeys(row["memory"] for row in near):
        group = [row for row in near if row["memory"] == memory]
        line: dict[str, Value] = {name: group[0][name] for name in KEYS if name != "seed"}
        line["seeds"] = len({row["seed"] for row in group})
        for name in dict.fromkeys(name for row in group for name in row if name not in KEYS):
            values = [_number(name, row[name]) for row in group if row.get(name) is not None]
            line[name] = statistics.fmean(values) if values else None
            line[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
        lines.append(line)
    return lines


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
        head, kind, _ = _column(name)
        words = [*head.split(), *(_cell(name, row.get(name)) for row in rows)]
        width = max(map(len, words))
        if kind == "text":
            grid.add_column(Text(head), overflow="fold", min_width=min(width, 14))
        else:
            grid.add_column(Text(head), justify="right", overflow="fold", min_width=width)
    for row in rows:
        style = "dim" if row.get("memory") in BASELINES else None
        grid.add_row(*(Text(_cell(name, row.get(name))) for name in columns), style=style)
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
    for row in rows:
        for name in (*KEYS, *columns):
            if name not in row:
                got = f"a row with {', '.join(map(repr, row))}"
                refuse("rows", must=f"dicts with the key {name!r}", got=got, do="add it")
    damages = list(dict.fromkeys(str(row["damage"]) for row in rows))
    if len(damages) > 1:
        got = " and ".join(damages)
        refuse("rows", must="of one kind of damage", got=got, do="summarise each separately")
    return sorted({_number("level", row["level"]) for row in rows})


def _number(name: str, value: Value) -> float:
    return checks.number(f"rows, column {name!r},", value)


def _column(name: str) -> Column:
    return COLUMNS.get(name, Column(name.replace("_", " "), "number", ""))


def _cell(name: str, value: Value) -> str:
    """Format a value by the kind of its column."""
    kind = _column(name).kind
    if name == "level" and isinstance(value, int | float):
        return f"{100 * value:.4g}%"
    return written(value, kind)


def _pivot(summaries: Mapping[float, Sequence[Row]], column: str, damage: str) -> dict[str, Any]:
    """Return one measure as a table of memories by levels."""
    titles = {row["memory"]: row["title"] for summary in summaries.values() for row in summary}
    found = {(row["memory"], level): row for level, summary in summaries.items() for row in summary}
    lines = []
    for memory, name in titles.items():
        cells = []
        for level in summaries:
            row = found.get((memory, level), {})
            value, spread = row.get(column), _spread(column, row.get(f"{column}_sd"))
            share = value if _column(column).kind == "share" else None
            cells.append({"text": _cell(column, value), "spread": spread, "share": share})
        lines.append({"title": name, "baseline": memory in BASELINES, "cells": cells})
    return {
        "column": _column(column),
        "damage": DAMAGES.get(damage, damage),
        "levels": [_cell("level", level) for level in summaries],
        "lines": lines,
    }


def _spread(column: str, spread: Value) -> str:
    """Format a standard deviation; that of a share without the percent sign."""
    if spread is None:
        return ""
    text = _cell(column, spread)
    return "±" + (text.removesuffix("%") if _column(column).kind == "share" else text)


def _line(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    cells = [_cell(name, row.get(name)) for name in columns]
    return {"title": row["title"], "baseline": row["memory"] in BASELINES, "cells": cells}


def _grouped(
    parameters: Sequence[tuple[str, str, Value, str]],
) -> dict[str, list[tuple[str, str, str]]]:
    """Return name, value and reason of the parameters of each memory."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for memory, name, value, reason in parameters:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        groups.setdefault(memory, []).append((name, "–" if value is None else text, reason))
    return groups


def _plain(value: Any) -> Any:
    """Convert arrays, numbers of numpy and torch, and paths for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    must = "dicts, lists, text, numbers, booleans or None"
    refuse("obj", value, must=f"made of {must}", do="convert it first", error=InputTypeError)
