"""Burns 2024: the models of which its memory is a mixture, against exact tables."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, INTEGERS, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["neighbours"]

# Overlaps in 128ths and correlations of the attractors of a ring, by distance.
OVERLAPS = (77, 51, 13, 3, 1, 0)
CORRELATIONS = (1, 0.664, 0.332, 0.123, 0.040, 0.011, 0.002)
RING: Cell = {"kind": "ring", "patterns": 15}
CORRELATED = ((1.1, "half"), (1.5, "all"), (1.9, "all"))
SWINGS = (
    "with all neurons updated at once the state swings between two, with overlaps of 79, 49, 15 "
    "and 1; the table is that of damped updates, and random halves reach it"
)
SEQUENCE: Cell = {"kind": "sequence", "bits": 100}
UPDATES = {"all": "all neurons at once", "half": "a random half at a time"}
OVERLAP = "overlap of an attractor with the patterns, in 128ths"
CORRELATION = "correlation of two attractors"
KINDS = ("ring", "sequence", "attention")
EXACT = f"Griniasty and others 1993; {INTEGERS}"


def _checks() -> Iterator[Check]:
    for auto, update in CORRELATED:
        at = RING | {"auto": auto, "update": update}
        for distance, overlap in enumerate(OVERLAPS):
            what = f"a = {auto}, {update} at once: overlap at distance {distance}, in 128ths"
            yield Check(what, "overlap", overlap, 1e-9, EXACT, at | {"distance": distance})
    at = RING | {"auto": 1.5, "update": "all"}
    for distance, found in enumerate(CORRELATIONS):
        what = f"a = 1.5, all at once: correlation at distance {distance}"
        yield Check(what, "correlation", found, 5.1e-4, EXACT, at | {"distance": distance})
    for distance in (0, 1):
        at = RING | {"auto": 2.5, "update": "all", "distance": distance}
        what = f"a = 2.5: overlap at distance {distance}, in 128ths"
        yield Check(what, "overlap", 0 if distance else 128, 1e-9, EXACT, at)
    what = "a = 1.1, all at once: overlap at distance 0, in 128ths"
    at = RING | {"auto": 1.1, "update": "all", "distance": 0}
    yield Check(what, "overlap", 77, 1e-9, EXACT, at, reason=SWINGS)
    what = "a = 1.1, all at once: share of the starts that come to rest"
    yield Check(what, "settled", 0, 0, COMPUTED, at)
    what = "a = 1.9, half at once: overlap at distance 0, in 128ths"
    near = f"{EXACT}; random halves end at another rest near it"
    at = RING | {"auto": 1.9, "update": "half", "distance": 0}
    yield Check(what, "overlap", 77, 0.3, near, at)
    source = f"Chaudhry and others 2023; {COMPUTED}"
    at = SEQUENCE | {"patterns": 300}
    what = "300 patterns of 100 bits, order 3: share of the chain that is right"
    yield Check(what, "chain", 1, 0, source, at | {"order": 3.0}, "min")
    what = "300 patterns of 100 bits, order 1: share of the transitions that are right"
    yield Check(what, "right", 0, 0.005, source, at | {"order": 1.0}, "max")
    what = "attention to the mean successor and a read along links: largest difference"
    at = {"kind": "attention"}
    yield Check(what, "difference", 0, 1e-10, "an identity", at, "max")


def _draw(rows: list[Row]) -> Any:
    figures: dict[str, Any] = {}
    ring = [
        row | {"line": f"a = {row['auto']:g}", "panel": UPDATES[row["update"]]}
        for row in rows
        if row["kind"] == "ring"
    ]
    for column, table, title, label in (
        ("overlap", OVERLAPS, "Attractors of a ring overlap with neighbours", OVERLAP),
        ("correlation", CORRELATIONS, "Attractors of neighbours are correlated", CORRELATION),
    ):
        exact = "exact, 1 < a < 2"
        points = [
            {"distance": distance, column: found, "line": exact, "panel": panel}
            for panel in dict.fromkeys(row["panel"] for row in ring)
            for distance, found in enumerate(table)
        ]
        frame = plot.Frame(title, "distance on the ring", label, dots=(exact,))
        if ring:
            drawn = plot.lines(ring + points, "distance", column, frame, by="line", panel="panel")
            figures[column] = drawn
    sequence = [
        row | {"line": f"order {row['order']:g}"} for row in rows if row["kind"] == "sequence"
    ]
    if sequence:
        frame = plot.Frame(
            "Higher orders follow longer sequences",
            "patterns in a closed sequence",
            f"share of the transitions of {sequence[0]['bits']} bits without an error",
            log="x",
            limits=(-0.04, 1.04),
        )
        figures["sequences"] = plot.lines(sequence, "patterns", "right", frame, by="line")
    if not figures:
        frame = plot.Frame("Attention is a read along links", "beta", "largest difference")
        figures["attention"] = plot.lines(rows, "beta", "difference", frame)
    return figures


ATTENTION: Cell = {"kind": "attention", "patterns": 200, "bits": 64}


@recipe(
    "cdam.neighbours",
    "Correlated attractors, sequences, and attention",
    "burns2024",
    "for the mixture; the models are of Griniasty and others 1993 and Chaudhry and others 2023",
    quick=[
        *grid(**RING, auto=(1.1, 1.5, 1.9, 2.5), update="all"),
        *grid(**RING, auto=(1.1, 1.5, 1.9), update="half"),
        *grid(**SEQUENCE, order=(1.0, 2.0, 3.0), patterns=(10, 50, 300)),
        *grid(**ATTENTION, beta=(1.0, 8.0)),
    ],
    paper=[
        *grid(**RING, auto=(1.1, 1.3, 1.5, 1.7, 1.9, 2.5), update="all"),
        *grid(**RING, auto=(1.1, 1.3, 1.5, 1.7, 1.9, 2.5), update="half", seed=range(3)),
        *grid(
            **SEQUENCE,
            order=(1.0, 1.5, 2.0, 3.0, 4.0),
            patterns=(5, 10, 20, 50, 100, 200, 300, 500, 1000, 2000, 5000),
            seed=range(3),
        ),
        *grid(**ATTENTION, beta=(0.1, 1.0, 8.0, 64.0), seed=range(3)),
    ],
    checks=_checks(),
    draw=_draw,
)
def neighbours(
    kind: Annotated[str, "ring, sequence or attention"],
    patterns: Annotated[int, "number of stored patterns; a ring has 3 to 16"],
    bits: Annotated[int, "length of a pattern; 2 to the power of patterns for a ring"] = 0,
    auto: Annotated[float, "ring: a, strength of auto-association; the links have 1"] = 0.0,
    update: Annotated[str, "ring: all neurons at once, or a random half"] = "all",
    order: Annotated[float, "sequence: order of the separation"] = 1.0,
    beta: Annotated[float, "attention: inverse temperature"] = 1.0,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Compare three models that are special cases of a memory with links to what is known of them.

    ``ring``: a Hopfield network with one neuron for each of the 2^15 combinations of the signs of
    15 patterns, so that sums over neurons are exact averages over random patterns. The patterns are
    linked in a ring. For a from 1 to 2 the attractor of a pattern overlaps with it by 77/128, with
    its neighbours by 51/128, and so on as the dots of the main figure show; beyond 2 only the
    pattern itself is left. The second figure shows the correlations of attractors. If all neurons
    are updated at once, the state swings between two others for a of 1.3 and less; if a random half
    is updated at a time, it comes to rest at the table's values.

    ``sequence``: a network that recalls a closed sequence. The third figure shows the share of the
    transitions without an error by the number of patterns. Of 300 patterns of 100 bits, a linear
    rule makes no transition right, and the third order recalls the whole sequence.

    ``attention``: attention whose values are the mean successors of the keys reads the same as a
    memory with links, a = 0 and h = 1, up to rounding.
    """
    checks.choice("kind", kind, KINDS)
    from kanerva.lab.papers.burns2024 import _neighbours

    empty: Row = dict.fromkeys(
        ("distance", "overlap", "correlation", "settled", "right", "chain", "difference")
    )
    if kind == "ring":
        checks.choice("update", update, tuple(UPDATES))
        checks.integer("patterns", patterns, 3, 16)
        for row in _neighbours.ring(patterns, auto, update == "half", seed):
            yield empty | row
        return
    checks.integer("bits", bits, 1, 10**6)
    checks.integer("patterns", patterns, 2, 10**5)
    if kind == "sequence":
        yield empty | _neighbours.sequence(patterns, bits, order, seed)
    else:
        yield empty | {"difference": _neighbours.difference(patterns, bits, beta, seed)}
