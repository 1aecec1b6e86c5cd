"""Samplers: recalls at noise that falls, from any denoiser."""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanerva import bits
from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, describe, door, refuse, warn
from kanerva.diffusion._noise import SMALLEST, level, levels
from kanerva.diffusion._schedule import schedule
from kanerva.dynamics import Path, follow_each, path_of

__all__ = ["Denoiser", "Noise", "denoised", "flow", "recall", "sample"]

Denoiser = Callable[..., Tensor]
Step = Callable[[Tensor], Tensor]

SAMPLERS = ("ode", "heun", "sde", "ancestral")
# How far a recall lets the noise fall.
FALL = 100.0


@door
def sample(
    denoiser: Denoiser,
    start: Float[Tensor, "*batch d"],
    sigmas: Float[Tensor, "steps"] | Listed,
    sampler: str = "ode",
    eta: float = 0.0,
    last: bool = True,
    seed: int | torch.Generator = 0,
    energies: bool = True,
) -> Path:
    r"""Follow the noise down, from states at the first sigma to data.

    .. math:: x \leftarrow D + \frac{\sigma'}{\sigma} (x - D) \text{ (ode)}, \qquad
        x \leftarrow D + \frac{\sigma_\downarrow}{\sigma} (x - D) + \sigma_\uparrow z
        \text{ (ancestral)}, \qquad
        x \leftarrow x + \frac{\sigma^2 - \sigma'^2}{\sigma^2} (D - x)
        + \sqrt{\sigma^2 - \sigma'^2}\, z \text{ (sde)}

    .. math:: D = D(x, \sigma), \quad
        \sigma_\uparrow = \eta\, \sigma' \sqrt{1 - \sigma'^2 / \sigma^2}, \quad
        \sigma_\downarrow^2 = \sigma'^2 - \sigma_\uparrow^2

    The first is Euler's step on the probability-flow equation, which is DDIM's. ``"heun"`` takes
    the mean of the slopes at both ends of a step, at the cost of two evaluations.

    Args:
        denoiser: ``denoise(x, sigma)`` returns the posterior mean of the data; any function or
            module, such as ``exact(data)`` or a trained ``Net``.
        start: ``(..., d)`` at the first sigma: for samples ``sigmas[0] * z``; for a recall the data
            plus such noise.
        sigmas: falling standard deviations of the noise, in the unit of the data.
        sampler: ``"ode"``, ``"heun"``, ``"sde"`` or ``"ancestral"``.
        eta: share of the noise that is drawn anew, from 0 to 1, for ``"ode"``: DDIM's eta.
            ``"ancestral"`` is ``"ode"`` with eta 1.
        last: whether the last state is denoised. Without, it keeps noise of the last sigma.
        seed: an integer >= 0 or a CPU generator. Each row draws noise of its own, by its place in
            the batch, which other rows never change; its states then agree up to rounding.
        energies: whether the energy of every state, at its own sigma, is computed, which is one
            more evaluation each; for a denoiser with one.

    Warns:
        UserWarning: the start is noise alone, of less than the spread that the denoiser declares.

    Returns:
        the path: the start, one state for each further sigma, and the last denoised one; energies
        where the denoiser has them, else None.

    Raises:
        InputError: an argument is out of range, or the denoiser returns something else than states.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> denoise = diffusion.exact(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
        >>> sigmas = diffusion.schedule("geometric", 20, high=10.0, low=0.05)
        >>> start = 10 * torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
        >>> diffusion.sample(denoise, start, sigmas).states[-1].round(decimals=4).tolist()
        [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]

    Source: Song, Meng and Ermon 2021 (DDIM); Karras and others 2022 (Heun, and the ODE in sigma).
    """
    vetted(denoiser)
    arrays.finite("start", arrays.floats("start", start))
    noise = levels("sigmas", sigmas)
    kind = checks.choice("sampler", sampler, SAMPLERS)
    eta = checks.number("eta", eta, 0, 1)
    if eta and kind != "ode":
        must, do = f'0 for "{kind}"', 'leave it out, or take "ode"'
        refuse("eta", eta, must=must, do=do)
    last = checks.flag("last", last)
    _warn_of_little_noise(denoiser, start, noise[0])
    fresh = Noise(seed)
    share = 1.0 if kind == "ancestral" else eta
    steps = [
        _step(denoiser, now, then, kind, share, partial(fresh, place))
        for place, (now, then) in enumerate(pairwise(noise))
    ]
    if last:
        steps.append(partial(denoised, denoiser, sigma=noise[-1]))
    found = path_of(follow_each(steps, start))
    measure = getattr(denoiser, "energy", None)
    if not checks.flag("energies", energies) or not callable(measure):
        return found
    at = [*noise, noise[-1]][: len(found.states)]
    rows = [_measured(measure, *pair) for pair in zip(found.states, at, strict=True)]
    return found._replace(energies=torch.stack(rows))


@door
def recall(
    denoiser: Denoiser,
    x: Float[Tensor, "*batch d"],
    sigma: float,
    steps: int = 30,
    known: Bool[Tensor, "*_known"] | None = None,
) -> Float[Tensor, "*batch d"]:
    r"""Recall data from a noisy cue: the noise falls by the factor 100, then is removed.

    Args:
        denoiser: as in ``sample``; with ``known`` it takes ``denoise(x, sigma, known=known)``, as
            ``Exact`` does.
        x: ``(..., d)``, data plus noise of ``sigma``.
        sigma: > 0, the noise of the cue, in the unit of the data.
        steps: evaluations of the denoiser, >= 1.
        known: bool that broadcasts to ``x``: True for the coordinates that were observed.

    Returns:
        ``(..., d)``. The exact denoiser ends at a stored row, where rows are farther apart than a
        hundredth of the noise, but no more often at the right one than the nearest row, which is
        the most probable, is the right one.

    Raises:
        InputError: as ``sample``.

    Example:
        >>> import torch
        >>> from kanerva import diffusion
        >>> denoise = diffusion.exact(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
        >>> diffusion.recall(denoise, torch.tensor([0.7, 0.6]), sigma=0.3)
        tensor([1., 1.])

    Source: Hoover and others 2023, on the reverse process as retrieval.
    """
    vetted(denoiser)
    arrays.floats("x", x)
    if known is not None:
        known = arrays.coordinates("known", known, x.shape, x.device)
        x = torch.where(known, x, 0.0)  # whatever stands there
        if not _takes_known(denoiser):
            must, do = "left out for a denoiser without known=", "take diffusion.exact(data)"
            refuse("known", got=f"given for {type(denoiser).__name__}", must=must, do=do)
    arrays.finite("x", x)
    high = level("sigma", sigma)
    steps = checks.integer("steps", steps, 1, checks.LONGEST)
    noise = schedule("geometric", steps, high, max(high / FALL, SMALLEST)).tolist()
    given = denoiser if known is None else partial(denoiser, known=known)
    for moved in flow(given, noise):
        x = moved(x)
    return x


def flow(denoiser: Denoiser, noise: Sequence[float]) -> list[Step]:
    """Return the steps of the probability flow without noise, and the last denoise."""
    steps = [_step(denoiser, *pair, "ode", 0.0, torch.zeros_like) for pair in pairwise(noise)]
    return [*steps, partial(denoised, denoiser, sigma=noise[-1])]


def _step(
    denoiser: Denoiser, now: float, then: float, kind: str, eta: float, fresh: Callable[..., Tensor]
) -> Step:
    """Return the step of a sampler from one sigma to the next."""

    def ode(x: Tensor) -> Tensor:
        mean = denoised(denoiser, x, now)
        up = eta * then * math.sqrt(1 - (then / now) ** 2)
        moved = mean + math.sqrt(then**2 - up**2) / now * (x - mean)
        return moved + up * fresh(x) if up else moved

    def heun(x: Tensor) -> Tensor:
        slope = (x - denoised(denoiser, x, now)) / now
        ahead = x + (then - now) * slope
        other = (ahead - denoised(denoiser, ahead, then)) / then
        return x + (then - now) * (slope + other) / 2

    def sde(x: Tensor) -> Tensor:
        fall = now**2 - then**2
        return x + fall / now**2 * (denoised(denoiser, x, now) - x) + math.sqrt(fall) * fresh(x)

    return {"ode": ode, "heun": heun, "sde": sde, "ancestral": ode}[kind]


def denoised(denoiser: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """Return what a denoiser returns; refuse other than states."""
    found = denoiser(x, sigma)
    if not isinstance(found, Tensor) or found.shape != x.shape or found.dtype != x.dtype:
        must = f"a function that returns {x.dtype} of shape {tuple(x.shape)}, as its states are"
        got, do = f"one that returned {describe(found)}", "return the mean of the data"
        refuse("denoiser", must=must, got=got, do=do)
    if not arrays.sound(found):
        must, got = "a function with finite results", "one that returned NaN or infinity"
        refuse("denoiser", must=must, got=got, do="look at its weights, or at the scale of x")
    return found


def _measured(measure: Callable[..., Any], state: Tensor, sigma: float) -> Tensor:
    """Return the energies of states; refuse others than one finite number each."""
    found = measure(state, sigma)
    fits = isinstance(found, Tensor) and found.shape == state.shape[:-1]
    if not fits or not arrays.sound(found):
        must = f"one whose energy returns finite numbers of shape {tuple(state.shape[:-1])}"
        got = f"one whose energy returned {describe(found)}"
        refuse("denoiser", must=must, got=got, do="mend it, or give energies=False")
    return cast(Tensor, found)


def _takes_known(denoiser: Denoiser) -> bool:
    """Return whether a denoiser can be told which coordinates were observed."""
    called = denoiser.forward if isinstance(denoiser, nn.Module) else denoiser
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(one.name == "known" or one.kind is one.VAR_KEYWORD for one in parameters)


def vetted(denoiser: Any) -> Any:
    """Refuse what is no denoiser."""
    if not callable(denoiser) or isinstance(denoiser, type):
        must, do = "a function of states and sigma", "take diffusion.exact(data), or a trained Net"
        refuse("denoiser", denoiser, must=must, do=do, error=InputTypeError)
    return denoiser


def _warn_of_little_noise(denoiser: Denoiser, start: Tensor, sigma: float) -> None:
    """Warn where noise alone stands for data plus noise, though the data exceed it."""
    spread = getattr(denoiser, "spread", 0.0)
    if not isinstance(spread, float) or sigma >= spread or not start.numel():
        return
    square = float(start.detach().double().square().mean())
    if square < sigma**2 + spread**2 / 2:
        text = (
            f"start is noise of sigma {sigma:g}, but the data have a root mean square of "
            f"{spread:g}: samples are biased. Start from more noise, or scale the data down, as "
            "pictures of 0 to 255 must be."
        )
        warn(text)


class Noise:
    """Normal noise that depends on the seed, the step, the row and the coordinate alone."""

    def __init__(self, seed: int | torch.Generator) -> None:
        self.seed = int(torch.randint(2**62, (), generator=arrays.generator(seed)))

    def __call__(self, time: int, x: Tensor) -> Tensor:
        """Return noise for the states ``(..., d)`` of one step."""
        rows = torch.arange(x[..., 0].numel(), device=x.device)
        columns = torch.arange(x.shape[-1], device=x.device)
        moment = bits.mix(bits.mix(torch.tensor(self.seed, device=x.device)) + time)
        pair = bits.mix(moment + rows).unsqueeze(-1) + columns
        # 53 bits: the smallest number is far from an infinite deviation.
        uniform = bits.uniform(bits.mix(pair)).clamp_min(2.0**-54)
        return torch.special.ndtri(uniform).to(x.dtype).reshape(x.shape)
