"""Densities on the cube of -1/+1 vectors: sums over all of them, and annealed estimates."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva.density._walks import gibbs

__all__ = ["ENUMERATED", "Estimate", "annealed", "log_sum"]

# Bits up to which all vectors are enumerated: a million of them.
ENUMERATED = 20
# Vectors whose energies are computed at a time.
SOME = 2**14


class Estimate(NamedTuple):
    """An estimate of a logarithm, and its standard error.

    Attributes:
        value: the estimate, in nats.
        error: one standard deviation, from the spread of the walks.
    """

    value: float
    error: float


def log_sum(log_weight: Callable[[Tensor], Tensor], bits: int) -> float:
    """Return the logarithm of the sum of exp(log_weight) over all -1/+1 vectors."""
    if bits > ENUMERATED:
        must = f"of at most {ENUMERATED} bits where the normaliser has no closed form"
        do = "estimate it with Density.annealed, or compare energies"
        refuse("memory", got=f"of {bits} bits", must=must, do=do)
    parts = [log_weight(states).logsumexp(0) for states in vectors(bits)]
    return float(torch.stack(parts).logsumexp(0))


def vectors(bits: int) -> Iterator[Tensor]:
    """Yield all -1/+1 vectors in float64, some at a time."""
    places = torch.arange(bits)
    for start in range(0, 2**bits, SOME):
        numbers = torch.arange(start, min(2**bits, start + SOME)).unsqueeze(-1)
        yield ((numbers >> places & 1) * 2 - 1).double()


def annealed(
    log_weight: Callable[[Tensor], Tensor],
    bits: int,
    walks: int,
    steps: int,
    source: torch.Generator,
) -> Estimate:
    r"""Estimate the log normaliser by annealed importance sampling (Neal 2001).

    .. math:: \log Z = n \log 2 + \log \langle e^{w} \rangle, \quad
        w = \sum_t (\lambda_{t+1} - \lambda_t) \log p(x_t)

    Walks start at random vectors, where :math:`\lambda = 0`; between two values of lambda they make
    one Gibbs sweep.

    Args:
        log_weight: from -1/+1 states ``(n, d)`` to log p ``(n,)`` up to the normaliser.
        bits: d.
        walks: how many.
        steps: values of lambda.
        source: of all draws.
    """
    state = torch.randint(0, 2, (walks, bits), generator=source).double() * 2 - 1
    weight = torch.zeros(walks, dtype=torch.float64)
    for step in range(1, steps + 1):
        weight += log_weight(state) / steps
        if step < steps:
            state = gibbs(log_weight, state, [step / steps], source)
    if not (weight > -math.inf).any():
        must, got = "so many that one ends where the density is not zero", f"{walks}"
        refuse("walks", got=got, must=must, do="give more walks")
    value = weight.logsumexp(0).item() - math.log(walks)
    ratio = (weight - weight.amax()).exp()
    error = (ratio.std() / ratio.mean() / math.sqrt(walks)).item()
    return Estimate(bits * math.log(2) + value, error)
