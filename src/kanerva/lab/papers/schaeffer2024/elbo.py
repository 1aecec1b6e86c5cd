"""Schaeffer 2024: how a distribution over memories descends the negative evidence bound."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import IDENTITY, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["elbo"]

EUCLIDEAN: Cell = {"kind": "euclidean", "rate": 0.5}
MIRROR: Cell = {"kind": "mirror", "rate": 0.5}
# The largest distance of a share from the posterior, by step.
GAPS = {0: 0.742, 10: 0.0805, 100: 0.00911, 1000: 0.00109, 5000: 1.5e-4, 20000: 3.5e-5}
# The half of the last digit of each.
DIGITS = {0: 5e-4, 10: 5e-5, 100: 5e-6, 1000: 5e-6, 5000: 5e-6, 20000: 5e-7}


def _checks() -> Iterator[Check]:
    for step, gap in GAPS.items():
        what = f"Euclidean flow, largest distance of a share from the posterior at step {step}"
        at = EUCLIDEAN | {"step": step, "seed": 0}
        yield Check(what, "gap", gap, DIGITS[step], SEPARATE, at)
    what = "the same after 60 mirror steps of rate 0.5, below 1e-12"
    yield Check(what, "gap", 0.0, 1e-12, SEPARATE, MIRROR | {"step": 60}, "max")
    what = "the same after 1 mirror step of rate 1, below 1e-12"
    at = {"kind": "mirror", "rate": 1.0, "step": 1}
    yield Check(what, "gap", 0.0, 1e-12, IDENTITY, at, "max")
    for kind in ("euclidean", "mirror"):
        what = f"largest rise of an energy, {kind}, in nats"
        yield Check(what, "rise", 0.0, 1e-12, IDENTITY, {"kind": kind}, "max")
    what = "energy less the divergence from the posterior, from −log p, in nats, at most"
    yield Check(what, "apart", 0.0, 1e-12, IDENTITY, aggregate="max")


def _draw(rows: list[Row]) -> Any:
    # Distances below 1e-16 are rounding.
    long = [
        {"step": row["step"], "gap": max(row["gap"], 1e-16), "line": _line(row)}
        for row in rows
        if row["step"] > 0
    ]
    if not long:
        return {}
    frame = plot.Frame(
        "The mirror step is at the posterior early",
        "step",
        "largest distance of a share from the posterior",
        log="xy",
    )
    return plot.lines(long, "step", "gap", frame, by="line")


def _line(row: Row) -> str:
    kind = {"euclidean": "Euclidean"}.get(row["kind"], row["kind"])
    return f"{kind}, rate {row['rate']:g}"


@recipe(
    "bridge.elbo",
    "A distribution over memories descends to the posterior",
    "schaeffer2024",
    "on memories with proportional assignment",
    quick=[
        EUCLIDEAN | {"steps": 1000},
        MIRROR | {"steps": 60},
        MIRROR | {"rate": 1.0, "steps": 10},
    ],
    paper=[
        *grid(**EUCLIDEAN, steps=20000, seed=range(5)),
        *grid(kind="mirror", rate=(0.1, 0.5, 1.0), steps=1000, seed=range(5)),
    ],
    checks=_checks(),
    draw=_draw,
)
def elbo(
    kind: Annotated[str, "euclidean, the flow of the publication; or mirror"],
    rate: Annotated[float, "length of a step, from 0 to 1"] = 0.5,
    steps: Annotated[int, "number of steps"] = 1000,
    beta: Annotated[float, "CLAM's inverse temperature, 1 / (2 sigma^2)"] = 1.7,
    memories: Annotated[int, "number of memories K, of equal weights"] = 4,
    rows: Annotated[int, "number of data rows, in three dimensions"] = 7,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Start from equal shares of all memories, descend the negative bound, and compare.

    The state of a memory with proportional assignment is a distribution q over its memories, and
    its energy is the negative evidence bound, -log p(x) plus the divergence of q from the
    posterior. Data and means are standard normal. The column ``gap`` is the largest distance of any
    share from the posterior, ``energy`` the mean energy, and ``rise`` the largest rise of an energy
    in one step on the way; ``apart`` is the largest difference of an energy, less the divergence,
    from -log p(x), which is computed from the sum of the Gaussian kernels.

    The gradient in the logits of q vanishes where q saturates, so that the Euclidean flow of the
    publication approaches the posterior as slowly as 1 / t. The mirror step divides by what
    vanishes: it shrinks the distance of log q by the same factor in each step.
    """
    import numpy as np
    import torch

    from kanerva import density
    from kanerva.lab.papers.schaeffer2024 import _clusters

    beta = checks.number("beta", beta, 1e-6, 1e6)
    steps = checks.integer("steps", steps, 1, 10**6)
    memories = checks.integer("memories", memories, 1, 1000)
    rows, seed = checks.integer("rows", rows, 1, 1000), checks.integer("seed", seed, 0, 2**62)
    source = np.random.default_rng(seed)
    x = torch.from_numpy(source.standard_normal((rows, 3)))
    means = torch.from_numpy(source.standard_normal((memories, 3)))
    memory = density.elbo(3, memories, (2 * beta) ** -0.5, dtype=torch.float64)
    memory.write(means)
    path, posterior = memory.flow(x, steps, rate, kind), memory.posterior(x)
    expected = _clusters.negative_log_likelihood(x, means, beta)
    energies = path.energies if path.energies is not None else torch.zeros(0)
    for step in sorted({0, steps, *_clusters.decades(steps), *(t for t in GAPS if t <= steps)}):
        q = path.states[step]
        divergence = torch.special.xlogy(q, q / posterior).sum(-1)
        before = energies[: step + 1]
        yield {
            "step": step,
            "gap": float((q - posterior).abs().max()),
            "energy": float(energies[step].mean()),
            "rise": float(before.diff(dim=0).clamp_min(0).max()) if step else 0.0,
            "apart": float((energies[step] - divergence - expected).abs().max()),
        }
