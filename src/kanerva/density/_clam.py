"""Mixtures that learn to reconstruct rows by recalling them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.density._kernels import Gaussian, Kernel
from kanerva.density._mixture import Mixture
from kanerva.density._rule import Fixed, State, descend

__all__ = ["Reconstruction", "clam"]


@dataclass(frozen=True)
class Reconstruction(Fixed):
    """Memories move down the gradient of how far a recall of some steps ends from its row.

    Args:
        memories: how many.
        kernel: the density around each mean.
        steps: T, reads of a recall.
        rate: of Adam in ``fit``, and of one gradient step a row in ``write``.
    """

    memories: int
    kernel: Kernel
    steps: int = 10
    rate: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = checks.integer("steps", self.steps, 1, checks.LONGEST)
        checks.keep(self, steps=steps, rate=checks.number("rate", self.rate, 0.0, open_low=True))

    def log_weights(self, counts: Tensor) -> Tensor:
        """Return zeros: all memories weigh the same."""
        return torch.zeros_like(counts)

    def absorb(self, state: State, row: Tensor) -> tuple[State, Tensor]:
        """Take one gradient step for one row."""
        means = state.means.clone().requires_grad_()
        with torch.enable_grad():
            loss = (row - self.recalled(row, means)).square().sum()
        (slope,) = torch.autograd.grad(loss, means)
        _vet(slope)
        state = state._replace(means=state.means - self.rate * slope)
        return state, self._nearest(row, state.means)

    def fit(
        self, rows: Tensor, sweeps: int, source: torch.Generator, known: Tensor | None
    ) -> tuple[State, Tensor]:
        """Learn from random rows on to reconstruct the rows, or their unknown coordinates."""
        state = self.start(rows, source)
        # Products of rows far from the origin would lose the digits in which they differ.
        middle = rows.mean(0)
        means = (state.means - middle).requires_grad_()
        cues = rows if known is None else torch.where(known, rows, 0.0)
        cues, rows = cues - middle, rows - middle
        scored = torch.ones_like(rows) if known is None else (~known).to(rows)

        def loss() -> Tensor:
            missed = scored * (rows - self.recalled(cues, means))
            return missed.square().sum() / len(rows)

        descend(loss, (means,), sweeps, self.rate)
        found = means.detach()
        ids = self._nearest(rows if known is None else cues, found)
        return state._replace(means=found + middle), ids

    def recalled(self, rows: Tensor, means: Tensor) -> Tensor:
        """Return where ``steps`` reads end."""
        half = means.square().sum(-1) / 2
        for _ in range(self.steps):
            rows = ((rows @ means.mT - half) * self.kernel.beta).softmax(-1) @ means
        return rows

    def _nearest(self, rows: Tensor, means: Tensor) -> Tensor:
        """Return the memory nearest to where each recall ends."""
        return self.kernel.exponents(self.recalled(rows, means), means).argmax(-1)


def _vet(slope: Tensor) -> None:
    """Refuse a row of which no gradient can be computed."""
    if not slope.isfinite().all():
        do = "scale the data and sigma down"
        refuse("x", got="one whose gradient overflows", must="of a finite gradient", do=do)


@door
def clam(
    dim: int,
    memories: int,
    sigma: float,
    steps: int = 10,
    rate: float = 0.05,
    dtype: torch.dtype = torch.float32,
) -> Mixture:
    r"""Build a mixture of equal weights that learns to reconstruct rows by recall (CLAM).

    .. math:: v_0 = x, \quad v_{t+1} = \sum_k r_k(v_t) \mu_k, \quad
        r(v) = \mathrm{softmax}_k\Bigl(-\frac{|\mu_k - v|^2}{2 \sigma^2}\Bigr), \qquad
        L = \sum_n |x_n - v_n^T|^2

    ``fit`` minimises L over the means, from random rows on, by one step of Adam a sweep. With
    ``known`` the unknown coordinates start at zero, and L counts these alone, so that completion is
    learned. ``write`` takes a plain gradient step for one row after the other; the first
    ``memories`` rows become the memories. A row goes to the memory nearest to the end of its
    recall. The loss is not the likelihood, which need not rise.

    Args:
        dim: d >= 1.
        memories: K >= 1.
        sigma: standard deviation of every kernel in the unit of the data. beta is 1 / sigma^2 in
            this library, and 1 / (2 sigma^2) in CLAM's publication.
        steps: T >= 1, reads of a recall while learning.
        rate: of Adam in ``fit``, and of the gradient steps of ``write``.
        dtype: of rows, queries and reads. Means, counts and likelihoods are float64.

    Returns:
        an empty mixture.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.clam(dim=1, memories=2, sigma=0.5)
        >>> x = torch.tensor([[0.0], [4.0], [4.2], [-0.2], [4.1], [0.1]])
        >>> ids = memory.fit(x, sweeps=200, seed=0)
        >>> bool((ids[x.flatten() > 2] != ids[0]).all())
        True

    Source: Saha and others 2023.
    """
    return Mixture(dim, Reconstruction(memories, Gaussian(sigma), steps, rate), dtype)
