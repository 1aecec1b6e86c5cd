"""A small network that learns to denoise, free or as the slope of an energy."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.diffusion._noise import LARGEST, SMALLEST, Sigma, read_level, sound

__all__ = ["Net"]

Energy = Callable[[Tensor, Sigma], Tensor]

# The features of the noise are sines and cosines of so many frequencies times log(sigma) / 4.
FREQUENCIES = 8
# The last layer starts so much smaller than the others: at first a net nearly returns c x.
SMALL = 0.1


class Net(nn.Module):
    r"""A trained denoiser: layers of SiLU units with residuals, which are given the noise.

    .. math:: D(x, \sigma) = c\, x + o\, F(i x, \log \sigma / 4), \quad
        c = \frac{s^2}{\sigma^2 + s^2}, \quad o = \frac{\sigma s}{\sqrt{\sigma^2 + s^2}}, \quad
        i = \frac{1}{\sqrt{\sigma^2 + s^2}}

    with s the standard deviation of the data: what F has to return has variance 1 at every noise.
    A free F is a vector that need not be the slope of anything. With ``energy=True`` the network
    has one output g, and F is its gradient, so that there is an energy, of which the denoiser is a
    step of descent:

    .. math:: D(x, \sigma) = x - \sigma^2 \nabla E, \quad
        E(x, \sigma) = \frac{|x|^2}{2 (\sigma^2 + s^2)} - \frac s\sigma\, g(i x, \log \sigma / 4)

    The slope of g is bounded, so that no state runs away where there were no data. Only then has
    the net a method ``energy(x, sigma)``: E for states ``(..., d)``, as ``(...)``, minus the log
    density of noisy data up to a number that depends on sigma. The energies of ``Exact`` and
    ``Wiener`` are sigma^2 times as large.

    Args:
        dim: d, length of a row, >= 1.
        width: of a layer, >= 1.
        depth: number of layers with a residual, >= 0, after a first one without.
        data_sigma: s > 0, in the unit of the data.
        energy: whether the denoiser is the slope of an energy.
        seed: of the weights, an integer >= 0 or a CPU generator.
        dtype: of weights and states.

    Attributes:
        dim: as given.
        data_sigma: as given.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva.diffusion import Net
        >>> net, x = Net(dim=2, width=16, data_sigma=0.7, energy=True), torch.ones(3, 2)
        >>> net(x, 0.5).shape, net.energy(x, 0.5).shape
        (torch.Size([3, 2]), torch.Size([3]))
        >>> hasattr(Net(dim=2, width=16), "energy")
        False

    Source: Karras and others 2022, table 1, for the factors; Salimans and Ho 2021, on denoisers
    that are slopes.
    """

    @door
    def __init__(
        self,
        dim: int,
        width: int = 192,
        depth: int = 3,
        data_sigma: float = 0.5,
        energy: bool = False,
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.dim = checks.integer("dim", dim, 1, checks.LONGEST)
        width = checks.integer("width", width, 1, checks.LONGEST)
        depth = checks.integer("depth", depth, 0, checks.LONGEST)
        self.data_sigma = checks.number("data_sigma", data_sigma, SMALLEST, LARGEST)
        self.slope = checks.flag("energy", energy)
        arrays.floating(dtype)
        source, given = arrays.generator(seed), 2 * FREQUENCIES
        numbers = (width + given) * (width * depth + 2 * self.dim)
        with checks.room("width", f"{width}, in {depth + 1} layers", 8 * numbers):
            self.first = _layer(self.dim + given, width, source)
            self.layers = nn.ModuleList(_layer(width + given, width, source) for _ in range(depth))
            out = (1, self.dim**0.5) if self.slope else (self.dim, SMALL)
            self.last = _layer(width, out[0], source, out[1], bias=not self.slope)
            self.to(dtype)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, data_sigma={self.data_sigma:g}, energy={self.slope}"

    @door
    def forward(self, x: Float[Tensor, "*batch d"], sigma: Sigma) -> Float[Tensor, "*batch d"]:
        """Return the posterior mean of the data, given noisy states.

        Args:
            x: ``(..., d)`` in the dtype of the weights, finite.
            sigma: >= 0, standard deviation of the noise in the unit of the data: a number, or one
                for each state. At 0 the states are returned.

        Returns:
            ``(..., d)``.

        Raises:
            InputError: states or noise that do not fit.
        """
        noise, inner, scale = self._scaled(x, sigma)
        units, out = self._layers(inner, _features(noise))
        if self.slope:
            out = self._gradient(units)
        kept = 1 / (1 + (noise / self.data_sigma).square())
        return sound(kept * x + self.data_sigma * noise * scale * out)

    @property
    def energy(self) -> Energy:
        """The energy of states ``(..., d)`` at a noise > 0, for a net that has one."""
        if not self.slope:
            raise AttributeError
        return self._energy

    @door("Net.energy")
    def _energy(self, x: Float[Tensor, "*batch d"], sigma: Sigma) -> Float[Tensor, "*batch"]:
        noise, inner, _ = self._scaled(x, sigma)
        if not bool((noise > 0).all()):
            refuse("sigma", got="0", must="> 0", do="give the noise of the states")
        _, out = self._layers(inner, _features(noise))
        return sound(inner.square().sum(-1) / 2 - (self.data_sigma / noise * out).squeeze(-1))

    def _scaled(self, x: Any, sigma: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return the noise of each state as a column, states of variance 1, and the factor."""
        weight = self.first.weight
        arrays.finite("x", arrays.vectors("x", x, self.dim, weight.dtype))
        level = read_level(sigma, x.shape[:-1], x.device)
        noise = torch.as_tensor(level, dtype=torch.float64, device=x.device)
        noise = noise.reshape(*x.shape[:-1], 1) if noise.ndim else noise.expand(1)
        scale = (noise.square() + self.data_sigma**2).rsqrt().to(x.dtype)
        return noise.to(x.dtype), x * scale, scale

    def _layers(self, inner: Tensor, given: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what enters the units of each layer, and what the last layer returns."""
        given = given.expand(*inner.shape[:-1], -1)
        units = [self.first(torch.cat((inner, given), -1))]
        state = silu(units[0])
        for layer in self.layers:
            units.append(layer(torch.cat((state, given), -1)))
            state = state + silu(units[-1])
        return units, self.last(state)

    def _gradient(self, units: list[Tensor]) -> Tensor:
        """Return the gradient of the one output in the states of variance 1."""
        pulled = self.last.weight[0]
        for layer, unit in zip(reversed(self.layers), reversed(units[1:]), strict=True):
            assert isinstance(layer, nn.Linear)
            pulled = pulled + (pulled * _slope(unit)) @ layer.weight[:, : pulled.shape[-1]]
        return (pulled * _slope(units[0])) @ self.first.weight[:, : self.dim]


def _layer(
    width: int, out: int, source: torch.Generator, factor: float = 1.0, bias: bool = True
) -> nn.Linear:
    """Return a linear map with weights uniform within factor / sqrt(its input width) of zero."""
    found: nn.Linear = nn.utils.skip_init(nn.Linear, width, out, bias=bias)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        drawn = torch.rand(found.weight.shape, generator=source, dtype=torch.float32)
        found.weight.copy_((2 * drawn - 1) * factor * width**-0.5)
        if bias:
            found.bias.zero_()
    return found


def _features(noise: Tensor) -> Tensor:
    """Return sines and cosines of log(sigma) / 4 times multiples of pi / 2."""
    places = torch.arange(1, FREQUENCIES + 1, device=noise.device, dtype=noise.dtype)
    angles = noise.clamp_min(SMALLEST).log() / 4 * (math.pi / 2 * places)
    return torch.cat((angles.sin(), angles.cos()), -1)


def _slope(unit: Tensor) -> Tensor:
    """Return the derivative of SiLU."""
    share = unit.sigmoid()
    return share * (1 + unit * (1 - share))
