"""The training loop of the small models, and what a set of betas says about the claim."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from kanerva import theory
from kanerva._core import checks
from kanerva._core.errors import InputError, refuse
from kanerva.lab.recipe import Row

__all__ = ["CRITERIA", "heads", "optima", "updated"]

CRITERIA = ("noise", "snr", "capacity")
# The widest head.
WIDEST = 1024
# Adam's rates for the weights and for the logarithms of beta, which rise over the first updates and
# then fall to zero. That of beta is larger, so that a short run suffices to leave the first value.
RATE, FAST, WARM = 2e-3, 1e-2, 50


def updated(
    model: nn.Module, updates: int, every: int, loss: Callable[[], Tensor]
) -> Iterator[int]:
    """Train a model, and yield the number of updates so far at each look at it.

    Args:
        model: its parameters named ``log_beta`` have a rate of their own.
        updates: the number of updates.
        every: updates between two looks, from the start; the last look is at the end.
        loss: a function that draws a batch and returns its loss.
    """
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[name.endswith("log_beta")].append(parameter)
    optimiser = torch.optim.Adam(
        [{"params": groups[False], "lr": RATE}, {"params": groups[True], "lr": FAST}]
    )
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / WARM, 1 - step / updates)
    )
    for update in range(updates):
        if update % every == 0:
            yield update
        value = loss()
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rate.step()
    yield updates


def optima(width: int, patterns: int) -> dict[str, float]:
    """Return the betas of the radii that are best by three criteria for so many patterns."""
    checks.integer("width", width, 2, WIDEST)
    found = {}
    for criterion in CRITERIA:
        try:
            radius = theory.radius.optimal(width, patterns, criterion=criterion).radius
        except InputError:
            must = f"so many that a memory of as many bits holds {patterns} patterns"
            do = "give wider heads, or fewer patterns to attend to"
            refuse("width", got=str(width), must=must, do=do)
        found[criterion] = theory.beta.fit(width, max(1, radius)).beta
    return found


def heads(update: int, betas: Sequence[Sequence[float]], width: int) -> Iterator[Row]:
    """Yield a row for each head, with its beta and the noise that it is best for."""
    for layer, found in enumerate(betas):
        for head, beta in enumerate(found):
            noise = theory.beta.noise(width, beta)
            place = {"update": update, "layer": layer, "head": head}
            yield place | {"beta": beta, "best_noise": noise}
