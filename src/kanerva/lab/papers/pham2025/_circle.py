"""Rows on the unit circle, the wells of their energies, and samples of denoisers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanerva import diffusion, dynamics
from kanerva.lab.papers.pham2025._distances import finite, nearest

__all__ = ["Wells", "angles", "around", "denoiser", "judged", "ring", "rows", "samples", "wells"]

Rows = Float[Tensor, "rows xy"]
Denoise = Callable[..., Tensor]

# Width and depth of a network, and how it is trained; its states are float64.
WIDTH, DEPTH = 64, 2
KIND = torch.float32
# The noise of the samplers.
HIGH, STEPS = 5.0, 40
# Its last level: of networks, which are hardly trained on less; of the exact score.
LOW, LOWEST = 0.02, 1e-4
# A well within this of a row is on it; states within the other are one well.
ON, MERGED = 0.05, 1e-2
# A state that moves less in one step rests; along a flat valley of the exact energy it takes many,
# and that of a network is followed for fewer. Where wells are not counted, some bring a state to
# its radius.
RESTED, LONG, FEW, RADIAL = 1e-7, 6000, 1500, 100
STARTS = 64


KINDS = ("memorised", "spurious", "generalised")


class Wells(NamedTuple):
    """The places where a denoiser at fixed noise comes to rest.

    * ``wells``: how many; None where they are not counted.
    * ``off``: of them, those that are not on a row.
    * ``stored``: the share of rows with a well on them.
    * ``rests``: the mean distance from the centre at which states from the circle rest.
    """

    wells: int | None
    off: int | None
    stored: float | None
    rests: float


def angles(count: int, seed: int) -> Float[np.ndarray, "count"]:
    """Draw angles in degrees."""
    return 360 * np.random.default_rng(seed).random(count)


def ring(degrees: Float[np.ndarray, "count"], radius: float = 1.0) -> Rows:
    """Return points of a circle."""
    turn = torch.from_numpy(np.radians(degrees))
    return radius * torch.stack((turn.cos(), turn.sin()), -1)


def rows(count: int, seed: int) -> Rows:
    """Draw rows uniformly from the unit circle."""
    return ring(angles(count, seed))


def denoiser(kind: str, train: Rows, updates: int, seed: int) -> Denoise:
    """Build the exact denoiser, or train one."""
    if kind == "exact":
        return diffusion.exact(train)
    spread = float(train.std(correction=0))
    net = diffusion.Net(2, WIDTH, DEPTH, spread, kind == "energy", seed, KIND)
    return diffusion.train(train.to(KIND), updates, net=net, seed=seed).double()


def wells(denoise: Denoise, train: Rows, sigma: float, counted: bool) -> Wells:
    """Denoise at a fixed noise from rows and from places around the circle, until all rest."""
    start = ring(np.arange(STARTS) * 360 / STARTS)
    steps = LONG if isinstance(denoise, diffusion.Exact) else FEW
    if counted:
        start = torch.cat((start, train[:STARTS]))
    with torch.no_grad():
        found = dynamics.settle(
            lambda x: denoise(x, sigma),
            start,
            steps=steps if counted else RADIAL,
            tolerance=RESTED,
        ).state
    rests = float(found[:STARTS].norm(dim=-1).mean())
    if not counted:
        return Wells(None, None, None, rests)
    places: list[Tensor] = []
    for state in found:
        if all(float((state - other).norm()) > MERGED for other in places):
            places.append(state)
    states = torch.stack(places)
    off = int((nearest(states, train) > ON).sum())
    stored = float((nearest(train, states) <= ON).double().mean())
    return Wells(len(states), off, stored, rests)


def judged(
    x: Rows, train: Rows, fresh: Rows, thresholds: tuple[float, float]
) -> dict[str, float | None]:
    """Compare samples with the rows, and with fresh points of the circle."""
    shares = diffusion.classify(x, train, *thresholds)
    near, spacing = nearest(x, train), float(nearest(train, train, own=True).median())
    return {
        **{kind: getattr(shares, kind) for kind in KINDS},
        "distance": float(near.median()),
        "fresh": float(nearest(fresh, train).median()),
        "spacing": spacing,
        "copies": float((near <= spacing / 4).double().mean()),
        "ratio": finite(diffusion.copying(x, train, fresh).ratio),
        "off_circle": float((x.norm(dim=-1) - 1).abs().mean()),
    }


def around(denoise: Denoise, sigma: float, radius: float, count: int) -> list[tuple[float, float]]:
    """Return angles, and the energy there above the least, in nats."""
    degrees = np.arange(count) * 360 / count
    with torch.no_grad():
        energy = denoise.energy(ring(degrees, radius), sigma)  # type: ignore[attr-defined]
    if isinstance(denoise, diffusion.Exact):
        energy = energy / sigma**2
    return list(zip(degrees.tolist(), (energy - energy.min()).tolist(), strict=True))


def samples(denoise: Denoise, count: int, seed: int) -> Rows:
    """Draw samples by the probability flow."""
    source = torch.Generator().manual_seed(seed)
    start = HIGH * torch.randn(count, 2, generator=source, dtype=torch.float64)
    low = LOWEST if isinstance(denoise, diffusion.Exact) else LOW
    sigmas = diffusion.schedule("geometric", STEPS, HIGH, low)
    with torch.no_grad():
        return diffusion.sample(denoise, start, sigmas, energies=False).states[-1]
