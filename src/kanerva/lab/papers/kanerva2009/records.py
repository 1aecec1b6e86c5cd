"""Kanerva 2009: a record of roles and fillers in one vector, and a sequence by rotation."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["records"]

FORMS = {"record": "pairs of role and filler", "sequence": "fillers, rotated by place"}
CLEANUPS = ("nearest", "sdm", "torch-hd")
SHARES = (1e-3, 1e-6, 1e-9)
# The peer is used where it is installed.
PEER = find_spec("torchhd") is not None
CLOSED, SEQUENCE, PEER_LINE = "closed form", "nearest, in a sequence", "nearest, by torch-hd"
PAIRS = {1000: (5, 9, 15, 25, 41, 61), 256: (3, 5, 9, 15, 25)}
FULL = {1000: (5, 8, 15, 25, 41, 61, 81), 256: (3, 5, 8, 9, 15, 25, 41)}
# Bits, pairs, share of the fillers found by their nearest neighbour, tolerance.
FOUND = (
    (1000, 15, 1.0, 0.01),
    (1000, 25, 0.97, 0.03),
    (1000, 41, 0.76, 0.05),
    (1000, 61, 0.49, 0.06),
    (256, 5, 0.99, 0.02),
    (256, 9, 0.87, 0.06),
    (256, 15, 0.57, 0.07),
)


def _cells(pairs: Mapping[int, Sequence[int]], recalled: int, seeds: int) -> list[Cell]:
    """Return the cells of a size."""
    found: list[Cell] = []
    for bits, counts in pairs.items():
        same: dict[str, Any] = {"bits": bits, "pairs": counts, "seed": range(seeds)}
        found += grid(form=tuple(FORMS), **same, cleanup="nearest")
        asked: dict[str, Any] = {"cleanup": "sdm", "share": SHARES, "records": recalled}
        found += grid(form="record", **same, **asked)
        if PEER:
            found += grid(form=tuple(FORMS), **same, cleanup="torch-hd")
    return found


def _checks() -> Iterator[Check]:
    for form in FORMS:
        for bits, pairs, share, tolerance in FOUND:
            at: Cell = {"form": form, "bits": bits, "pairs": pairs}
            what = f"{form}, {bits} bits, {pairs} pairs: fillers found by the nearest"
            yield Check(what, "found", share, tolerance, SEPARATE, at | {"cleanup": "nearest"})
            what = f"{form}, {bits} bits, {pairs} pairs: the nearest less the closed form"
            near = at | {"cleanup": "nearest"}
            yield Check(what, "beyond", 0.0, tolerance, CLOSED, near)
        at = {"form": form, "pairs": 15}
        near, peer = at | {"cleanup": "nearest"}, at | {"cleanup": "torch-hd"}
        what = f"{form}, 15 pairs: torch-hd less the nearest"
        yield Check(what, "found", 0.0, 1e-9, "the same vectors", peer, less=near)
    for bits, pairs in ((1000, 15), (256, 5)):
        at = {"form": "record", "bits": bits, "pairs": pairs, "cleanup": "sdm", "share": 1e-9}
        what = f"{bits} bits, {pairs} pairs: fillers recalled by a memory of small circles"
        yield Check(what, "found", 1.0, 0.03, "as the nearest", at)
    at = {"form": "record", "bits": 1000, "pairs": 15, "cleanup": "sdm", "share": 1e-3}
    what = "1000 bits, 15 pairs: fillers recalled with the circles of one place in 1,000"
    yield Check(what, "found", 0.05, 0.1, "beyond the critical distance", at)


def _draw(rows: list[Row]) -> Any:
    long = []
    for row in rows:
        name = {"nearest": "nearest", "torch-hd": PEER_LINE}.get(row["cleanup"])
        name = name or f"memory, circles of {row['share']:g} of all places"
        if row["form"] == "sequence":
            name = SEQUENCE if row["cleanup"] == "nearest" else ""
        same = {"pairs": row["pairs"], "panel": f"{row['bits']} bits"}
        if name:
            long.append(same | {"found": row["found"], "line": name})
        if name == "nearest":
            long.append(same | {"found": row["expected"], "line": CLOSED})
    frame = plot.Frame(
        "Fillers found in one vector of many pairs",
        "pairs that are bundled",
        "share of the fillers found, of 1,000 known",
        across=2,
        dots=(CLOSED, SEQUENCE, PEER_LINE),
        limits=(-0.03, 1.03),
    )
    return plot.lines(long, "pairs", "found", frame, by="line", panel="panel")


@recipe(
    "vsa.records",
    "Records of roles and fillers in one vector",
    "kanerva2009",
    "on multiplication, addition and permutation; the publication prints no such numbers",
    quick=_cells(PAIRS, 10, 1),
    paper=_cells(FULL, 20, 3),
    checks=_checks(),
    draw=_draw,
)
def records(
    form: Annotated[str, "record: pairs of role and filler; sequence: fillers, rotated by place"],
    bits: Annotated[int, "length of a vector"],
    pairs: Annotated[int, "pairs that are bundled in one vector"],
    fillers: Annotated[int, "vectors among which a filler is searched"] = 1000,
    records: Annotated[int, "vectors that are bundled"] = 40,
    cleanup: Annotated[str, "nearest, sdm or torch-hd"] = "nearest",
    share: Annotated[float, "share of all places within a circle of the memory"] = 1e-9,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Bundle pairs of role and filler to one vector, and find the fillers by their roles.

    A record is the majority of ``bind(role, filler)`` over its pairs. Bound with a role again, it
    gives a vector that agrees with the filler in a little more than half of the bits: ``agree``,
    beside the closed form 1/2 + C(k - 1, (k - 1) // 2) / 2^k for k pairs in ``closed``. The
    clean-up finds the filler among all known ones. ``nearest`` takes the one that agrees in most
    bits, and ``expected`` is the probability that this is right: the agreements of the filler are
    binomial, and those of the others are so with one half. A sequence has no roles: the vector at
    place t is rotated t times, and the bundle is rotated back.

    ``sdm`` recalls by a sparse distributed memory in the pattern view, with a location at every
    place, until it no longer changes; ``found`` counts the vectors that end exactly at the filler.
    The radius decides. With circles of one place in 1,000, which is the radius of 451 bits of 1,000
    that the book of 1988 takes, recall starts within its critical distance for 5 pairs alone: it
    finds 100, 43 and 3 % of the fillers of 5, 8 and 15 pairs. With circles of one place in 10^9 it
    is as good as the nearest neighbour. No memory has so many locations: these are weights of the
    stored vectors. ``torch-hd`` binds, bundles and rotates with that library, where it is
    installed, and gives the same vectors for odd numbers of pairs; it settles ties otherwise.

    Of 1,000 fillers of 1,000 bits, the nearest neighbour finds 100, 96, 75 and 50 % of those of 15,
    25, 41 and 61 pairs, and of 256 bits 100, 85 and 55 % of those of 5, 9 and 15. Sequences are the
    same within the spread of draws, as the closed form says, too.
    """
    from kanerva.lab.papers.kanerva2009 import _records

    checks.choice("form", form, tuple(FORMS))
    checks.choice("cleanup", cleanup, CLEANUPS)
    checks.integer("bits", bits, 2, 2**20)
    checks.integer("fillers", fillers, 2, 2**20)
    checks.integer("records", records, 1, 2**20)
    checks.number("share", share, 0, 0.5, open_low=True)
    checks.integer("seed", seed, 0, 2**62)
    design = _records.Design(form, bits, pairs, fillers, records, cleanup, share, seed)
    row = _records.answered(design)
    yield row | {"beyond": row["found"] - row["expected"]}
