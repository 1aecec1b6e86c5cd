"""A memory that was fitted to the rows that are kept, as a density."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva.density import Density
from kanerva.memory import Associative

__all__ = ["Fitted", "Row", "mean"]

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A memory, and how it was fitted.

    Args:
        memory: that stores the kept rows less the centre.
        centre: ``(d,)``.
        bandwidth: of its kernels, in the unit of the rows.
        why: the reason for the bandwidth, in words.
        leave_one_out: ``(m,)`` log-likelihood of every kept row under the others, in nats.
        ids: ``(m,)`` the memory that each kept row belongs to; None where it is one of its own.
        curve: ``bandwidth``, ``of``, which rows, and ``nats``, their mean log-likelihood.
    """

    memory: Associative
    centre: Float64[Tensor, "d"]
    bandwidth: float
    why: str
    leave_one_out: Float64[Tensor, "m"]
    ids: Int64[Tensor, "m"] | None
    curve: list[Row]

    def log_prob(self, rows: Float64[Tensor, "n d"]) -> Float64[Tensor, "n"]:
        """Return the log-likelihood of rows, in nats."""
        return Density(self.memory).log_prob(rows - self.centre)

    def sample(self, count: int, seed: int) -> Float64[Tensor, "n d"]:
        """Draw rows."""
        return Density(self.memory).sample(count, seed) + self.centre


def mean(nats: Float64[Tensor, "n"]) -> float | None:
    """Return the mean of log-likelihoods; None where one is minus infinity.

    Example:
        >>> import torch
        >>> mean(torch.tensor([1.0, 2.0])), mean(torch.tensor([1.0, -torch.inf]))
        (1.5, None)
    """
    return float(nats.mean()) if bool(nats.isfinite().all()) else None
