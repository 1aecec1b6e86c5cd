"""One line for each memory and code: what it is called, takes, holds and recalls."""

from collections.abc import Mapping
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab import report
from kanerva.lab.recall._compare import Comparison

__all__ = ["overview"]


@door
def overview(result: Comparison, level: float) -> list[dict[str, Any]]:
    """Return the lines of the table for the terminal, at one level of damage.

    Args:
        result: of ``compare``.
        level: one of its levels.

    Returns:
        the lines of ``report.summarise`` with ``parameter``, the one that is fitted to data, and
        where it was measured ``holds``; those of one memory follow each other. The cue is left out.
        Where there are several codes, ``title`` names the code, too: alone, below the first line of
        a memory, so that the table fits a terminal of 80 columns.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.lab.recall import Plan, compare, overview
        >>> plan = Plan(memories=("dense",), codecs=("none",), levels=(0.1,), seeds=1, cues=5)
        >>> [line] = overview(compare(data.load("letters"), plan), 0.1)[1:]
        >>> line["title"], line["parameter"]
        ('Dense', 'order 3')
    """
    checks.instance("result", result, Comparison, "give the result of recall.compare")
    level = checks.number("level", level, 0)
    lines = [line for line in report.summarise(result.rows, level) if line["memory"] != "cue"]
    several = len({line["codec"] for line in lines}) > 1
    holds = {(one["memory"], one["codec"]): one["holds"] for one in result.capacity}
    first: dict[tuple[str, str], str] = {}
    for one in result.parameters:
        if one["main"]:
            first.setdefault((one["memory"], one["codec"]), _short(one))
    order = list(dict.fromkeys(line["memory"] for line in lines))
    found: list[dict[str, Any]] = []
    for line in sorted(lines, key=lambda line: order.index(line["memory"])):
        key = (str(line["memory"]), str(line["codec"]))
        more: dict[str, Any] = {"parameter": first.get(key)}
        if holds:
            more["holds"] = holds.get(key)
        if several:
            follows = bool(found) and found[-1]["memory"] == line["memory"]
            more["title"] = _titled(str(line["title"]), key[1], follows)
        found.append({**line, **more})
    return found


def _titled(title: str, codec: str, follows: bool) -> str:
    """Name a memory with its code; below another line of the memory the code alone."""
    where = "without a code" if codec == "none" else f"in {codec}"
    if follows:
        return f"  {where}"
    return title if codec == "none" else f"{title}\n  {where}"


def _short(one: Mapping[str, Any]) -> str:
    """Write a parameter in few characters."""
    value = one["value"]
    return f"{one['name']} {value:.3g}" if isinstance(value, float) else f"{one['name']} {value}"
