"""Samples of the exact denoiser of the digits, and how far they are from stored rows."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva import diffusion
from kanerva.lab.papers.hoover2023diffusion import _digits, _pictures

__all__ = ["Counted", "Design", "generated"]


class Design(NamedTuple):
    """A sampler, its levels of noise, how it ends, how many samples, and their seed."""

    sampler: str
    levels: int
    last: bool
    samples: int
    seed: int


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoiser: diffusion.Exact) -> None:
        self.denoiser, self.calls = denoiser, 0

    def __call__(self, x: Float64[Tensor, "*batch d"], sigma: float) -> Float64[Tensor, "*batch d"]:
        """Return the posterior mean."""
        self.calls += 1
        return self.denoiser(x, sigma)


def generated(design: Design, ends: tuple[float, float], near: float, shown: int) -> dict[str, Any]:
    """Sample between two levels of noise, and compare the samples with the stored rows.

    Args:
        design: what is sampled.
        ends: the highest and the lowest noise.
        near: the largest distance at which a sample is a stored row.
        shown: how many states of the first sample are written as pictures; 0 for none.
    """
    rows, _ = _digits.digits()
    exact = Counted(diffusion.exact(rows))
    high, low = ends
    sigmas = diffusion.schedule("geometric", design.levels, high, low)
    start = high * _digits.normal(design.samples, design.seed)
    path = diffusion.sample(
        exact, start, sigmas, design.sampler, last=design.last, seed=design.seed
    )
    far, places = _digits.nearest(path.states[-1], rows)
    return {
        "evaluations": exact.calls,
        "share": float((far <= near).double().mean()),
        "missed": float(far.mean()),
        "largest": float(far.max()),
        "distinct": len(set(places.tolist())),
        **_pictured(path.states, sigmas, shown),
    }


def _pictured(
    states: Float64[Tensor, "steps b 64"], sigmas: Float64[Tensor, "levels"], shown: int
) -> dict[str, str]:
    """Return words of some states of the first sample and of the last, and the noise of each."""
    if not shown:
        return {"path": "", "shown": ""}
    places = torch.linspace(0, len(sigmas) - 1, shown).round().long()
    kept, _ = diffusion.to_vp(states[places, 0], sigmas[places])
    words = [_pictures.word(state.tolist()) for state in (*kept, states[-1, 0])]
    noise = "/".join(f"{float(sigmas[place]):.2g}" for place in places)
    return {"path": "/".join(words), "shown": noise}
