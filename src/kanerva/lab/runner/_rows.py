"""Rows of a table as CSV text, and back."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, refuse
from kanerva.lab.recipe import Cell, Row, Value

__all__ = ["complete", "parse", "plain", "same_columns", "text"]


def complete(row: Any, cell: Cell) -> Row:
    """Check a row of a generator, and put the parameters of its cell in front."""
    if not isinstance(row, dict):
        must, do = "dicts of numbers, words and None", 'yield {"column": value}'
        refuse("rows", row, must=must, do=do, error=InputTypeError)
    for name in row:
        if not isinstance(name, str) or name != name.strip() or set(name) & set(',"\r\n'):
            must = "dicts with names of columns, without commas, quotes and new lines"
            refuse("rows", name, must=must, do="rename the column")
    both = set(row) & set(cell)
    if both:
        must, got = "without the names of parameters", ", ".join(sorted(both))
        refuse("rows", must=must, got=got, do="give the measured column another name")
    return cell | {name: plain(value) for name, value in row.items()}


def plain(value: Any) -> Value:
    """Convert numbers of numpy and torch, and booleans, to plain numbers."""
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, bool) else value


def text(rows: Sequence[Row]) -> tuple[str, str]:
    """Return rows as CSV: the line of column names, and the other lines."""
    if not rows:
        return "", ""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    head = buffer.getvalue()
    for row in rows:
        same_columns(head.strip(), ",".join(row))
        for name, value in row.items():
            _check(f"rows, column {name!r},", value)
    writer.writerows(rows)
    return head, buffer.getvalue()[len(head) :]


def parse(table: str) -> list[Row]:
    """Read the rows of a CSV table."""
    lines = csv.reader(io.StringIO(table, newline=""))
    head = next(lines, [])
    return [dict(zip(head, map(_value, line), strict=True)) for line in lines if line]


def same_columns(expected: str, found: str) -> None:
    """Refuse rows with other columns than the first one."""
    if expected != found:
        do = "yield the same keys in the same order"
        refuse("rows", must=f"with the columns {expected}", got=found, do=do)


def _check(argument: str, value: Value) -> None:
    """Refuse a value that CSV would not give back as it was."""
    if value is None:
        return
    if not isinstance(value, str):
        checks.number(argument, value, do="yield None where there is no value")
    elif _value(value) not in (value, None) or "\r" in value:
        must = "a word that does not read as a number, without carriage returns"
        refuse(argument, value, must=must, do="write it with a letter before it, or with \\n")


def _value(word: str) -> Value:
    """Read a cell of a table: nothing, a number, or a word."""
    if word == "":
        return None
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
