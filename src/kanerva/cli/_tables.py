"""Tables and text for a terminal of any width, and for a pipe."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

__all__ = ["Grid", "bullets", "console", "count", "ending", "findings", "fitted", "grid", "numbers"]

# The width of what goes into a file or a pipe, where no line is folded.
ENDLESS = 100_000
# Spaces between two columns, and the least width of names beside a wide column.
GAP, NAMES = 3, 8


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal or ``COLUMNS``; into a pipe no line is folded."""
    found = Console(stderr=stderr, highlight=False)
    if not (sys.stderr if stderr else sys.stdout).isatty() and "COLUMNS" not in os.environ:
        found.width = ENDLESS
    return found


class Grid(Table):
    """A table that keeps every row name and every column, however narrow the terminal.

    Text is wrapped between words. Columns that still do not fit follow in further tables, each of
    which begins with the first column, of names. No line ends with blanks.
    """

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType | Segment]:
        """Lay the table out."""
        heads = [_head(column, options) for column in self.columns]
        cells = [list(column.cells) for column in self.columns]
        sizes = [
            _size(console, options, (head, *below))
            for head, below in zip(heads, cells, strict=True)
        ]
        for place, band in enumerate(_bands(sizes, options.max_width)):
            if place:
                yield Segment.line()
            part = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
            for index, width in band.items():
                justify = self.columns[index].justify
                part.add_column(heads[index], justify=justify, overflow="fold", width=width)
            for line, row in enumerate(self.rows):
                part.add_row(*(cells[index][line] for index in band), style=row.style)
            yield from _trimmed(console.render_lines(part, options, pad=False))


def grid(*heads: str) -> Grid:
    """Start a table with these heads; the first column holds the names of the rows."""
    table = Grid()
    for head in heads:
        table.add_column(Text(head))
    return table


def numbers(found: Any, heads: Mapping[str, str]) -> Grid:
    """Lay out a table of a report, of its columns with heads and some number, to the right."""
    from kanerva.lab.report import written

    used = [name for name in heads if any(row[name] is not None for row in found.rows)]
    table = grid(*(heads[name] for name in used))
    for row in found.rows:
        table.add_row(*(Text(written(row[name], found.columns[name].kind)) for name in used))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def fitted(table: Table) -> Grid:
    """Return another table of rich as one that keeps its names and columns."""
    made = Grid()
    made.columns, made.rows = table.columns, table.rows
    return made


def bullets(console: Console, sentences: Iterable[str]) -> None:
    """Print sentences, one a line."""
    console.print(*(Text(f"· {sentence}") for sentence in sentences), sep="\n")


def findings(
    console: Console, verdicts: Iterable[str], notes: Iterable[str], files: Sequence[Path]
) -> None:
    """Print what was found, what must be known to read it, and where the files are."""
    for sentences in (verdicts, notes):
        bullets(console, sentences)
        console.print()
    ending(console, files, f"Tables: {files[0].parent}")


def ending(console: Console, files: Sequence[Path], tables: str) -> None:
    """Print where the report is; without the extra for reports, where the tables are."""
    if files[-1].suffix == ".html":
        console.print(Text(f"Report: {files[-1]}"))
    else:
        extra = 'For figures and a report: pip install "kanerva[plot]"'
        console.print(Text(f"{tables}. {extra}"))


def count(number: int, what: str) -> str:
    """Write a number of things, such as ``1 bit`` or ``2 bits``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _head(column: Column, options: ConsoleOptions) -> RenderableType:
    """Return the head of a column; into a pipe on one line."""
    head = column.header
    if isinstance(head, Text) and options.max_width >= ENDLESS:
        return Text(" ".join(head.plain.split()))
    return head


def _size(
    console: Console, options: ConsoleOptions, cells: Sequence[RenderableType]
) -> tuple[int, int]:
    """Return the widths of the longest word and of the longest line of a column."""
    found = [Measurement.get(console, options.update(width=ENDLESS), cell) for cell in cells]
    return max(one.minimum for one in found), max(one.maximum for one in found)


def _bands(sizes: Sequence[tuple[int, int]], wide: int) -> list[dict[int, int]]:
    """Divide columns among as few tables as fit; each holds the width of each of its columns."""
    least, most = sizes[0]
    plans = [_packed(first, sizes, wide) for first in (most, max(least, min(most, wide // 3)))]
    return min(plans, key=len)


def _packed(first: int, sizes: Sequence[tuple[int, int]], wide: int) -> list[dict[int, int]]:
    """Fill tables one after another, where the names are ``first`` wide."""
    longest = max((least for least, _ in sizes[1:]), default=0)
    first = max(1, min(first, max(NAMES, wide - GAP - longest)))
    bands = [{0: first}]
    for index, (least, _) in enumerate(sizes[1:], 1):
        width = max(1, min(least, wide - first - GAP))
        if len(bands[-1]) > 1 and _total(bands[-1]) + GAP + width > wide:
            bands.append({0: first})
        bands[-1][index] = width
    for band in bands:
        _widen(band, sizes, wide - _total(band))
    return bands


def _total(band: dict[int, int]) -> int:
    return sum(band.values()) + GAP * (len(band) - 1)


def _widen(band: dict[int, int], sizes: Sequence[tuple[int, int]], spare: int) -> None:
    """Give the spare width to the columns that are folded most."""
    for _ in range(min(spare, sum(sizes[index][1] for index in band))):
        index = max(band, key=lambda one: sizes[one][1] / band[one])
        if band[index] >= sizes[index][1]:
            return
        band[index] += 1


def _trimmed(lines: Sequence[Sequence[Segment]]) -> Iterator[Segment]:
    """Yield lines without the blanks at their ends."""
    for line in lines:
        kept = list(line)
        while kept and not kept[-1].text.rstrip():
            kept.pop()
        yield from kept[:-1]
        if kept:
            yield Segment(kept[-1].text.rstrip(), kept[-1].style)
        yield Segment.line()
