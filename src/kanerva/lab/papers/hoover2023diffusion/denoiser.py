"""Hoover 2023: the exact denoiser is one read of a memory, and where that memory condenses."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hoover2023diffusion import _pictures
from kanerva.lab.papers.hoover2023diffusion._words import IDENTITY, ONE, Noise
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["denoiser"]

EFFECTIVE = {0.2: 1.08, 0.3: 1.78, 0.4: 3.9, 0.5: 8.7, 0.7: 33.0, 1.0: 126.0, 2.0: 695.0}
OWN = {0.2: 0.960, 0.3: 0.739, 0.4: 0.447, 0.5: 0.237, 0.7: 0.062, 1.0: 0.014, 2.0: 0.0016}
# Below this effective number the memory has condensed.
CONDENSED = 2.0
# Queries whose slope is computed by autograd.
SLOPES = 50


def _checks() -> Iterator[Check]:
    what = "largest difference of the score from the slope of the log density, by autograd"
    yield Check(what, "tweedie", 0.0, 1e-12, IDENTITY, aggregate="max")
    what = "largest difference of a read from attention with a bias for each key"
    yield Check(what, "attention", 0.0, 1e-12, IDENTITY, aggregate="max")
    what = "the same without the bias, above 0.01 at every noise below 2"
    for sigma in (0.1, 0.5, 1.0):
        at = {"sigma": sigma}
        yield Check(f"{what}: noise {sigma:g}", "unbiased", 5.0, 4.99, IDENTITY, at, "min")
    for sigma, number in EFFECTIVE.items():
        what = f"noise {sigma:g}: effective number of rows"
        yield Check(what, "effective", number, 0.05 * number, ONE, {"sigma": sigma})
    for sigma, share in OWN.items():
        what = f"noise {sigma:g}: weight on the row that the noise was added to"
        tolerance = min(0.02, 0.15 * share)
        yield Check(what, "own", share, tolerance, ONE, {"sigma": sigma})


def _draw(rows: list[Row]) -> Any:
    frame = plot.Frame(
        "The memory condenses as the noise falls",
        "standard deviation σ of the noise",
        "effective number of rows in a read, 1 / Σ w²",
        log="xy",
        verticals=_condensation(rows),
    )
    found = {"": plot.lines(rows, "sigma", "effective", frame)}
    frame = plot.Frame(
        "The weight on the row that the noise was added to",
        "standard deviation σ of the noise",
        "weight in a read",
        log="x",
        verticals=_condensation(rows),
        limits=(-0.03, 1.03),
    )
    found["own"] = plot.lines(rows, "sigma", "own", frame)
    first = min(row["seed"] for row in rows)
    shown = sorted((row for row in rows if row["seed"] == first), key=lambda row: row["sigma"])
    shown = shown[:: -(-len(shown) // 8)]
    columns = [f"{row['sigma']:g}" for row in shown]
    columns[0] = f"σ = {columns[0]}"
    kinds = {"noisy": [row["noisy"] for row in shown], "one read": [row["read"] for row in shown]}
    about = "the noise of the same digit"
    found["pictures"] = _pictures.drawn("What one read returns", columns, kinds, about)
    return found


def _condensation(rows: list[Row]) -> dict[str, float]:
    """Return where the effective number crosses 2, between two levels of the noise."""
    import math
    import statistics

    levels = sorted({row["sigma"] for row in rows})
    means = [
        statistics.fmean(row["effective"] for row in rows if row["sigma"] == sigma)
        for sigma in levels
    ]
    for (low, below), (high, above) in pairwise(zip(levels, means, strict=True)):
        if below < CONDENSED <= above:
            share = math.log(CONDENSED / below) / math.log(above / below)
            sigma = low * (high / low) ** share
            return {f"below σ = {sigma:.2f} the memory has condensed: fewer than 2 rows": sigma}
    return {}


LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


@recipe(
    "diffusion.denoiser",
    "The exact denoiser is one read of a memory",
    "hoover2023diffusion",
    "on the score and the energy; the publication prints no numbers",
    quick=grid(sigma=LEVELS),
    paper=grid(sigma=(0.05, *LEVELS, 0.25, 0.35, 10.0), seed=range(5)),
    checks=_checks(),
    draw=_draw,
)
def denoiser(sigma: Noise, seed: Seed = 0) -> Iterator[Row]:
    """Add noise to all digits, and read the memory of the digits at the temperature of that noise.

    The posterior mean of data under Gaussian noise, which a diffusion model is trained to return,
    is a read with the weights w = softmax(−|x − x_i|² / 2σ²): ``effective`` is 1 / Σ w², the number
    of rows that a read is made of, and ``own`` the weight of the row that the noise was added to.
    The dashed line is where the effective number falls below 2. There the memory has condensed: a
    read is one stored row. Above, it is a blend.

    Three identities are measured in float64. ``tweedie`` is the largest difference of (D − x) / σ²
    from the slope of the log density by automatic differentiation, at 50 queries. ``attention`` is
    that of D from attention whose logits are βx·x_i − β|x_i|² / 2 with β = 1 / σ², computed with
    plain torch; ``unbiased`` is the same without the second term, which is needed because digits
    have different lengths.
    """
    import torch

    from kanerva import diffusion
    from kanerva.lab.papers.hoover2023diffusion import _digits

    sigma = checks.number("sigma", sigma, 1e-3, 1e3)
    x, _ = _digits.digits()
    noisy = x + sigma * _digits.normal(len(x), checks.integer("seed", seed, 0, 2**62))
    exact = diffusion.exact(x)
    mean, weights = exact(noisy, sigma), exact.weights(noisy, sigma)
    some = noisy[:SLOPES].clone().requires_grad_()
    far = (some[:, None] - x).square().sum(-1)
    (slope,) = torch.autograd.grad((-far / (2 * sigma**2)).logsumexp(-1).sum(), some)
    beta = 1 / sigma**2
    dots, bias = beta * noisy @ x.T, beta * x.square().sum(-1) / 2
    effective = float(exact.effective(noisy, sigma).mean())
    yield {
        "effective": effective,
        "own": float(weights.diagonal().mean()),
        "condensed": int(effective < CONDENSED),
        "tweedie": float((exact.score(some.detach(), sigma) - slope).abs().max()),
        "attention": float(((dots - bias).softmax(-1) @ x - mean).abs().max()),
        "unbiased": float((dots.softmax(-1) @ x - mean).abs().max()),
        "noisy": _pictures.word(noisy[0].tolist()),
        "read": _pictures.word(mean[0].tolist()),
    }
