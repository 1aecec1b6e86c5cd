"""The tables of the page of a comparison, ready for its template."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kanerva._core.errors import refuse
from kanerva.lab.report._columns import (
    BASELINES,
    DAMAGES,
    Row,
    Value,
    cell,
    codecs,
    column,
    number,
    require,
)

__all__ = ["Numbers", "full", "held", "pivot", "reasons"]

POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Numbers(NamedTuple):
    """What a page of a comparison shows in tables.

    * ``rows``: a dict for each (memory, code, level, seed) with ``memory``, ``title``, ``damage``,
      ``level``, ``seed`` and ``columns``, and ``codec``, the name of the code, ``"none"`` where it
      is absent.
    * ``columns``: the measures; the first one is that of the table of memories by levels.
    * ``capacity``: a dict for each memory and code with ``memory``, ``title``, ``codec``, ``level``
      of damage; ``holds``, the largest number of patterns of which at least ``share`` of the cues
      are recalled, 0 where even the smallest number tried was too large; ``low`` and ``high``, its
      interval over seeds, and ``theory``, the number for random patterns, each of which may be
      None.
    * ``parameters``: a dict for each parameter with ``memory``, ``title``, ``codec``, ``name``;
      ``value``, which was used, and ``why``; ``theory``, the value that theory gives; ``tuned``,
      the value fitted to the data, and ``gain``, the share of cues recalled exactly with it less
      that with theory's value on the cues of tuning. The last three may be None.
    * ``share``: of the cues, for ``capacity``.
    * ``sentences``: a sentence for each memory.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    capacity: Sequence[Row] = ()
    parameters: Sequence[Row] = ()
    share: float = 0.95
    sentences: Sequence[str] = ()

    def codecs(self) -> list[str]:
        """Return the codes of all tables."""
        return codecs((*self.rows, *self.capacity, *self.parameters))


def pivot(summaries: Mapping[float, Sequence[Row]], measure: str, damage: str) -> dict[str, Any]:
    """Return one measure as a table of memories and codes by levels."""
    every = [row for summary in summaries.values() for row in summary]
    found = {
        (row["memory"], row["codec"], level): row
        for level, summary in summaries.items()
        for row in summary
    }
    groups = []
    for memory, mine in _grouped(every).items():
        lines = [
            {
                "codec": codec,
                "cells": [
                    _shaded(found.get((memory, codec, level), {}), measure) for level in summaries
                ],
            }
            for codec in codecs(mine)
        ]
        groups.append(_group(mine, lines))
    return {
        "column": column(measure),
        "damage": DAMAGES.get(damage, damage),
        "levels": [cell("level", level) for level in summaries],
        "groups": groups,
    }


def full(
    summaries: Mapping[float, Sequence[Row]], names: Sequence[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return all measures: for each level a line for each memory and code."""
    return [
        (cell("level", level), [_line(row, names) for row in summary])
        for level, summary in summaries.items()
    ]


def held(numbers: Numbers) -> dict[str, Any] | None:
    """Return how many patterns each memory holds, and theory's number for random patterns."""
    if not numbers.capacity:
        return None
    names = ("memory", "title", "level", "holds", "low", "high", "theory")
    require(numbers.capacity, names, "capacity")
    damage = str(numbers.rows[0]["damage"])
    levels = sorted({number("level", row["level"], 0, "capacity") for row in numbers.capacity})
    if len(levels) > 1:
        got = ", ".join(f"{level:g}" for level in levels)
        refuse("capacity", must="of one level of damage", got=got, do="give those of one level")
    groups = [
        _group(mine, [_holding(row) for row in mine])
        for mine in _grouped(numbers.capacity).values()
    ]
    return {
        "groups": groups,
        "share": f"{100 * numbers.share:.4g}%",
        "damage": DAMAGES.get(damage, damage),
        "level": cell("level", levels[0]),
        "intervals": any(line["interval"] for group in groups for line in group["lines"]),
        "zero": any(row["holds"] == 0 for row in numbers.capacity),
    }


def reasons(parameters: Sequence[Row], several: bool) -> list[dict[str, Any]]:
    """Return the parameters of each memory; codes with the same ones share their lines."""
    names = ("memory", "title", "name", "value", "why", "theory", "tuned", "gain")
    require(parameters, names, "parameters")
    cards = []
    for mine in _grouped(parameters).values():
        shared: dict[tuple[Any, ...], list[str]] = {}
        for codec in codecs(mine):
            here = [row for row in mine if row.get("codec", "none") == codec]
            lines = tuple(
                (str(row["name"]), _plain(row["value"]), _fitted(row), str(row["why"]))
                for row in here
            )
            shared.setdefault(lines, []).append(codec)
        groups = [
            {"codecs": codes if several else [], "lines": lines} for lines, codes in shared.items()
        ]
        cards.append({"title": mine[0]["title"], "groups": groups})
    return cards


def _grouped(rows: Sequence[Row]) -> dict[Value, list[Row]]:
    """Return the rows of each memory, in the order of their first occurrence."""
    groups: dict[Value, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["memory"], []).append(row)
    return groups


def _group(rows: Sequence[Row], lines: Sequence[Any]) -> dict[str, Any]:
    first = rows[0]
    return {"title": first["title"], "baseline": first["memory"] in BASELINES, "lines": lines}


def _shaded(row: Row, measure: str) -> dict[str, Any]:
    """Return the mean of a measure, its deviation, and the share that shades its cell."""
    value, spread = row.get(measure), _spread(measure, row.get(f"{measure}_sd"))
    share = value if column(measure).kind == "share" else None
    return {"text": cell(measure, value), "spread": spread, "share": share}


def _spread(measure: str, spread: Value) -> str:
    """Format a standard deviation; that of a share without the percent sign."""
    if spread is None:
        return ""
    text = cell(measure, spread)
    return "±" + (text.removesuffix("%") if column(measure).kind == "share" else text)


def _line(row: Row, names: Sequence[str]) -> dict[str, Any]:
    cells = [cell(name, row.get(name)) for name in names]
    baseline = row["memory"] in BASELINES
    return {"title": row["title"], "codec": row["codec"], "baseline": baseline, "cells": cells}


def _holding(row: Row) -> dict[str, Any]:
    """Return what a memory holds in one code, in words."""
    holds = number("holds", row["holds"], 0, "capacity")
    low, high, theory = _optional(row, ("low", "high", "theory"))
    interval = ""
    if low is not None and high is not None and low < high:
        interval = f"{low:,.0f} to {high:,.0f}"
    return {
        "codec": row.get("codec", "none"),
        "holds": cell("holds", holds),
        "interval": interval,
        "theory": "–" if theory is None else _large(theory),
        "ratio": _ratio(holds, theory),
    }


def _optional(row: Row, names: Sequence[str]) -> Iterator[float | None]:
    for name in names:
        value = row[name]
        yield None if value is None else number(name, value, 0, "capacity")


def _large(count: float) -> str:
    """Write a count; a thousand million and more as a power of ten."""
    if count < 1e9:
        return f"{count:,.0f}" if count >= 10 or count == round(count) else f"{count:.1f}"
    mantissa, exponent = f"{count:.1e}".split("e+")
    return f"{mantissa} × 10{str(int(exponent)).translate(POWERS)}"


def _ratio(holds: float, theory: float | None) -> str:
    """Write what is held as a multiple of theory's number, with two digits."""
    if not theory:
        return "–"
    ratio = holds / theory
    if ratio == 0 or ratio >= 100:
        return f"{ratio:,.0f}"
    return "<0.001" if ratio < 0.001 else f"{ratio:#.2g}".rstrip(".")


def _plain(value: Value) -> str:
    """Write the value of a parameter."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _fitted(row: Row) -> str:
    """Say what theory gives where that was not used, and what tuning gained."""
    theory, tuned = row["theory"], row["tuned"]
    if tuned is not None and tuned == theory:
        return "Tuned; theory's value is kept."
    words = [] if theory in (None, row["value"]) else [f"theory gives {_plain(theory)}"]
    if row["gain"] is not None:
        words.append(_gained(number("gain", row["gain"], -1, "parameters")))
    elif tuned is not None:
        words.insert(0, "tuned")
    text = "; ".join(words)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _gained(gain: float) -> str:
    """Write a difference of two shares."""
    points = abs(100 * gain)
    if gain == 0:
        return "tuning gains nothing"
    how = "less than 0.1" if points < 0.05 else f"{points:.1f}"
    return f"tuning {'gains' if gain > 0 else 'loses'} {how} percentage points"
