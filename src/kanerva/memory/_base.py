"""The contract of every memory that reads by a weighted sum of values."""

from abc import abstractmethod
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputError, describe, door, refuse
from kanerva._engine import routes, votes
from kanerva._engine.routes import Field
from kanerva._engine.scores import narrow
from kanerva.activation import Activation
from kanerva.bits import Packed
from kanerva.memory import _parts, _state
from kanerva.memory._explanation import Explanation, explained
from kanerva.memory._inputs import Given, Mask, afford
from kanerva.memory._recall import Recalls
from kanerva.separation import Separation
from kanerva.similarity import Similarity

__all__ = ["Memory"]

EMPTY = ("zero", "keep", "raise")


class Memory(Recalls):
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

    beta: nn.Parameter | None

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
        return self._part()

    def _part(self) -> Separation:
        """Return the rule that was given, which a file describes."""
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
        parts = [_parts.title(self.similarity), repr(separation), repr(self.activation)]
        parts += [] if self.beta is None else ["beta is learned"]
        return f"{self.dim} -> {self.value_dim}, {len(self)} stored, {', '.join(parts)}"

    @door
    def scores(
        self, query: Float[Tensor, "*batch d"] | Listed, mask: Mask = None
    ) -> Float[Tensor, "*batch m"]:
        """Compare queries with every key.

        Args:
            query: ``(..., d)`` in the memory's dtype; -1/+1 where ``key_bits``.
            mask: broadcasts to ``(..., m)``: bool (True keeps a key) or float (added to the
                scores; -inf leaves a key out).

        Returns:
            ``(..., m)``, larger is nearer.
        """
        given = self._given(query, mask)
        afford(given, self.dtype)
        found = routes.scores(given.rows, given.keys, self.similarity, given.kept)
        return found.reshape(*given.batch, found.shape[-1])

    @door
    def weights(
        self, query: Float[Tensor, "*batch d"] | Listed, mask: Mask = None
    ) -> Float[Tensor, "*batch m"]:
        """Weigh every key.

        Args:
            query: ``(..., d)``.
            mask: as in ``scores``.

        Returns:
            ``(..., m)``.
        """
        given = self._given(query, mask)
        afford(given, self.dtype)
        return self._at_each(given, self._weights).reshape(*given.batch, given.keys.shape[0])

    @door
    def read(
        self, query: Float[Tensor, "*batch d"] | Listed, mask: Mask = None
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
        given = self._given(query, mask)
        value = self._at_each(given, self._read)
        return value if len(given.batch) == 1 else value.reshape(*given.batch, value.shape[-1])

    def forward(
        self, query: Float[Tensor, "*batch d"] | Listed, mask: Mask = None
    ) -> Float[Tensor, "*batch e"]:
        """Read once, as ``read`` does."""
        return self.read(query, mask)

    @door
    def energy(
        self, query: Float[Tensor, "*batch d"] | Listed, mask: Mask = None
    ) -> Float[Tensor, "*batch"]:
        r"""Return the energy that a read lowers.

        .. math:: E(q) = R(q) - \Phi(s(q))

        R is the regulariser of the similarity: half the squared length for ``dot`` scores, 0 for
        ``closeness``, ``cosine``, ``agreement`` and ``manhattan``. Its gradient is ``query - read``
        for ``dot``, or for ``closeness`` with a normalised separation, where there is no
        activation.

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
        given = self._given(query, mask)
        return self._at_each(given, self._energy).reshape(given.batch)

    @door
    def explain(self, query: Float[Tensor, "*batch d"] | Listed, mask: Mask = None) -> Explanation:
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
        given = self._given(query, mask)
        afford(given, self.dtype)
        batch, weights = given.batch, self._at_each(given, self._weights)
        value = self._at_each(given, self._read).reshape(*batch, self.value_dim)
        vote = None
        if self.value_bits:
            vote = self._at_each(given, self._field).value.abs().amin(-1).reshape(batch)
        attention = self._attention(weights, given)
        energy, mass = self._energies(given), self._mass(attention, given).reshape(batch)
        shape = (*batch, weights.shape[-1])
        weights, attention = weights.reshape(shape), attention.reshape(shape)
        return explained(value, weights, attention, mass, vote, energy)

    @door
    def nearest(
        self, query: Float[Tensor, "*batch d"] | Listed, k: int = 1, mask: Mask = None
    ) -> Any:
        """Return which stored rows are nearest to a query, for a store that keeps its rows.

        Args:
            query: ``(..., d)``.
            k: how many rows.
            mask: as in ``read``.

        Raises:
            InputError: the memory keeps no rows.
        """
        do = "store the patterns in a kanerva.Patterns too, and take the nearest of these"
        refuse("memory", got=type(self).__name__, must="one that keeps its rows", do=do)

    @door
    def pattern_weights(
        self, query: Float[Tensor, "*batch d"] | Listed, patterns: Float[Tensor, "n d"] | Listed
    ) -> Float[Tensor, "*batch n"]:
        """Return how much each stored pattern counts in a read.

        Args:
            query: ``(..., d)``.
            patterns: ``(n, d)`` the patterns that were stored, in their order.

        Returns:
            ``(..., n)``: here the weights of the rows, which are the patterns.

        Raises:
            InputError: other than as many patterns as rows.
        """
        stored, rows = self._rows("patterns", patterns, self.dim, self.key_bits), len(self)
        if stored.shape[:-1] != (rows,):
            must, do = f"the {rows} patterns that are stored", "give those that were written"
            refuse("patterns", stored, must=must, do=do)
        return self.weights(query)

    @property
    def _descends(self) -> bool:
        """Whether the values are the keys, so that a read may descend an energy."""
        keys, values = self.keys, self.values
        if isinstance(keys, Packed) and isinstance(values, Packed):
            return self.autoassociative and keys.words is values.words
        return self.autoassociative and keys is values

    def _weights(self, given: Given) -> Tensor:
        """Weigh every key for checked queries."""
        rows, similarity = given.cue(self.similarity)
        return routes.weights(rows, given.keys, similarity, given.rule, given.kept)

    def _energy(self, given: Given) -> Tensor:
        """Return the energy of checked queries."""
        rows, similarity = given.cue(self.similarity)
        found = routes.energy(rows, given.keys, similarity, given.rule, given.kept)
        if given.betas is None or not given.scaled:
            return found
        return found / given.betas.to(found)

    def _energies(self, given: Given) -> Tensor | None:
        """Return the energy; None where the memory has none, or where one overflows."""
        if self._descends:
            with suppress(InputError):
                return self._at_each(given, self._energy).reshape(given.batch)
        return None

    def _field(self, given: Given) -> Field:
        """Sum the values by their weights."""
        engine = votes if self._bits and self.activation.bits else routes
        rows, similarity = given.rows, self.similarity
        if given.scaled:
            rows, similarity = given.cue(similarity)
        parts = (similarity, given.rule)
        return engine.field(rows, given.keys, given.values, *parts, given.kept)

    def _attention(self, weights: Tensor, given: Given) -> Tensor:
        """Return the weights ``(b, m)`` before a store acts on them."""
        return weights

    def _mass(self, attention: Tensor, given: Given) -> Tensor:
        """Return how much weight a read has."""
        return attention.abs().sum(-1)

    def _read(self, given: Given) -> Tensor:
        """Read checked queries ``(b, d)``."""
        rows, (value, empty, _) = given.rows, self._field(given)
        if not self.activation.plain:
            value = self._activated(value, rows)
        if value.dtype is not rows.dtype:
            value = narrow(value, rows)
        if empty is not None:
            value = self._emptied(value, empty, rows)
        if given.traced:
            # A traced graph cannot refuse a query: what is not finite, or no bits, has no answer.
            fits = rows.abs() == 1 if self._bits else rows.isfinite()
            value = torch.where(fits.all(-1, keepdim=True), value, torch.nan)
        return value

    def _emptied(self, value: Tensor, empty: Tensor, rows: Tensor) -> Tensor:
        """Replace what was read where every weight is zero."""
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

    def _resize(self, state: dict[str, Any], prefix: str, *names: str) -> None:
        """Make buffers as long as those to be loaded, once these are known to be sound."""
        here = {name: rows for name in names if isinstance(rows := self._buffers.get(name), Tensor)}
        new = {name: rows for name in here if isinstance(rows := state.get(prefix + name), Tensor)}
        if new:
            _state.vet(here, new)
            for name, rows in new.items():
                if (name == "keys" and self.key_bits) or (name == "_values" and self.value_bits):
                    self._vet_bits(name, rows)
        with torch.inference_mode(False):
            for name, rows in new.items():
                self._buffers[name] = here[name].new_empty(rows.shape)

    def _vet_bits(self, name: str, rows: Tensor) -> None:
        """Refuse rows of a state that are not the bits they must be."""
        arrays.bipolar(name, rows)
