"""Energies of the exact denoiser along recalls at a fixed noise and along falling noise."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva import diffusion
from kanerva.lab.papers.hoover2023diffusion import _digits

__all__ = ["POINTS", "annealed", "conventions", "descended", "landscape", "stored"]

# Six rows of the plane, two of them near each other.
POINTS = ((-1.1, -0.7), (1.0, -0.9), (-0.1, 1.1), (0.35, 1.25), (-1.2, 0.8), (1.4, 0.5))
# Recalls at a fixed noise, paths with falling noise, and the levels of these.
READS, PATHS, LEVELS, HIGH, LOW = 30, 200, 60, 5.0, 0.05
# Half the side of the landscape, its cells along a side, the noise of the path, and its start.
BOX, CELLS, FROM, STEPS = 2.4, 49, 2.0, 40
STARTS = ((2.1, 1.5), (-2.1, 1.9), (0.2, -2.2), (0.9, 2.25))
RISE = 1e-9
# Of a descent, in reads, so that its path is smooth.
RATE = 0.1


class _Plain(NamedTuple):
    """Weights and energies of rows under Gaussian kernels, computed from the definition."""

    rows: Tensor

    def logits(self, x: Tensor, variance: Tensor | float) -> Tensor:
        return -(x[:, None] - self.rows).square().sum(-1) / (2 * variance)

    def entropy(self, x: Tensor, variance: float) -> Tensor:
        log = self.logits(x, variance).log_softmax(-1)
        return -(log.exp() * log).sum(-1)

    def slope(self, x: Tensor, variance: float) -> Tensor:
        """Return the derivative of the energy by the variance, by autograd."""
        level = torch.full((len(x), 1), variance, dtype=x.dtype, requires_grad=True)
        energy = -level[:, 0] * self.logits(x, level).logsumexp(-1)
        (found,) = torch.autograd.grad(energy.sum(), level)
        return found[:, 0]


def stored(data: str) -> Float64[Tensor, "m d"]:
    """Return the rows of ``"digits"`` or of ``"plane"``."""
    if data == "digits":
        return _digits.digits().rows
    return torch.tensor(POINTS, dtype=torch.float64)


def descended(rows: Float64[Tensor, "m d"], sigma: float, seed: int) -> Iterator[dict[str, Any]]:
    """Recall from noisy rows at a fixed noise; yield the energy after every read."""
    exact = diffusion.exact(rows)
    own, source = _digits.chosen(min(PATHS, len(rows)), len(rows), seed)
    x = rows[own] + sigma * torch.from_numpy(source.standard_normal((len(own), rows.shape[1])))
    before = exact.energy(x, sigma)
    yield {"kind": "read", "step": 0, "sigma": sigma, "energy": float(before.mean())}
    for step in range(1, READS + 1):
        x = exact(x, sigma)
        after = exact.energy(x, sigma)
        found = {"energy": float(after.mean()), "rise": _most(after - before)}
        yield {"kind": "read", "step": step, "sigma": sigma, **found}
        before = after


def annealed(rows: Float64[Tensor, "m d"], seed: int) -> Iterator[dict[str, Any]]:
    """Follow the probability flow from noise; yield the terms of the energy, then who rises.

    The terms of a step are divided by the fall of the variance, so that they are in nats.
    """
    exact, plain = diffusion.exact(rows), _Plain(rows)
    sigmas = diffusion.schedule("geometric", LEVELS, HIGH, LOW)
    start = HIGH * _digits.normal(PATHS, seed, rows.shape[1])
    path = diffusion.sample(exact, start, sigmas, last=False)
    states, levels = path.states, sigmas.tolist()
    rises = []
    for step, (now, then) in enumerate(pairwise(levels)):
        old, new, fall = states[step], states[step + 1], now**2 - then**2
        middle = exact.energy(new, now)
        moved = middle - exact.energy(old, now)
        cooled = exact.energy(new, then) - middle
        rises.append(moved + cooled)
        some = new[:10]
        wrong = plain.slope(some, now**2) + plain.entropy(some, now**2)
        yield {
            "kind": "step",
            "step": step,
            "sigma": now,
            "state": float(moved.mean()) / fall,
            "time": float(cooled.mean()) / fall,
            "total": float((moved + cooled).mean()) / fall,
            "rise": _most(moved),
            "wrong": float(wrong.abs().max()),
        }
    yield {"kind": "own", "share": _rising(torch.stack(rises))}
    for sigma in (0.05, 0.1, 0.3, 0.5, 0.7, 1.0, 2.0, 5.0):
        along = torch.stack([exact.energy(state, sigma) for state in states])
        yield {"kind": "level", "sigma": sigma, "share": _rising(along[1:] - along[:-1])}


def _most(changes: Float64[Tensor, "b"]) -> float:
    """Return the largest rise; 0 where nothing rises."""
    return max(0.0, float(changes.max()))


def _rising(changes: Float64[Tensor, "steps b"]) -> float:
    """Return the share of the paths on which an energy rises in some step."""
    return float((changes > RISE).any(0).double().mean())


def conventions(rows: Float64[Tensor, "m d"], seed: int) -> Iterator[dict[str, Any]]:
    """Compare both energies of the publication with that of the denoiser, at several times."""
    from scipy.special import logsumexp

    exact = diffusion.exact(rows)
    for time in (0.01, 0.1, 0.5, 1.0, 4.0):
        # dx = scale dw has the variance scale^2 t; scale is chosen other than one.
        scale = 1.3
        variance = scale**2 * time
        sigma = variance**0.5
        x = rows[:PATHS] + sigma * _digits.normal(min(PATHS, len(rows)), seed, rows.shape[1])
        far = ((x[:, None].numpy() - rows.numpy()) ** 2).sum(-1)
        diffused = -2 * variance * logsumexp(-far / (2 * variance), axis=-1)
        beta = 1 / (2 * variance)
        stored = -logsumexp(-beta * far, axis=-1) / beta
        ours = exact.energy(x, sigma).numpy()
        size = np.abs(diffused).max()
        yield {
            "kind": "time",
            "sigma": sigma,
            "apart": float(np.abs(diffused - stored).max() / size),
            "factor": float(np.abs(diffused - 2 * ours).max() / size),
        }


def landscape(rows: Float64[Tensor, "m 2"], sigma: float) -> Iterator[dict[str, Any]]:
    """Yield the energy and the score on a grid, paths with falling noise, and descents."""
    exact = diffusion.exact(rows)
    side = torch.linspace(-BOX, BOX, CELLS, dtype=torch.float64)
    places = torch.cartesian_prod(side, side)
    for place, energy, score in zip(
        places, exact.energy(places, sigma), exact.score(places, sigma), strict=True
    ):
        one = {"energy": float(energy), "u": float(score[0]), "v": float(score[1])}
        yield {"kind": "cell", **_at(place), **one}
    starts = torch.tensor(STARTS, dtype=torch.float64)
    sigmas = diffusion.schedule("geometric", STEPS, FROM, LOW)
    reverse = diffusion.sample(exact, starts, sigmas).states
    descent = [starts]
    for _ in range(3 * STEPS):
        descent.append(descent[-1] + RATE * (exact(descent[-1], sigma) - descent[-1]))
    for kind, states in (("reverse", [*reverse]), ("descent", descent)):
        for step, line in enumerate(states):
            for which, place in enumerate(line):
                yield {"kind": kind, "step": step, "line": which, **_at(place)}
    memory: Any = exact.memory
    ends = memory.at(1 / sigma**2).recall(rows, steps=10**4, tolerance=1e-12)
    minima = torch.unique(ends.round(decimals=4), dim=0)
    far, _ = _digits.nearest(minima, rows)
    for which, (end, apart) in enumerate(zip(minima, far.tolist(), strict=True)):
        yield {"kind": "minimum", "line": which, "apart": apart, **_at(end)}
    for row in rows:
        yield {"kind": "row", **_at(row)}


def _at(place: Float64[Tensor, "2"]) -> dict[str, float]:
    return {"x": float(place[0]), "y": float(place[1])}
