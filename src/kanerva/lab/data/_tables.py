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


YEARS = range(1800, 2101)
HEADER = "if the first line is a header, remove it, or give its columns names that are words"


class Form(NamedTuple):
    """How the lines of a text are cut into cells: the separator, and the header if there is one.

    ``notes`` say so where the first line may have been taken for what it is not.
    """

    mark: str
    header: list[str] | None
    first: list[str]
    notes: tuple[str, ...] = ()


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
    first, *below = [cells for _, cells in itertools.islice(_records(stream, mark), 20)] or [[]]
    stream.seek(0)
    if _is_header(first) or _names_years(first, below):
        note = "the first line is a header and was left out"
        if not _is_header(first):
            note += "; its years are taken for names, because no line below has years there"
        return Form(mark, [cell.strip() for cell in first], first, (note,))
    notes: tuple[str, ...] = ()
    if _may_be_header(first, below):
        kind = "counts 0, 1, 2, ..." if _counts_up(first) else "reads like the names of columns"
        notes = (f"the first line {kind} and was taken for a pattern; {HEADER}",)
    return Form(mark, None, first, notes)


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


def _names_years(first: list[str], below: list[list[str]]) -> bool:
    """Return whether a first line names columns by words and years, as in ``city,2019,2020``.

    The years rise, there are two or more, and no line below has years in their columns.
    """
    words = [cell.strip().lower() for cell in first if _number(cell) is None]
    named = words == [""] or not set(words) <= set(MISSING)
    places = _numbered(first)
    if not named or len(places) < 2 or not below:
        return False
    return _years(first, places) and not any(_years(cells, places) for cells in below)


def _may_be_header(first: list[str], below: list[list[str]]) -> bool:
    """Return whether the numbers of a line that is no header look like names of columns.

    They are years, or whole numbers in equal steps, and no line below has such numbers there.
    """
    if _counts_up(first):
        return True
    places = _numbered(first)
    alone = len(places) == 1 and len(first) > 1  # a year among words
    if not below or not (len(places) > 1 or alone):
        return False
    looks = (_years,) if alone else (_years, _even)
    return any(
        look(first, places) and not any(look(cells, places) for cells in below) for look in looks
    )


def _numbered(cells: list[str]) -> list[int]:
    """Return the places of the numbers in a line."""
    return [place for place, cell in enumerate(cells) if _number(cell) is not None]


def _whole(cells: list[str], places: list[int]) -> list[int] | None:
    """Return the numbers of a line at some places; None where they are not all whole."""
    texts = [cells[place].strip() for place in places if place < len(cells)]
    fits = len(texts) == len(places) and all(text.isdecimal() and len(text) < 16 for text in texts)
    return [int(text) for text in texts] if fits else None


def _years(cells: list[str], places: list[int]) -> bool:
    """Return whether the numbers of a line are years, each after the one before."""
    found = _whole(cells, places)
    return found is not None and set(found) <= set(YEARS) and found == sorted(set(found))


def _even(cells: list[str], places: list[int]) -> bool:
    """Return whether the numbers of a line rise in equal steps; two of them in a step of one."""
    found = _whole(cells, places) or [0]
    steps = {after - before for before, after in itertools.pairwise(found)}
    return len(steps) == 1 and min(steps) > 0 and (len(found) > 2 or steps == {1})


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
    notes = list(form.notes)
    if comma:
        notes.append(f"cells between {MARKS[form.mark]}, with decimal commas")

    def where(row: int) -> tuple[str, list[str]]:
        stream.seek(0)
        below = row + (form.header is not None)
        line, cells = next(itertools.islice(_records(stream, form.mark), below, None))
        return f"line {line}", cells

    advice = HEADER if form.header is None else ""
    return Table(_columns(frame, form.header), tuple(notes), where, uneven, advice)


def _columns(frame: Any, heads: Iterable[object] | None) -> list[Column]:
    named = itertools.repeat("", frame.shape[1]) if heads is None else map(str, heads)
    return [Column(place + 1, name, frame.iloc[:, place]) for place, name in enumerate(named)]


def _counts_up(cells: list[str]) -> bool:
    """Return whether a line is what pandas writes above columns without names."""
    return len(cells) > 2 and [cell.strip() for cell in cells] == list(map(str, range(len(cells))))


def _refuse_uneven(path: Path, stream: IO[str], form: Form) -> None:
    """Refuse the first line with fewer or more cells than the first, or the first one itself."""
    stream.seek(0)
    records, width = _records(stream, form.mark), len(form.first)
    start, _ = next(records)
    for place, (line, cells) in enumerate(records):
        count = len(cells)
        if count == width:
            continue
        more = {len(others) for _, others in itertools.islice(records, 20)}
        got = f"with {_cells(count)} in line {line} after {width} in those above"
        do = "fill or drop that line"
        if form.first[0].lstrip().startswith("#"):
            got, do = f"with a comment in line {start}", f"drop line {start}"
        elif place == 0 and more == {count}:
            got = f"with {_cells(width)} in line {start} before {count} in those below"
            do = f"fill or drop line {start}"
        refuse_file(path, WIDTH, got, do)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


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
