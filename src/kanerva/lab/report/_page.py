"""What every page is made of: numbers as they are read, tables, figures, and the template that all share."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import count
from typing import Any, NamedTuple

from kanerva._core.errors import door, refuse

__all__ = ["Column", "Grid", "Section", "article", "figure", "flat", "template", "written"]

Value = str | int | float | None
Row = Mapping[str, Value]


class Column(NamedTuple):
    """How a column is headed, written and explained.

    ``kind`` is ``"text"``, ``"number"``, ``"count"``, ``"share"``, ``"seconds"`` or ``"bytes"``.
    """

    head: str
    kind: str
    meaning: str


class Grid(NamedTuple):
    """A table of an article.

    * ``caption``: what it holds.
    * ``rows``: a dict for each line; what one lacks shows as –.
    * ``columns``: name to ``Column``, from left to right; the first names the lines. One that no row has is left out.
    * ``look``: ``"full"`` for tables of many narrow columns, ``"full slim"`` where the lines have short names besides.
    """

    caption: str
    rows: Sequence[Row]
    columns: Mapping[str, Column]
    look: str = ""


class Section(NamedTuple):
    """A part of an article: a title, what to say first, tables, and figures as in ``page``."""

    title: str
    words: Sequence[str] = ()
    grids: Sequence[Grid] = ()
    figures: Sequence[tuple[str, *tuple[str, ...]]] = ()


def article(
    *,
    heading: tuple[str, str],
    verdicts: Sequence[str],
    sections: Sequence[Section],
    notes: Sequence[str],
    grids: Sequence[Grid],
    manifest: Mapping[str, Any],
) -> str:
    """Write sections of tables and figures as one HTML page in the manner of ``page``.

    Args:
        heading: the title, and a sentence or two below it.
        verdicts: what was found, a sentence each.
        sections: what is shown, in order.
        notes: what a reader should know, a sentence or two each.
        grids: long tables, folded away at the end, with what their columns mean.
        manifest: what the run was made of. Dicts inside dicts are written as ``a.b``.

    Returns:
        the page. All text is escaped; drawings are trusted.

    Raises:
        InputError: if a table has no rows or a drawing is no SVG.

    Example:
        >>> from kanerva.lab.report import Column, Grid, Section
        >>> grid = Grid("Heads", [dict(head="0.1", beta=4.5)], {"head": Column("head", "text", ""), "beta": Column("beta", "number", "")})
        >>> text = article(heading=("A model", ""), verdicts=[], sections=[Section("Heads", grids=[grid])], notes=[], grids=[], manifest={})
        >>> '<th scope="row">0.1</th><td>4.50</td>' in text
        True
    """
    numbers = count()
    shown = [
        {
            "title": section.title,
            "words": section.words,
            "grids": [_laid(grid) for grid in section.grids],
            "figures": [figure(next(numbers), *one) for one in section.figures],
        }
        for section in sections
    ]
    return template("article").render(
        title=heading[0],
        lead=heading[1],
        verdicts=list(verdicts),
        sections=shown,
        notes=list(notes),
        grids=[_laid(grid) for grid in grids],
        manifest=list(flat(manifest)),
    )


@door("report.page")
def template(name: str) -> Any:
    """Load ``templates/{name}.html.jinja``, which fills in the page that all share."""
    try:
        import jinja2
    except ImportError:
        refuse(
            "jinja2",
            must="installed",
            got="missing",
            do="install it with pip install 'kanerva[plot]'",
        )
    loader = jinja2.FunctionLoader(
        lambda name: (
            resources.files("kanerva.lab.report")
            .joinpath("templates", name)
            .read_text(encoding="utf-8")
        )
    )
    house = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return house.get_template(f"{name}.html.jinja")


def _laid(grid: Grid) -> dict[str, Any]:
    """Write out the cells of a table."""
    if not grid.rows:
        refuse(
            f"rows of {grid.caption!r}",
            must="one row or more",
            got="empty",
            do="leave the table out",
        )
    columns = {
        name: column
        for name, column in grid.columns.items()
        if any(row.get(name) is not None for row in grid.rows)
    }
    lines = [
        [written(row.get(name), column.kind) for name, column in columns.items()]
        for row in grid.rows
    ]
    return {
        "caption": grid.caption,
        "look": grid.look,
        "heads": list(columns.values()),
        "lines": lines,
    }


def written(value: Value, kind: str) -> str:
    """Write a value of one kind of column."""
    if value is None:
        return "–"
    if isinstance(value, str) or kind == "text":
        return str(value)
    if kind == "share":
        return _percent(value)
    if kind == "seconds":
        return _unit(value, ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")))
    if kind == "bytes":
        return _unit(value, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")))
    if kind == "count" or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def _percent(share: int | float) -> str:
    """Write a share with one decimal, and never as all or nothing what is only near it."""
    if share in (0, 1):
        return f"{share:.0%}"
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def _unit(value: int | float, units: Sequence[tuple[float, str]]) -> str:
    """Write a value with three figures in the largest unit that it fills."""
    size, name = next((unit for unit in units if abs(value) >= unit[0] * 0.9995), units[-1])
    scaled = value / size
    digits = (
        max(0, 2 - math.floor(math.log10(abs(scaled) * 1.0005)))
        if scaled and not (size == 1 and name == "B")
        else 0
    )
    return f"{scaled:.{min(digits, 2)}f}\N{NO-BREAK SPACE}{name}"


@door("report.page")
def figure(index: int, caption: str, *drawings: str) -> dict[str, Any]:
    """Ready a figure for the page: each drawing with names of its own and a label for those who cannot see it."""
    from markupsafe import Markup, escape

    if not 1 <= len(drawings) <= 2:
        refuse(
            "figures",
            must="captions with one or two drawings",
            got=f"{len(drawings)} drawings",
            do="give one",
        )
    ready = []
    for place, drawing in enumerate(drawings):
        root = re.search(
            r"<svg\b[^>]*\bviewBox=\"[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)\"[^>]*>", drawing
        )
        if not root:
            got = repr(drawing[:40])
            refuse(
                f"figures, {caption!r},",
                must="SVG text with a viewBox",
                got=got,
                do="draw it with kanerva.lab.plot.svg",
            )
        width, height = (float(size) for size in root.groups())
        inner = _renamed(drawing[root.end() :], f"f{index}-{place}-")
        start = (
            f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(caption)}">'
        )
        ready.append({"drawing": Markup(start + inner.strip()), "width": round(2 * width)})
    return {"caption": caption, "wide": ready[0], "narrow": ready[-1] if len(ready) > 1 else None}


def _renamed(drawing: str, own: str) -> str:
    """Put ``own`` before the names that a drawing refers to and drop the others.

    Names such as "axes_1" recur in every drawing, but may stand only once on a page.
    """
    parts = re.split(r"(<[^>]+>)", drawing)
    used = {
        name for tag in parts[1::2] for name in re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", tag)
    }

    def rename(tag: str) -> str:
        tag = re.sub(
            r" id=\"([^\"]*)\"",
            lambda name: f' id="{own}{name[1]}"' if name[1] in used else "",
            tag,
        )
        return re.sub(r"(url\(#|href=\"#)", rf"\g<1>{own}", tag)

    return "".join(rename(part) if place % 2 else part for place, part in enumerate(parts))


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{before}{name}", ", ".join(map(str, value)) or "–"
        else:
            yield f"{before}{name}", "–" if value is None else str(value)
