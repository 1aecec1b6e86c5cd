"""Priors: how often each stored row counts, before any query."""

from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import refuse
from kanerva.separation import Separation


def given(prior: Any, batch: torch.Size, rule: Separation, device: torch.device) -> Tensor | None:
    """Return a prior for each row that is written; refuse others, and rules that take none."""
    if prior is None:
        return None
    if not rule.priors:
        must, do = "left out where the rule takes no priors", "write a row as often as it counts"
        refuse("prior", got=f"given for {rule}", must=must, do=do)
    must = f"numbers > 0 that broadcast to {tuple(batch)}"
    do = "give how often each key counts"
    if isinstance(prior, (int, float)) and not isinstance(prior, bool):
        number = checks.plain("prior", prior, 0, open_low=True, do=do)
        prior = torch.tensor(number, dtype=torch.float64)
    elif not isinstance(prior, Tensor):
        prior = arrays.listed(prior, torch.float64, device)
    prior = arrays.dense("prior", prior, must, torch.float64)
    numbers = prior.dtype in (*arrays.FLOATS, *arrays.INTEGERS)
    if not numbers or arrays.together(prior.shape, batch) != batch:
        refuse("prior", prior, must=must, do=do)
    prior = prior.detach().to(device, torch.float64)
    if not (arrays.sound(prior) and bool((prior > 0).all())):
        refuse("prior", prior, must=must, do=do)
    return prior.expand(batch).reshape(batch.numel())
