"""Read tables: text with cells between commas, semicolons, tabs or blanks, and Parquet files."""

import csv
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from kanerva.lab.data._columns import LABELS, MISSING, Column, Table, of_table
from kanerva.lab.data._raw import (
    MOST,
    Raw,
    Reading,
    checked,
    extra,
    failing,
    fits,
    own,
    refuse_file,
)

__all__ = ["read_parquet", "read_text"]

# Names of what separates the cells, in the notes.
MARKS = {";": "semicolons", "\t": "tabs", " ": "blanks"}
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
SAMPLE = 2**16  # characters, from which the number of cells is estimated
MUST = "a text file of numbers, one pattern a line"
WIDTH = "a table with as many cells in every line"


class Form(NamedTuple):
    """How the lines of a text are cut into cells: the separator, and the header if there is one."""

    mark: str
    header: list[str] | None
    first: list[str]


def read_text(path: Path, name: str | None, reading: Reading) -> Raw:
    """Read a table from text."""
    do = "save it as UTF-8 text with commas between the numbers"
    with failing(path, MUST, do), path.open(encoding="utf-8-sig", newline="") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > 8 * MOST:
            must, do = f"a text file of at most {8 * MOST:,} bytes", "save it with numpy.save"
            refuse_file(path, must, "which is larger", do)
        form = _form(path, stream)
        if not form.first:
            return own(path, np.empty((0, 0)))
        sample = stream.read(SAMPLE)
        cells = sum(sample.count(mark) for mark in (form.mark, "\n"))
        fits(cells * max(1, size // SAMPLE), partial(refuse_file, path))
        frame, comma = _frame(path, stream, form)
        if frame is None:
            return own(path, np.empty((0, len(form.first))))
        return of_table(path, _table(path, stream, form, frame, comma), reading)


def read_parquet(path: Path, name: str | None, reading: Reading) -> Raw:
    """Read a table from a Parquet file; one that pandas wrote gives its index back, too."""
    what = f"'{path}', a Parquet file"
    pandas, parquet = extra("pandas", "pandas", what), extra("pyarrow.parquet", "pyarrow", what)
    do = "write it again with pandas.DataFrame.to_parquet"
    with failing(path, "a Parquet file", do), path.open("rb") as file:
        held = parquet.ParquetFile(file).metadata
        checked((held.num_rows, held.num_columns), partial(refuse_file, path))
        frame = pandas.read_parquet(file)
    notes: tuple[str, ...] = ()
    if not isinstance(frame.index, pandas.RangeIndex):
        notes = ("the index of the table was left out",)

    def where(row: int) -> tuple[str, list[str]]:
        return f"row {row + 1}", [str(cell) for cell in frame.iloc[row]]

    return of_table(
        path, Table(_columns(frame, frame.columns), notes, where, lambda: None), reading
    )


def _form(path: Path, stream: IO[str]) -> Form:
    """Find the separator and the header, from the first lines."""
    tabs = path.suffix.lower() == ".tsv"
    lines = [line for line in itertools.islice(stream, 20) if line.strip()]
    mark = "\t" if tabs else _mark(lines)
    stream.seek(0)
    first = next((cells for _, cells in _records(stream, mark)), [])
    stream.seek(0)
    header = [cell.strip() for cell in first] if _is_header(first) else None
    return Form(mark, header, first)


def _mark(lines: list[str]) -> str:
    """Choose what separates cells.

    Between semicolons, tabs and blanks a comma can be part of a number.
    """
    first = lines[0] if lines else ""
    words = lines[-1].split() if lines else []
    if len(words) > 1 and all(map(DECIMAL_COMMA.fullmatch, words)) and "\t" not in first:
        return " "
    mark = next((mark for mark in ";\t," if mark in first), "")
    return mark or (" " if len(first.split()) > 1 else ",")


def _is_header(cells: list[str]) -> bool:
    """Return whether the first line names columns rather than being a pattern.

    Its cells are words. Numbers among them count up from 0 or 1, as pandas names columns, beside
    the empty name of an index or that of the labels.
    """
    counted = [cell.strip() for cell in cells if _number(cell) is not None]
    words = [cell.strip().lower() for cell in cells if _number(cell) is None]
    start = int(counted[:1] == ["1"])
    if not words or counted != [str(start + place) for place in range(len(counted))]:
        return False
    if not counted:
        return not set(words) <= set(MISSING)
    return len(counted) > 2 or set(words) <= {"", *LABELS}


def _records(stream: Iterable[str], mark: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not blank."""
    lines = (line.strip() for line in stream) if mark == " " else stream
    reader = csv.reader(lines, delimiter=mark, strict=True, skipinitialspace=mark == " ")
    for cells in reader:
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield reader.line_num, cells


def _frame(path: Path, stream: IO[str], form: Form) -> tuple[Any, bool]:
    """Read the cells below the header; return them, and whether commas are decimal points."""
    read = partial(_read, path, stream, form)
    frame = read(decimal=".")
    if form.mark == "," or frame is None:
        return frame, False
    other = read(decimal=",")
    words, fewer = (sum(map(_is_words, each.dtypes)) for each in (frame, other))
    return (other, True) if fewer < words else (frame, False)


def _read(path: Path, stream: IO[str], form: Form, decimal: str) -> Any:
    """Let pandas read the cells below the header as they are: an empty one stays an empty text."""
    pandas = extra("pandas", "pandas", f"'{path}', a table")
    stream.seek(0)
    if form.header is not None:
        next(_records(iter(stream.readline, ""), form.mark))
    mark = r"\s+" if form.mark == " " else form.mark
    look: dict[str, Any] = {"header": None, "na_filter": False, "low_memory": False}
    try:
        return pandas.read_csv(stream, sep=mark, decimal=decimal, skipinitialspace=True, **look)
    except pandas.errors.EmptyDataError:
        return None
    except ValueError:
        # The error of pandas counts the lines from the header on.
        _refuse_uneven(path, stream, form)
        raise


def _table(path: Path, stream: IO[str], form: Form, frame: Any, comma: bool) -> Table:
    """Name the columns, and what was seen of the form."""
    uneven = partial(_refuse_uneven, path, stream, form)
    if len(form.first) != frame.shape[1]:
        uneven()
    notes = [] if form.header is None else ["the first line is a header and was left out"]
    if form.header is None and _counts_up(form.first):
        taken = "the first line counts 0, 1, 2, ... and was taken for a pattern"
        notes.append(f"{taken}; if it is a header, remove it")
    if comma:
        notes.append(f"cells between {MARKS[form.mark]}, with decimal commas")

    def where(row: int) -> tuple[str, list[str]]:
        stream.seek(0)
        below = row + (form.header is not None)
        line, cells = next(itertools.islice(_records(stream, form.mark), below, None))
        return f"line {line}", cells

    return Table(_columns(frame, form.header), tuple(notes), where, uneven)


def _columns(frame: Any, heads: Iterable[object] | None) -> list[Column]:
    named = itertools.repeat("", frame.shape[1]) if heads is None else map(str, heads)
    return [Column(place + 1, name, frame.iloc[:, place]) for place, name in enumerate(named)]


def _counts_up(cells: list[str]) -> bool:
    """Return whether a line is what pandas writes above columns without names."""
    return len(cells) > 2 and [cell.strip() for cell in cells] == list(map(str, range(len(cells))))


def _refuse_uneven(path: Path, stream: IO[str], form: Form) -> None:
    """Refuse the first line with fewer or more cells than the first."""
    stream.seek(0)
    for line, cells in _records(stream, form.mark):
        if len(cells) != len(form.first):
            got = f"with {len(cells)} cells in line {line} after {len(form.first)} in those above"
            refuse_file(path, WIDTH, got, "fill or drop that line")


def _is_words(dtype: Any) -> bool:
    return dtype.kind not in "biuf"


def _number(cell: str) -> float | None:
    """Read a number; a cell with underscores, which Python allows in numbers, is a word here."""
    try:
        return (
            None
            if "_" in cell or cell.strip().lower() in MISSING
            else float(cell.replace(",", "."))
        )
    except ValueError:
        return None
