"""Schaeffer 2024: energies of memories as densities, and slips of the sources."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import IDENTITY, Seed
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["energies"]

CLAM = "CLAM"
SHAPES = (
    "gaussian",
    "epanechnikov",
    "laplace",
    "modern Hopfield",
    "crp",
    "sphere",
    "bits",
    "circles",
)
# The integral is summed on a grid; kernels with corners lose digits there.
DIGITS = {"epanechnikov": 1e-7, "laplace": 1e-7, "crp": 1e-9}
CONSTANT = 1.3573216548827856


def _checks() -> Iterator[Check]:
    for shape in SHAPES:
        what = f"integral of the density: {shape}"
        tolerance = DIGITS.get(shape, 1e-10)
        yield Check(what, "whole", 1.0, tolerance, IDENTITY, {"memory": shape}, "max")
    at = {"memory": CLAM, "seed": 0}
    what = "minus log p over beta less CLAM's energy, at beta 1.7"
    yield Check(what, "constant", CONSTANT, 1e-12, "computed independently", at, "max")
    what = "largest difference of that between two places"
    yield Check(what, "spread", 0.0, 1e-12, IDENTITY, at, "max")
    what = "largest difference of the gradient of log p from 2 beta times the mean step"
    yield Check(what, "slope", 0.0, 1e-10, IDENTITY, at, "max")
    what = "the weights of dot products with the bias of the keys, from those of distances"
    yield Check(what, "biased", 0.0, 1e-12, IDENTITY, at, "max")


def _draw(rows: list[Row]) -> Any:
    first = min((row["seed"] for row in rows), default=0)
    curves = [row for row in rows if row["x"] is not None and row["seed"] == first]
    if not curves:
        return {}
    frame = plot.Frame("Five memories of three rows as densities", "x", "probability density p(x)")
    return plot.lines(curves, "x", "density", frame, by="memory")


@recipe(
    "bridge.energies",
    "Energies of memories are densities",
    "schaeffer2024",
    "on the correspondence of energy and likelihood",
    quick=grid(memory=(*SHAPES, CLAM)),
    paper=grid(memory=(*SHAPES, CLAM), seed=range(3)),
    checks=_checks(),
    draw=_draw,
)
def energies(
    memory: Annotated[str, "a shape of kernels, or CLAM for its energy and the slips"],
    beta: Annotated[float, "CLAM's inverse temperature, 1 / (2 sigma^2)"] = 1.7,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Integrate the density of each memory, and compare CLAM's energy with the likelihood.

    Every memory stores three rows, on a line, on the circle, or of ten bits, and ``whole`` is the
    integral or the sum of its density. For CLAM, four means in three dimensions are drawn, and
    seven places. CLAM's energy is -log p over beta, less a constant, only if the variance of the
    kernels is 1 / (2 beta). The text of a source gives the covariance 2 / beta instead: ``printed``
    is how much the difference then varies from place to place. It also prints the gradient of
    log p without its sign; ``sign`` is how far that is from the slope of the density. The weights
    of a softmax of dot products are those of a kernel density only if the keys have one length, or
    a bias of -beta k^2 / 2: ``unbiased`` is the largest difference without it, for keys whose
    lengths differ by a factor of up to 4, and ``biased`` with it.
    """
    import numpy as np

    from kanerva.lab.papers.schaeffer2024 import _kernels

    checks.choice("memory", memory, (*SHAPES, CLAM))
    beta, seed = checks.number("beta", beta, 1e-3, 1e3), checks.integer("seed", seed, 0, 2**62)
    none: Row = dict.fromkeys(("x", "density", "whole", *_kernels.Slips._fields))
    source = np.random.default_rng(seed)
    if memory == CLAM:
        yield none | _kernels.slips(source, beta)._asdict()
        return
    places, density, whole = _kernels.integral(memory, source)
    yield none | {"whole": whole}
    for x, height in zip(places, density, strict=True):
        yield none | {"x": x, "density": height}
