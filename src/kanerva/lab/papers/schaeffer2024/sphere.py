"""Schaeffer 2024: attention with normalised queries as clustering on the sphere."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import COMPUTED, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["sphere"]

NORMS = {
    "layer": "LayerNorm with weight and bias",
    "plain": "LayerNorm without them",
    "rms": "RMSNorm before a projection",
    "qk": "normalised queries and keys",
}
ITERATED = {
    "fixed": "queries move, keys stay",
    "together": "all tokens move, layer by layer",
    "em": "means move, EM",
}
# The number of groups at the end, by way and kappa.
GROUPS = {("fixed", kappa): 3 for kappa in (5.0, 10.0, 20.0)}
GROUPS |= {("together", 5.0): 1, ("together", 20.0): 3, ("together", 40.0): 3}
STEPS = {"fixed": 300, "together": 100, "em": 30}
COLUMNS = ("apart", "forgotten", "groups", "agreement", "level", "worse")


def _checks() -> Iterator[Check]:
    for way, name in NORMS.items():
        what = f"{name}: attention less the posterior of the mixture, at most"
        yield Check(what, "apart", 0, 1e-12, "Bayes' rule", {"way": way}, "max")
    what = f"{NORMS['layer']}: difference without the normaliser in the prior, above 0.05"
    yield Check(what, "forgotten", 0.525, 0.475, COMPUTED, {"way": "layer"}, "max")
    what = f"{NORMS['qk']}: difference without the normaliser in the prior, at most"
    yield Check(what, "forgotten", 0, 1e-12, "equal kappa", {"way": "qk"}, "max")
    what = "EM step less attention with the softmax over the queries, at most"
    yield Check(what, "apart", 0, 1e-12, "plain torch", {"way": "em"}, "max")
    what = "mean shift less attention with a normalised read, at most"
    yield Check(what, "apart", 0, 1e-12, "plain torch", {"way": "fixed"}, "max")
    what = "largest fall of the likelihood in EM"
    yield Check(what, "worse", 0, 1e-12, "theorem on EM", {"way": "em"}, "max")
    what = "largest rise of the energy in mean shift"
    yield Check(what, "worse", 0, 1e-12, "convexity of the log-sum-exp", {"way": "fixed"}, "max")
    what = "adjusted Rand index of the clusters found by EM"
    yield Check(what, "agreement", 1, 0, SEPARATE, {"way": "em"}, "min")
    for (way, kappa), count in GROUPS.items():
        at = {"way": way, "kappa": kappa}
        what = f"groups at kappa {kappa:g}, {ITERATED[way]}"
        # A row that is left over may be a group of its own; clusters that merge are seen.
        yield Check(what, "groups", count, 0, SEPARATE, at, "max" if count == 1 else "min")
        if count == 3:
            what = f"adjusted Rand index at kappa {kappa:g}, {ITERATED[way]}"
            yield Check(what, "agreement", 1, 0.02, SEPARATE, at, "min")
    what = f"groups of 180 rows at kappa 60, {ITERATED['fixed']}, above 170"
    yield Check(what, "groups", 175.5, 4.5, SEPARATE, {"way": "fixed", "kappa": 60.0}, "min")


def _draw(rows: list[Row]) -> Any:
    iterated = [row | {"line": ITERATED[row["way"]]} for row in rows if row["way"] in ITERATED]
    moved = [row for row in iterated if row["way"] != "em"]
    drawn = {}
    if moved:
        frame = plot.Frame(
            "Average, clusters, storage: three regimes",
            "kappa of the keys",
            "distinct directions at the end",
            log="xy",
        )
        drawn[""] = plot.lines(moved, "kappa", "groups", frame, by="line")
        frame = plot.Frame(
            "Clusters are found at a middle kappa",
            "kappa of the keys",
            "adjusted Rand index with the clusters",
            log="x",
        )
        drawn["agreement"] = plot.lines(iterated, "kappa", "agreement", frame, by="line")
    names = {"apart": "with 1 / C in the prior", "forgotten": "without"}
    long = [
        {"kappa": row["kappa"], "y": row[name], "line": line, "panel": NORMS[row["way"]]}
        for name, line in names.items()
        for row in rows
        if row["way"] in NORMS
    ]
    if long:
        frame = plot.Frame(
            "Long keys have a larger prior",
            "kappa of the keys",
            "largest difference of attention from the posterior",
            log="xy",
            across=2,
        )
        drawn["norms"] = plot.lines(long, "kappa", "y", frame, by="line", panel="panel")
    return drawn


def _cells(kappas: tuple[float, ...], **more: Any) -> list[Cell]:
    return [
        cell | {"steps": STEPS[str(cell["way"])]}
        for cell in grid(way=tuple(ITERATED), kappa=kappas, **more)
    ]


SIZE: Cell = {"dim": 16, "each": 60, "concentration": 60.0}


@recipe(
    "bridge.sphere",
    "Attention after a norm is clustering on the sphere",
    "schaeffer2024",
    "on normalisation before self-attention",
    quick=[
        *grid(way=tuple(NORMS), kappa=(5.0, 20.0, 60.0), steps=1, **SIZE),
        *_cells((5.0, 10.0, 20.0, 40.0, 60.0), **SIZE),
    ],
    paper=[
        *grid(way=tuple(NORMS), kappa=(1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0), steps=1, **SIZE),
        *_cells((2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0), **SIZE, seed=range(10)),
    ],
    checks=_checks(),
    draw=_draw,
)
def sphere(
    way: Annotated[str, "layer, plain, rms or qk, a norm; fixed, together or em, an iteration"],
    kappa: Annotated[float, "concentration of the keys, about which it is on average for a norm"],
    steps: Annotated[int, "number of reads, layers or EM steps; of no effect for a norm"],
    dim: Annotated[int, "dimension D"] = 16,
    each: Annotated[int, "number of rows in each of three clusters"] = 60,
    concentration: Annotated[float, "kappa of the distribution of each cluster"] = 60.0,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Compare attention after a norm with a mixture on the sphere, and iterate it on clusters.

    With normalised queries a key of attention is the direction and the concentration kappa of a von
    Mises-Fisher distribution, and the weights are its posterior. The densities carry the normaliser
    C(kappa), which attention has not, so that the mixing weights of the mixture are larger for long
    keys, by 1 / C. The column ``apart`` is the largest difference of the weights from the
    posterior, and ``forgotten`` the same without that factor: it is large for every norm that
    leaves the lengths of the keys free, and vanishes where queries and keys are normalised.

    The clusters are three of 60 rows with means at right angles. Where queries move and keys stay,
    each query climbs to a mode of the density of the rows: there is a mode for each cluster up to
    kappa 20 and nearly one for each row at 60, which is storage. Where all tokens move at once, as
    in layers of self-attention, they collapse to one direction at kappa 5 and stay in three groups
    at 20 and 40; from 40 on some rows are left over as groups of their own. Groups are sets of rows
    with cosines above 0.999. Clusters whose means are nearer merge at a larger kappa: with a cosine
    of 0.54 two of them have one mode at 5, and have become one at 10 where all tokens move.

    EM fits one mean to each cluster, from a row of it. One step is attention whose queries are the
    means, with the softmax over the queries and a norm after it, and the likelihood never falls.
    With a softmax over the keys it is mean shift, whose energy never rises (``worse``). The column
    ``level`` is the mean log-likelihood of a row, or the mean energy, at the end.
    """
    from kanerva.lab.papers.schaeffer2024 import _sphere

    checks.choice("way", way, (*NORMS, *ITERATED))
    checks.number("kappa", kappa, 0.0, 1e6, open_low=True)
    checks.integer("steps", steps, 1, 10**6)
    checks.integer("dim", dim, 3, 10**4)
    checks.integer("each", each, 1, 10**4)
    checks.number("concentration", concentration, 0.0, 1e6, open_low=True)
    if way in NORMS:
        found: Any = _sphere.normed(way, 3 * each, dim, kappa, seed)
    else:
        drawn = _sphere.clusters(3, each, dim, concentration, seed)
        found = getattr(_sphere, way)(drawn, kappa, steps)
    yield dict.fromkeys(COLUMNS) | found._asdict()
