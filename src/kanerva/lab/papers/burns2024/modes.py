"""Burns 2024: the modes of a memory whose patterns are linked in a ring."""

from collections.abc import Iterator
from typing import Any

from kanerva import theory
from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.burns2024._words import (
    CLOSED,
    RING,
    SEPARATE,
    Auto,
    Beta,
    Hetero,
    Memories,
    Neurons,
    Rate,
    Steps,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["modes"]

# The mode in every one of six runs with separate code, by a and h.
EXPECTED = {
    **{(1.0, 0.0): "auto", (1.0, -1.0): "auto", (0.5, 0.5): "narrow"},
    **{(0.0, 1.0): "wide", (-0.5, 1.5): "wide", (-1.0, 2.0): "wide", (-2.0, 3.0): "wide"},
    **{(0.0, 0.0): "quiescent", (-1.0, 0.0): "quiescent", (-1.0, -1.0): "quiescent"},
}
SIZE: Cell = RING | {"rate": 0.1, "steps": 100}
# Shorter steps for the same time, for pairs that do not come to rest with the longer ones.
SHORT: Cell = SIZE | {"rate": 0.02, "steps": 500}
QUIESCENT = ((-1.0, 0.0), (-1.0, -1.0), (-1.0, 1.0))


def _checks() -> Iterator[Check]:
    for (auto, hetero), mode in EXPECTED.items():
        at = SIZE | {"auto": auto, "hetero": hetero}
        what = f"{mode} at a = {auto:g}, h = {hetero:g}, share of the runs"
        yield Check(what, "as_expected", 1.0, 0.0, f"{SEPARATE}, six seeds", at, "min")
        if mode in ("auto", "narrow"):
            for column, name in (("own", "own pattern"), ("near", "neighbour")):
                what = f"overlap with the {name} from theory, a = {auto:g}, h = {hetero:g}"
                yield Check(what, f"{column}_apart", 0.0, 0.02, CLOSED, at, "max")
            what = f"correlation of neighbours from theory, a = {auto:g}, h = {hetero:g}"
            yield Check(what, "correlation_apart", 0.0, 0.03, CLOSED, at, "max")
    for auto, hetero in QUIESCENT:
        at = SHORT | {"auto": auto, "hetero": hetero}
        what = f"spread of the last states, a = {auto:g}, h = {hetero:g}, rate 0.02, below 0.001"
        yield Check(what, "spread", 5e-4, 5e-4, SEPARATE, at, "max")


def _draw(rows: list[Row]) -> Any:
    first = min(row["seed"] for row in rows)
    rate = max(row["rate"] for row in rows)
    rows = [row for row in rows if row["rate"] == rate]
    cells = [row for row in rows if row["seed"] == first]
    high = max(row["hetero"] for row in cells)
    frame = plot.Frame("Modes of the memory", "auto-association a", "hetero-association h")
    limit = {"a = h / 2": [(0.0, 0.0), (high / 2, high)]} if high > 0 else {}
    drawn = {"": plot.regions(cells, "auto", "hetero", "mode", frame, curves=limit)}
    names = {
        "own": "overlap with the own pattern",
        "near": "overlap with a neighbour",
        "correlation": "correlation of neighbours",
        "spread": "spread of the last states",
    }
    # The theory is drawn for the three numbers that it gives, where the state is stable.
    closed = {f"closed_{column}": "theory, a > h / 2" for column in tuple(names)[:3]}
    long = [
        {"auto": row["auto"], "y": row[column], "line": line}
        for lines in (names, closed)
        for column, line in lines.items()
        for row in rows
        if abs(row["auto"] + row["hetero"] - 1) < 1e-9 and row["auto"] >= -2
        if lines is names or (row["stable"] and row["seed"] == first)
    ]
    if long:
        frame = plot.Frame(
            "From one pattern to a community, h = 1 − a",
            "auto-association a",
            "mean over the starts",
            dots=("theory, a > h / 2",),
        )
        drawn["line"] = plot.lines(long, "auto", "y", frame, by="line")
    return drawn


def _steps(low: float, high: float, by: float) -> list[float]:
    return [low + by * place for place in range(round((high - low) / by) + 1)]


PAIRS = [{"auto": auto, "hetero": hetero} for auto, hetero in EXPECTED]
RESTING = [SHORT | {"auto": auto, "hetero": hetero} for auto, hetero in QUIESCENT]


@recipe(
    "cdam.modes",
    "The modes of a memory with linked patterns",
    "burns2024",
    "for the four modes",
    quick=[*grid(**SIZE, auto=_steps(-2, 1, 0.5), hetero=_steps(-1, 3, 0.5)), *RESTING],
    paper=[
        *grid(**SIZE, auto=_steps(-2, 1, 0.25), hetero=_steps(-1, 3, 0.25)),
        *[pair | cell for cell in grid(**SIZE, seed=range(1, 10)) for pair in PAIRS],
        *[cell | {"seed": seed} for cell in RESTING for seed in range(10)],
    ],
    checks=_checks(),
    draw=_draw,
)
def modes(
    auto: Auto,
    hetero: Hetero,
    neurons: Neurons = 1000,
    memories: Memories = 30,
    beta: Beta = 1.0,
    rate: Rate = 0.1,
    steps: Steps = 100,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Recall from every pattern of a ring, and name the mode by where the recalls end.

    Each cell of the map is one memory. Its colour is the mode: ``auto``, where a recall ends at one
    pattern alone; ``narrow``, at one pattern with its two neighbours; ``wide``, at a mixture of
    several patterns along the ring, so that states of neighbouring starts are correlated; and
    ``quiescent``, where all starts end in the same state. The remaining cells are ``unclassified``.

    The line a = h / 2 is that of theory for many neurons and large beta: to its right, attention
    that rests on one pattern stays there. The closed form of ``theory.correlated.pure`` gives the
    overlaps and the correlation of that state, and they are compared with the measured ones. Close
    to the line some recalls already end in mixtures.

    Steps of rate 0.1 are too long for some of the memories with a < 0: their states go on changing,
    as the column ``speed`` shows, and a small spread remains where theory has a single state. With
    steps of rate 0.02 the spread vanishes at a = -1 and h = -1, 0 and 1. The column ``uniform`` is
    1 where theory finds equal attention to all patterns stable; other stable states may exist
    beside it.
    """
    import torch

    from kanerva import correlated
    from kanerva.lab.papers.burns2024 import _memories

    graph = _memories.ring(memories)
    source = torch.Generator().manual_seed(seed)
    patterns = _memories.uniform(memories, neurons, source)
    steps = checks.integer("steps", steps, 1)
    memory = _memories.linked(patterns, graph, beta, auto=auto, hetero=hetero, rate=rate)
    found = correlated.attractors(memory, seed=source, steps=steps)
    own, near = _memories.by_distance(found.overlaps, graph, 1)
    correlation = _memories.by_distance(found.correlations, graph, 1)[1]
    mixing = memory.mixing().numpy()
    state, sharpness = theory.correlated.pure(mixing), beta * neurons * _memories.VARIANCE
    expected = EXPECTED.get((auto, hetero))
    row = {
        "mode": found.mode,
        "expected": expected,
        "as_expected": None if expected is None else int(found.mode == expected),
        "spread": found.spread,
        "own": own,
        "near": near,
        "correlation": correlation,
        "attended": float(memory.explain(found.states).effective.mean()),
        "speed": found.speed,
        "stable": int(state.stable.all()),
        "uniform": int(theory.correlated.uniform(mixing, sharpness)),
    }
    closed = {
        "own": state.overlaps[0, 0],
        "near": state.overlaps[0, 1],
        "correlation": state.correlations[0, 1],
    }
    row |= {f"closed_{name}": value for name, value in closed.items()}
    yield row | {f"{name}_apart": abs(row[name] - value) for name, value in closed.items()}
