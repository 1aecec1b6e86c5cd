"""Pineda 2023: chains of recalls, in which each recall is the next cue."""

import statistics
from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hernandez2024._words import (
    CLASSIFIER,
    FEATURES,
    LAW,
    SEPARATE,
    SEPARATELY,
    Features,
    Folds,
    Levels,
    Sigma,
    Xi,
    finest,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["chains"]

CUES = ("clean", "noisy")
DEPTH, TOLERANT = 6, 32
SIGMAS = (0.05, 0.1, 0.2, 0.3)
# Percent of the chains that keep the class at depths 1 and 6, and the errors there, in shades.
KEPT = {0.05: (98.8, 98.4), 0.1: (98.8, 93.5), 0.2: (95.0, 45.0), 0.3: (81.0, 16.0)}
ERRORS = {0.1: (1.20, 2.56), 0.3: (3.33, 5.44)}
PANELS = {
    ("raw", "clean"): "pixels, clean cues",
    ("raw", "noisy"): "pixels, noisy cues",
    ("pca", "clean"): "via pictures, clean cues",
    ("pca", "noisy"): "via pictures, noisy cues",
}


def _at(sigma: float, depth: int) -> Cell:
    plain = {"features": "raw", "cue": "clean", "levels": 16, "xi": 0, "folds": 10}
    return plain | {"sigma": sigma, "depth": depth}


def _checks() -> Iterator[Check]:
    for sigma, wanted in KEPT.items():
        for depth, kept in zip((1, DEPTH), wanted, strict=True):
            what = f"pixels, sigma {sigma:g}, depth {depth}: class kept, %"
            yield Check(what, "kept", kept, 4.0, SEPARATELY, _at(sigma, depth))
    for sigma, errors in ERRORS.items():
        for depth, error in zip((1, DEPTH), errors, strict=True):
            what = f"pixels, sigma {sigma:g}, depth {depth}: error, shades of 16"
            yield Check(what, "error", error, 0.1, SEPARATE, _at(sigma, depth))
    yield from _codes()
    what = "pixels: chains accepted at depth 6 less those at depth 1, points"
    at, less = _at(0.3, DEPTH), _at(0.3, 1)
    yield Check(what, "accepted", 0.0, 0.0, LAW, at, less=less)


def _codes() -> Iterator[Check]:
    """Check chains through pictures, and noisy cues."""
    for sigma, depth, kept in ((0.025, 6, 98.2), (0.1, 1, 89.6), (0.1, 6, 23.7)):
        what = f"via pictures, sigma {sigma:g}, depth {depth}: class kept, %"
        at = _at(sigma, depth) | {"features": "pca"}
        yield Check(what, "kept", kept, 4.0, SEPARATE, at)
    for depth, accepted in ((1, 95.0), (6, 94.0)):
        what = f"via pictures, sigma 0.025, depth {depth}: chains accepted, %"
        at = _at(0.025, depth) | {"features": "pca"}
        yield Check(what, "accepted", accepted, 1.0, SEPARATE, at)
    noisy = (("raw", 0.05, 57.6), ("raw", 0.2, 23.6), ("pca", 0.025, 57.2), ("pca", 0.1, 15.4))
    for features, sigma, kept in noisy:
        what = f"{PANELS[features, 'noisy']}, sigma {sigma:g}, depth 6: class kept, %"
        at = _at(sigma, 6) | {"features": features, "cue": "noisy", "xi": TOLERANT}
        yield Check(what, "kept", kept, 5.0, SEPARATE, at)
    what = "noisy cues: the classifier on the bare cue, %"
    at = {"features": "raw", "cue": "noisy", "replaced": 0.5, "folds": 10}
    yield Check(what, "bare", 59.3, 3.0, SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    rows = finest(rows)
    long = [
        {
            "depth": row["depth"],
            "y": row["kept"],
            "line": f"σ = {row['sigma']:g}",
            "panel": _panel(row),
        }
        for row in sorted(rows, key=lambda row: row["sigma"])
    ]
    frame = plot.Frame(
        "The class of a chain is lost with depth and with σ",
        "depth: number of recalls that followed one another",
        "percent of the chains whose state has the class of the cue",
        across=2,
        dots=(CLASSIFIER,),
        limits=(-3.0, 103.0),
    )
    # Without a number nothing is drawn: the panels stand in this order.
    panels = [panel for panel in PANELS.values() if any(row["panel"] == panel for row in long)]
    long = [long[0] | {"panel": panel, "y": None} for panel in panels] + long
    for panel in panels:
        known = [row["bare"] for row in rows if _panel(row) == panel and row["bare"] is not None]
        bare = statistics.fmean(known) if known else None
        for depth in sorted({row["depth"] for row in rows}):
            long.append({"depth": depth, "y": bare, "line": CLASSIFIER, "panel": panel})
    found = {"": plot.lines(long, "depth", "y", frame, by="line", panel="panel")}
    for kind, panel in PANELS.items():
        mine = [row for row in rows if (row["features"], row["cue"]) == kind]
        if any(row["pictures"].strip("/") for row in mine):
            found["-".join(kind)] = _pictures(mine, panel)
    return found


def _panel(row: Row) -> str:
    return PANELS[row["features"], row["cue"]]


def _pictures(rows: list[Row], panel: str) -> Any:
    """Draw the chains of one digit by sigma, over depth."""
    from kanerva.lab.papers.hernandez2024 import _pictures

    first = min(row["seed"] for row in rows)
    mine = [row for row in rows if row["seed"] == first and row["pictures"]]
    depths = sorted({row["depth"] for row in mine})
    shown = {}
    for digit in (3, 8):
        for sigma in sorted({row["sigma"] for row in mine}):
            words = {
                row["depth"]: row["pictures"].split("/")[digit]
                for row in mine
                if row["sigma"] == sigma
            }
            name = _pictures.named(digit, sigma, sigma * mine[0]["levels"])
            shown[name] = [words.get(depth, "") for depth in depths]
    columns = ["cue", *map(str, depths[1:])]
    return _pictures.drawn(f"Chains of recalls: {panel}", columns, shown, "depth of a chain")


@recipe(
    "eam.chains",
    "Recalls of recalls drift away from the cue",
    "pineda2023",
    "retrieval association chains, on digits in place of pictures of clothing",
    quick=[
        *grid(features="raw", cue="clean", sigma=SIGMAS),
        *grid(features="raw", cue="noisy", sigma=(0.05, 0.2), xi=TOLERANT),
        *grid(features="pca", cue="clean", sigma=(0.025, 0.1)),
        *grid(features="pca", cue="noisy", sigma=(0.025, 0.1), xi=TOLERANT),
    ],
    paper=[
        *grid(features="raw", cue="clean", sigma=(*SIGMAS, 0.4, 0.5), levels=(4, 8, 16)),
        *grid(features="raw", cue="noisy", sigma=SIGMAS, levels=(4, 8, 16), xi=TOLERANT),
        *grid(features="pca", cue="clean", sigma=(0.025, *SIGMAS), levels=(4, 8, 16)),
        *grid(features="pca", cue="noisy", sigma=(0.025, *SIGMAS), levels=16, xi=TOLERANT),
    ],
    checks=_checks(),
    draw=_draw,
)
def chains(
    features: Features,
    cue: Annotated[str, "clean, or noisy"],
    sigma: Sigma,
    levels: Levels = 16,
    xi: Xi = 0,
    recalls: Annotated[int, "number of recalls of a chain"] = DEPTH,
    replaced: Annotated[float, "share of the pixels of a noisy cue that are random"] = 0.5,
    folds: Folds = 10,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Feed every recall of a digit back as the next cue, and classify all states of the chain.

    The protocol is that of ``eam.sizes``: one register for all classes, ten folds. Chains start
    from the test part; a cue that is rejected ends its chain. ``depth`` counts the recalls, 0 for
    the cue itself. ``accepted`` is the percentage of the cues whose chain has not ended. Of these,
    ``kept`` is the percentage whose state is classified as the class of the cue, and ``error`` the
    root of the mean square difference between the state and the clean digit, in shades of 16.
    ``bare`` is the percentage of the chains that begin whose cue is classified rightly without a
    memory; ``kept`` and ``error`` at depth 0 are those of the same chains. ``pictures`` holds the
    states of one digit of each class.

    Raw pixels are fed back as they are. Principal components go through a picture: a recall is
    turned into pixels, these are cut to the range from 0 to 16, and their components are the next
    cue. Half of the pixels of a noisy cue are uniform random numbers. With xi = 0 a register
    rejects nearly all of these, so that xi is 32 there.

    How long a chain keeps its class depends on sigma. With 16 levels of raw pixels it is kept in 98
    % of the chains after six recalls at sigma = .05, where s is 0.8 levels, in 94 % at .1, in 46 %
    at .2 and in 18 % at .3, which is near the 10 % of chance. Only levels that were seen return, so
    that chains of raw pixels never end once they are accepted; through pictures about one of a
    hundred does, and at sigma = .1 the class is kept in 23 %. The memory does not repair noisy
    cues: the classifier alone is right on 60 % of them, and after the first recall it is right on
    61 % or fewer. The error falls at the first recall, from 5.8 to 5.0 shades, since levels that a
    column has never seen are replaced.
    """
    from kanerva.lab.papers.hernandez2024 import _chains

    checks.choice("features", features, FEATURES)
    checks.choice("cue", cue, CUES)
    checks.integer("recalls", recalls, 1, 1000)
    replaced = checks.number("replaced", replaced, 0, 1)
    design = _chains.Design(features, cue, levels, sigma, xi, recalls, seed)
    yield from _chains.chained(design, folds, replaced)
