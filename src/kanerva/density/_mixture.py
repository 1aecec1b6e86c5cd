"""The store of a mixture: rows are assigned to memories, which move to where their rows are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva import dynamics
from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import door, refuse
from kanerva.density import _flow
from kanerva.density._rule import Rule, State, sound
from kanerva.dynamics import Path, Settled
from kanerva.memory import Explanation, _state
from kanerva.memory._explanation import explained
from kanerva.memory._inputs import Inputs, changes
from kanerva.separation import Softmax
from kanerva.similarity import Similarity

__all__ = ["Mixture"]

ALIKE = "As many items are stored as were written"
ORDER = "The order of writing leaves a read unchanged"
# How far from one the sum of given shares may be.
WHOLE = 1e-6
# Bytes of the two tensors of a step, without their numbers.
TENSORS = 2000


class Mixture(Inputs):
    r"""A memory that assigns rows to few memories, and is a density that is a sum of kernels.

    .. math:: p(x) = \sum_k \pi_k\, p(x \mid k), \quad
        p(k \mid x) = \frac{\pi_k\, p(x \mid k)}{p(x)}, \quad
        \mathrm{read}(x) = \sum_k p(k \mid x)\, \mu_k

    Where ``Patterns`` keeps every row, a mixture keeps a mean and a count for each memory. Its rule
    says which memory a row is assigned to, and how that changes the memories: build one with
    ``density.clam``, ``density.elbo`` or ``density.crp``. Memories are numbered by birth, from 0.
    Means, counts, posteriors and likelihoods are float64, whatever the dtype of queries and reads.

    Args:
        dim: d >= 1, length of a row.
        rule: how it learns.
        dtype: of rows, queries and reads.

    Attributes:
        keys: ``(k, d)`` the means, directions on the sphere, in the memory's dtype.
        counts: ``(k,)`` float64, how many rows each memory holds; mixing weights are counts over
            their sum. One each for ``clam``, whose memories weigh the same.

    Example:
        >>> import torch
        >>> from kanerva import density
        >>> memory = density.crp(dim=2, sigma=1.0, prior_sigma=10.0, concentration=1.0)
        >>> memory.write(torch.tensor([[5.0, 5.0], [-5.0, 5.0], [5.5, 4.5]])).tolist()
        [0, 1, 0]
        >>> len(memory), memory.counts.tolist()
        (2, [2.0, 1.0])
        >>> memory.recall(torch.tensor([4.0, 4.0])).round(decimals=2).tolist()
        [5.2..., 4.7...]

    Source: Schaeffer and others 2024.
    """

    exempt: Mapping[str, str] = MappingProxyType(
        {
            ALIKE: "rows that are alike share a memory",
            ORDER: "a row is assigned to the memories that the rows before it left",
        }
    )
    counts: Tensor
    _means: Tensor
    value_bits: bool = False
    _bits, _shows = False, True

    @door
    def __init__(self, dim: int, rule: Rule, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self._dim = checks.integer("dim", dim, 1, checks.LONGEST)
        do = "build it with kanerva.density.clam, elbo or crp"
        checks.instance("rule", rule, Rule, do, "a rule of a mixture")
        self.rule = rule
        unit = torch.ones((), dtype=arrays.floating(dtype))
        self.register_buffer("_unit", unit, persistent=False)
        self.register_buffer("_means", torch.zeros(0, self._dim, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(0, dtype=torch.float64))

    @property
    def dim(self) -> int:
        """Length d of a row."""
        return self._dim

    @property
    def value_dim(self) -> int:
        """Length of what is read: d."""
        return self._dim

    @property
    def keys(self) -> Tensor:
        """The means ``(k, d)`` in the memory's dtype."""
        return self._centres(self._state()).to(self.dtype)

    @property
    def similarity(self) -> Similarity:
        """How near a row is to a mean, up to the factor beta."""
        found: Similarity = self.rule.kernel.similarity
        return found

    def __len__(self) -> int:
        """Count the memories."""
        return len(self.counts)

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        return f"{self.dim} -> {self.value_dim}, {len(self)} memories, {self.rule}"

    @door
    @changes
    def write(
        self,
        x: Float[Tensor, "*batch d"] | Listed,
        values: Float[Tensor, "*batch d"] | Listed | None = None,
    ) -> Int64[Tensor, "*batch"]:
        """Assign rows to memories one after the other, and let each row change them.

        Args:
            x: ``(..., d)`` in the memory's dtype.
            values: None, because what is read are means of rows.

        Returns:
            ``(...)`` the memory that each row went to, 0, 1, ... by birth.

        Raises:
            InputError: rows of another length or dtype, or not finite; nothing is written then.
        """
        if values is not None:
            do = "leave it out"
            refuse("values", values, must="None, because a mixture reads means of rows", do=do)
        rows, batch = self._taken("x", x)
        state, ids = self.rule.write(self._state(), rows)
        self._keep(state)
        return ids.reshape(batch)

    @door
    @changes
    def fit(
        self,
        x: Float[Tensor, "*batch d"] | Listed,
        sweeps: int = 100,
        seed: int | torch.Generator = 0,
        known: Tensor | None = None,
    ) -> Int64[Tensor, "*batch"]:
        """Learn from these rows alone; what was stored is forgotten.

        Args:
            x: ``(..., d)`` in the memory's dtype.
            sweeps: passes over all rows: steps of EM or of Adam, or refinements of ``crp``; at most
                so many.
            seed: an integer >= 0 or a CPU generator, for the rows at which ``clam`` and ``elbo``
                start.
            known: for ``clam``, bool that broadcasts to ``(..., d)``: True for coordinates that
                are seen. The others are completed, and they alone count.

        Returns:
            ``(...)`` the memory that each row belongs to at the end.

        Raises:
            InputError: as in ``write``, or fewer rows than memories; nothing is changed then.
        """
        rows, batch = self._taken("x", x)
        sweeps = checks.integer("sweeps", sweeps, 0, checks.LONGEST)
        source = arrays.generator(seed)
        if known is not None:
            known = _mask(known, rows, (*batch, self.dim))
        state, ids = self.rule.fit(rows, sweeps, source, known)
        self._keep(state)
        return ids.reshape(batch)

    @door
    def posterior(self, x: Float[Tensor, "*batch d"] | Listed) -> Float64[Tensor, "*batch k"]:
        """Return how probable each memory is as the source of a row.

        Args:
            x: ``(..., d)``.

        Returns:
            ``(..., k)`` float64 that sum to one; for ``crp`` the last column is the memory that is
            not born.
        """
        rows, batch = self._asked("x", x)
        found = self._terms("x", rows).softmax(-1)
        return found.reshape(*batch, found.shape[-1])

    @door
    def elbo(
        self,
        x: Float[Tensor, "*batch d"] | Listed,
        q: Float[Tensor, "*batch k"] | Listed | None = None,
    ) -> Float64[Tensor, "*batch"]:
        r"""Return the evidence lower bound of each row, in nats.

        .. math:: \sum_k q_k (\log p(x, k) - \log q_k)
            = \log p(x) - \mathrm{KL}(q \,\|\, p(k \mid x))

        Args:
            x: ``(..., d)``.
            q: ``(..., k)`` distributions over the columns of ``posterior``; None for the posterior
                itself, where the bound is the log-likelihood log p(x).

        Returns:
            ``(...)`` float64.

        Raises:
            InputError: ``q`` is no distribution, or nothing is stored.
        """
        rows, batch = self._asked("x", x)
        joint = self._joint("x", rows)
        if q is None:
            return joint.logsumexp(-1).reshape(batch)
        shares = self._shares(q, (*batch, joint.shape[-1])).reshape(joint.shape)
        return _flow.bound(joint, shares.log()).reshape(batch)

    @door
    def flow(
        self,
        x: Float[Tensor, "*batch d"] | Listed,
        steps: int = 100,
        rate: float = 0.5,
        kind: str = "mirror",
    ) -> Path:
        r"""Descend the negative bound from the uniform distribution over the memories.

        .. math:: v \leftarrow v + \eta\,(\log p(x, \cdot) - \log q) \text{ (mirror)}, \qquad
            v \leftarrow v + \eta\,(\mathrm{diag}(q) - q q^\top)(\log p(x, \cdot) - \log q)
            \text{ (euclidean)}, \qquad q = \mathrm{softmax}(v)

        Both end at the posterior. The mirror step shrinks the distance to it by the factor 1 - eta,
        and with eta = 1 it is there in one step; the Euclidean one, that of the publication,
        approaches as 1 / t. Memories without any weight keep the share 0.

        Args:
            x: ``(..., d)``.
            steps: how many, >= 0.
            rate: eta in (0, 1].
            kind: ``"mirror"`` or ``"euclidean"``.

        Returns:
            the path: states q ``(steps + 1, ..., k)`` and energies -elbo ``(steps + 1, ...)`` in
            float64; converged where the last step changed no share by more than 1e-12.

        Raises:
            InputError: an argument is out of range, or nothing is stored.
        """
        rows, batch = self._asked("x", x)
        steps = checks.integer("steps", steps, 0, checks.LONGEST)
        rate = checks.number("rate", rate, 0.0, 1.0, open_low=True)
        kind = checks.choice("kind", kind, _flow.KINDS)
        joint = self._joint("x", rows)
        needed = steps * (joint.nbytes + TENSORS)
        with checks.room("steps", f"{steps} with {joint.numel()} shares each", needed):
            states, energies, taken, rest = _flow.flow(joint, steps, rate, kind)
        shape = (steps + 1, *batch)
        energies = None if energies is None else energies.reshape(shape)
        ends = (taken.reshape(batch), rest.reshape(batch))
        return Path(states.reshape(*shape, joint.shape[-1]), energies, *ends)

    @door
    def energy(self, x: Float[Tensor, "*batch d"] | Listed) -> Float64[Tensor, "*batch"]:
        r"""Return the energy, whose gradient is ``x - read(x)`` for Gaussian kernels without crp.

        .. math:: E(x) = -\frac1\beta \log \sum_k w_k\, e^{-\frac\beta2 |x - \mu_k|^2},
            \quad \beta = \frac1{\sigma^2}

        The weights w are 1 for ``clam``, the mixing weights for ``elbo``, and n - d for ``crp``,
        with one more term for the memory that is not born. On the sphere the kernel is
        exp(kappa x m). CLAM's energy is twice this one, because its beta is 1 / (2 sigma^2).

        Args:
            x: ``(..., d)``.

        Returns:
            ``(...)`` float64; +inf where nothing is stored.
        """
        rows, batch = self._asked("x", x)
        return self._energy(self._terms("x", rows)).reshape(batch)

    @door
    def read(self, query: Float[Tensor, "*batch d"] | Listed) -> Float[Tensor, "*batch d"]:
        """Read once: the mean of the means, weighted by the posterior among the born.

        Args:
            query: ``(..., d)``.

        Returns:
            ``(..., d)`` in the memory's dtype; zeros where nothing is stored.
        """
        rows, batch = self._asked("query", query)
        read = self._summed(rows, self._state())
        return read.to(self.dtype).reshape(*batch, self.dim)

    @door
    def recall(
        self,
        query: Float[Tensor, "*batch d"] | Listed,
        *,
        steps: int = 100,
        rate: float = 1.0,
        tolerance: float | None = None,
    ) -> Float[Tensor, "*batch d"]:
        """Read repeatedly until nothing changes, each query on its own: mean shift.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: share of each step that is taken, in (0, 1].
            tolerance: rest is a change of no more than this share of the largest coordinate; None
                for the dtype's resolution to the power 3/4.

        Returns:
            the last states ``(..., d)``.
        """
        return self._settled(query, steps, rate, tolerance).state

    @door
    def settle(
        self,
        query: Float[Tensor, "*batch d"] | Listed,
        *,
        steps: int = 100,
        rate: float = 1.0,
        tolerance: float | None = None,
    ) -> Settled:
        """Recall, and return how many reads each query took and whether it came to rest.

        Args:
            query: ``(..., d)``.
            steps: as in ``recall``.
            rate: as in ``recall``.
            tolerance: as in ``recall``.

        Returns:
            last states, reads made, whether the last one changed nothing, and whether the state
            swings between two.
        """
        return self._settled(query, steps, rate, tolerance)

    @door
    def explain(self, query: Float[Tensor, "*batch d"] | Listed) -> Explanation:
        """Read once, and return what the read is made of.

        Args:
            query: ``(..., d)``.

        Returns:
            what was read, the posterior among the born as weights, and the energy; None in its
            place where one overflows the memory's dtype.
        """
        rows, batch = self._asked("query", query)
        state, terms = self._state(), self._terms("query", rows)
        value = self._summed(rows, state).to(self.dtype)
        shares = self._born(terms, state).to(self.dtype)
        shares = shares.reshape(*batch, len(state.counts))
        energy = self._energy(terms).reshape(batch)
        shown = energy.to(self.dtype)
        lost = not arrays.tracing() and bool((shown.isinf() & energy.isfinite()).any())
        value = value.reshape(*batch, self.dim)
        return explained(value, shares, shares, shares.sum(-1), None, None if lost else shown)

    @door
    def pattern_weights(
        self, query: Float[Tensor, "*batch d"] | Listed, patterns: Float[Tensor, "n d"] | Listed
    ) -> Float[Tensor, "*batch n"]:
        r"""Return how much each of the given rows counts in a read.

        .. math:: w_n = \sum_k p(k \mid q) \frac{p(k \mid x_n)}{\sum_m p(k \mid x_m)}

        Args:
            query: ``(..., d)``.
            patterns: ``(n, d)`` the rows that were written.

        Returns:
            ``(..., n)`` that sum to one, where something is stored.
        """
        rows, batch = self._asked("query", query)
        stored, _ = self._asked("patterns", arrays.rows("patterns", patterns, dim=self.dim))
        state = self._state()
        shares = self._born(self._terms("patterns", stored), state)
        whole = shares.sum(0).clamp_min(torch.finfo(shares.dtype).tiny)
        found = self._born(self._terms("query", rows), state) @ (shares / whole).mT
        return found.to(self.dtype).reshape(*batch, len(stored))

    @door
    @changes
    def clear(self) -> None:
        """Remove every memory."""
        self._keep(State(self._means[:0], self.counts[:0]))

    def _state(self) -> State:
        """Return what is stored now; a write puts other tensors in its place."""
        with self._alone():
            return State(self._means, self.counts)

    def _held(self) -> tuple[Any, Any, Any, Any, Any]:
        """Return the means as stored rows, which count as often as their memories hold rows."""
        state = self._state()
        keys = self._centres(state).to(self.dtype)
        return keys, keys, None, state.counts, Softmax(self.rule.kernel.beta)

    def _keep(self, state: State) -> None:
        self._means, self.counts = state

    def _centres(self, state: State) -> Tensor:
        """Return the means as points of the space."""
        found: Tensor = self.rule.kernel.centres(state.means)
        return found

    def _asked(self, name: str, x: Any) -> tuple[Tensor, torch.Size]:
        """Check rows; return them as points ``(n, d)`` in float64, and their leading dimensions."""
        given = arrays.finite(name, self._vectors(name, x, self._dim))
        rows = given.reshape(-1, self._dim).double()
        return self.rule.kernel.points(name, rows), given.shape[:-1]

    def _taken(self, name: str, x: Any) -> tuple[Tensor, torch.Size]:
        """Check rows to learn from, and return a copy without gradients."""
        rows, batch = self._asked(name, x)
        return rows.detach().clone(), batch

    def _terms(self, name: str, rows: Tensor) -> Tensor:
        """Return the terms of the sum that is the density, up to their total."""
        return sound(name, self.rule.terms(rows, self._state()))

    def _joint(self, name: str, rows: Tensor) -> Tensor:
        """Return log p(x, k) of every column of the posterior."""
        state = self._state()
        terms = sound(name, self.rule.terms(rows, state))
        if not terms.shape[-1]:
            do = "write rows first"
            refuse("memory", got="empty", must="a mixture with a memory", do=do)
        return terms - self.rule.log_masses(state, self._dim).logsumexp(-1)

    def _energy(self, terms: Tensor) -> Tensor:
        return -terms.logsumexp(-1) / self.rule.kernel.beta

    def _born(self, terms: Tensor, state: State) -> Tensor:
        """Return the posterior among the memories that are born."""
        return terms[:, : len(state.counts)].softmax(-1)

    def _summed(self, rows: Tensor, state: State) -> Tensor:
        """Return the mean of the means by their posterior; zeros where nothing is stored."""
        terms = sound("query", self.rule.terms(rows, state))
        return self._born(terms, state) @ self._centres(state)

    def _settled(self, query: Any, steps: int, rate: float, tolerance: float | None) -> Settled:
        """Check how a read is repeated, and repeat it."""
        rows, batch = self._asked("query", query)
        if tolerance is None:
            tolerance = torch.finfo(self.dtype).eps ** 0.75
        rules = dynamics.rules(steps, rate, tolerance, (), len(rows))
        state = self._state()

        def again(one: Tensor) -> Tensor:
            return self._summed(one, state)

        *_, last = dynamics.iterate(again, rows, rules)
        numbers = (part.reshape(batch) for part in last[1:])
        return Settled(last.state.to(self.dtype).reshape(*batch, self._dim), *numbers)

    def _shares(self, q: Any, shape: tuple[int, ...]) -> Tensor:
        """Return distributions over the columns of the posterior, in float64."""
        q = arrays.listed(q, torch.float64, self.device)
        must = f"a floating tensor of shape {shape}, each row >= 0 with sum 1"
        do = "give distributions over the columns of posterior(x)"
        fits = arrays.dense("q", q, must).is_floating_point() and q.shape == shape
        if not fits or q.device != self.device:
            refuse("q", q, must=must, do=do)
        q = q.double()
        if not arrays.tracing() and not ((q >= 0).all() and ((q.sum(-1) - 1).abs() < WHOLE).all()):
            refuse("q", q, must=must, do=do)
        return q

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move the memory; means and counts stay float64."""
        exact = self._state()
        super()._apply(fn, recurse)
        self._keep(State(*(part.to(self.device) for part in exact)))
        return self

    @door("load_state_dict")
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        here = {"_means": self._means, "counts": self.counts}
        new = {
            name: part for name in here if isinstance(part := state_dict.get(prefix + name), Tensor)
        }
        if new:
            _state.vet(here, new)
            counts, most = new["counts"], self.rule.most
            if (counts < 0).any() or (most is not None and len(counts) > most):
                limit = "" if most is None else f" of at most {most} memories"
                must, do = f"counts >= 0{limit}", "load the state of a mixture like this one"
                refuse("counts", counts, must=must, do=do)
            self._keep(State(*(here[name].new_empty(new[name].shape) for name in here)))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _mask(known: Any, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a mask of coordinates as rows; refuse one that hides nothing."""
    must = f"a bool tensor that broadcasts to {shape}, False somewhere"
    known = arrays.listed(known, torch.float32, rows.device)
    fits = arrays.dense("known", known, must, torch.bool).dtype == torch.bool
    if not fits or arrays.together(known.shape, shape) != shape or known.all():
        do = "give True for coordinates that are seen, or leave it out"
        refuse("known", known, must=must, do=do)
    return known.to(rows.device).expand(shape).reshape(rows.shape)
