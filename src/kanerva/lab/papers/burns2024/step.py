"""Burns 2024: what the length of a step does to the attractors of a memory with links."""

import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.burns2024 import _words
from kanerva.lab.papers.burns2024._words import (
    RING,
    SEPARATE,
    Auto,
    Beta,
    Hetero,
    Memories,
    Neurons,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["step"]

PAIRS = ((0.5, 0.5), (-0.5, 1.5), (-2.0, 3.0))
FARTHEST = 8  # the largest distance along the ring
PUBLISHED, SHORTER, FLOW = 0.1, 0.02, 0.0
LATER = 60.0
# The correlation of neighbours at a = -2, h = 3, by rate and time, with a tolerance.
NEIGHBOURS = {(PUBLISHED, 10.0): (0.55, 0.06), (SHORTER, 10.0): (0.87, 0.04)}
NEIGHBOURS |= {(FLOW, LATER): (0.84, 0.04)}
# Correlations along the flow at a = -0.5, h = 1.5, from distance 1 on.
REACH = (0.78, 0.56, 0.34, 0.15)
# The speed at time 10, by a, h and rate, with a tolerance.
SPEEDS = {
    **{(-0.5, 1.5, PUBLISHED): (0.22, 0.03), (-2.0, 3.0, PUBLISHED): (0.63, 0.05)},
    **{(-0.5, 1.5, SHORTER): (0.0025, 0.0025), (-2.0, 3.0, SHORTER): (0.0025, 0.0025)},
}


def _rate(rate: float) -> str:
    return f"rate {rate:g}" if rate else "flow"


def _checks() -> Iterator[Check]:
    wide = RING | {"auto": -2.0, "hetero": 3.0}
    for (rate, time), pair in NEIGHBOURS.items():
        what = f"correlation of neighbours, {_words.pair(-2, 3)}, {_rate(rate)}, time {time:g}"
        at = wide | {"rate": rate, "time": time, "distance": 1}
        yield Check(what, "correlation", *pair, SEPARATE, at)
    for distance, value in enumerate(REACH, 1):
        what = f"correlation at distance {distance}, {_words.pair(-0.5, 1.5)}, flow, time {LATER:g}"
        at = RING | {"auto": -0.5, "hetero": 1.5, "rate": FLOW, "time": LATER}
        yield Check(what, "correlation", value, 0.05, SEPARATE, at | {"distance": distance})
    for auto, hetero in PAIRS:
        at = RING | {"auto": auto, "hetero": hetero, "time": 10.0, "distance": 1}
        what = f"correlation of neighbours with rate {SHORTER:g} less that of the flow, "
        what, other = what + f"{_words.pair(auto, hetero)}, time 10", at | {"rate": FLOW}
        source = "the limit of short steps is the flow"
        yield Check(what, "correlation", 0, 0.01, source, at | {"rate": SHORTER}, less=other)
    for (auto, hetero, rate), pair in SPEEDS.items():
        what = f"speed at time 10, {_words.pair(auto, hetero)}, {_rate(rate)}"
        at = RING | {"auto": auto, "hetero": hetero, "rate": rate, "time": 10.0}
        yield Check(what, "speed", *pair, SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    drawn = {"": _curves(rows), "speed": _speeds(rows)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _curves(rows: list[Row]) -> Any:
    early, late = (choose(row["time"] for row in rows) for choose in (min, max))
    lines = {
        (PUBLISHED, early): f"rate {PUBLISHED:g}",
        (SHORTER, early): f"rate {SHORTER:g}",
        (FLOW, late): f"the flow at time {late:g}",
        (FLOW, early): "the flow",
    }
    long: list[Row] = []
    for kind, line in lines.items():
        places: dict[tuple[str, int], list[float]] = {}
        for row in rows:
            place = (_words.pair(row["auto"], row["hetero"]), row["distance"])
            if (row["rate"], row["time"]) == kind and row["correlation"] is not None:
                places.setdefault(place, []).append(row["correlation"])
        # Dots are drawn for every row, so the seeds are averaged here.
        for (panel, distance), values in places.items():
            mean = statistics.fmean(values)
            long.append({"panel": panel, "line": line, "x": distance, "y": mean})
    frame = plot.Frame(
        f"Steps of rate {PUBLISHED:g} are too long for a < 0",
        "distance along the ring",
        f"correlation of the states, at time {early:g} unless another is given",
        dots=("the flow",),
    )
    return plot.lines(long, "x", "y", frame, by="line", panel="panel") if long else None


def _speeds(rows: list[Row]) -> Any:
    early = min(row["time"] for row in rows)
    speeds = [
        {"x": row["product"], "y": row["speed"], "line": _words.pair(row["auto"], row["hetero"])}
        for row in rows
        if row["distance"] == 1 and row["time"] == early and row["rate"] > 0
    ]
    frame = plot.Frame(
        "Recalls come to rest where steps are short",
        "rate × beta n / 12 × (|a| + |h|)",
        f"speed of the states at time {early:g}",
        log="xy",
    )
    return plot.lines(speeds, "x", "y", frame, by="line") if speeds else None


def _cells(rates: tuple[float, ...], **more: Any) -> list[Cell]:
    cells = grid(**RING, rate=rates, **more)
    return [{"auto": auto, "hetero": hetero} | cell for auto, hetero in PAIRS for cell in cells]


@recipe(
    "cdam.step",
    "The length of a step and the attractors",
    "burns2024",
    "for the ring of 30 memories at a = -2, h = 3",
    quick=[
        *_cells((0.5, 0.2, PUBLISHED, 0.05, SHORTER, FLOW), time=10.0),
        *_cells((FLOW,), time=LATER),
    ],
    paper=[
        *_cells((0.5, 0.3, 0.2, 0.15, PUBLISHED, 0.07, 0.05, 0.03, SHORTER, FLOW), time=10.0),
        *_cells((PUBLISHED, SHORTER, FLOW), time=LATER),
        *_cells((PUBLISHED, SHORTER, FLOW), time=10.0, seed=range(1, 10)),
        *_cells((FLOW,), time=LATER, seed=range(1, 10)),
    ],
    checks=_checks(),
    draw=_draw,
)
def step(
    auto: Auto,
    hetero: Hetero,
    rate: Annotated[float, "share of each step that a recall takes; 0 for the continuous flow"],
    time: Annotated[float, "duration of a recall: its number of steps times their rate"],
    neurons: Neurons = 1000,
    memories: Memories = 30,
    beta: Beta = 1.0,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Recall for the same time by steps of several rates, and along the flow that they approximate.

    A recall by steps is Euler's method for a differential equation, which is solved here with error
    control as the reference. At a = h = 0.5 all rates up to 0.5 agree with it. With a < 0 the steps
    of rate 0.1, which the published figures use, overshoot and the states go on changing. At
    a = -2, h = 3 neighbouring states are then correlated by 0.58 in place of 0.88 at the same time,
    and less and less later. Steps of rate 0.02 agree with the flow within 0.001. The flow itself is
    slow at these strengths: from time 10 to 60 the correlation of neighbours falls to 0.84, and
    that at larger distances grows.

    The second figure shows the speed, which is the mean absolute difference of a read from its
    state, against the product of the rate, the sharpness beta n / 12 and |a| + |h|. With a < 0 the
    recalls came to rest where it is 5 or less, and none did from 12.5 on. Between them it does not
    decide alone: at 8.3 the recall at a = -2 comes to rest and that at -0.5 does not.
    """
    import torch

    from kanerva import correlated
    from kanerva.lab.papers.burns2024 import _flow, _memories

    checks.number("rate", rate, 0.0, 1.0)
    checks.number("time", time, 0.0, 1e4, open_low=True)
    graph = _memories.ring(memories)
    source = torch.Generator().manual_seed(seed)
    patterns = _memories.uniform(memories, neurons, source)
    noise = torch.rand(patterns.shape, generator=source, dtype=torch.float64) - 0.5
    memory = _memories.linked(patterns, graph, beta, auto=auto, hetero=hetero)
    if rate:
        states = memory.recall(patterns + noise, steps=max(1, round(time / rate)), rate=rate)
    else:
        states = _flow.flow(memory, patterns, noise, beta, time)
    means = _memories.by_distance(correlated.overlaps(states, states), graph, FARTHEST)
    overlaps = _memories.by_distance(correlated.overlaps(states, patterns), graph, FARTHEST)
    speed = float((memory.read(states) - states).abs().mean())
    product = rate * beta * neurons * _memories.VARIANCE * (abs(auto) + abs(hetero))
    for distance in range(1, FARTHEST + 1):
        yield {
            "distance": distance,
            "correlation": means[distance],
            "overlap": overlaps[distance],
            "speed": speed,
            "product": product,
        }
