"""The contract of every memory, written once; ``patterns`` and ``locations`` hold the two ways to store."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from kanerva import dynamics, functional
from kanerva._core import archive, arrays, checks
from kanerva._core.errors import InputError, InputTypeError, door, refuse, within
from kanerva._core.settings import settings
from kanerva.activation import Activation, Sign
from kanerva.bits import Packed
from kanerva.dynamics import Path, Settled
from kanerva.memory import _parts
from kanerva.memory._explanation import Explanation
from kanerva.separation import Cap, Circle, Difference, Separation
from kanerva.similarity import Overlap, Similarity, agreement

__all__ = ["Explanation", "Memory"]

Mask = Shaped[Tensor, "*_mask"] | None
EMPTY = ("zero", "keep", "raise")


class Memory(nn.Module, ABC):
    r"""A content-addressable memory: compares a query with keys, weighs them, and sums their values.

    .. math:: s_i = \text{similarity}(q, k_i), \quad w = \text{separation}(s), \quad y = \text{activation}\Bigl(\sum_i w_i v_i\Bigr)

    Everything here is written once; a store says only what its keys and values are, and how to write and forget.

    Attributes:
        keys: ``(m, d)`` what a query is compared with.
        values: ``(m, e)`` what is summed.
        similarity: how near a query is to a key.
        separation: how much each key counts.
        activation: what is done with the sum.
        empty: what is read where every weight is zero: ``"zero"`` zeros, ``"keep"`` the query, ``"raise"`` an error.

    Example:
        >>> import kanerva
        >>> memory = kanerva.hopfield(bits=100)
        >>> patterns = kanerva.bits.random(5, 100, seed=0)
        >>> ids = memory.write(patterns)
        >>> cues = kanerva.bits.flip(patterns, 20, seed=1)
        >>> kanerva.bits.hamming(memory.recall(cues), patterns).tolist()
        [0, 0, 0, 0, 0]
    """

    @door
    def __init__(
        self, similarity: Similarity, separation: Separation, activation: Activation, empty: str
    ) -> None:
        super().__init__()
        for name, part, kind in (
            ("separation", separation, Separation),
            ("activation", activation, Activation),
        ):
            if not isinstance(part, kind):
                do = f"take one from kanerva.{name}"
                refuse(name, part, must=f"a part of kanerva.{name}", do=do, error=InputTypeError)
        if not callable(similarity) or isinstance(similarity, type | Separation | Activation):
            must, do = "a function of query and keys", "take one from kanerva.similarity"
            refuse("similarity", similarity, must=must, do=do, error=InputTypeError)
        self.similarity, self.activation = similarity, activation
        self.empty = checks.choice("empty", empty, EMPTY)
        self._separation = separation
        beta = separation.temperature()
        self.register_parameter("beta", beta if isinstance(beta, nn.Parameter) else None)

    def _fit(self) -> None:
        """Refuse parts that do not go together."""
        name = _parts.name(self.similarity)
        inner = getattr(self._separation, "part", self._separation)
        expects = self._separation.expects or inner.expects
        if expects and name not in expects:
            must = f"{' or '.join(expects)} for {self._separation}"
            refuse(
                "similarity",
                must=must,
                got=name,
                do="choose that similarity, or another separation",
            )
        for part in (inner, self.similarity):
            length = {Circle: "bits", Overlap: "bits", Cap: "dim"}.get(type(part))
            if length and getattr(part, length) != self.dim:
                must, got = (
                    f"{self.dim}, the length of the keys",
                    f"{getattr(part, length)} in {_parts.name(part)}",
                )
                refuse(length, must=must, got=got, do="give keys and parts the same length")
        keeps = self.empty == "keep" or (
            isinstance(self.activation, Sign) and self.activation.tie == "keep"
        )
        if (keeps or isinstance(self._separation, Difference)) and self.value_dim != self.dim:
            got = f"{self.value_dim} for keys of {self.dim}"
            refuse(
                "value_dim",
                must="the length of the keys, to keep the query's own",
                got=got,
                do='choose another "tie" or "empty"',
            )

    @property
    def separation(self) -> Separation:
        """How much each key counts, at the inverse temperature that was learned where one is."""
        return self._separation if self.beta is None else self._separation.with_beta(self.beta)

    keys: Any
    beta: nn.Parameter | None

    @property
    @abstractmethod
    def values(self) -> Shaped[Tensor, "m e"] | Packed:
        """What is summed: one row for each key."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length d of a key."""

    @property
    @abstractmethod
    def value_dim(self) -> int:
        """Length e of a value."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Dtype of queries and reads."""

    @property
    @abstractmethod
    def autoassociative(self) -> bool:
        """Whether the values are the keys themselves, so that a read has an energy."""

    @abstractmethod
    def write(
        self, keys: Float[Tensor, "*batch d"], values: Float[Tensor, "*batch e"] | None = None
    ) -> Tensor | None:
        """Store ``values`` under ``keys``."""

    @abstractmethod
    def __len__(self) -> int:
        """Count what is stored."""

    @abstractmethod
    def _config(self) -> dict[str, Any]:
        """Describe the store for a file, apart from its parts and tensors."""

    def __bool__(self) -> bool:
        return True

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Memory":
        with within(f"{type(self).__name__}.to"):
            arrays.floating(fn(torch.empty(0, dtype=self.dtype, device=self._home)).dtype)
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        separation = self._separation
        if self.beta is not None:
            with suppress(InputError):  # training may have led it out of its range
                separation = separation.with_beta(self.beta.item())
        parts = [_parts.name(self.similarity), repr(separation), repr(self.activation)]
        parts += [] if self.beta is None else ["beta is learned"]
        return f"{self.dim} -> {self.value_dim}, {len(self)} stored, {', '.join(parts)}"

    @property
    def _home(self) -> torch.device:
        """Device of what is stored."""
        values = self.values
        return (values.words if isinstance(values, Packed) else values).device

    @property
    def key_bits(self) -> bool:
        """Whether keys and queries are -1/+1."""
        compares = (
            self.similarity is agreement
            or isinstance(self.similarity, Overlap)
            or isinstance(self._separation, Difference)
        )
        return compares or (self.autoassociative and self.value_bits)

    @property
    def value_bits(self) -> bool:
        """Whether values are -1/+1."""
        return isinstance(self.activation, Sign)

    @door
    def scores(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch m"]:
        """Compare queries with every key.

        Args:
            query: ``(..., d)`` in the memory's dtype; -1/+1 where ``key_bits``.
            mask: broadcasts to ``(..., m)``: bool (True keeps) or float (added to the scores).

        Returns:
            ``(..., m)``, larger is nearer.
        """
        self._afford(self._checked(query))
        return functional.scores(query, self.keys, self.similarity, mask)

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
        self._afford(self._checked(query))
        return functional.weights(query, self.keys, self.similarity, self.separation, mask)

    @door
    def read(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch e"]:
        """Read once.

        Args:
            query: ``(..., d)`` in the memory's dtype; -1/+1 where ``key_bits``.
            mask: broadcasts to ``(..., m)``: bool (True keeps) or float (added to the scores, so that beta scales it too).

        Returns:
            ``(..., e)`` in the memory's dtype. Where nothing is stored, within reach or left by the mask: zeros, or what
            ``empty`` says.

        Raises:
            InputError: a query of another length, with other numbers than bits where bits are asked, or not finite.
        """
        return self._read(self._checked(query), mask)

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
        """Read again and again until nothing changes, each query on its own, and return where it came to rest.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: share of each step taken, in (0, 1]; bits take whole steps only.
            tolerance: rest is a change of no more than this share of the largest coordinate; None: exact rest for bits,
                else the dtype's resolution to the power 3/4.
            mask: as in ``read``.

        Returns:
            the last states ``(..., d)``; ``settle`` tells which of them came to rest.
        """
        return self._settled(self._journey(query, steps, rate, tolerance, mask)).state

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
        """Recall, and tell how many reads each query took and whether it came to rest.

        Args:
            query: ``(..., d)``.
            steps: at most so many reads.
            rate: share of each step taken.
            tolerance: as in ``recall``.
            mask: as in ``read``.

        Returns:
            last states, reads made, and whether the last one changed nothing.
        """
        return self._settled(self._journey(query, steps, rate, tolerance, mask))

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
            rate: share of each step taken.
            tolerance: as in ``recall``.
            mask: as in ``read``.

        Returns:
            the path: states, energies (None where the memory has none), steps taken, and whether each came to rest.
        """
        path = dynamics.trace(self._again, **self._journey(query, steps, rate, tolerance, mask))
        return path._replace(energies=self._energy(path.states, mask))

    @door
    def energy(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None
    ) -> Float[Tensor, "*batch"]:
        r"""Return the energy that a read lowers.

        .. math:: E(q) = R(q) - \Phi(s(q))

        with R half the squared length for ``dot`` scores and 0 for ``closeness``. For a normalised separation and no activation
        its gradient is ``query - read``.

        Args:
            query: ``(..., d)``.
            mask: as in ``read``.

        Returns:
            ``(...)``; +inf where nothing is stored or left by the mask.

        Raises:
            InputError: values that are not the keys, another similarity, or a separation without potential.
        """
        if not self.autoassociative:
            got = f"a memory of {self.dim} -> {self.value_dim} with values of its own"
            refuse(
                "memory",
                must="auto-associative, its values the keys",
                got=got,
                do="build it without value_dim",
            )
        return functional.energy(
            self._checked(query), self.keys, self.similarity, self.separation, mask
        )

    @door
    def explain(self, query: Float[Tensor, "*batch d"], mask: Mask = None) -> Explanation:
        """Read once and say why: weights, their mass, how many keys took part, how close it was.

        Args:
            query: ``(..., d)``.
            mask: as in ``read``.

        Returns:
            an ``Explanation``.

        Raises:
            InputError: the weights of all queries together would take more than ``settings.budget``.
        """
        weights = self.weights(self._checked(query), mask)
        field = self._field(query, mask)
        size = weights.abs()
        mass = self._mass(weights)
        if not arrays.sound(mass):
            must, do = (
                f"such that the mass stays within {mass.dtype}",
                "scale the data or beta down, or wrap the separation in Normalised",
            )
            refuse("query", must=must, got="too large: it overflows", do=do)
        share = size / size.sum(-1, keepdim=True).clamp_min(torch.finfo(size.dtype).tiny)
        squares = share.square().sum(-1)
        return Explanation(
            value=self._read(query, mask),
            weights=weights,
            mass=mass,
            active=(weights != 0).sum(-1),
            effective=torch.where(
                squares > 0, 1 / squares.clamp_min(torch.finfo(size.dtype).tiny), 0.0
            ),
            entropy=torch.special.entr(share).sum(-1),
            margin=self._margin(field.value, mass) if self.value_bits else None,
            energy=self._energy(query, mask),
        )

    @door
    def save(self, path: str | FilePath) -> None:
        """Write the memory to one safetensors file, whole or not at all; ``kanerva.load`` reads it back.

        Args:
            path: where; an existing file is replaced.

        Raises:
            InputError: parts that are not of this library.
            InputFileError: no such folder, no permission, or no room.
        """
        config = {
            "class": type(self).__name__,
            "similarity": _parts.describe(self.similarity),
            "separation": _parts.describe(self.separation),
            "activation": _parts.describe(self.activation),
            "empty": self.empty,
            "learned": self.beta is not None,
        }
        archive.write(checks.path(path), dict(self.state_dict()), config | self._config())

    def _checked(self, query: Tensor) -> Tensor:
        """Refuse a query that this memory cannot be asked."""
        return self._rows("query", query, self.dim, self.key_bits)

    def _rows(self, name: str, rows: Tensor, dim: int, bits: bool) -> Tensor:
        """Refuse vectors of the wrong length, dtype, device or domain."""
        arrays.vectors(name, rows, dim, self.dtype)
        home = self._home
        if rows.device != home:
            refuse(
                name,
                must=f"on {home}",
                got=f"on {rows.device}",
                do=f"move it with {name}.to({str(home)!r})",
            )
        return arrays.bipolar(name, rows) if bits else arrays.finite(name, rows)

    def _payload(self, keys: Tensor, values: Tensor | None) -> Tensor:
        """Return the values that go with ``keys``, one row each: the keys themselves where none are given."""
        if values is None and self.value_dim != self.dim:
            must = f"a tensor of shape (..., {self.value_dim})"
            refuse("values", must=must, got="left out", do="give one value for each key")
        values = self._rows(
            "values", keys if values is None else values, self.value_dim, self.value_bits
        )
        if values.shape[:-1] != keys.shape[:-1]:
            got = f"of shape {tuple(values.shape)} for keys of shape {tuple(keys.shape)}"
            refuse(
                "values",
                must="one for each key",
                got=got,
                do="give both the same leading dimensions",
            )
        return values.reshape(-1, self.value_dim)

    def _resize(self, state: dict[str, Any], prefix: str, *names: str) -> None:
        """Make buffers as long as those about to be loaded, once these are known to be sound and to fit together."""
        here = {name: rows for name in names if isinstance(rows := self._buffers.get(name), Tensor)}
        new = {name: rows for name in here if isinstance(rows := state.get(prefix + name), Tensor)}
        if new:
            self._vet(here, new)
        for name, rows in new.items():
            self._buffers[name] = here[name].new_empty(rows.shape)

    def _vet(self, here: dict[str, Tensor], new: dict[str, Tensor]) -> None:
        """Refuse buffers that are not those of one memory like this one, or would lose something in its dtypes."""
        if len(new) < len(here) or len({rows.shape[:1] for rows in new.values()}) > 1:
            got = ", ".join(f"{tuple(rows.shape)} of {name}" for name, rows in new.items())
            refuse(
                "state",
                must=f"as many rows of each of {', '.join(here)}",
                got=got,
                do="load the state of one memory, whole",
            )
        for name, rows in new.items():
            size = here[name].shape[1:]
            if rows.shape[1:] != size:
                do = "build the memory with the sizes that were saved"
                refuse(
                    name,
                    must=f"rows of shape {tuple(size)}",
                    got=f"of shape {tuple(rows.shape)}",
                    do=do,
                )
            if rows.dtype != here[name].dtype and not torch.equal(
                rows.to(here[name].dtype).to(rows.dtype), rows
            ):
                must, do = (
                    f"numbers that {here[name].dtype} holds",
                    f"build the memory with {rows.dtype}",
                )
                refuse(name, rows, must=must, do=do, error=InputTypeError)
            arrays.finite(name, rows)
            if (name == "keys" and self.key_bits) or (name == "_values" and self.value_bits):
                self._vet_bits(name, rows)

    def _vet_bits(self, name: str, rows: Tensor) -> None:
        """Refuse rows of a state that are not the bits they must be."""
        arrays.bipolar(name, rows)

    def _afford(self, query: Tensor) -> None:
        """Refuse weights of more bytes than the budget: they are returned, so they cannot be built in pieces."""
        size = query[..., 0].numel() * self.keys.shape[0] * max(4, query.element_size())
        if size > settings.budget and query[..., 0].numel() > 1:
            must = f"few enough for {settings.budget} bytes of weights"
            do = "ask fewer at a time, or raise kanerva.settings.budget"
            refuse(
                "query",
                must=must,
                got=f"{tuple(query.shape)} against {self.keys.shape[0]} keys: {size} bytes",
                do=do,
            )

    def _field(self, query: Tensor, mask: Mask) -> functional.Field:
        """Sum the values by their weights."""
        return functional.field(
            query, self.keys, self.values, self.similarity, self.separation, mask
        )

    def _mass(self, weights: Tensor) -> Tensor:
        """Measure how much answered."""
        return weights.abs().sum(-1)

    def _margin(self, field: Tensor, mass: Tensor) -> Tensor:
        """Measure the smallest majority."""
        return field.abs().amin(-1) / mass.clamp_min(torch.finfo(mass.dtype).tiny)

    def _read(self, query: Tensor, mask: Mask = None) -> Tensor:
        """Read queries that were checked."""
        field = self._field(query, mask)
        value = functional.narrow(
            self.activation(field.value, query.to(field.value.dtype)), query.dtype
        )
        if self.empty == "raise" and not arrays.tracing() and field.empty.any():
            got = f"out of reach, {int(field.empty.sum())} of {field.empty.numel()} of them"
            refuse(
                "query",
                must="near something that is stored",
                got=got,
                do='widen the radius, or choose empty="zero" or "keep"',
            )
        return torch.where(field.empty.unsqueeze(-1), query if self.empty == "keep" else 0.0, value)

    def _again(self, query: Tensor, mask: Mask = None) -> Tensor:
        """Read on from a state: zeros, which an empty read leaves, are no bits to ask with, and stay."""
        if not self.key_bits:
            return self._read(query, mask)
        lost = (query == 0).any(-1, keepdim=True)
        return torch.where(lost, query, self._read(torch.where(lost, 1.0, query), mask))

    def _settled(self, journey: dict[str, Any]) -> Settled:
        """Read again and again."""
        return dynamics.settle(self._again, **journey)

    def _energy(self, states: Tensor, mask: Mask) -> Tensor | None:
        """Return the energy of states that were checked, or None where the memory has none, or none that is finite."""
        if not self.autoassociative:
            return None
        try:
            return functional.energy(states, self.keys, self.similarity, self.separation, mask)
        except InputError:
            return None

    def _journey(
        self, query: Tensor, steps: int, rate: float, tolerance: float | None, mask: Mask
    ) -> dict[str, Any]:
        """Check and lay out what ``dynamics.settle`` needs."""
        self._checked(query)
        if self.value_dim != self.dim:
            got = f"{self.value_dim} for keys of {self.dim}"
            refuse(
                "value_dim",
                must="the length of the keys, to read on from what was read",
                got=got,
                do="use read",
            )
        steps = checks.integer("steps", steps, 0, checks.LONGEST)
        rate = checks.number("rate", rate, 0, 1, open_low=True)
        if self.value_bits and rate != 1:
            refuse(
                "rate",
                must="1 where bits are read",
                got=repr(rate),
                do="leave it out; bits take whole steps",
            )
        if tolerance is None:
            tolerance = 0.0 if self.value_bits else torch.finfo(self.dtype).eps ** 0.75
        tolerance = checks.number("tolerance", tolerance, 0)
        kept = functional.rows_of(mask, query.shape[:-1], self.keys.shape[0])
        rows = () if kept is None else (kept.expand(query[..., 0].numel(), -1),)
        return {
            "query": query,
            "steps": steps,
            "rate": rate,
            "tolerance": tolerance,
            "context": rows,
        }
