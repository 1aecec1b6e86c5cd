"""Tell the columns of a table apart: numbers to store, labels, an index, text."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kanerva._core.errors import refuse
from kanerva.lab.data._raw import Raw, Reading, extra, own, refuse_file

__all__ = ["LABELS", "MISSING", "Column", "Table", "numbered", "of_table"]

# What stands in a cell without a value, in small letters.
MISSING = ("", "na", "n/a", "nan", "<na>", "null", "none", "?", "-", ".")
# Columns of these names, in any case, hold labels.
LABELS = ("label", "target", "class")
SHOWN = 12  # names at most in one sentence


class Column(NamedTuple):
    """A column: its place from 1 on, its name ("" without one), and its cells."""

    place: int
    name: str
    cells: Any

    @property
    def title(self) -> str:
        """How sentences call it: by its name in quotes, or by its place."""
        return repr(self.name) if self.name else str(self.place)


@dataclass(frozen=True)
class Table:
    """Columns, sentences on how they were read, and where a row stands in the file.

    ``header`` says what to do where the first row is a header that was taken for a pattern.

    ``where`` returns the place of a row in words, and its cells as they are written there.
    ``uneven`` refuses a file whose lines differ in length: its empty cells are not missing values.
    """

    columns: Sequence[Column]
    notes: tuple[str, ...]
    where: Callable[[int], tuple[str, list[str]]]
    uneven: Callable[[], None]
    header: str = ""


def of_table(path: Path, table: Table, reading: Reading) -> Raw:
    """Sort the columns, and make patterns of those that are measurements."""
    dropped = _dropped(table.columns, reading.drop)
    left = [column for column in table.columns if column not in dropped]
    notes = list(table.notes)
    if dropped:
        notes.append(f"left out as asked: {_listed(dropped)}")
    label, words = _label(table, left, reading.label)
    left = [column for column in left if column is not label]
    first = next(iter(left), None)
    if first is not None and first.place == 1 and _is_unnamed(first) and _counts(first.cells):
        left = left[1:]
        notes.append(f"the unnamed first column counts {_start(first.cells)}: an index, left out")
    values = _values(path, table, left)
    if len(left) < 2 <= len(table.columns):
        got = f"with {_listed(left) or 'none'} left of {len(table.columns)}"
        do = "leave fewer columns out, or take another column as labels"
        refuse_file(path, "a table of two or more columns of numbers", got, do)
    notes += [*words, *_described(left, table.columns)]
    raw = own(path, values, notes=tuple(notes))
    numbers, classes = (None, ()) if label is None else _classes(table, label)
    return replace(raw, labels=numbers, classes=classes, columns=reading.scale != "whole")


def numbered(
    values: np.ndarray, argument: str, title: str
) -> tuple[Int64[np.ndarray, "patterns"], tuple[str, ...]]:
    """Number the classes of labels that are texts or whole numbers, in their order."""
    if values.dtype.kind == "f":
        if not (np.isfinite(values) & (values == np.floor(values))).all():
            must, do = "labels that are whole numbers or texts", "name another, or round them"
            refuse(argument, must=must, got=f"{title}, which holds fractions", do=do)
        values = values.astype(np.int64 if np.abs(values).max() < 2**62 else object)
    names, numbers = np.unique(values, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64), tuple(map(str, names.tolist()))


def _named(
    columns: Sequence[Column], name: Any, argument: str, every: Sequence[Column] = ()
) -> Column:
    """Return the column of a name, or else of a place that is counted from 1.

    ``every`` are the columns of the file, of which some were left out.
    """
    found = _called(columns, name)
    if len(found) != 1:
        must = f"a column of the file: {_listed(columns)}"
        got, do = f"{str(name)!r}", "check its name"
        if found:
            got += f", the name of {len(found)} columns"
            do = f"give its place, {' or '.join(str(one.place) for one in found)}"
        elif len(_called(every, name)) == 1:
            column = _called(every, name)[0]
            by_place = column.name not in ("", str(name).strip())
            got += f", the column {column.title}" if by_place else ""
            got, do = f"{got}, which drop leaves out", "drop it no more, or name another"
        refuse(argument, must=must, got=got, do=do)
    return found[0]


def _called(columns: Sequence[Column], name: Any) -> list[Column]:
    """Return the columns of a name, or else that of a place."""
    text = str(name).strip()
    found = [column for column in columns if column.name and column.name == text]
    return found or [column for column in columns if str(column.place) == text]


def _option(column: Column, columns: Sequence[Column]) -> str:
    """Write a column as the value of an option in a shell: its name if it can be given, or place.

    A name that several columns of the file have does not say which.
    """
    name = column.name
    alone = [other.name for other in columns].count(name) == 1
    given = name.isprintable() and name == name.strip() != "" and alone
    return shlex.quote(name) if given else str(column.place)


def _dropped(columns: Sequence[Column], names: Sequence[Any]) -> list[Column]:
    return [_named(columns, name, "drop") for name in dict.fromkeys(names)]


def _label(table: Table, left: Sequence[Column], name: Any) -> tuple[Column | None, list[str]]:
    """Choose the column of the labels, as asked or by its name, and say so."""
    own_names = [column for column in left if column.name.strip().lower() in LABELS]
    if name is not None:
        chosen = _named(left, name, "label", table.columns)
        kept = [column for column in own_names if column is not chosen]
        words = [f"the column {column.title} was kept as a measurement" for column in kept]
        return chosen, [_said(table, chosen, "as asked"), *words]
    whole = [column for column in own_names if _is_whole(column.cells)]
    words = [
        f"the column {column.title} holds fractions and was kept as a measurement"
        for column in own_names
        if column not in whole
    ]
    if len(whole) > 1:
        option = _option(whole[0], table.columns)
        do = f"choose one with --label {option}, and leave the rest out with --drop"
        got = f"left out, where {_listed(whole)} could all be it"
        refuse("label", must="one column", got=got, do=do)
    if not whole:
        return None, words
    return whole[0], [_said(table, whole[0], "by its name"), *words]


def _said(table: Table, label: Column, why: str) -> str:
    classes = len(_classes(table, label)[1])
    return f"labels: the column {label.title}, {why} ({classes} classes)"


def _classes(table: Table, label: Column) -> tuple[Int64[np.ndarray, "m"], tuple[str, ...]]:
    """Number the classes of a column of labels."""
    numbers = _numbers(label.cells)
    if numbers is None:
        texts = np.array([str(cell).strip() for cell in label.cells], dtype=object)
        lacking = np.array([text.lower() in ("", "nan", "<na>") for text in texts])
    else:
        texts, lacking = numbers, np.isnan(numbers)
    if lacking.any():
        table.uneven()
        row = int(lacking.argmax())
        got = f"{label.title}, which lacks {int(lacking.sum())}, the first in {table.where(row)[0]}"
        refuse("label", must="a column with a label in every row", got=got, do="fill them in")
    numbers, names = numbered(texts, "label", label.title)
    if label.cells.dtype == bool:
        names = tuple({"0": "False", "1": "True"}[name] for name in names)
    return numbers, names


def _numbers(cells: Any) -> Float64[np.ndarray, "rows"] | None:
    """Return the numbers of a column, NaN where one is missing; None where there is text."""
    pandas = extra("pandas", "pandas", "a table")
    if pandas.api.types.is_numeric_dtype(cells.dtype) and cells.dtype.kind in "biuf":
        return cells.to_numpy(np.float64, na_value=np.nan)
    if cells.dtype.kind in "mM":
        return None
    texts = cells.astype(object).where(cells.notna(), "").astype(str).str.strip()
    found = pandas.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    return None if (np.isnan(found) & ~_is_missing(texts)).any() else found


def _is_missing(texts: Any) -> Bool[np.ndarray, "rows"]:
    return texts.str.lower().isin(MISSING).to_numpy(bool)


def _is_whole(cells: Any) -> bool:
    """Return whether a column can be labels: text, or whole numbers."""
    numbers = _numbers(cells)
    return numbers is None or not (numbers != np.floor(numbers))[~np.isnan(numbers)].any()


def _is_unnamed(column: Column) -> bool:
    return not column.name or column.name.startswith("Unnamed: ")


def _counts(cells: Any) -> bool:
    """Return whether a column counts its rows from 0 or 1; two rows are too few to tell."""
    numbers = _numbers(cells)
    if numbers is None or len(numbers) < 3 or numbers[0] not in (0, 1):
        return False
    return bool((numbers == numbers[0] + np.arange(len(numbers))).all())


def _start(cells: Any) -> str:
    return "0, 1, 2, ..." if float(cells.iloc[0]) == 0 else "1, 2, 3, ..."


def _values(path: Path, table: Table, columns: Sequence[Column]) -> Float64[np.ndarray, "m n"]:
    """Return the measurements; refuse text, missing values and infinite ones."""
    found = [_numbers(column.cells) for column in columns]
    text = [column for column, numbers in zip(columns, found, strict=True) if numbers is None]
    faults: dict[int, np.ndarray] = {}
    for place, (column, numbers) in enumerate(zip(columns, found, strict=True)):
        fault = _faulty(column.cells) if numbers is None else ~np.isfinite(numbers)
        if fault.any():
            faults[place] = fault
    if faults:
        table.uneven()
        _refuse_cell(path, table, columns, faults, text)
    kept = [each for each in found if each is not None]
    return np.stack(kept, axis=1) if kept else np.empty((len(table.columns[0].cells), 0))


def _faulty(cells: Any) -> Bool[np.ndarray, "rows"]:
    """Mark the cells that are no number."""
    pandas = extra("pandas", "pandas", "a table")
    if cells.dtype.kind in "mM":
        return np.ones(len(cells), dtype=bool)
    texts = cells.astype(object).where(cells.notna(), "").astype(str)
    return np.isnan(pandas.to_numeric(texts, errors="coerce").to_numpy(np.float64))


def _refuse_cell(
    path: Path,
    table: Table,
    columns: Sequence[Column],
    faults: dict[int, np.ndarray],
    text: Sequence[Column],
) -> None:
    """Name the first cell that cannot be stored, and every column that has such cells."""
    row, place = min((int(fault.argmax()), place) for place, fault in faults.items())
    line, cells = table.where(row)
    cell = cells[columns[place].place - 1]
    short = repr(cell if len(cell) <= 40 else cell[:37] + "...")
    held = short if cell.strip() else "an empty cell"
    got = f"with {held} in {line}, column {columns[place].place}"
    lacking = [
        f"{columns[place].title} ({int(fault.sum())})"
        for place, fault in faults.items()
        if columns[place] not in text
    ]
    if text:
        got += f"; the columns of text are {_listed(text)}"
    if lacking:
        got += f"; values are missing or infinite in {_joined(lacking)}"
    named = text[0] if text else columns[next(iter(faults))]
    option = _option(named, table.columns)
    do = f"leave a column out with --drop {option}, drop that line, or fill in a number"
    if text:
        do = f"take a column as labels with --label {option}, " + do
    if text and row == 0 and table.header:
        do += f"; {table.header}"
    refuse_file(path, "a table of finite numbers below an optional header", got, do)


def _described(columns: Sequence[Column], every: Sequence[Column]) -> list[str]:
    """Name the columns that are stored, and those that seem to number the rows."""
    notes = []
    if any(column.name for column in columns):
        notes.append(f"{len(columns)} columns of numbers: {_listed(columns)}")
    notes += [
        f"the column {column.title} counts {_start(column.cells)} and was kept; leave it out with "
        f"--drop {_option(column, every)}"
        for column in columns
        if _counts(column.cells)
    ]
    return notes


def _listed(columns: Sequence[Column]) -> str:
    return _joined([column.title for column in columns])


def _joined(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
