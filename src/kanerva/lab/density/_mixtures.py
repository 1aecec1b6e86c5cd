"""Mixtures of the kept rows: their sigma, their memories, and rows that are left out."""

import math
from functools import cached_property

import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva import density
from kanerva.density import Mixture
from kanerva.lab.density._fitted import Fitted, Row
from kanerva.theory.kernel import log_normaliser

__all__ = ["Mixtures", "leave_one_out"]

CONCENTRATION = 1.0
# Three values of sigma an octave, down from the standard deviation of the rows.
STEP, SMALLEST = 2 ** (-1 / 3), 1 / 64
# The search ends after so many values in a row that are worse than the best.
WORSE = 2
# One kept row of so many validates a sigma.
PART = 5
# Passes over all rows at most.
REFINEMENTS, EM = 5, 25
# A memory with less than this share of a row left is empty.
EMPTY = 1e-9
VALIDATED = (
    "of {} values up to the standard deviation of the rows, it is the one under which a fifth of "
    "the kept rows is most likely, in a mixture of the other four fifths; the leave-one-out "
    "bandwidth of kernels is made for one kernel a row, and too narrow for memories of many rows"
)

SHARED = "that of the CRP mixture, and as many memories: the two differ in how rows are held"


class Mixtures:
    """The mixtures of some rows.

    Args:
        kept: ``(m, d)`` the rows, in random order.
        sigma: standard deviation of the rows of one memory; None for one that is chosen.
        seed: of the rows that validate a sigma, and of the start of the second mixture.
    """

    def __init__(self, kept: Float64[Tensor, "m d"], sigma: float | None, seed: int) -> None:
        self.given, self.seed = sigma, seed
        self.centre = kept.mean(0)
        self.rows = kept - self.centre
        self.spread = float(self.rows.square().mean().sqrt())

    @cached_property
    def sigma(self) -> tuple[float, str, list[Row]]:
        """The standard deviation of the rows of a memory, why, and the curve of the search."""
        if self.given is not None:
            return self.given, "given", []
        source = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(self.rows), generator=source)
        cut = math.ceil(len(order) / PART)
        tested, rest = self.rows[order[:cut]], self.rows[order[cut:].sort().values]
        curve: list[Row] = []
        best, worse, sigma = -math.inf, 0, self.spread
        chosen = sigma
        while worse < WORSE and sigma > SMALLEST * self.spread:
            memory = self._restaurant(sigma)
            memory.fit(rest, REFINEMENTS)
            nats = float(memory.elbo(tested).mean())
            curve.append({"bandwidth": sigma, "of": "a fifth of the kept rows", "nats": nats})
            worse = 0 if nats > best else worse + 1
            best, chosen = max((best, chosen), (nats, sigma))
            sigma *= STEP
        return chosen, VALIDATED.format(len(curve)), curve

    @cached_property
    def crp(self) -> Fitted:
        """The mixture that creates its memories."""
        sigma, why, curve = self.sigma
        memory = self._restaurant(sigma)
        ids = memory.fit(self.rows, REFINEMENTS)
        held = torch.nn.functional.one_hot(ids, len(memory)).double()
        left = leave_one_out(memory, self.rows, held, sigma, self.spread)
        return Fitted(memory, self.centre, sigma, why, left, ids, curve)

    @cached_property
    def elbo(self) -> Fitted:
        """The mixture of as many memories, each of which holds a share of every row."""
        sigma, why, _ = self.sigma
        size = self.rows.shape[1], len(self.crp.memory)
        memory = density.elbo(*size, sigma, dtype=torch.float64)
        ids = memory.fit(self.rows, EM, self.seed)
        left = leave_one_out(memory, self.rows, memory.posterior(self.rows), sigma)
        words = why if why == "given" else SHARED
        return Fitted(memory, self.centre, sigma, words, left, ids, [])

    def _restaurant(self, sigma: float) -> Mixture:
        size = self.rows.shape[1], sigma, self.spread
        return density.crp(*size, CONCENTRATION, dtype=torch.float64)


def leave_one_out(
    memory: Mixture,
    rows: Float64[Tensor, "m d"],
    shares: Float64[Tensor, "m k"],
    sigma: float,
    prior_sigma: float = math.inf,
) -> Float64[Tensor, "m"]:
    r"""Return the log-likelihood of every row without its own share in the memories.

    .. math:: n_k' = n_k - q_k, \quad x - \mu_k' = (x - \mu_k) \frac{n_k + s}{n_k + s - q_k},
        \quad s = \frac{\sigma^2}{\sigma_0^2}

    The shares of all other rows stay as they are. A mixture that is fitted anew without the row
    could assign them differently, and would be fitted m times.

    Args:
        memory: the mixture that was fitted to the rows.
        rows: ``(m, d)``.
        shares: ``(m, k)`` how much of each row each memory holds.
        sigma: of the rows of one memory.
        prior_sigma: of the means around 0, for a mixture that creates memories, with concentration
            1; infinite for the other.

    Returns:
        ``(m,)`` in nats.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.elbo(1, 1, sigma=1.0, dtype=torch.float64)
        >>> rows = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
        >>> ids = memory.fit(rows)
        >>> leave_one_out(memory, rows, torch.ones(2, 1).double(), 1.0).tolist()
        [-2.9189..., -2.9189...]
    """
    counts = memory.counts - shares
    shrinkage = (sigma / prior_sigma) ** 2
    size, left = memory.counts + shrinkage, (counts + shrinkage).clamp_min(EMPTY)
    apart = torch.cdist(rows, memory.keys, compute_mode="donot_use_mm_for_euclid_dist")
    found = counts.clamp_min(0).log() - (apart * size / left).square() / (2 * sigma**2)
    found = torch.where(counts < EMPTY, -math.inf, found) - log_normaliser(
        "gaussian", rows.shape[1], sigma
    )
    total = len(rows) - 1.0
    if math.isfinite(prior_sigma):
        wide = math.hypot(sigma, prior_sigma)
        new = -rows.square().sum(-1, keepdim=True) / (2 * wide**2)
        new = new + math.log(CONCENTRATION) - log_normaliser("gaussian", rows.shape[1], wide)
        found, total = torch.cat((found, new), -1), total + CONCENTRATION
    return found.logsumexp(-1) - math.log(total)
