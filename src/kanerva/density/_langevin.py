"""Langevin samples of an energy, from uniform starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door

__all__ = ["Langevin", "starts", "walk"]


@dataclass(frozen=True)
class Langevin:
    r"""How samples of an energy are drawn: steps against its gradient, with noise.

    .. math:: x \leftarrow x - \text{rate} \cdot \mathrm{clip}(\nabla E(x)) + \omega, \quad
        \omega \sim N(0, \text{noise}^2)

    For ``noise`` = sqrt(2 ``rate``) the samples of a long chain with small steps are those of
    exp(-E). Less noise gives samples of a lower temperature, which need fewer steps.

    Args:
        steps: number of steps, >= 0.
        rate: length of a step per unit of the gradient, > 0.
        noise: standard deviation of the noise of a step, >= 0, in the unit of the data.
        box: the starts are uniform from ``-box`` to ``box`` in each coordinate; > 0. The data
            should lie within.
        clamp: largest absolute value of a coordinate of the gradient, > 0.

    Raises:
        InputError: a number out of its range.

    Example:
        >>> from kanerva.density import Langevin
        >>> Langevin(steps=40).rate
        0.3

    Source: Schaeffer and others 2024; Du and Mordatch 2019.
    """

    steps: int = 8
    rate: float = 0.3
    noise: float = 0.1
    box: float = 9.0
    clamp: float = 10.0

    @door
    def __post_init__(self) -> None:
        checks.integer("steps", self.steps, 0, checks.LONGEST)
        checks.number("noise", self.noise, 0)
        for name in ("rate", "box", "clamp"):
            checks.number(name, getattr(self, name), 0, open_low=True)

    @staticmethod
    def of(chain: "Langevin | None") -> "Langevin":
        """Return the chain that was given, or the default one."""
        chain = Langevin() if chain is None else chain
        checks.instance("chain", chain, Langevin, "give kanerva.density.Langevin(...)")
        return chain


def starts(shape: Sequence[int], like: Tensor, chain: Langevin, source: torch.Generator) -> Tensor:
    """Return uniform starts, in the dtype and on the device of ``like``."""
    drawn = torch.rand(*shape, generator=source, dtype=torch.float64)
    return ((2 * drawn - 1) * chain.box).to(like)


def walk(
    energy: Callable[[Tensor], Tensor], x: Tensor, chain: Langevin, source: torch.Generator
) -> Tensor:
    """Return the ends of the chains from ``x``; the energy of a row depends on that row alone."""
    for _ in range(chain.steps):
        drawn = torch.randn(x.shape, generator=source, dtype=torch.float64)
        slope = gradient(energy, x).clamp(-chain.clamp, chain.clamp)
        x = x - chain.rate * slope + chain.noise * drawn.to(x)
    return x


def gradient(energy: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the gradient of the energy of each row, detached."""
    # What was made in inference mode cannot be differentiated; a copy can.
    with torch.inference_mode(False), torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(energy(x).sum(), x)
    return found
