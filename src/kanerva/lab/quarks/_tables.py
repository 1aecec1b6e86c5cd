"""The tables of a count, for the terminal and for the report."""

from typing import Any

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.quarks._count import Count
from kanerva.lab.report import Column, Grid

__all__ = ["growth", "kinds", "modules", "unread"]

COUNTS = {
    "output": Column("output gates", "count", "products of two signals, entry by entry or in sums"),
    "synaptic": Column(
        "synaptic gates", "count", "products of two signals, one of them normalised to weigh"
    ),
    "linear": Column("by weights", "count", "products by weights, as in a linear layer"),
    "additive": Column("sums", "count", "sums of two signals: signals that meet an activation"),
    "tied": Column("tied", "count", "products of functions of one number: transfer functions"),
    "selected": Column("selected", "count", "values that a signal chose, such as embeddings"),
}
KINDS = {
    "kind": Column("class of module", "text", "the class in Python"),
    "modules": Column("modules", "count", "how many of this class compute or hold something"),
    **COUNTS,
    "parameters": Column("weights", "count", "trained numbers that these modules hold themselves"),
}
MODULES = {
    "module": Column("module", "text", "its name in the model, with all modules in it"),
    "kind": Column("class", "text", "the class in Python"),
    **COUNTS,
    "depth": Column("depth", "count", "gates on the longest path from an input to here"),
    "parameters": Column("weights", "count", "trained numbers, with those of the modules in it"),
}
GROWTH = {
    "what": Column("at n tokens", "text", "what is counted"),
    "square": Column("times n²", "text", "the number for every two tokens"),
    "slope": Column("times n", "text", "the number for every token"),
    "constant": Column("constant", "text", "the number for a whole text"),
}
UNREAD = {
    "operation": Column("operation", "text", "of torch"),
    "times": Column("times", "count", "how often it was met"),
}
TITLES = {
    "output": "output gates",
    "synaptic": "synaptic gates",
    "linear": "products by weights",
    "additive": "sums of signals",
}


@door("quarks")
def kinds(result: Count) -> Grid:
    """Return the table of the classes of modules, with the sums at its end.

    Args:
        result: of ``count``.

    Example:
        >>> import tempfile
        >>> from transformers import BertConfig
        >>> from kanerva.lab import quarks
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     BertConfig(num_hidden_layers=1).save_pretrained(folder)
        ...     found = quarks.count(quarks.load(folder), 16)
        >>> [row["kind"] for row in quarks.kinds(found).rows][:2]
        ['BertSelfAttention', 'LayerNorm']
    """
    checks.instance("result", result, Count, "give the result of quarks.count")
    total: dict[str, Any] = {name: getattr(result, name) for name in (*COUNTS, "parameters")}
    total["modules"] = sum(row["modules"] for row in result.kinds)
    rows = [*result.kinds, {"kind": "all"} | total]
    empty = {name: None for name in KINDS if not total.get(name, True)}
    read = "one picture" if result.tokens is None else f"{result.tokens:,} tokens"
    caption = f"What the modules of each class compute themselves, for {read}."
    return Grid(caption, [row | empty for row in rows], KINDS)


def modules(result: Count) -> Grid:
    """Return the table of all modules."""
    used = [name for name in MODULES if any(row[name] for row in result.modules)]
    shown = {name: MODULES[name] for name in used}
    return Grid("Every module, with all modules in it", result.modules, shown, "full")


def growth(result: Count) -> list[Grid]:
    """Return the table of the polynomials, if there are some."""
    if result.growth is None:
        return []
    rows: list[dict[str, Any]] = [
        {"what": TITLES[name], "square": _coefficient(c), "slope": _coefficient(b)}
        | {"constant": _coefficient(a)}
        for name, (a, b, c) in result.growth.items()
    ]
    return [Grid("Exact numbers at n tokens.", rows, GROWTH)]


def unread(result: Count) -> list[Grid]:
    """Return the table of what could not be read, if there is something."""
    rows: list[dict[str, Any]] = [
        {"operation": name, "times": times} for name, times in result.unread.items()
    ]
    caption = "Operations that could not be read. What they gate is not counted."
    return [Grid(caption, rows, UNREAD)] if rows else []


def _coefficient(value: int | float) -> str:
    return f"{value:,}"
