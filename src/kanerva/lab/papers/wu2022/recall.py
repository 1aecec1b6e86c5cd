"""Wu and others 2022: an attention that remembers what lay before its window."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["recall"]

PAIRS, CHANCE = 32, 0.125
BASE: Cell = {"capacity": 64, "k": 4, "near": 1}
SHORT = 60
TITLES = {"own": "with its memory", "none": "without a memory", "other": "memory of another text"}


def _checks() -> Iterator[Check]:
    at = BASE | {"update": SHORT}
    what = "with the memory: right answers, at least .9"
    yield Check(what, "right", 0.95, 0.05, SEPARATE, at | {"memory": "own"}, "min")
    what = "the first of the four segments: right answers, at least .9"
    yield Check(what, "first", 0.95, 0.05, SEPARATE, at | {"memory": "own"}, "min")
    for memory in ("none", "other"):
        what = f"{TITLES[memory]}: right answers"
        yield Check(what, "right", CHANCE, 0.06, "one in eight by chance", {"memory": memory})
    for capacity in (8, 16):
        share = capacity / PAIRS
        what = f"a memory of {capacity} pairs: right answers"
        found = at | {"memory": "own", "capacity": capacity}
        yield Check(what, "right", share + (1 - share) * CHANCE, 0.05, LAW, found)


def _draw(rows: list[Row]) -> Any:
    most = max(row["capacity"] for row in rows)
    long = [row | {"line": TITLES[row["memory"]]} for row in rows if _base(row)]
    near = [
        row | {"line": "asked in each segment, too" if row["near"] else "asked at the end alone"}
        for row in rows
        if row["memory"] == "own" and row["capacity"] == most and row["k"] == BASE["k"]
    ]
    frame = plot.Frame(
        "Pairs of earlier segments are found in the memory",
        "updates",
        "share of right answers",
        limits=(0.0, 1.02),
    )
    drawn = {"": plot.lines(long, "update", "right", frame, by="line")} if long else {}
    if len({row["line"] for row in near}) > 1:
        frame = plot.Frame(
            "Stored pairs carry no gradient",
            "updates",
            "share of right answers",
            log="x",
            limits=(0.0, 1.02),
        )
        drawn["keys"] = plot.lines(near, "update", "right", frame, by="line")
    ends = [row for row in rows if row["memory"] == "own" and row["update"] == SHORT]
    sizes = [row for row in ends if row["near"] and row["k"] == BASE["k"]]
    if len({row["capacity"] for row in sizes}) > 1:
        frame = plot.Frame(
            "The oldest pairs go first",
            "capacity, pairs",
            "share of right answers",
            log="x",
            verticals={"32 pairs": PAIRS},
            limits=(0.0, 1.02),
        )
        long = [
            {"x": row["capacity"], "y": row[column], "line": title}
            for column, title in (
                ("right", "all segments"),
                ("first", "first segment"),
                ("last", "last segment"),
            )
            for row in sizes
        ]
        drawn["capacity"] = plot.lines(long, "x", "y", frame, by="line")
    return drawn


def _base(row: Row) -> bool:
    """Return whether a row is of the main setting."""
    return all(row[name] == value for name, value in BASE.items())


@recipe(
    "layers.recall",
    "Recall pairs from before the window",
    "wu2022",
    "for the layer; the texts are of our own making",
    quick=[
        *grid(**BASE, updates=SHORT, every=10),
        *grid(**BASE | {"capacity": 16}, updates=SHORT, every=SHORT),
    ],
    paper=[
        *grid(**BASE, updates=SHORT, every=5, seed=range(5)),
        *grid(**BASE | {"near": 0}, updates=600, every=20, seed=range(3)),
        *grid(**BASE | {"capacity": (8, 16, 24, 32)}, updates=SHORT, every=SHORT, seed=range(3)),
        *grid(**BASE | {"k": (1, 16, 64)}, updates=SHORT, every=SHORT, seed=range(3)),
    ],
    checks=_checks(),
    draw=_draw,
)  # fmt: skip
def recall(
    capacity: Annotated[int, "pairs of key and value that the memory holds"],
    k: Annotated[int, "stored keys that a query reads"],
    near: Annotated[int, "1 asks within each segment, too, in training; 0 asks at the end alone"],
    updates: Annotated[int, "number of updates, of 16 texts each"],
    every: Annotated[int, "updates between two looks at the model"],
    heads: Annotated[int, "number of heads"] = 4,
    width: Annotated[int, "width of a token, a multiple of the heads"] = 64,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Show pairs of a name and a value in four segments, then ask for the values by the names.

    Each segment has 8 tokens, one for each pair, and the names are new in every text. The fifth
    segment has 32 tokens, each with a name and a question mark, and one attention of 4 heads must
    name their values. Plain attention has nothing to read them from. The memory holds the pairs of
    the four segments, and each question reads the 4 nearest of them. After 60 updates of 16 texts,
    0.997 or more of the answers are right in each of five seeds, as many for the first segment as
    for the last. The same weights with an empty memory, or with that of another text, are at
    chance. A memory of 8, 16 or 24 pairs has the last 1, 2 or 3 segments and is at chance for the
    others. One key to read is enough, and all 64 do no harm. The gate ends at 0.45, near its start.

    Stored pairs carry no gradient, so the maps of keys and values are trained by the window alone.
    Therefore each segment asks for its own pairs in training, too. Where only the fifth segment
    asks (the second figure), the share of right answers rises to between 0.4 and 0.7 after 100
    updates, then falls below 0.2 as training goes on: the stored keys of different names become
    alike, and no gradient holds them apart.
    """
    from kanerva.lab.papers.wu2022 import _pairs

    checks.integer("near", near, 0, 1)
    for name, value in (("updates", updates), ("every", every)):
        checks.integer(name, value, 1, 10**6)
    for name, value in (("capacity", capacity), ("k", k)):
        checks.integer(name, value, 1, 2**20)
    checks.integer("heads", heads, 1, 2**10)
    checks.integer("width", width, 1, 2**14)
    design = _pairs.Design(capacity, k, heads, width)
    seed = checks.integer("seed", seed, 0, 2**63 - 1)
    yield from _pairs.train(design, bool(near), updates, every, seed)
