"""The elements of report pages: formatted numbers, tables, figures, and templates."""

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

# The opening tag of a drawing, with its width and height.
ROOT = re.compile(r"<svg\b[^>]*\bviewBox=\"[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)\"[^>]*>")


class Column(NamedTuple):
    """The heading of a column, the format of its values, and an explanation.

    ``kind`` is ``"text"``, ``"number"``, ``"count"``, ``"share"``, ``"seconds"`` or ``"bytes"``.
    """

    head: str
    kind: str
    meaning: str


class Grid(NamedTuple):
    """A table of an article.

    * ``caption``: of the table.
    * ``rows``: a dict for each line; a missing value is written as –.
    * ``columns``: name to ``Column``, from left to right; the first one names the lines. A column
      without any value is left out.
    * ``look``: ``"full"`` for many narrow columns, ``"full slim"`` where also the names of the
      lines are short.
    """

    caption: str
    rows: Sequence[Row]
    columns: Mapping[str, Column]
    look: str = ""


class Section(NamedTuple):
    """A section of an article: a title, paragraphs, tables, and figures as in ``page``."""

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
    """Return sections of tables and figures as one HTML page in the style of ``page``.

    Args:
        heading: the title, and a sentence or two below it.
        verdicts: the findings, one sentence each.
        sections: in order.
        notes: remarks, a sentence or two each.
        grids: long tables in collapsed elements at the end, with explanations of their columns.
        manifest: versions, seeds and settings of the run. Nested dicts are written as ``a.b``.

    Returns:
        the page. All text is escaped; drawings are not.

    Raises:
        InputError: a table has no rows or a drawing is no SVG.

    Example:
        >>> from kanerva.lab.report import Column, Grid, Section
        >>> columns = {"head": Column("head", "text", ""), "beta": Column("beta", "number", "")}
        >>> section = Section("Heads", grids=[Grid("Heads", [dict(head="0.1", beta=4.5)], columns)])
        >>> empty = dict(verdicts=[], notes=[], grids=[], manifest={})
        >>> text = article(heading=("A model", ""), sections=[section], **empty)
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
    """Load ``templates/{name}.html.jinja``, which extends the template of all pages."""
    try:
        import jinja2
    except ImportError:
        do = "install it with pip install 'kanerva[plot]'"
        refuse("jinja2", must="installed", got="missing", do=do)
    folder = resources.files("kanerva.lab.report").joinpath("templates")
    options: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        undefined=jinja2.StrictUndefined,
        **options,
    )
    return environment.get_template(f"{name}.html.jinja")


def _laid(grid: Grid) -> dict[str, Any]:
    """Return the formatted cells of a table for the template."""
    if not grid.rows:
        name = f"rows of {grid.caption!r}"
        refuse(name, must="one row or more", got="empty", do="leave the table out")
    columns = {
        name: column
        for name, column in grid.columns.items()
        if any(row.get(name) is not None for row in grid.rows)
    }
    lines = [
        [written(row.get(name), column.kind) for name, column in columns.items()]
        for row in grid.rows
    ]
    heads = list(columns.values())
    return {"caption": grid.caption, "look": grid.look, "heads": heads, "lines": lines}


def written(value: Value, kind: str) -> str:
    """Format a value by the kind of its column.

    Args:
        value: text, a number or None.
        kind: one of the kinds of ``Column``.

    Returns:
        the text; – for None.

    Example:
        >>> written(0.9996, "share"), written(1234.5, "number"), written(None, "count")
        ('>99.9%', '1,234', '–')
    """
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
    """Write a share with one decimal; only exact 0 and 1 are written as 0% and 100%."""
    if share in (0, 1):
        return f"{share:.0%}"
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def _unit(value: int | float, units: Sequence[tuple[float, str]]) -> str:
    """Write a value with three digits in the largest unit that is not larger than the value."""
    size, name = next((unit for unit in units if abs(value) >= unit[0] * 0.9995), units[-1])
    scaled = value / size
    decimals = 0
    if scaled and name != "B":
        decimals = max(0, 2 - math.floor(math.log10(abs(scaled) * 1.0005)))
    return f"{scaled:.{min(decimals, 2)}f}\N{NO-BREAK SPACE}{name}"


@door("report.page")
def figure(index: int, caption: str, *drawings: str) -> dict[str, Any]:
    """Return a figure for the template: each drawing with unique identifiers and a text label."""
    from markupsafe import Markup, escape

    if not 1 <= len(drawings) <= 2:
        must, got = "captions with one or two drawings", f"{len(drawings)} drawings"
        refuse("figures", must=must, got=got, do="give one")
    ready = []
    for place, drawing in enumerate(drawings):
        root = ROOT.search(drawing)
        if not root:
            must, do = "SVG text with a viewBox", "draw it with kanerva.lab.plot.svg"
            refuse(f"figures, {caption!r},", must=must, got=repr(drawing[:40]), do=do)
        width, height = (float(size) for size in root.groups())
        inner = _renamed(drawing[root.end() :], f"f{index}-{place}-")
        label = f'role="img" aria-label="{escape(caption)}"'
        start = f'<svg viewBox="0 0 {width:g} {height:g}" {label}>'
        ready.append({"drawing": Markup(start + inner.strip()), "width": round(2 * width)})
    return {"caption": caption, "wide": ready[0], "narrow": ready[-1] if len(ready) > 1 else None}


def _renamed(drawing: str, own: str) -> str:
    """Put ``own`` before the identifiers that a drawing refers to, and remove the others.

    Identifiers such as "axes_1" occur in every drawing, but must be unique on a page.
    """
    parts = re.split(r"(<[^>]+>)", drawing)
    tags = "".join(parts[1::2])
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", tags))

    def identifier(found: re.Match[str]) -> str:
        return f' id="{own}{found[1]}"' if found[1] in used else ""

    def rename(tag: str) -> str:
        tag = re.sub(r" id=\"([^\"]*)\"", identifier, tag)
        return re.sub(r"(url\(#|href=\"#)", rf"\g<1>{own}", tag)

    return "".join(rename(part) if place % 2 else part for place, part in enumerate(parts))


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested dicts as text, with their keys joined by dots."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{before}{name}", ", ".join(map(str, value)) or "–"
        else:
            yield f"{before}{name}", "–" if value is None else str(value)
