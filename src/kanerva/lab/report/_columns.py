"""The columns of a comparison: their headings, formats and meanings."""

from collections.abc import Iterable, Mapping, Sequence

from kanerva._core import checks
from kanerva._core.errors import refuse
from kanerva.lab.report._page import Column, written

__all__ = [
    "BASELINES",
    "DAMAGES",
    "Row",
    "Value",
    "cell",
    "codecs",
    "column",
    "number",
    "require",
]

Value = str | int | float | None
Row = Mapping[str, Value]

COLUMNS = {
    "title": Column("memory", "text", "the memory that stored the patterns"),
    "memory": Column("name", "text", "the name of the memory in kanerva"),
    "codec": Column("code", "text", "the code in which patterns were stored; none: as they are"),
    "parameter": Column("parameter", "text", "the main parameter of the memory, and its value"),
    "damage": Column("damage", "text", "how the cues were damaged"),
    "level": Column("damage", "share", "the amount of damage to a cue"),
    "seed": Column("seed", "count", "the seed of the damage and of every random choice"),
    "seeds": Column("seeds", "count", "the number of seeds of a mean"),
    "cues": Column("cues", "count", "the number of cues"),
    "holds": Column("holds", "count", "the largest number of patterns that are recalled"),
    "exact": Column("exact", "share", "cues recalled with nothing wrong"),
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
    "growth": Column("a pattern", "bytes", "what one more pattern adds to the size of the memory"),
}
BASELINES = ("cue", "nearest")
DAMAGES = {
    "flip": "bits flipped",
    "occlude": "picture covered",
    "mask": "bits unknown",
    "gaussian": "strength of the noise",
}


def column(name: str) -> Column:
    """Return a column by its name; one that is not known is of plain numbers."""
    return COLUMNS.get(name, Column(name.replace("_", " "), "number", ""))


def cell(name: str, value: Value) -> str:
    """Format a value by the kind of its column."""
    if name == "level" and isinstance(value, int | float):
        return f"{100 * value:.4g}%"
    return written(value, column(name).kind)


def number(name: str, value: Value, low: float | None = None, argument: str = "rows") -> float:
    """Return a finite number, not below ``low``, from a column."""
    limits = () if low is None else (low,)
    return checks.number(f"{argument}, column {name!r},", value, *limits)


def require(rows: Sequence[Row], names: Sequence[str], argument: str = "rows") -> None:
    """Refuse rows without one of the columns, or whose code is no text."""
    for row in rows:
        for name in names:
            if name not in row:
                got = f"a row with {', '.join(map(repr, row))}"
                refuse(argument, must=f"dicts with the key {name!r}", got=got, do="add it")
        if not isinstance(row.get("codec", "none"), str):
            must, do = "the name of a code", "give 'none' where there is no code"
            refuse(f"{argument}, column 'codec',", row["codec"], must=must, do=do)


def codecs(rows: Iterable[Row]) -> list[str]:
    """Return the codes of rows in the order of their first occurrence."""
    return list(dict.fromkeys(str(row.get("codec", "none")) for row in rows))
