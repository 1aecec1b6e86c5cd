"""Burns 2024: the memories that are linked to a cue, by weights and by overlaps."""

import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["links"]

SIZE: Cell = {"degree": 4, "beta": 100.0}
METHODS = {
    "weights": "weights of the memory, u",
    "table": "nearest face, then a table",
    "overlap": "overlaps with the state",
}
PAPER_SEEDS = 10
HOPS = (1, 2, 4, 8, 16)


def _checks() -> Iterator[Check]:
    one = SIZE | {"hops": 1}
    spread = f"{COMPUTED}; the standard deviation between seeds is 0.05"
    for noise, found, tolerance in ((0.0, 1.0, 0.0), (8.0, 0.64, 0.06)):
        for method in ("weights", "table"):
            what = f"precision at {SIZE['degree']}, noise {noise:g}, {METHODS[method]}"
            at = one | {"noise": noise, "method": method}
            yield Check(what, "precision", found, tolerance, spread if noise else COMPUTED, at)
    what = "precision at 4, noise 8: weights less table"
    at, less = (one | {"noise": 8.0, "method": method} for method in ("weights", "table"))
    yield Check(what, "precision", 0, 0.02, COMPUTED, at, less=less)
    what = f"precision at 4, noise 0, {METHODS['overlap']}"
    at = one | {"noise": 0.0, "method": "overlap"}
    yield Check(what, "precision", 0.23, 0.03, COMPUTED, at)
    for hops in HOPS:
        what = f"{hops} hops along a ring, noise 0: share that is right"
        at = SIZE | {"noise": 0.0, "method": "chain", "hops": hops}
        yield Check(what, "precision", 1, 0, "by definition of the ring", at, "min")
    what = "noise 8: share that is right after 16 hops less after one"
    at, less = (SIZE | {"noise": 8.0, "method": "chain", "hops": hops} for hops in (16, 1))
    yield Check(what, "precision", 0, 0.02, "a read that is right once stays right", at, less=less)


def _draw(rows: list[Row]) -> Any:
    ranked = [row | {"line": METHODS[row["method"]]} for row in rows if row["method"] in METHODS]
    frame = plot.Frame(
        "Weights rank the linked memories first",
        "length of the noise, in lengths of a pattern",
        f"share of the first {rows[0]['degree']} that are linked to the cue",
        limits=(-0.04, 1.04),
    )
    noises = sorted({row["noise"] for row in rows})
    chosen = {noises[0], noises[len(noises) // 2], noises[-1]}
    followed = [row for row in rows if row["noise"] in chosen]
    chain = [
        row | {"line": f"noise {row['noise']:g}"} for row in followed if row["method"] == "chain"
    ]
    table = "table of links"
    looked: dict[tuple[float, int], list[float]] = {}
    for row in followed:
        if row["method"] == "steps":
            looked.setdefault((row["noise"], row["hops"]), []).append(row["precision"])
    chain += [
        {"hops": place, "precision": statistics.fmean(shares), "line": table}
        for (_, place), shares in looked.items()
    ]
    hops = plot.Frame(
        "Reads follow links as a table does",
        "hops along the ring",
        "share of the cues that arrive at the right face",
        log="x",
        dots=(table,),
        limits=(-0.04, 1.04),
    )
    return {
        "links": plot.lines(ranked, "noise", "precision", frame, by="line"),
        "hops": plot.lines(chain, "hops", "precision", hops, by="line"),
    }


@recipe(
    "cdam.links",
    "Which memories are linked to a cue",
    "burns2024",
    "a question that its model raises; the experiment is ours",
    quick=grid(**SIZE, noise=(0.0, 8.0), seed=range(5)),
    paper=grid(**SIZE, noise=(0.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0), seed=range(PAPER_SEEDS)),
    checks=_checks(),
    draw=_draw,
)
def links(
    degree: Annotated[int, "links of every face, in a random graph"],
    beta: Annotated[float, "inverse temperature; faces have length one"],
    noise: Annotated[float, "expected length of the Gaussian noise on a cue"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Link 100 faces by a random regular graph, cue each, and rank the memories linked to it.

    The graph has nothing to do with what the faces look like. With a = h = 0.5 the state is a
    mixture of the cued face and those linked to it. The weights u with which the memory sums its
    patterns rank the linked faces first after the cued one, without an error. The Pearson overlaps
    of the state with the patterns, by which the model was published, rank few of them first: faces
    that look like the cued one overlap with the state too.

    The weights are no better than a look-up of the nearest face in a table of links, with and
    without noise on the cue, since both depend on whether the nearest face is the right one. The
    same holds for several links in a row: on a directed ring in random order, with a = 0 and h = 1,
    each read returns the next face, and cues that are right after one read are right after all.
    Columns: ``method``, and ``precision``, the share of the first ranks that are linked to the cue,
    or for ``chain`` (reads) and ``steps`` (table) the share of cues that arrive at the right face
    after so many ``hops``.
    """
    checks.integer("degree", degree, 1, 99)
    checks.number("noise", noise, 0)
    from kanerva.lab.papers.burns2024 import _links

    faces, cues = _links.cued(noise, seed)
    for method, precision in _links.ranked(faces, cues, degree, beta, seed).items():
        yield {"method": method, "hops": 1, "precision": precision}
    for method, hops, share in _links.chained(faces, cues, beta, HOPS, seed):
        yield {"method": method, "hops": hops, "precision": share}
