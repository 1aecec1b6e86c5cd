"""The likelihood that a denoiser gives to data, along its probability flow."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import named, refuse, warn
from kanerva.diffusion._noise import levels
from kanerva.diffusion._samples import Denoiser, Noise, denoised, vetted

__all__ = ["log_likelihood"]

# Nats that the standard prior may be wrong by before there is a warning.
WRONG = 1.0
# Numbers in one block of weights: 32 MiB of float64.
BLOCK = 2**22

Probes = Callable[[], Iterator[Tensor]] | None


@named(start="x")
def log_likelihood(
    denoiser: Denoiser,
    x: Float[Tensor, "*batch d"],
    sigmas: Float[Tensor, "steps"] | Listed,
    draws: int = 0,
    seed: int | torch.Generator = 0,
) -> Float[Tensor, "*batch"]:
    r"""Return the log density of rows under the model that a denoiser defines, in nats.

    .. math:: \frac{dx}{d\sigma} = \frac{x - D(x, \sigma)}{\sigma}, \qquad
        \log p_{\sigma_n}(x) = \log N(x_0;\, 0, \sigma_0^2 I) + d \log \frac{\sigma_0}{\sigma_n}
        - \int_{\sigma_n}^{\sigma_0} \operatorname{tr} \frac{\partial D}{\partial x}\, d \log \sigma

    The probability flow leads from x at the last, lowest sigma up to :math:`x_0` at the first. The
    density is that of the data with noise of the lowest sigma. The flow is followed by Heun's
    method and the integral by the trapezoidal rule in the logarithm of sigma: with twice as many
    steps the error is a fourth, once they are small.

    At the first sigma the density is taken to be that of the noise alone. Where the data have the
    mean :math:`\mu` and the covariance C this is wrong by about
    :math:`|\mu| / \sigma_0 + \operatorname{tr} C / 2 \sigma_0^2` nats for data near them, however
    many steps there are: let :math:`\sigma_0` be a hundred times the length of a row.

    Args:
        denoiser: as in ``sample``; gradients must pass through it.
        x: ``(..., d)``.
        sigmas: falling standard deviations of the noise, in the unit of the data, two or more, such
            as ``schedule("geometric", 200, high=100.0, low=0.01)``.
        draws: 0 for the exact trace, which takes d backward passes for each sigma, and none for a
            denoiser with a method ``trace``, as ``Exact`` and ``Wiener`` have; else the number of
            random sign vectors of Hutchinson's estimate, each of which takes one. It is unbiased,
            and its variance falls as 1 / draws.
        seed: an integer >= 0 or a CPU generator, for the draws. Each row has its own, by its place
            in the batch, the same at every sigma.

    Returns:
        ``(...)`` in the dtype of ``x``, without gradients.

    Raises:
        InputError: an argument is out of range, or no gradient passes through the denoiser.

    Warns:
        UserWarning: the first sigma is so small that the result is wrong by more than 1 nat.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> denoise = diffusion.gaussian(torch.zeros(2), torch.eye(2))
        >>> sigmas = diffusion.schedule("geometric", 100, high=100.0, low=0.01)
        >>> found = diffusion.log_likelihood(denoise, torch.zeros(2), sigmas)
        >>> round(found.item(), 2), round(denoise.log_prob(torch.zeros(2), 0.01).item(), 2)
        (-1.84, -1.84)

    Source: Chen and others 2018 (the instantaneous change of variables); Song and others 2021 (the
    probability flow); Hutchinson 1989 (the trace).
    """
    vetted(denoiser)
    arrays.finite("x", arrays.floats("x", x))
    noise = levels("sigmas", sigmas)[::-1]
    if len(noise) < 2:
        refuse("sigmas", got="one", must="two or more", do="make them with diffusion.schedule")
    draws = checks.integer("draws", draws, 0, checks.LONGEST)
    probes = _signs(x, draws, seed)
    with torch.inference_mode(False):
        return _along(denoiser, x.detach().clone(), noise, probes)


def _along(denoiser: Denoiser, x: Tensor, noise: list[float], probes: Probes) -> Tensor:
    """Follow the flow upward from the lowest noise."""
    dim = x.shape[-1]
    mean, trace = _traced(denoiser, x, noise[0], probes)
    # Sums of many steps are kept in float64.
    integral = torch.zeros_like(trace, dtype=torch.float64)
    for now, then in pairwise(noise):
        slope = (x - mean) / now
        with torch.no_grad():
            ahead = x + (then - now) * slope
            other = (ahead - denoised(denoiser, ahead, then)) / then
            x = arrays.finite("x", x + (then - now) * (slope + other) / 2)
        before = trace
        mean, trace = _traced(denoiser, x, then, probes)
        integral += (before + trace).double() / 2 * math.log(then / now)
    top = noise[-1]
    _warn(mean.norm(dim=-1) / top + trace / 2)
    prior = -x.double().square().sum(-1) / (2 * top**2) - dim / 2 * math.log(2 * math.pi)
    return (prior - dim * math.log(noise[0]) - integral).to(x.dtype)


def _warn(wrong: Tensor) -> None:
    """Warn where the density at the first sigma is not that of the noise."""
    if wrong.numel() and float(wrong.median()) > WRONG:
        words = f"the result is wrong by about {float(wrong.median()):.2g} nats, because the first"
        do = "start with a sigma far above the data"
        warn(f"log_likelihood: {words} sigma is small; {do}")


def _signs(x: Tensor, draws: int, seed: int | torch.Generator) -> Probes:
    """Return a function that yields the vectors v; the sum of v^T J v estimates the trace."""
    fresh = Noise(seed)

    def signs() -> Iterator[Tensor]:
        for draw in range(draws):
            yield torch.where(fresh(draw, x) < 0, -1.0, 1.0).to(x) / math.sqrt(draws)

    return signs if draws else None


def _units(x: Tensor) -> Iterator[Tensor]:
    """Yield the unit vectors; the sum of v^T J v is the trace."""
    for place in range(x.shape[-1]):
        unit = torch.zeros_like(x)
        unit[..., place] = 1
        yield unit


def _traced(denoiser: Denoiser, x: Tensor, sigma: float, probes: Probes) -> tuple[Tensor, Tensor]:
    """Return what is denoised, and the trace of its Jacobian; its exact one without probes."""
    closed = getattr(denoiser, "trace", None)
    if probes is None and callable(closed):
        with torch.no_grad():
            return denoised(denoiser, x, sigma), closed(x, sigma)
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        mean = denoised(denoiser, at, sigma)
    if not mean.requires_grad:
        must, do = "a function that gradients pass through", "leave out no_grad and detach in it"
        refuse("denoiser", got="one without gradients", must=must, do=do)
    total = torch.zeros_like(x[..., 0])
    for probe in (probes or partial(_units, x))():
        (back,) = _gradient(mean, at, probe)
        total = total + (back * probe).sum(-1)
    return mean.detach(), total


def _gradient(mean: Tensor, at: Tensor, probe: Tensor) -> Any:
    """Return the vector-Jacobian product; zero where the mean does not depend on the state."""
    return torch.autograd.grad(
        mean, at, probe, retain_graph=True, allow_unused=True, materialize_grads=True
    )
