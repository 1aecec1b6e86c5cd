"""The states at which denoising of digits rests, and the noise that digits come back from."""

from collections.abc import Iterator

import torch

from kanerva import diffusion
from kanerva.lab.papers.pham2025 import _digits
from kanerva.lab.papers.pham2025._distances import nearest
from kanerva.lab.recipe import Row

__all__ = ["critical", "resting"]

# Distances: of a state from the digit that it is, and of a recall from its digit.
REACH = 0.1
# Mean shift is slow where a state is about to vanish.
STEPS = 20_000
# States are drawn of so few digits that a figure holds them.
FEW = 10
# Points of a curve.
POINTS = 21
# Nine of ten normal numbers are below this.
NINE = 1.2815515655446004


def resting(count: int, sigma: float, trials: int, seed: int) -> Iterator[Row]:
    """Yield what is measured at one noise, and the states where they are few."""
    rows = _digits.digits(count, seed).train.double()
    denoise = diffusion.exact(rows)
    found = diffusion.attractors(denoise, rows, sigma, reach=REACH, steps=STEPS)
    source = torch.Generator().manual_seed(seed)
    noise = torch.randn(trials, *rows.shape, generator=source, dtype=rows.dtype)
    ends = diffusion.recall(denoise, rows + sigma * noise, sigma)
    recalled = ((ends - rows).norm(dim=-1) <= REACH).double().mean()
    yield {
        "stored": found.stored,
        "attractors": len(found.states),
        "spurious": found.spurious,
        "largest": found.basin.max(),
        "recalled": recalled,
    }
    if count <= FEW:
        far = (nearest(found.states, rows) > REACH).tolist()
        levels = (found.states.clamp(0, 1) * 255).round().to(torch.uint8)
        kinds = ["no digit" if one else "digits" for one in far]
        for place in sorted(range(len(far)), key=far.__getitem__):
            picture = levels[place].numpy().tobytes().hex()
            yield {"state": place, "kind": kinds[place], "picture": picture}


def critical(count: int, trials: int, seed: int) -> Iterator[Row]:
    """Yield the noise that shares of the digits come back from, and its ratio to its bound."""
    rows = _digits.digits(count, seed).train.double()
    found = diffusion.critical_sigma(
        diffusion.exact(rows), rows, reach=REACH, trials=trials, seed=seed
    )
    bound = nearest(rows, rows, own=True) / (2 * NINE)
    ratio = (found / bound).mean()
    for share in torch.linspace(0, 1, POINTS, dtype=torch.float64).tolist():
        level = found.sort(descending=True).values[max(0, round(share * count) - 1)]
        back = (found >= level).double().mean()
        yield {"sigma_c": level, "back": back, "critical": ratio}
