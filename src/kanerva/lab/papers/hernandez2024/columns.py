"""Heads of one column and of more: from the entropic register to attention over whole rows."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import IDENTITY, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["columns"]

WIDTHS = (1, 2, 4, 8, 16, 32, 64)
GROUPS = ("squares", "rows", "scattered")
# The error of pixels that are missing, by width.
STORED = (4.33, 4.21, 3.71, 3.33, 2.40, 0.76, 0.03)
UNSEEN = (4.40, 4.25, 3.79, 3.44, 3.01, 2.80, 2.72)
SIDE, TOP = 8, 16
WIDE = "columns of a head"
LINES = {"stored": "stored digits", "unseen": "unseen digits", "nearest": "nearest, unseen"}
CLASSES = {
    "stored_class": "stored digits",
    "unseen_class": "unseen digits",
    "unseen_bare": "unseen, bare cue",
}


def _checks() -> Iterator[Check]:
    for width, stored, unseen in zip(WIDTHS, STORED, UNSEEN, strict=True):
        at: Cell = {"width": width, "groups": "squares"}
        for name, error in {"stored": stored, "unseen": unseen}.items():
            what = f"error of the missing pixels, heads of {width}, {name} digits"
            yield Check(what, name, error, 0.2, SEPARATE, at)
    what = "heads of 1 less EntropicMemory.read, largest difference"
    yield Check(what, "differs", 0.0, 1e-6, IDENTITY, {"width": 1}, "max")
    what = "heads of 64 less attention over whole rows, largest difference"
    yield Check(what, "differs", 0.0, 1e-6, IDENTITY, {"width": 64}, "max")
    what = "bytes of the register: 17 levels of 64 columns in int64"
    yield Check(what, "table", 17 * 64 * 8, 0, "by arithmetic", {"width": 1})
    what = "bytes of the rows: 1,437 of 64 pixels in float32"
    yield Check(what, "rows", 1437 * 64 * 4, 0, "by arithmetic", {"width": 64})


def _draw(rows: list[Row]) -> Any:
    error = "root mean square error of the missing pixels, of 16"
    title = "Wider heads complete what single columns cannot"
    kept = "share of the completed digits that the classifier gives their class"
    return {
        "": _curves(rows, LINES, plot.Frame(title, WIDE, error, log="x", limits=(0.0, 4.8))),
        "classes": _curves(
            rows,
            CLASSES,
            plot.Frame(
                "Completed digits keep their class", WIDE, kept, log="x", limits=(0.5, 1.02)
            ),
        ),
        "bytes": _bytes(rows),
        "pictures": _pictures(rows),
    }


def _curves(rows: list[Row], lines: dict[str, str], frame: plot.Frame) -> Any:
    long = [
        {"x": row["width"], "y": row[name], "line": line, "panel": row["groups"]}
        for name, line in lines.items()
        for row in rows
    ]
    return plot.lines(long, "x", "y", frame, by="line", panel="panel")


def _bytes(rows: list[Row]) -> Any:
    long = [
        {"width": row["width"], "bytes": row["bytes"] / 1e3, "line": row["groups"]} for row in rows
    ]
    long += [
        {"width": row["width"], "bytes": row[name] / 1e3, "line": line}
        for name, line in {"table": "register of all levels", "rows": "plain rows"}.items()
        for row in rows
    ]
    frame = plot.Frame(
        "What distinct contents and their counts take",
        WIDE,
        "memory, kB",
        log="xy",
    )
    return plot.lines(long, "width", "bytes", frame, by="line")


def _pictures(rows: list[Row]) -> Any:
    import numpy as np

    first = min((row["fold"], row["seed"]) for row in rows)
    mine = [
        row
        for row in rows
        if row["groups"] == rows[0]["groups"] and (row["fold"], row["seed"]) == first
    ]

    def pictures(words: list[str]) -> Any:
        # Letters from a on are levels; what is not known is grey.
        shades = [
            [1 - 2 * (ord(one) - ord("a")) / TOP if one != "_" else 0.4 for one in word]
            for word in words
        ]
        return np.array(shades).reshape(-1, SIDE, SIDE)

    words = mine[0]["pictures"].split("/")
    count = len(words) // 3
    shown = [("unseen digit", pictures(words[:count]))]
    shown.append(("known half", pictures(words[count : 2 * count])))
    for row in mine:
        name = f"heads of {row['width']}"
        shown.append((name, pictures(row["pictures"].split("/")[2 * count :])))
    return plot.gallery(shown)


@recipe(
    "eam.columns",
    "Heads of one column, and of more",
    "hernandez2024",
    "beyond the publication, whose memory has heads of one column",
    quick=[
        *grid(width=WIDTHS, groups="squares"),
        *grid(width=(1, 4, 16, 64), groups="scattered"),
    ],
    paper=grid(width=WIDTHS, groups=GROUPS, fold=range(10)),
    checks=_checks(),
    draw=_draw,
)
def columns(
    width: Annotated[int, "columns of a head, a divisor of 64"],
    groups: Annotated[str, "columns of a head: squares, rows, or scattered"] = "squares",
    spread: Annotated[float, "standard deviation s of a read, in levels"] = 1.6,
    fold: Annotated[int, "where in the order of digits the stored ones start, in tenths"] = 0,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Complete digits of which half the pixels are missing, by attention in groups of columns.

    The entropic register is attention with one head of width one for each column. Here the 64
    columns are cut into groups, and each group is read by itself: softmax attention over what was
    stored in it, by the squared distance of its known columns, at a standard deviation of 1.6
    levels. Distinct contents are kept once, with their counts as the prior. Groups of one column
    are the register, and their read is that of ``EntropicMemory``; one group of 64 is attention
    over whole rows. ``differs`` is the largest difference from these two, None between them.

    Four fifths of the digits are stored, 1,437, and the 359 others are unseen. Each pixel of a cue
    is missing with probability one half. Groups are ``squares`` and halves of squares, neighbours
    in the picture; ``rows``, consecutive pixels in rows; or ``scattered``, in a random order.

    ``stored`` and ``unseen`` are the root mean square errors of the missing pixels, which range
    from 0 to 16, for the first 359 stored digits and for the unseen ones, and ``nearest`` that of
    unseen digits completed by the nearest stored row. ``stored_class`` and ``unseen_class`` are
    the shares of the completed digits that a support vector classifier gives their class, and
    ``stored_bare`` and ``unseen_bare`` those of the bare cues, with 0 for what is missing.
    ``bytes`` is the size of distinct contents in float32 with their counts in int64, ``table``
    that of the register with all 17 levels, and ``rows`` that of plain rows. ``pictures`` holds
    the first unseen digits, their cues, and the completed digits, with a letter for each pixel.

    Over ten folds, stored digits are completed with errors of 4.31, 4.17, 3.70, 3.28, 2.34, 0.70
    and 0.02 by squares of 1, 2, 4, ... 64 columns, and unseen ones with 4.35, 4.22, 3.76, 3.40,
    2.98, 2.86 and 2.78. A head of one column has only the mean of its column to give for a missing
    pixel. Wide heads tell stored digits apart; for unseen ones they gain less, and end at 2.78,
    where the nearest row has 2.91. Which columns share a head matters as much: 16 scattered
    columns have an error of 3.68 for unseen digits, 16 of a square 2.98. The classifier is right
    in 0.59 of the bare cues, 0.69 of the digits completed by single columns, and 0.95 of those
    completed by whole rows. The register takes 8,704 bytes however many rows are stored. From
    eight columns on, hardly any content repeats, and counts save nothing against plain rows.
    """
    from kanerva.lab.papers.hernandez2024 import _columns

    checks.choice("groups", groups, GROUPS)
    spread = checks.number("spread", spread, 1e-3, 1e3)
    seed = checks.integer("seed", seed, 0, 2**62)
    yield _columns.completed(width, groups, spread, fold, seed)
