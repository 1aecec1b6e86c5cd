"""Burns 2024: how far recall reaches along a ring, and how inhibition changes it on the way."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed, table
from kanerva.lab.papers.burns2024 import _words
from kanerva.lab.papers.burns2024._words import (
    CLOSED,
    RING,
    SEPARATE,
    STORED,
    Auto,
    Beta,
    Hetero,
    Memories,
    Neurons,
    Rate,
    Steps,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["reach"]

PAIRS = ((1.0, 0.0), (0.5, 0.5), (-0.5, 1.5), (-2.0, 3.0))
SIZE: Cell = RING | {"rate": 0.1, "steps": 100}
PARTS = ("starts", "led")
LARGE = SIZE | {"neurons": 20_000, "auto": 0.5, "hetero": 0.5}
FARTHEST = {"starts": 11, "led": 4}  # the largest distance; 11 is that of the published figure
LOOKS_AT = (1, 11, 26)  # steps of the published overlaps, beside the last
EVERY = 10  # steps between two looks on the way to a community and back
ALONE = 0.9  # the least overlap with a pattern that is recalled alone
# The correlation by distance, read off the published figure to 0.02.
PUBLISHED = """
distance  1     0.5    -0.5   -2
1         -0.03  0.64   0.77   0.65
2         -0.03  0.09   0.57   0.52
3         -0.03 -0.11   0.32   0.44
4         -0.03 -0.11   0.11   0.30
5         -0.03 -0.10  -0.05   0.14
6         -0.03 -0.09  -0.14   0.02
8         -0.03 -0.09  -0.21  -0.18
11        -0.03 -0.10  -0.21  -0.31
"""
# The mean correlation of ten seeds at the distances 1, 2, ..., with a tolerance.
MEASURED = {
    (0.5, 0.5): ((0.635, 0.02), (0.088, 0.03), (-0.093, 0.03)),
    (-0.5, 1.5): ((0.79, 0.05), (0.58, 0.05), (0.33, 0.05), (0.12, 0.05)),
}
# The first distance with a correlation below 0; with a < 0 it may differ between seeds.
CHANGES = {(1.0, 0.0): (1, 0.0), (0.5, 0.5): (3, 0.0), (-0.5, 1.5): (5, 0.5), (-2.0, 3.0): (7, 0.5)}
# Overlaps and correlations at a = h = 1/2, from the formulas for many neurons.
FORMULAS = {"overlap": (0.7984, 0.3707, -0.0570), "correlation": (1, 0.6341, 0.0854, -0.0976)}


def _checks() -> Iterator[Check]:
    for pair in PAIRS:
        at = SIZE | {"part": "starts", "step": SIZE["steps"]}
        at, name = at | dict(zip(("auto", "hetero"), pair, strict=True)), _words.pair(*pair)
        for distance, (value, tolerance) in enumerate(MEASURED.get(pair, ()), 1):
            what, here = f"correlation at distance {distance}, {name}", at | {"distance": distance}
            yield Check(what, "correlation", value, tolerance, f"{SEPARATE}, ten seeds", here)
        what = f"first distance with a correlation below 0, {name}"
        yield Check(what, "change", *CHANGES[pair], f"{STORED}; {SEPARATE}", at)
        what = f"mean activity at the last step, {name}"
        yield Check(what, "activity", 0.0, 0.01, f"{STORED}: it decays to 0", at)
        if pair == (1.0, 0.0):
            what, here = f"overlap with the own pattern, {name}", at | {"distance": 0}
            yield Check(what, "overlap", 0.983, 0.005, SEPARATE, here)
    for column, values in FORMULAS.items():
        for distance, value in enumerate(values):
            at = LARGE | {"part": "starts", "step": LARGE["steps"], "distance": distance}
            what = f"{column} of theory at distance {distance}, a = h = 0.5"
            yield Check(what, f"closed_{column}", value, 5e-5, "worked out by hand", at)
            what = f"{column} at distance {distance}, 20,000 neurons, a = h = 0.5"
            yield Check(what, column, value, 0.003, CLOSED, at)
    stable = "closed form: each pattern alone is stable at a = 1, h = 0"
    for pair in PAIRS[1:]:
        at = SIZE | dict(zip(("auto", "hetero"), pair, strict=True)) | {"part": "led"}
        for step in (100, 300):
            what = f"led through {_words.pair(*pair)}: share with one pattern alone, step {step}"
            yield Check(what, "alone", 1.0, 0.01, stable, at | {"step": step})
    at = SIZE | {"auto": 0.5, "hetero": 0.5, "part": "led", "step": 300}
    what = f"led through {_words.pair(0.5, 0.5)}: share back at its pattern, step 300"
    source = "closed form: the state between has its largest overlap with its own pattern"
    yield Check(what, "same", 1.0, 0.0, source, at)


def _draw(rows: list[Row]) -> Any:
    size = min(row["neurons"] for row in rows)
    small = [row for row in rows if row["neurons"] == size]
    drawn = {"": _curves([row for row in small if row["part"] == "starts"])}
    drawn |= {"steps": _overlaps(small), "led": _led(small)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _curves(rows: list[Row]) -> Any:
    last = max((row["step"] for row in rows), default=0)
    long, found = [], [row for row in rows if row["step"] == last and row["distance"]]
    lines = {"correlation": "measured", "closed_correlation": "theory"}
    for column, line in lines.items():
        for row in found:
            place = {"x": row["distance"], "panel": _words.pair(row["auto"], row["hetero"])}
            long.append(place | {"y": row[column], "line": line})
    seen = {(row["auto"], row["hetero"]) for row in found}
    for row in table(PUBLISHED):
        for auto, hetero in (pair for pair in PAIRS if pair in seen):
            place = {"x": row["distance"], "panel": _words.pair(auto, hetero)}
            long.append(place | {"y": row[f"{auto:g}"], "line": "published figure"})
    frame = plot.Frame(
        "Correlation of attractors along the ring",
        "distance along the ring",
        "correlation of the last states of two starts",
        across=2,
        dots=("published figure", "theory"),
        limits=(-0.4, 1.0),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if found else None


def _overlaps(rows: list[Row]) -> Any:
    long = [
        {
            "x": row["distance"],
            "y": row["overlap"],
            "panel": _words.pair(row["auto"], row["hetero"]),
            "line": f"step {row['step']}",
        }
        for row in rows
        if row["part"] == "starts"
    ]
    frame = plot.Frame(
        "Overlaps during a recall",
        "distance of the pattern from that of the start",
        "overlap of state and pattern",
        across=2,
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


def _led(rows: list[Row]) -> Any:
    found = [row for row in rows if row["part"] == "led"]
    long = []
    for row in found:
        place = {"x": row["step"], "panel": f"to {_words.pair(row['auto'], row['hetero'])}"}
        own = not row["distance"]
        line = "overlap with the item" if own else f"overlap with items {row['distance']} away"
        if row["distance"] < 3:
            long.append(place | {"y": row["overlap"], "line": line})
        if own:
            long.append(place | {"y": row["same"], "line": "share whose best match is the item"})
    names = ["overlap with the item", *(f"overlap with items {one} away" for one in (1, 2))]
    long.sort(key=lambda row: names.index(row["line"]) if row["line"] in names else 9)
    steps = max((row["steps"] for row in found), default=0)
    frame = plot.Frame(
        "One recall from an item to a community, and to one item again",
        "step of the recall",
        "mean over the items",
        verticals={"to the strengths of the panel": steps, "back to a = 1, h = 0": 2 * steps},
        limits=(-0.15, 1.05),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if found else None


def _pairs(part: str, **more: Any) -> list[Cell]:
    pairs = PAIRS if part == "starts" else PAIRS[1:]
    cells = grid(**SIZE, part=part, **more)
    return [{"auto": auto, "hetero": hetero} | cell for auto, hetero in pairs for cell in cells]


@recipe(
    "cdam.range",
    "How far recall reaches along a ring",
    "burns2024",
    "the figures of the ring of 30 memories",
    quick=[
        *_pairs("starts", seed=range(4)),
        *_pairs("led"),
        LARGE | {"part": "starts"},
    ],
    paper=[
        *_pairs("starts", seed=range(10)),
        *_pairs("led", seed=range(10)),
        *grid(**LARGE, part="starts", seed=range(3)),
    ],
    checks=_checks(),
    draw=_draw,
)
def reach(
    auto: Auto,
    hetero: Hetero,
    part: Annotated[str, "starts: a recall at a and h; led: one at 1 and 0, at a and h, and back"],
    neurons: Neurons = 1000,
    memories: Memories = 30,
    beta: Beta = 1.0,
    rate: Rate = 0.1,
    steps: Steps = 100,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Recall from every pattern of a ring, and measure how far the last states are correlated.

    Thirty random patterns are linked in a ring, and a + h = 1. At a = 1, h = 0 a recall ends at one
    pattern alone. At 0.5 and 0.5 it ends at one pattern with its neighbours, and the states of
    neighbouring starts are correlated. With a < 0 it ends at a mixture of four to six patterns, and
    the correlation is above 0 up to a distance of 4 at -0.5, and of 6 at -2. Overlaps at the
    steps 1, 11, 26 and the last are in the second figure. The mean activity decays to 0, because
    the mean pattern is subtracted once, as in the author's programs; the printed equation, which
    divides it by the number of neurons, does not give the published curves.

    For a > h / 2 the curve is that of the closed form for many neurons, which a memory of 20,000
    neurons follows within 0.003. At a = -2 the steps of rate 0.1 are too long; see ``cdam.step``.

    The third figure is one recall whose strengths change on the way: 100 steps at a = 1, h = 0, 100
    steps at the strengths of the panel, and 100 at 1 and 0 again. A lower a stands for stronger
    inhibition of the pattern that is recalled. The recall goes from a single item to its community
    and back to a single item. Through 0.5 and 0.5 it returns to the item that it came from.
    Through -0.5 and 1.5 it returns to a neighbour in 19 of 20 cases and never to the item itself,
    since in the community the overlap with a neighbour is larger than that with the item.
    """
    import torch

    from kanerva import correlated
    from kanerva.lab.papers.burns2024 import _memories

    checks.choice("part", part, PARTS)
    steps = checks.integer("steps", steps, 1)
    graph = _memories.ring(memories)
    source = torch.Generator().manual_seed(seed)
    patterns = _memories.uniform(memories, neurons, source)
    memory = _memories.linked(patterns, graph, beta, rate=rate)
    noise = torch.rand(patterns.shape, generator=source, dtype=torch.float64) - 0.5
    view = memory.at(auto=auto, hetero=hetero)
    closed = theory.correlated.pure(view.mixing().numpy())
    known = part == "starts" and bool(closed.stable.all())
    if part == "starts":
        looks = [(step, view) for step in sorted({*LOOKS_AT, steps}) if step <= steps]
    else:
        marks = sorted({*range(0, 3 * steps, EVERY), steps, 2 * steps, 3 * steps})
        looks = [(step, view if steps < step <= 2 * steps else memory) for step in marks]
    state, before = patterns + noise, 0
    for step, now in looks:
        # The same recall goes on: each part starts from the state that the last one left.
        state, before = now.recall(state, steps=step - before), step
        overlaps = correlated.overlaps(state, patterns)
        apart = _memories.by_distance(correlated.overlaps(state, state), graph, FARTHEST[part])
        means = _memories.by_distance(overlaps, graph, FARTHEST[part])
        found = _memories.matches(overlaps, graph)
        whole = {
            "activity": float(state.mean()),
            "deviation": float(state.std()),
            "change": _memories.change(apart),
            "same": found.same,
            "beside": found.beside,
            "alone": float((overlaps.amax(-1) > ALONE).double().mean()),
        }
        for distance, overlap in enumerate(means):
            row = {"step": step, "distance": distance, "overlap": overlap}
            row |= {"correlation": apart[distance]} | whole
            there = known and overlap is not None  # a small ring has no such distance
            yield row | {
                "closed_overlap": closed.overlaps[0, distance] if there else None,
                "closed_correlation": closed.correlations[0, distance] if there else None,
            }
