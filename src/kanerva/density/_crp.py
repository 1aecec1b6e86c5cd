"""Mixtures that create a memory where no memory explains a row: the Chinese restaurant process."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.density._draws import Points
from kanerva.density._kernels import Gaussian, scale
from kanerva.density._mixture import Mixture
from kanerva.density._rule import Places, Rule, State
from kanerva.density._seats import Seats, refined_hard, refined_soft

__all__ = ["ASSIGN", "Restaurant", "crp"]

ASSIGN = ("hard", "soft")
LARGEST = 1e300


@dataclass(frozen=True)
class Restaurant(Rule):
    """Rows join memories in proportion to their counts, or create one.

    Args:
        kernel: the density around each mean.
        prior_sigma: standard deviation of the means around 0.
        concentration: how readily memories are created.
        discount: how much less than its rows a memory counts.
        assign: ``"hard"`` or ``"soft"``.
        normalised: whether Gaussians of different widths carry their normalisers.
    """

    kernel: Gaussian
    prior_sigma: float
    concentration: float
    discount: float = 0.0
    assign: str = "hard"
    normalised: bool = True

    def __post_init__(self) -> None:
        checks.instance("kernel", self.kernel, Gaussian, "take density.Gaussian")
        discount = checks.number("discount", self.discount, 0.0, 1.0)
        if discount == 1:
            do = "choose a smaller one"
            refuse("discount", got="1", must="at least 0 and below 1", do=do)
        concentration = checks.number("concentration", self.concentration, -1.0, LARGEST)
        if concentration <= -discount and (concentration < 0 or discount > 0):
            must = f"above {-discount:g}, which is -discount" if discount else ">= 0"
            do = "choose a larger one"
            refuse("concentration", got=f"{concentration:g}", must=must, do=do)
        checks.choice("assign", self.assign, ASSIGN)
        normalised = checks.flag("normalised", self.normalised)
        checks.keep(self, prior_sigma=scale("prior_sigma", self.prior_sigma))
        checks.keep(self, concentration=concentration, discount=discount, normalised=normalised)

    @property
    def unborn(self) -> Gaussian:
        """The kernel around 0 of the rows of a memory that is not created yet."""
        return Gaussian(math.hypot(self.kernel.sigma, self.prior_sigma))

    @property
    def shrinkage(self) -> float:
        """How many rows at 0 the prior counts for."""
        return (self.kernel.sigma / self.prior_sigma) ** 2

    def log_new(self, born: int) -> float:
        """Return the logarithm of how much a new memory weighs beside ``born`` others."""
        weight = self.concentration + self.discount * born
        # The first row creates a memory whatever the concentration is.
        weight = weight if weight > 0 or born else 1.0
        return math.log(weight) if weight > 0 else -math.inf

    def log_ratio(self, dim: int) -> float:
        """Return the logarithm of the normaliser of an unborn memory over that of the others."""
        if not self.normalised:
            return 0.0
        return -dim * math.log(math.hypot(1.0, self.prior_sigma / self.kernel.sigma))

    def log_weights(self, counts: Tensor) -> Tensor:
        """Return log(n - discount) of the memories that are born."""
        return (counts - self.discount).clamp_min(torch.finfo(counts.dtype).tiny).log()

    def terms(self, rows: Tensor, state: State) -> Tensor:
        """Return the terms of the memories, and in the last column that of the unborn one."""
        born = super().terms(rows, state)
        at_zero = self.unborn.exponents(rows, rows.new_zeros(1, rows.shape[-1]))
        new = self.log_new(len(state.counts)) + self.log_ratio(rows.shape[-1])
        return torch.cat([born, new + at_zero], -1)

    def log_masses(self, state: State, dim: int) -> Tensor:
        """Return those of the memories, and that of the unborn one."""
        born = super().log_masses(state, dim)
        new = self.log_new(len(born)) + self.log_ratio(dim) + self.unborn.log_integral(dim)
        return torch.cat([born, born.new_tensor([new])])

    def draw(self, state: State, places: Places, source: np.random.Generator) -> Points:
        """Draw from the memories, and around 0 from the unborn one."""
        born = places < len(state.counts)
        found = np.zeros((len(places), state.means.shape[1]))
        found[born] = super().draw(state, places[born], source)
        found[~born] = self.unborn.draw(source, found[~born])
        return found

    def write(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """Seat rows one after the other."""
        seats, points = Seats(self, state), _contiguous(rows)
        hard = self.assign == "hard"
        ids = refined_hard(seats, points, 0) if hard else [seats.enter(row)[0] for row in points]
        return seats.state(rows), _ids(ids, rows)

    def fit(
        self, rows: Tensor, sweeps: int, source: torch.Generator, known: Tensor | None
    ) -> tuple[State, Tensor]:
        """Seat rows in their order, then let each in turn leave and enter again."""
        if known is not None:
            do = "leave it out, or build the mixture with kanerva.density.clam"
            refuse("known", known, must="None for this mixture", do=do)
        seats = Seats(self, State(rows[:0], rows.new_zeros(0)))
        refined = refined_hard if self.assign == "hard" else refined_soft
        ids = refined(seats, _contiguous(rows), sweeps)
        return seats.state(rows), _ids(ids, rows)


def _contiguous(rows: Tensor) -> Points:
    # numba would compile its kernel again for other layouts.
    return np.ascontiguousarray(rows.cpu().numpy())


def _ids(ids: Any, like: Tensor) -> Tensor:
    return torch.tensor(ids, dtype=torch.int64, device=like.device)


@door
def crp(
    dim: int,
    sigma: float,
    prior_sigma: float,
    concentration: float,
    discount: float = 0.0,
    assign: str = "hard",
    normalised: bool = True,
    **store: Any,
) -> Mixture:
    r"""Build a mixture that creates its memories: Chinese restaurant or Pitman-Yor process.

    .. math:: \ell_k = \log(n_k - d) + \log N(x; \mu_k, \sigma^2 I), \qquad
        \ell_{K+1} = \log(a + d K) + \log N(x; 0, (\sigma^2 + \sigma_0^2) I)

        \mu_k \mathrel{+}= \frac{x - \mu_k}{n_k + \sigma^2 / \sigma_0^2} \text{ after }
        n_k \mathrel{+}= 1, \qquad
        \mu_{K+1} = x \frac{\sigma_0^2}{\sigma_0^2 + \sigma^2}, \quad n_{K+1} = 1

    Here n counts the rows of a memory, a is the concentration and d the discount. A row goes to the
    largest of the K + 1 terms, the lowest index where several are equal; the last creates a memory.
    With ``assign="soft"`` every row counts once in all, shared among the memories by their
    posterior, and takes part in each mean with its share; a memory is created where the last
    term is the largest, and takes its own share of the row. Rows are written one after the other,
    so that the order matters, and blocks of rows do not.

    ``fit`` starts anew, writes the rows in their order, and then in each sweep takes every row out
    of its memory, removes the memory if it is empty, and assigns the row again; it ends early where
    no row moves. It draws nothing at random.

    ``energy`` and ``elbo`` hold the term of the memory that is not born, and so does the last
    column of ``posterior``; reads are among those that are.

    Args:
        dim: D >= 1.
        sigma: standard deviation of the rows of one memory, with beta = 1 / sigma^2. The
            publication's beta is 1 / (2 sigma^2), and its rho 1 / (2 prior_sigma^2).
        prior_sigma: sigma_0, standard deviation of the means around 0, in the same unit.
        concentration: a > -discount. 0 without a discount creates one memory only.
        discount: d in [0, 1).
        assign: ``"hard"`` or ``"soft"``.
        normalised: False for the energy as it is printed, without the normalisers of the Gaussians,
            (2 pi sigma^2)^(D/2) and (2 pi (sigma^2 + sigma_0^2))^(D/2). A new memory then weighs
            more by the root of their ratio, (1 + sigma_0^2 / sigma^2)^(D/2), and far more are
            created.
        **store: ``dtype`` of rows, queries and reads, float32 by default. Means, counts and
            likelihoods are float64.

    Returns:
        an empty mixture.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.crp(dim=1, sigma=0.5, prior_sigma=5.0, concentration=0.1)
        >>> memory.write(torch.tensor([[0.0], [4.0], [4.2], [-0.2], [-7.0]])).tolist()
        [0, 1, 1, 0, 2]
        >>> memory.posterior(torch.tensor([4.1])).round(decimals=3).tolist()
        [0.0, 0.99..., 0.0, 0.00...]

    Source: Schaeffer and others 2024; Pitman and Yor 1997.
    """
    checks.keywords(store, "dtype")
    weights = (concentration, discount)
    rule = Restaurant(Gaussian(sigma), prior_sigma, *weights, assign, normalised)
    return Mixture(dim, rule, **store)
