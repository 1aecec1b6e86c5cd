"""Mixtures that share every row among their memories, by the posterior."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.density._kernels import SHAPES, Kernel
from kanerva.density._mixture import Mixture
from kanerva.density._rule import Fixed, State, descend, sound

__all__ = ["Proportional", "elbo"]


@dataclass(frozen=True)
class Proportional(Fixed):
    """Every row is held by all memories, each by its posterior share.

    Args:
        memories: how many.
        kernel: the density around each mean.
        rate: None for the closed M-step; else the rate of Adam.
    """

    memories: int
    kernel: Kernel
    rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is not None:
            checks.keep(self, rate=checks.number("rate", self.rate, 0.0, open_low=True))

    def log_weights(self, counts: Tensor) -> Tensor:
        """Return the logarithms of the mixing weights."""
        return (counts / counts.sum()).log()

    def absorb(self, state: State, row: Tensor) -> tuple[State, Tensor]:
        """Share one row among the memories, and move each mean by its share."""
        shares = sound("x", self.terms(row, state)).softmax(-1)
        counts = state.counts + shares[0]
        moved = (shares[0] / counts).unsqueeze(-1) * (row - state.means)
        return State(state.means + moved, counts), shares.argmax(-1)

    def fit(
        self, rows: Tensor, sweeps: int, source: torch.Generator, known: Tensor | None
    ) -> tuple[State, Tensor]:
        """Maximise the likelihood from random rows on."""
        self._whole(known)
        state = self.start(rows, source)
        learn = self._closed if self.rate is None else self._gradient
        state = learn(state, rows, sweeps)
        return state, self.terms(rows, state).argmax(-1)

    def _closed(self, state: State, rows: Tensor, sweeps: int) -> State:
        """Alternate E-steps and M-steps until nothing changes."""
        for _ in range(sweeps):
            before = state
            shares = sound("x", self.terms(rows, state)).softmax(-1)
            counts = shares.sum(0)
            sums = shares.mT @ rows
            # A memory without any share keeps its mean, and has no weight.
            held = (counts > torch.finfo(counts.dtype).tiny).unsqueeze(-1)
            means = torch.where(held, sums / counts.unsqueeze(-1), state.means)
            state = State(means, counts)
            if all(map(torch.equal, state, before)):
                break
        return state

    def _gradient(self, state: State, rows: Tensor, sweeps: int) -> State:
        """Follow the gradient of the mean log-likelihood with Adam."""
        means = state.means.clone().requires_grad_()
        levels = torch.zeros_like(state.counts).requires_grad_()

        def loss() -> Tensor:
            found = levels.log_softmax(-1) + self.kernel.exponents(rows, means)
            return -sound("x", found).logsumexp(-1).mean()

        descend(loss, (means, levels), sweeps, self.rate or 0.0)
        return State(self.kernel.centres(means.detach()), len(rows) * levels.detach().softmax(-1))


@door
def elbo(
    dim: int,
    memories: int,
    sigma: float,
    shape: str = "gaussian",
    rate: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Mixture:
    r"""Build a mixture whose memories hold every row by their posterior shares (CLAM with ELBO).

    .. math:: E(q) = -\sum_k q_k \log p(x, k) + \sum_k q_k \log q_k
        = -\log p(x) + \mathrm{KL}(q \,\|\, p(k \mid x)), \qquad
        \mu_k = \frac{\sum_n q_{nk} x_n}{\sum_n q_{nk}}, \quad \pi_k = \frac1N \sum_n q_{nk}

    ``fit`` alternates the E-step and this M-step, which never lowers the likelihood of its rows.
    ``write`` does both for one row after the other (incremental EM); the first ``memories`` rows
    become the memories.

    Args:
        dim: d >= 1.
        memories: K >= 1.
        sigma: standard deviation of every kernel in the unit of the data, with beta = 1 / sigma^2;
            CLAM's beta is 1 / (2 sigma^2). For ``"vmf"`` it stands for the concentration
            kappa = 1 / sigma^2 of directions.
        shape: ``"gaussian"``, or ``"vmf"`` for rows on the sphere, whose length is ignored.
        rate: None for the closed M-step in ``fit``; a number for that many steps of Adam at this
            rate along the gradient of the mean log-likelihood.
        dtype: of rows, queries and reads. Means, counts and likelihoods are float64.

    Returns:
        an empty mixture.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.elbo(dim=1, memories=2, sigma=0.5)
        >>> x = torch.tensor([[0.0], [4.0], [4.2], [-0.2], [4.1], [0.1]])
        >>> ids = memory.fit(x, seed=0)
        >>> memory.keys.sort(0).values.flatten().tolist(), memory.counts.tolist()
        ([-0.033..., 4.099...], [3.0..., 2.99...])

    Source: Schaeffer and others 2024.
    """
    kernel = SHAPES[checks.choice("shape", shape, tuple(SHAPES))](sigma)
    return Mixture(dim, Proportional(memories, kernel, rate), dtype)
