"""Training of energies in context by contrastive divergence."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputError, door, refuse
from kanerva.density._context import Given, InContext
from kanerva.density._langevin import Langevin, starts, walk
from kanerva.density._points import points

__all__ = ["Losses", "fit_in_context"]

# The largest norm of the gradient of an update; longer ones are scaled to it.
LONGEST = 1.0


class Losses(NamedTuple):
    """What each update of a training found, in the unit of the energies.

    Attributes:
        loss: ``(updates,)`` the mean energy of data less that of samples, plus the penalty.
        data: ``(updates,)`` the mean energy of data.
        samples: ``(updates,)`` the mean energy of samples.
    """

    loss: Float[Tensor, "updates"]
    data: Float[Tensor, "updates"]
    samples: Float[Tensor, "updates"]


@door
def fit_in_context(
    model: InContext,
    draw: Callable[[torch.Generator], Float[Tensor, "batch n d"]],
    updates: int,
    *,
    rate: float = 1e-3,
    penalty: float = 1e-2,
    negatives: int = 1,
    chain: Langevin | None = None,
    seed: int | torch.Generator = 0,
) -> Losses:
    r"""Train a model by contrastive divergence, at every length of the context at once.

    .. math:: L = \langle E(x_i \mid x_{<i}) \rangle - \langle E(y_i \mid x_{<i}) \rangle
        + \lambda \langle E(x_i \mid x_{<i})^2 \rangle
        + \lambda \langle E(y_i \mid x_{<i})^2 \rangle

    The y are samples of the model itself: Langevin chains from uniform starts. Each update is one
    of Adam, with gradients of norm 1 at most. The penalty fixes the level of the energies, of
    which the first term trains only differences; without it they may drift without bound.

    Args:
        model: changed in place.
        draw: returns a batch of contexts ``(batch, n, d)`` in the model's dtype, drawn by the
            generator that it is given.
        updates: number of updates, >= 0.
        rate: of Adam, > 0.
        penalty: lambda, >= 0.
        negatives: samples for each point, >= 1.
        chain: how the samples are drawn; ``Langevin()`` if omitted.
        seed: of all draws, an integer >= 0 or a CPU generator.

    Returns:
        the losses.

    Raises:
        InputError: a batch that does not fit, or a training that diverges; the model has the
            weights then that it had before.

    Example:
        >>> import torch
        >>> from kanerva.density import InContext, fit_in_context
        >>> def draw(source):  # clusters of a standard deviation of 0.5, somewhere
        ...     centre = 3 * torch.randn(16, 1, 2, generator=source)
        ...     return centre + 0.5 * torch.randn(16, 4, 2, generator=source)
        >>> model = InContext(dim=2, width=16)
        >>> losses = fit_in_context(model, draw, updates=40)
        >>> losses.loss.shape, bool(losses.data[-10:].mean() < losses.samples[-10:].mean())
        (torch.Size([40]), True)

    Source: Schaeffer and others 2024, "In-Context Learning of Energy Functions"; Hinton 2002, for
    contrastive divergence.
    """
    checks.instance("model", model, InContext, "build one with kanerva.density.InContext(dim)")
    if not callable(draw):
        refuse("draw", draw, must="a function of a generator", do="return a batch of contexts")
    updates = checks.integer("updates", updates, 0, checks.LONGEST)
    rate = checks.number("rate", rate, 0, open_low=True)
    penalty = checks.number("penalty", penalty, 0)
    negatives = checks.integer("negatives", negatives, 1, checks.LONGEST)
    chain, source = Langevin.of(chain), arrays.generator(seed)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    if not trained:
        refuse("model", got="one without", must="one with weights that are trained", do="thaw them")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    optimiser = torch.optim.Adam(trained, lr=rate)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            found = torch.empty(updates, 3, dtype=torch.float64)
            for update in range(updates):
                x = _batch(model, draw(source))
                loss, found[update] = _loss(_energies(model, x, negatives, chain, source), penalty)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                norm = torch.nn.utils.clip_grad_norm_(trained, LONGEST)
                if not arrays.sound(torch.stack((loss.detach(), norm))):
                    _diverged(update, rate, chain)
                optimiser.step()
    except InputError:
        model.load_state_dict(before)
        raise
    finally:
        optimiser.zero_grad()
    return Losses(*found.T)


def _loss(energies: tuple[Tensor, Tensor], penalty: float) -> tuple[Tensor, Tensor]:
    """Return the loss of the energies of data and of samples, and it with their two means."""
    data, samples = (part.mean() for part in energies)
    loss = data - samples
    if penalty:
        loss = loss + penalty * (energies[0].square().mean() + energies[1].square().mean())
    return loss, torch.stack((loss, data, samples)).detach()


def _batch(model: InContext, drawn: Any) -> Tensor:
    """Return a batch that fits the model."""
    x = points("draw", drawn, model.dim, model.types.dtype, model.types.device)
    if x.ndim != 3 or not x.numel():
        must, do = f"a function that returns (batch, n, {model.dim})", "return rows of points"
        refuse("draw", got=f"one that returned {tuple(x.shape)}", must=must, do=do)
    return x


def _energies(
    model: InContext, x: Tensor, negatives: int, chain: Langevin, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the energies of data and of samples at every length of their contexts."""
    with torch.no_grad():
        given = Given(model, x, None)
        first = starts((negatives, *x.shape), x, chain, source)
        samples = walk(given, first, chain, source)
    energies = Given(model, x, None)(torch.cat((x[None], samples)))
    return energies[:1], energies[1:]


def _diverged(update: int, rate: float, chain: Langevin) -> NoReturn:
    """Refuse a training whose energies are not finite."""
    refuse(
        "rate",
        got=f"{rate:g}, with which they are not after {update} updates",
        must="so small that energies and gradients stay finite",
        do=f"lower it or the rate of the chain, {chain.rate:g}, or raise penalty",
    )
