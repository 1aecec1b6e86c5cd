"""Levels of noise that fall step by step, and the two conventions of diffusion."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.diffusion._noise import level

__all__ = ["betas", "schedule", "to_ve", "to_vp", "vp"]

KINDS = ("geometric", "karras", "linear")
SPACINGS = ("leading", "trailing", "linspace")
RHO = 7.0
# The schedule of DDPM: so many steps, and the variances that the first and the last of them add.
DDPM = 1000
FIRST, LAST = 1e-4, 0.02
# The smallest share of the variance of the data that a state can be scaled by.
LEFT = 1e-30


@door
def schedule(kind: str, steps: int, high: float, low: float) -> Float64[Tensor, "steps"]:
    r"""Return standard deviations of noise that fall from ``high`` to ``low``.

    .. math:: \sigma_i = \sigma_0 \left(\frac{\sigma_n}{\sigma_0}\right)^{i / n}
        \text{ (geometric)}, \quad
        \left(\sigma_0^{1/\rho} + \frac in (\sigma_n^{1/\rho} - \sigma_0^{1/\rho})\right)^\rho
        \text{ (karras, } \rho = 7), \quad
        \sigma_0 + \frac in (\sigma_n - \sigma_0) \text{ (linear)}

    Args:
        kind: ``"geometric"``, ``"karras"`` or ``"linear"``.
        steps: how many, >= 1; one alone is ``high``.
        high: the first, in the unit of the data.
        low: the last, > 0 and below ``high``.

    Returns:
        ``(steps,)`` float64.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva import diffusion
        >>> diffusion.schedule("geometric", 3, 10.0, 0.1).tolist()
        [10.0, 1.0..., 0.1]

    Source: Karras and others 2022, eq. 5.
    """
    kind = checks.choice("kind", kind, KINDS)
    steps = checks.integer("steps", steps, 1, checks.LONGEST)
    high, low = level("high", high), level("low", low)
    if low >= high:
        refuse("low", low, must=f"below high, {high:g}", do="let the noise fall")
    share = torch.linspace(0, 1, steps, dtype=torch.float64)
    if kind == "linear":
        found = high + share * (low - high)
    elif kind == "geometric":
        found = (math.log(high) + share * math.log(low / high)).exp()
    else:
        top, bottom = high ** (1 / RHO), low ** (1 / RHO)
        found = (top + share * (bottom - top)) ** RHO
    found[0] = high
    if steps > 1:
        found[-1] = low
    return found


def betas() -> Float64[Tensor, "times"]:
    """Return the variances that the 1,000 steps of DDPM add."""
    return torch.linspace(FIRST, LAST, DDPM, dtype=torch.float64)


@door
def vp(steps: int, spacing: str = "leading") -> Float64[Tensor, "steps"]:
    r"""Return the noise of DDPM's schedule of 1,000 linear betas, as standard deviations.

    .. math:: \sigma_t = \sqrt{\frac{1 - \bar\alpha_t}{\bar\alpha_t}}, \quad
        \bar\alpha_t = \prod_{s \le t} (1 - \beta_s)

    Args:
        steps: how many of the 1,000 times are visited.
        spacing: which: ``"leading"`` multiples of 1000 // steps from 0 on, ``"trailing"`` back from
            the last in equal steps, ``"linspace"`` from the first to the last. DDIM of diffusers
            follows the first two; with ``"linspace"`` it takes steps of other lengths.

    Returns:
        ``(steps,)`` float64, falling, in the unit of the data.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from kanerva import diffusion
        >>> found = diffusion.vp(25)
        >>> round(found[0].item(), 1), round(found[-1].item(), 4)
        (107.0, 0.01)

    Source: Ho, Jain and Abbeel 2020; Lin and others 2023, on spacings.
    """
    steps = checks.integer("steps", steps, 1, DDPM)
    kind = checks.choice("spacing", spacing, SPACINGS)
    if kind == "leading":
        times = torch.arange(steps).flip(0) * (DDPM // steps)
    elif kind == "trailing":
        times = (torch.arange(steps, 0, -1).double() * DDPM / steps).round().long() - 1
    else:
        times = torch.linspace(0, DDPM - 1, steps, dtype=torch.float64).round().long().flip(0)
    kept = (1 - betas()).cumprod(0)[times]
    return ((1 - kept) / kept).sqrt()


@door
def to_ve(
    x: Float[Tensor, "*batch d"], alpha_bar: float | Float[Tensor, "*_alpha"]
) -> tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch"]]:
    r"""Turn a state that keeps its variance into data plus noise.

    .. math:: x_t = \sqrt{\bar\alpha}\, x_0 + \sqrt{1 - \bar\alpha}\, z
        \quad \to \quad \frac{x_t}{\sqrt{\bar\alpha}} = x_0 + \sigma z, \quad
        \sigma = \sqrt{\frac{1 - \bar\alpha}{\bar\alpha}}

    Args:
        x: ``(..., d)``.
        alpha_bar: from 1e-30 to 1, a number or one for each state.

    Returns:
        the state ``(..., d)`` in its dtype, and its sigma ``(...)`` float64.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> x, sigma = diffusion.to_ve(torch.tensor([0.5]), 0.25)
        >>> x.item(), round(sigma.item(), 4)
        (1.0, 1.7321)

    Source: Song and others 2021.
    """
    arrays.finite("x", arrays.floats("x", x))
    kept = _shares(x, alpha_bar)
    free = (x / kept.sqrt().unsqueeze(-1)).to(x.dtype)
    if not arrays.sound(free):
        must, do = f"small enough to stay within {x.dtype} when it is scaled up", "scale it down"
        refuse("x", x, must=must, do=do)
    return free, ((1 - kept) / kept).sqrt()


@door
def to_vp(
    x: Float[Tensor, "*batch d"], sigma: float | Float[Tensor, "*_sigma"]
) -> tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch"]]:
    r"""Turn data plus noise into a state that keeps its variance: the inverse of ``to_ve``.

    .. math:: \bar\alpha = \frac{1}{1 + \sigma^2}, \quad x_t = \sqrt{\bar\alpha}\, x

    Args:
        x: ``(..., d)``.
        sigma: >= 0, a number or one for each state.

    Returns:
        the state ``(..., d)`` in its dtype, and its alpha_bar ``(...)`` float64.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> x, alpha_bar = diffusion.to_vp(torch.tensor([1.0]), 3.0**0.5)
        >>> round(x.item(), 4), round(alpha_bar.item(), 4)
        (0.5, 0.25)

    Source: Song and others 2021.
    """
    arrays.finite("x", arrays.floats("x", x))
    must, do = ">= 0, a number or one for each state", "give standard deviations"
    noise = _numbers("sigma", sigma, x, must, do)
    if bool((noise < 0).any()):
        refuse("sigma", sigma, must=must, do=do)
    kept = 1 / (1 + noise.square())
    return (x * kept.sqrt().unsqueeze(-1)).to(x.dtype), kept


def _shares(x: Tensor, alpha_bar: float | Tensor) -> Tensor:
    """Return the shares of the variance of the data that are left."""
    must = f"from {LEFT:g} to 1, a number or one for each state"
    do = "give the product of 1 - beta"
    kept = _numbers("alpha_bar", alpha_bar, x, must, do)
    if not bool(((kept >= LEFT) & (kept <= 1)).all()):
        refuse("alpha_bar", alpha_bar, must=must, do=do)
    return kept


def _numbers(name: str, value: float | Tensor, x: Tensor, must: str, do: str) -> Tensor:
    """Return a finite number for each state."""
    batch = x.shape[:-1]
    if not isinstance(value, Tensor):
        return x.new_full(batch, checks.plain(name, value, do=do), dtype=torch.float64)
    arrays.finite(name, arrays.dense(name, value, must))
    if not value.is_floating_point() or arrays.together(value.shape, batch) != batch:
        refuse(name, value, must=must, do=do)
    return value.to(x.device, torch.float64).expand(batch)
