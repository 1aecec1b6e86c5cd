"""Checks and figures of the recall of random patterns by the damage of the cue."""

from collections.abc import Mapping
from typing import Any

from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED
from kanerva.lab.recipe import Cell, Check, Row

__all__ = ["AT", "KEPT", "RADII", "RECALLED", "check", "draw"]

RADII = (5, 9, 11, 15, 19, 27)
# The cosine recalled at 0, 8, 10 and 12 damaged bits, of 1024 patterns of 64 bits, by radius.
# KEPT is the cosine of a cue with 12 damaged bits.
AT = (0, 8, 10, 12)
KEPT = 1 - 24 / 64
RECALLED: dict[str, dict[int, tuple[float, ...]]] = {
    "sdm": {
        5: (1, 1, 1, KEPT),
        9: (1, 1, 1, 0.9995),
        11: (1, 1, 1, 1),
        15: (1, 1, 1, 1),
        19: (1, 1, 0.990, 0.899),
        27: (0.862, 0.643, 0.588, 0.535),
    },
    "attention_published": {
        5: (1, 1, 1, 0.999),
        9: (1, 1, 1, 1),
        11: (1, 1, 1, 1),
        15: (1, 1, 1, 1),
        19: (1, 0.980, 0.841, 0.676),
        27: (0.738, 0.552, 0.502, 0.461),
    },
    "attention_ols": {19: (1, 0.926, 0.771, 0.658), 27: (0.722, 0.539, 0.493, 0.449)},
}
# Circles share whole numbers of 2^n locations, so rounding changes only the cues that share none.
RECALLED["sdm_rounded"] = RECALLED["sdm"] | {5: (1, 1, 1, 0)}
COLUMNS = {
    "cosine": "",
    "once": ", one read",
    "relative": ", as a share of what is recalled at 0 bits",
}


def check(
    at: Cell,
    value: float,
    tolerance: float,
    source: str = COMPUTED,
    column: str = "cosine",
    **more: Any,
) -> Check:
    """Return a check that is named by the rows it selects."""
    distance = f"{at['distance']} bits" if "distance" in at else "any distance"
    what = f"{at['algorithm']}, radius {at['radius']}, {distance}{COLUMNS[column]}"
    if at.get("stop") == "published":
        what += ", as the published code stops"
    if "cues" in at:
        what += ", the set of seed 0"
    return Check(what, column, value, tolerance, source, at, **more)


def draw(
    rows: list[Row],
    title: str,
    names: dict[str, str],
    published: Mapping[Any, float],
) -> Any:
    """Draw the recall of the named algorithms, a panel for each radius, those of bits first.

    Args:
        rows: of the table.
        title: the title of the figure.
        names: the lines, by algorithm.
        published: numbers drawn as dots, by algorithm, radius and distance.
    """
    lines, dots = [], []
    for row in sorted(rows, key=lambda row: (_directions(row), row["radius"])):
        algorithm, radius, distance = row["algorithm"], row["radius"], row["distance"]
        hidden = "each" if algorithm.endswith("rounded") else "published"
        if algorithm not in names or row.get("stop") == hidden:
            continue
        space = "directions, " if _directions(row) else "bits, "
        panel = f"{space if 'stop' in row else ''}radius {radius}"
        part = {"x": distance, "panel": panel}
        lines.append(part | {"y": row["cosine"], "line": names[algorithm]})
        value = published.get((algorithm, radius, distance))
        if value is not None:
            dots.append(part | {"y": value, "line": "from elsewhere"})
    frame = plot.Frame(
        title,
        "bits of the cue damaged",
        "cosine of what was recalled and the pattern",
        dots=("from elsewhere",),
        limits=(-0.05, 1.05),
    )
    return plot.lines(lines + dots, "x", "y", frame, by="line", panel="panel")


def _directions(row: Row) -> bool:
    return str(row["algorithm"]).startswith("continuous")
