"""The contract of every memory that reads by a weighted sum of values."""

from abc import abstractmethod
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from kanerva import dynamics
from kanerva._core import arrays, checks
from kanerva._core.errors import InputError, describe, door, refuse
from kanerva._core.settings import settings
from kanerva._engine import routes
from kanerva._engine.routes import Field
from kanerva._engine.scores import narrow, rows_of
from kanerva.activation import Activation
from kanerva.bits import Packed
from kanerva.dynamics import Path, Rules, Settled
from kanerva.memory import _parts, _state
from kanerva.memory._associative import Associative
from kanerva.memory._explanation import Explanation, explained
from kanerva.separation import Separation
from kanerva.similarity import Similarity

__all__ = ["Memory"]

Mask = Shaped[Tensor, "*_mask"] | None
EMPTY = ("zero", "keep", "raise")


class Memory(Associative):
    r"""A content-addressable memory that compares a query with keys, weighs them, and sums values.

    .. math:: s_i = \text{similarity}(q, k_i), \quad w = \text{separation}(s), \quad
        y = \text{activation}\Bigl(\sum_i w_i v_i\Bigr)

    Everything that all stores share is written here. A store adds its keys and values, and how to
    write, forget and clear.

    Attributes:
        keys: ``(m, d)`` what a query is compared with.
        values: ``(m, e)`` what is summed.
        similarity: how near a query is to a key.
        separation: how much each key counts.
        activation: what is done with the sum.
        empty: what is read where every weight is zero: ``"zero"`` zeros, ``"keep"`` the query,
            ``"raise"`` an error.

    Example:
        >>> import kanerva
        >>> memory = kanerva.hopfield(bits=100)
        >>> patterns = kanerva.bits.random(5, 100, seed=0)
        >>> ids = memory.write(patterns)
        >>> cues = kanerva.bits.flip(patterns, 20, seed=1)
        >>> kanerva.bits.hamming(memory.recall(cues), patterns).tolist()
        [0, 0, 0, 0, 0]
    """

    keys: Any
    beta: nn.Parameter | None
    # Every store sets the length of its keys, and registers a buffer with the dtype and the device
    # of queries.
    _dim: int
    _unit: Tensor

    @door
    def __init__(
        self, similarity: Similarity, separation: Separation, activation: Activation, empty: str
    ) -> None:
        super().__init__()
        _parts.vet(similarity, separation, activation)
        self.similarity, self.activation = similarity, activation
        self.empty = checks.choice("empty", empty, EMPTY)
        self._separation = separation
        beta = separation.temperature()
        self.register_parameter("beta", beta if isinstance(beta, nn.Parameter) else None)

    def _fit(self) -> None:
        """Refuse parts that do not go together."""
        _parts.fit(self.similarity, self._separation, self.dim)
        keeps = self.empty == "keep" or self.activation.keeps or self._separation.coupled
        if keeps and self.value_dim != self.dim:
            got, do = f"{self.value_dim} for keys of {self.dim}", 'choose another "tie" or "empty"'
            must = "the length of the keys, because coordinates of the query are kept"
            refuse("value_dim", got=got, must=must, do=do)
        # Facts of the parts that every read needs.
        self._bits = self.key_bits
        self._shows = bool(getattr(self.similarity, "transparent", False))
        # A class with a constructor of its own is saved by the arguments of that.
        self._given_parts = self._parts_now()

    def _parts_now(self) -> tuple[Any, ...]:
        """Return the parts, which are given when a memory is built."""
        return self.similarity, self._separation, self.activation, self.empty

    @property
    def separation(self) -> Separation:
        """How much each key counts, at the inverse temperature that was learned where one is."""
        beta = self._parameters["beta"]
        return self._separation if beta is None else self._separation.with_beta(beta)

    @property
    @abstractmethod
    def values(self) -> Shaped[Tensor, "m e"] | Packed:
        """What is summed: one row for each key."""

    @property
    @abstractmethod
    def autoassociative(self) -> bool:
        """Whether values are left out of ``write``, because they are the keys themselves."""

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of queries and reads."""
        return self._unit.dtype

    @property
    def device(self) -> torch.device:
        """Device of queries and reads."""
        return self._unit.device

    @property
    def key_bits(self) -> bool:
        """Whether keys and queries are -1/+1."""
        # A rule may have a field of that name, the length of its keys.
        declared = getattr(self.similarity, "bits", False) or self._separation.bits is True
        return bool(declared) or (self.autoassociative and self.value_bits)

    @property
    def value_bits(self) -> bool:
        """Whether values are -1/+1."""
        return self.activation.bits

    def bias(self) -> Float[Tensor, "m"] | None:
        """Return what is added to the scores of each key, in every query; None for nothing.

        A subclass writes it, such as log prior weights over beta.
        """
        return None

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        separation = self._separation
        if self.beta is not None:
            with suppress(InputError):  # training may have moved it out of its range
                separation = separation.with_beta(self.beta.item())
        parts = [_parts.name(self.similarity), repr(separation), repr(self.activation)]
        parts += [] if self.beta is None else ["beta is learned"]
        return f"{self.dim} -> {self.value_dim}, {len(self)} stored, {', '.join(parts)}"

    @door
    def scores(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch m"]:
        """Compare queries with every key.

        Args:
            query: ``(..., d)`` in the memory's dtype; -1/+1 where ``key_bits``.
            mask: broadcasts to ``(..., m)``: bool (True keeps a key) or float (added to the
                scores; -inf leaves a key out).

        Returns:
            ``(..., m)``, larger is nearer.
        """
        rows, kept = self._given(query, mask)
        self._afford(query)
        found = routes.scores(rows, self.keys, self.similarity, kept)
        return found.reshape(*query.shape[:-1], self.keys.shape[0])

    @door
    def weights(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch m"]:
        """Weigh every key.

        Args:
            query: ``(..., d)``.
            mask: as in ``scores``.

        Returns:
            ``(..., m)``.
        """
        rows, kept = self._given(query, mask)
        self._afford(query)
        found = routes.weights(rows, self.keys, self.similarity, self.separation, kept)
        return found.reshape(*query.shape[:-1], self.keys.shape[0])

    @door
    def read(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch e"]:
        """Read once.

        Args:
            query: ``(..., d)`` in the memory's dtype; -1/+1 where ``key_bits``.
            mask: broadcasts to ``(..., m)``: bool (True keeps a key) or float (added to the
                scores, so that beta scales it too).

        Returns:
            ``(..., e)`` in the memory's dtype. Where nothing is stored, within reach or left by the
            mask: zeros, or what ``empty`` says.

        Raises:
            InputError: a query of another length, with other numbers than bits where bits are
                needed, or not finite.
        """
        rows, kept = self._given(query, mask)
        value = self._read(rows, kept)
        return value if query.ndim == 2 else value.reshape(*query.shape[:-1], value.shape[-1])

    def forward(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch e"]:
        """Read once, as ``read`` does."""
        return self.read(query, mask)

    @door
    def recall(
        self,
        query: Float[Tensor, "*batch d"],
        *,
        steps: int = 100,
        rate: float = 1.0,
        tolerance: float | None = None,
        mask: Mask = None,
    ) -> Float[Tensor, "*batch d"]:
        """Read repeatedly until nothing changes, each query on its own.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: share of each step that is taken, in (0, 1]; bits take whole steps only.
            tolerance: rest is a change of no more than this share of the largest coordinate; None:
                exact rest for bits, else the dtype's resolution to the power 3/4.
            mask: as in ``read``.

        Returns:
            the last states ``(..., d)``; ``settle`` also returns which of them came to rest.
        """
        return self._settled(query, self._iteration(query, steps, rate, tolerance, mask)).state

    @door
    def settle(
        self,
        query: Float[Tensor, "*batch d"],
        *,
        steps: int = 100,
        rate: float = 1.0,
        tolerance: float | None = None,
        mask: Mask = None,
    ) -> Settled:
        """Recall, and return how many reads each query took and whether it came to rest.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: share of each step that is taken.
            tolerance: as in ``recall``.
            mask: as in ``read``.

        Returns:
            last states, reads made, and whether the last one changed nothing.
        """
        return self._settled(query, self._iteration(query, steps, rate, tolerance, mask))

    @door
    def trace(
        self,
        query: Float[Tensor, "*batch d"],
        *,
        steps: int = 100,
        rate: float = 1.0,
        tolerance: float | None = None,
        mask: Mask = None,
    ) -> Path:
        """Recall, and return every state on the way with its energy.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: share of each step that is taken.
            tolerance: as in ``recall``.
            mask: as in ``read``.

        Returns:
            the path: states, energies (None where the memory has none), steps taken, and whether
            each query came to rest.
        """
        rules = self._iteration(query, steps, rate, tolerance, mask)
        moments = list(dynamics.iterate(self._again, query, rules))
        states, last = torch.stack([moment.state for moment in moments]), moments[-1]
        return Path(states, self._energies(states, mask), last.steps, last.converged)

    @door
    def energy(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch"]:
        r"""Return the energy that a read lowers.

        .. math:: E(q) = R(q) - \Phi(s(q))

        R is the regulariser of the similarity: half the squared length for ``dot`` scores, 0 for
        ``closeness`` and ``cosine``. Its gradient is ``query - read`` for ``dot``, or for
        ``closeness`` with a normalised separation, where there is no activation.

        Args:
            query: ``(..., d)``.
            mask: as in ``read``.

        Returns:
            ``(...)``; +inf where nothing is stored or left by the mask.

        Raises:
            InputError: values that are not the keys, a similarity without regulariser, or a
                separation without potential.
        """
        if not self._descends:
            got = f"a memory of {self.dim} -> {self.value_dim} with values of its own"
            do = "build it without value_dim"
            refuse("memory", got=got, must="auto-associative, its values the keys", do=do)
        rows, kept = self._given(query, mask)
        found = routes.energy(rows, self.keys, self.similarity, self.separation, kept)
        return found.reshape(query.shape[:-1])

    @door
    def explain(self, query: Float[Tensor, "*batch d"], mask: Mask = None) -> Explanation:
        """Read once, and return what the read is made of.

        Args:
            query: ``(..., d)``.
            mask: as in ``read``.

        Returns:
            the weights, their mass, how many keys took part, how close the vote was; see
            ``Explanation``.

        Raises:
            InputError: the weights of all queries together would exceed ``settings.budget``.
        """
        weights = self.weights(query, mask)
        rows, kept = self._given(query, mask)
        batch = query.shape[:-1]
        value = self._read(rows, kept).reshape(*batch, self.value_dim)
        vote = self._field(rows, kept).value.abs().amin(-1).reshape(batch)
        bits, energy = self.value_bits, self._energies(query, mask)
        return explained(value, weights, self._mass(weights), vote if bits else None, energy)

    def pattern_weights(
        self, query: Float[Tensor, "*batch d"], patterns: Float[Tensor, "n d"]
    ) -> Float[Tensor, "*batch n"]:
        """Return how much each stored pattern counts in a read.

        Args:
            query: ``(..., d)``.
            patterns: ``(n, d)`` the patterns that were stored, in their order.

        Returns:
            ``(..., n)``: here the weights of the rows, which are the patterns.
        """
        return self.weights(query)

    def _given(self, query: Tensor, mask: Mask) -> tuple[Tensor, Tensor | None]:
        """Check a query and a mask, and return them as rows."""
        self._vectors("query", query, self._dim)
        if self._bits:
            arrays.bipolar("query", query)
        elif mask is not None or not self._shows:
            arrays.finite("query", query)
        rows = query if query.ndim == 2 else query.reshape(-1, query.shape[-1])
        return rows, self._kept(mask, query.shape[:-1])

    def _kept(self, mask: Mask, batch: torch.Size) -> Tensor | None:
        """Check a mask, lay it out as rows, and add the bias of the keys."""
        kept = None if mask is None else rows_of(mask, batch, self.keys.shape[0])
        bias = self.bias()
        return kept if bias is None else _biased(kept, self._vetted(bias))

    def _vetted(self, bias: Any) -> Tensor:
        """Refuse a bias that is not one number for each key."""
        must = f"{self.dtype} of shape ({self.keys.shape[0]},), finite or -inf"
        do = "return one number for each key"
        fits = arrays.dense("bias", bias, must).shape == self.keys.shape[:1]
        if not fits or bias.dtype != self.dtype or bias.device != self.device:
            refuse("bias", bias, must=must, do=do)
        if not arrays.sound(bias) and not (bias.detach() < torch.inf).all():
            refuse("bias", bias, must=must, do=do)
        return bias

    def _vectors(self, name: str, rows: Tensor, dim: int) -> None:
        """Refuse vectors of another length, dtype or device."""
        unit: Any = self._buffers["_unit"]
        if (
            isinstance(rows, Tensor)
            and not rows.is_nested
            and rows.dtype is unit.dtype
            and rows.device == unit.device
            and rows.layout is torch.strided
            and rows.ndim
            and rows.shape[-1] == dim
        ):
            return
        arrays.vectors(name, rows, dim, unit.dtype)
        if rows.device != unit.device:
            home = str(unit.device)
            do = f"move it with {name}.to({home!r})"
            refuse(name, got=f"on {rows.device}", must=f"on {home}", do=do)

    def _rows(self, name: str, rows: Tensor, dim: int, bits: bool) -> Tensor:
        """Refuse vectors that cannot be stored."""
        self._vectors(name, rows, dim)
        return arrays.bipolar(name, rows) if bits else arrays.finite(name, rows)

    def _payload(self, keys: Tensor, values: Tensor | None) -> Tensor:
        """Return the values that go with ``keys``, one row each: the keys where none are given."""
        if values is None and self.value_dim != self.dim:
            must = f"a tensor of shape (..., {self.value_dim})"
            refuse("values", got="left out", must=must, do="give one value for each key")
        given = keys if values is None else values
        self._rows("values", given, self.value_dim, self.value_bits)
        if given.shape[:-1] != keys.shape[:-1]:
            got = f"of shape {tuple(given.shape)} for keys of shape {tuple(keys.shape)}"
            do = "give both the same leading dimensions"
            refuse("values", got=got, must="one for each key", do=do)
        return given.reshape(-1, self.value_dim)

    @property
    def _descends(self) -> bool:
        """Whether the values are the keys, so that a read may descend an energy."""
        keys, values = self.keys, self.values
        if isinstance(keys, Packed) and isinstance(values, Packed):
            return self.autoassociative and keys.words is values.words
        return self.autoassociative and keys is values

    def _afford(self, query: Tensor) -> None:
        """Refuse weights of more bytes than the budget: they are returned whole."""
        queries, keys = query[..., 0].numel(), self.keys.shape[0]
        size = queries * keys * max(4, query.element_size())
        if size > settings.budget and queries > 1:
            must = f"few enough for {settings.budget} bytes of weights"
            got = f"{tuple(query.shape)} against {keys} keys: {size} bytes"
            do = "give fewer at a time, or raise kanerva.settings.budget"
            refuse("query", got=got, must=must, do=do)

    def _field(self, rows: Tensor, kept: Tensor | None) -> Field:
        """Sum the values by their weights, for checked queries ``(b, d)``."""
        return routes.field(rows, self.keys, self.values, self.similarity, self.separation, kept)

    def _mass(self, weights: Tensor) -> Tensor:
        """Return how much weight a read has."""
        return weights.abs().sum(-1)

    def _read(self, rows: Tensor, kept: Tensor | None) -> Tensor:
        """Read checked queries ``(b, d)``."""
        value, empty = self._field(rows, kept)
        if not self.activation.plain:
            value = self._activated(value, rows)
        if value.dtype is not rows.dtype:
            value = narrow(value, rows)
        if empty is None:
            return value
        if self.empty == "raise" and not arrays.tracing() and empty.any():
            got = f"out of reach, {int(empty.sum())} of {empty.numel()} of them"
            do = 'widen the radius, or choose empty="zero" or "keep"'
            refuse("query", got=got, must="near something that is stored", do=do)
        return torch.where(empty.unsqueeze(-1), rows if self.empty == "keep" else 0.0, value)

    def _activated(self, field: Tensor, rows: Tensor) -> Tensor:
        """Activate a field, and refuse a result of another kind, or one that is not finite."""
        value = self.activation.unchecked(field, rows.to(field.dtype))
        kind = (field.shape, field.dtype)
        same = isinstance(value, Tensor) and (value.shape, value.dtype) == kind
        if not same or not arrays.sound(value):
            must = f"a function that returns finite {field.dtype} of shape {tuple(field.shape)}"
            got = f"one that returned {describe(value)}"
            do = "return as many finite numbers as the field has"
            refuse("activation", got=got, must=must, do=do)
        return value

    def _again(self, state: Tensor, kept: Tensor | None = None) -> Tensor:
        """Read on from a state. Zeros, which an empty read leaves, are no bits: they stay."""
        if not self.key_bits:
            return self._read(state, kept)
        lost = (state == 0).any(-1, keepdim=True)
        return torch.where(lost, state, self._read(torch.where(lost, 1.0, state), kept))

    def _settled(self, query: Tensor, rules: Rules) -> Settled:
        """Read repeatedly."""
        *_, last = dynamics.iterate(self._again, query, rules)
        return last

    def _energies(self, states: Tensor, mask: Mask) -> Tensor | None:
        """Return the energy of states; None where the memory has none, or none that is finite."""
        if not self._descends:
            return None
        with suppress(InputError):
            rows = states.reshape(-1, states.shape[-1])
            kept = self._kept(mask, states.shape[:-1])
            found = routes.energy(rows, self.keys, self.similarity, self.separation, kept)
            return found.reshape(states.shape[:-1])
        return None

    def _iteration(
        self, query: Tensor, steps: int, rate: float, tolerance: float | None, mask: Mask
    ) -> Rules:
        """Check a query and how its recall is repeated."""
        rows, kept = self._given(query, mask)
        arrays.finite("query", query)
        if self.value_dim != self.dim:
            must = "the length of the keys, because a recall reads on from what was read"
            refuse(
                "value_dim",
                got=f"{self.value_dim} for keys of {self.dim}",
                must=must,
                do="use read",
            )
        if tolerance is None:
            tolerance = 0.0 if self.value_bits else torch.finfo(self.dtype).eps ** 0.75
        context = () if kept is None else (kept.expand(len(rows), -1),)
        rules = dynamics.rules(steps, rate, tolerance, context, len(rows))
        if self.value_bits and rules.rate != 1:
            do = "leave it out; bits take whole steps"
            refuse("rate", got=repr(rate), must="1 where bits are read", do=do)
        return rules

    def _resize(self, state: dict[str, Any], prefix: str, *names: str) -> None:
        """Make buffers as long as those to be loaded, once these are known to be sound."""
        here = {name: rows for name in names if isinstance(rows := self._buffers.get(name), Tensor)}
        new = {name: rows for name in here if isinstance(rows := state.get(prefix + name), Tensor)}
        if new:
            _state.vet(here, new)
            for name, rows in new.items():
                if (name == "keys" and self.key_bits) or (name == "_values" and self.value_bits):
                    self._vet_bits(name, rows)
        for name, rows in new.items():
            self._buffers[name] = here[name].new_empty(rows.shape)

    def _vet_bits(self, name: str, rows: Tensor) -> None:
        """Refuse rows of a state that are not the bits they must be."""
        arrays.bipolar(name, rows)


def _biased(kept: Tensor | None, bias: Tensor) -> Tensor:
    """Add the bias of the keys to the rows of a mask."""
    if kept is None:
        return bias.expand(1, -1)
    return torch.where(kept, bias, -torch.inf) if kept.dtype == torch.bool else kept + bias
