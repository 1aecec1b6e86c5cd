"""A memory as a probability density: likelihood, score, posterior and samples."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputError, door, refuse
from kanerva._engine.scores import narrow
from kanerva.density import _cube, _laws, _walks
from kanerva.density._cube import Estimate
from kanerva.density._law import Law, directed, directions
from kanerva.memory import Associative

__all__ = ["Density"]

SAMPLERS = ("auto", "exact", "langevin", "mala", "gibbs")


class Density:
    r"""The probability density that a memory with an energy defines.

    .. math:: p(x) = \frac1Z e^{-E(x) / T}, \quad E(x) = R(x) - \Phi(s(x))

    It lives where the queries of the memory live: on the cube where these are -1/+1, on the unit
    sphere for ``cosine``, else in all of space. Nothing is copied: what is written to the memory
    later is seen. Likelihoods are computed in float64, in nats, whatever the dtype of the memory.

    Where the rule is a sum of kernels around the stored rows, T is 1 / beta and everything is
    exact:

    * ``closeness`` with ``Softmax``: Gaussian kernels of variance 1 / beta;
    * ``closeness`` with ``Compact``: Epanechnikov kernels of radius sqrt(2 / beta);
    * ``manhattan`` with ``Softmax``: Laplace kernels of width 1 / beta;
    * ``dot`` with ``Softmax``: Gaussian kernels of variance 1 / beta, which weigh
      exp(beta \|k\|^2 / 2): a modern Hopfield network is a mixture in which longer patterns are
      more probable;
    * ``cosine`` with ``Softmax``: von Mises and Fisher's kernels on the sphere, of concentration
      beta;
    * any of these with ``Softmax`` on -1/+1 vectors: products of Bernoulli distributions;
    * ``agreement`` with ``Circle``: the number of shared hard locations, sparse distributed memory
      as a kernel density on the cube. It has no energy; E is minus the logarithm of the sum.

    On the cube every other memory with an energy has Boltzmann's distribution. It is enumerated up
    to 20 bits; beyond, ``annealed`` estimates the normaliser. In space, other densities have no
    known normaliser: they have a ``score``, and samples. A ``Mixture`` is a density too.

    Args:
        memory: one with an energy whose values are its keys, or a ``Mixture``.
        temperature: T > 0, in units of the energy. None for 1 / beta of the rule; it must be given
            where the rule has no beta. Another T than 1 / beta makes a sum of kernels one of the
            other densities.

    Attributes:
        memory: as given.

    Raises:
        InputError: a memory without an energy, or no temperature where one is needed.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.kernel(dim=1, bandwidth=1.0)
        >>> ids = memory.write(torch.tensor([[-1.0], [1.0]]))
        >>> round(density.Density(memory).log_prob(torch.zeros(1)).item(), 6)
        -1.418939

    Source: Schaeffer and others 2024; Ramsauer and others 2021, for the energy.
    """

    @door
    def __init__(self, memory: Associative, temperature: float | None = None) -> None:
        do = "give one with an energy, such as kanerva.density.kernel"
        checks.instance("memory", memory, Associative, do, "a kanerva memory")
        if temperature is not None:
            do = "give it in units of the energy, such as 1 / beta"
            temperature = checks.number("temperature", temperature, 0, open_low=True, do=do)
        self.memory: Any = memory
        self._given = temperature
        self._known: tuple[tuple[Any, ...], float] | None = None
        self._law()  # refuses what is no density

    def __repr__(self) -> str:
        return f"Density({self.memory!r}, temperature={self.temperature:.6g})"

    @property
    def temperature(self) -> float:
        """T, in units of the energy."""
        return self._law().temperature

    @property
    def space(self) -> str:
        """Where the density lives: ``"real"``, ``"sphere"`` or ``"cube"``."""
        return self._law().space

    @property
    @door
    def log_normaliser(self) -> float:
        """The logarithm of Z: of the integral, or the sum on the cube, of exp(-E / T)."""
        return self._whole(self._filled())

    @door
    def log_prob(self, x: Float[Tensor, "*batch d"] | Listed) -> Float64[Tensor, "*batch"]:
        """Return the logarithm of the density.

        Args:
            x: ``(..., d)`` in the memory's dtype; on the sphere, of any length but zero.

        Returns:
            ``(...)``, in nats; -inf where no kernel reaches.

        Raises:
            InputError: nothing is stored, or the normaliser is not known.
        """
        law, rows, batch = self._rows(x)
        whole = self._whole(law)
        return (_at(law.log_weight, rows) - whole).reshape(batch)

    @door
    def score(self, x: Float[Tensor, "*batch d"] | Listed) -> Float[Tensor, "*batch d"]:
        r"""Return the gradient of the log density.

        .. math:: \nabla \log p(x) = -\frac1T \nabla E(x), \quad
            \frac{\text{read}(x) - x}{\sigma^2} \text{ for Gaussian kernels}

        Args:
            x: ``(..., d)``. On the sphere it is the gradient along the sphere, at length one.

        Returns:
            ``(..., d)`` in the memory's dtype.

        Raises:
            InputError: a density on the cube, or one that is zero at ``x``.
        """
        law, rows, batch = self._rows(x)
        if law.space == "cube":
            must, do = "in space, where a density has a slope", "compare log_prob of neighbours"
            refuse("memory", got="one of -1/+1 vectors", must=must, do=do)
        level, slope = _at(law.slope, rows)
        lost = int((level == -math.inf).sum())
        if lost:
            must, got = "where the density is not zero", f"zero in {lost} of {len(level)} rows"
            refuse("x", got=got, must=must, do="choose a larger bandwidth, or nearer points")
        return self._out(slope).reshape(*batch, rows.shape[-1])

    @door
    def posterior(self, x: Float[Tensor, "*batch d"] | Listed) -> Float64[Tensor, "*batch m"]:
        r"""Return how probable each stored row is as the source of a vector.

        .. math:: p(i \mid x) = \frac{\pi_i K(x, k_i)}{\sum_j \pi_j K(x, k_j)}

        For softmax these are the weights of a read.

        Args:
            x: ``(..., d)``.

        Returns:
            ``(..., m)``; they sum to one, and are zero where no kernel reaches.

        Raises:
            InputError: the density is no sum of kernels.
        """
        law, rows, batch = self._rows(x)
        found = _at(law.posterior, rows)
        return found.reshape(*batch, found.shape[-1])

    @door
    def leave_one_out(self) -> Float64[Tensor, "m"]:
        r"""Return the log density of every stored row under the other rows.

        .. math:: \log p_{-i}(k_i), \quad p_{-i} \propto \sum_{j \ne i} \pi_j K(\cdot, k_j)

        Returns:
            ``(m,)``, in nats; its mean chooses a bandwidth.

        Raises:
            InputError: fewer than two rows, or the density is no sum of kernels around rows.
        """
        return _at(self._filled().leave_one_out, name="memory")

    @door
    def annealed(
        self, walks: int = 256, steps: int = 100, seed: int | torch.Generator = 0
    ) -> Estimate:
        """Estimate the log normaliser on the cube by annealed importance sampling.

        Args:
            walks: independent walks, >= 2.
            steps: temperatures on the way from infinity to T, with one Gibbs sweep at each.
            seed: an integer >= 0 or a CPU generator.

        Returns:
            the estimate of log Z, and its standard error.

        Raises:
            InputError: a density in space.

        Example:
            >>> import kanerva
            >>> from kanerva import density
            >>> memory = kanerva.hopfield(bits=12)
            >>> ids = memory.write(kanerva.bits.random(2, 12, seed=0))
            >>> found = density.Density(memory, temperature=8.0)
            >>> estimate = found.annealed(walks=200, steps=20)
            >>> abs(estimate.value - found.log_normaliser) < 5 * estimate.error
            True

        Source: Neal 2001.
        """
        law = self._filled()
        if law.space != "cube":
            must, do = "on the cube of -1/+1 vectors", "see log_normaliser"
            refuse("memory", got="one in space", must=must, do=do)
        walks = checks.integer("walks", walks, 2, checks.LONGEST)
        steps = checks.integer("steps", steps, 1, checks.LONGEST)
        _, source = _streams(seed)
        return _cube.annealed(law.log_weight, self.memory.dim, walks, steps, source)

    @door
    def sample(
        self,
        n: int,
        seed: int | torch.Generator = 0,
        sampler: str = "auto",
        steps: int = 200,
        rate: float = 0.5,
    ) -> Float[Tensor, "n d"]:
        """Draw vectors from the density.

        Args:
            n: how many, >= 0.
            seed: an integer >= 0 or a CPU generator.
            sampler: ``"exact"`` draws a kernel and then a vector from it, ``"langevin"`` and
                ``"mala"`` walk in space from stored rows, the second with the correction of
                Metropolis and Hastings, and ``"gibbs"`` walks on the cube from random vectors, or
                stored rows where these have no density, with a temperature that falls to T in the
                first half. ``"auto"`` is exact where that is
                possible, else ``"gibbs"`` or ``"mala"``.
            steps: of a walk: steps in space, sweeps over all bits on the cube.
            rate: size of the steps in space, whose noise has the variance rate T / d^(1/3).

        Returns:
            ``(n, d)`` in the memory's dtype. A walk reaches the density after many steps only.

        Raises:
            InputError: a sampler that does not go with the density, or nothing is stored.
        """
        n = checks.integer("n", n, 0, checks.LONGEST)
        steps = checks.integer("steps", steps, 0, checks.LONGEST)
        rate = checks.number("rate", rate, 0, open_low=True)
        kind = checks.choice("sampler", sampler, SAMPLERS)
        law, (random, source) = self._filled(), _streams(seed)
        if kind in ("auto", "exact"):
            drawn = law.draw(n, random)
            if drawn is not None:
                return self._out(drawn)
        kind, state = _walk(kind, law.space), law.starts(n, random)
        if kind == "gibbs":
            shares = [min(1.0, 2 * step / steps) for step in range(1, steps + 1)]
            return self._out(_walks.gibbs(law.log_weight, state, shares, source))
        size = rate * law.temperature / self.memory.dim ** (1 / 3)
        return self._out(_walks.langevin(law.slope, state, steps, size, source, kind == "mala"))

    def _law(self) -> Law:
        """Return the density as the memory is now, filled or not."""
        return _laws.law_of(self.memory, self._given)

    def _filled(self) -> Law:
        """Return the density of a memory that stores something."""
        law = self._law()
        if law.empty:
            refuse("memory", got="empty", must="one that stores rows", do="write to it first")
        return law

    def _rows(self, x: Any) -> tuple[Law, Tensor, torch.Size]:
        """Return the density, and checked vectors as rows in float64."""
        law, memory = self._filled(), self.memory
        query = memory._vectors("x", x, memory.dim)
        arrays.finite("x", query) if law.space != "cube" else arrays.bipolar("x", query)
        rows = query.reshape(-1, memory.dim).double()
        if law.space == "sphere":
            rows = directions(directed("x", rows))
        return law, rows, query.shape[:-1]

    def _whole(self, law: Law) -> float:
        """Return log Z, which is computed once until a row changes."""
        state, known = law.state(), self._known
        if state is not None and known is not None and all(map(_same, known[0], state)):
            return known[1]
        value = law.log_normaliser()
        self._known = None if state is None else (state, value)
        return value

    def _out(self, rows: Tensor) -> Tensor:
        """Return rows in the dtype of the memory, where it is."""
        unit = torch.empty(0, dtype=self.memory.dtype)
        return narrow(rows, unit).to(self.memory.device)


def _streams(seed: int | torch.Generator) -> tuple[np.random.Generator, torch.Generator]:
    """Return sources of numbers of their own: rows that the same seed has made must not recur."""
    number = int(torch.randint(2**62, (), generator=arrays.generator(seed)))
    return np.random.default_rng(number), torch.Generator().manual_seed(number)


def _at(work: Callable[..., Any], *rows: Tensor, name: str = "x") -> Any:
    """Work on rows, which are the queries of the memory, and ``name`` to the caller."""
    try:
        return work(*rows)
    except InputError as error:
        if error.argument != "query":
            raise
        refuse(name, got=error.got, must=error.must, do=error.do)


def _walk(kind: str, space: str) -> str:
    """Return the random walk that goes with a space."""
    fits = {"real": ("langevin", "mala"), "cube": ("gibbs",), "sphere": ("exact",)}[space]
    if kind in ("auto", "exact") and space == "sphere":
        must, do = "one that can be drawn exactly", "take Softmax, at temperature 1 / beta"
        refuse("memory", got="on the sphere, with another rule", must=must, do=do)
    if kind == "auto":
        return fits[-1]
    if kind not in fits:
        must = " or ".join(f'"{name}"' for name in fits) + " for this density"
        refuse("sampler", got=f'"{kind}"', must=must, do='leave it out, for "auto"')
    return kind


def _same(one: Any, other: Any) -> bool:
    """Return whether two parts of a state are one tensor, or equal numbers."""
    both = isinstance(one, Tensor) or isinstance(other, Tensor)
    return one is other if both else bool(one == other)
