"""The exact denoiser beside the read that it is, and samples beside plain NumPy."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanerva import diffusion
from kanerva import similarity as similar
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._patterns import CHECKED, answers, over, reader
from kanerva.lab.bench._sizes import Sizes
from kanerva.memory import Patterns
from kanerva.separation import Softmax

__all__ = ["DENOISED", "EACH", "FILED", "NUMPY", "READ", "SAMPLED", "denoised"]

READ, DENOISED = "kanerva, read of a kernel density", "kanerva, exact denoiser"
EACH, FILED = "kanerva, a sigma for each query", "kanerva, over a file"
SAMPLED, NUMPY = "kanerva, sample", "NumPy, the formula in float64"
SIGMA, HIGH, LOW = 0.5, 3.0, 0.1
ALLOWED = 2e-3


def denoised(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Denoise once, and follow the noise down in some steps."""
    count, dim, batch, steps = sizes.sampling
    source = torch.Generator().manual_seed(0)
    rows = torch.rand(count, dim, generator=source)
    z = torch.randn(batch, dim, generator=source)
    with TemporaryDirectory() as folder:
        yield _once(rows, rows[:batch] + SIGMA * z, Path(folder), limits)
    yield _path(rows, HIGH * z, steps, limits)


def _once(rows: Tensor, x: Tensor, folder: Path, limits: Limits) -> Case:
    """Denoise queries of one sigma, and of several, in memory and over a file."""
    rule = (similar.closeness, Softmax(1 / SIGMA**2))
    memory = over(rows, rule)
    np.save(folder / "rows.npy", rows.numpy())
    filed = Patterns.over(folder / "rows.npy", similarity=rule[0], separation=rule[1])
    expected = answers(x[:CHECKED], rows, {"": rule})[""]
    several = torch.full((len(x),), SIGMA, dtype=torch.float64)
    several[CHECKED:] += torch.linspace(0, 0.5, len(x) - CHECKED, dtype=torch.float64)
    exact = diffusion.exact(memory)
    calls: dict[str, Any] = {
        READ: partial(memory.read, x),
        DENOISED: partial(exact, x, SIGMA),
        EACH: partial(exact, x, several),
        FILED: partial(diffusion.exact(filed), x, SIGMA),
    }
    routes = [reader(name, call, expected, ours=name != READ) for name, call in calls.items()]
    setting = {"d": rows.shape[1], "N": len(rows), "B": len(x)}
    limit = limits.attending(len(x), len(rows), rows.shape[1])
    return Case("diffusion", setting, routes, ALLOWED, limit)


def _path(rows: Tensor, start: Tensor, steps: int, limits: Limits) -> Case:
    """Sample along the probability flow."""
    sigmas, exact = diffusion.schedule("geometric", steps, HIGH, LOW), diffusion.exact(rows)
    data, first = rows.double().numpy(), start.double().numpy()
    expected = _sampled(data, first[:CHECKED], sigmas.numpy())

    def ours() -> Tensor:
        return diffusion.sample(exact, start, sigmas, energies=False).states[-1]

    def theirs() -> Tensor:
        return torch.from_numpy(_sampled(data, first, sigmas.numpy()))

    setting = {"d": rows.shape[1], "N": len(rows), "B": len(start), "steps": steps}
    answer = torch.from_numpy(expected)
    routes = [_mostly(SAMPLED, ours, answer, True), _mostly(NUMPY, theirs, answer)]
    limit = steps * limits.attending(len(start), len(rows), rows.shape[1])
    return Case("diffusion", setting, routes, ALLOWED, limit)


def _sampled(
    rows: NDArray[np.float64], x: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sample by the formula, with all scores at once."""
    for place, sigma in enumerate(sigmas):
        squares = (x**2).sum(1)[:, None] + (rows**2).sum(1) - 2 * x @ rows.T
        logs = -squares / (2 * sigma**2)
        weights = np.exp(logs - logs.max(1, keepdims=True))
        mean = (weights / weights.sum(1, keepdims=True)) @ rows
        last = place + 1 == len(sigmas)
        x = mean if last else mean + sigmas[place + 1] / sigma * (x - mean)
    return x


def _mostly(name: str, call: Any, expected: Tensor, ours: bool = False) -> Route:
    """Return a route whose error is the median difference of a sample over the largest number.

    A state between two rows may fall to either by a rounding error.
    """

    def check() -> float:
        apart = (call()[: len(expected)].double() - expected).abs().amax(-1)
        return float(apart.median() / expected.abs().max())

    return Route(name, call, check, ours)
