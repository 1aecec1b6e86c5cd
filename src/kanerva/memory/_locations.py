"""The store that adds what is written to the counters of fixed locations."""

from typing import Any

import torch
from jaxtyping import Float, Int8, Shaped
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import FLOATS, Listed
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._core.settings import settings
from kanerva._engine import routes, writes
from kanerva._engine.reverse import backwards
from kanerva._engine.routes import Field
from kanerva.activation import Activation, Sign
from kanerva.bits import WORD, Packed, pack
from kanerva.memory._base import Memory
from kanerva.memory._file import Record, unsound
from kanerva.memory._inputs import Given, changes
from kanerva.separation import Separation
from kanerva.similarity import Similarity, agreement

__all__ = ["Locations"]


class Locations(Memory):
    r"""Adds every value to the counters of the fixed locations that its key activates.

    .. math:: C_i \mathrel{+}= w_i(a)\, v, \quad h_i \mathrel{+}= w_i(a)

    This is Kanerva's store; its size does not grow with what is written. The last column of
    ``counters`` is h, how often a location was written. Its sum over the active locations is the
    mass of a read, which distinguishes a tie from nothing written within reach.

    Args:
        addresses: ``(m, d)`` of the locations; -1/+1 with ``agreement``, and then packed 64 bits to
            a word; int8 of -1, 0 and +1 with another similarity, such as ``dot``, for locations
            that compare only the bits where they are not 0: keys are bits then.
        value_dim: e, length of a value; None for d.
        similarity: how near an address is to a location; default ``agreement``.
        separation: which locations are active, for writing and reading alike.
        activation: what is done with the sum; default the sign, ties by coin.
        empty: what is read where nothing was written within reach: ``"zero"``, ``"keep"`` or
            ``"raise"``.
        counters: dtype of the counters; an integer one for bits stored at locations that a ``Step``
            activates, else a floating one.
        overflow: of integer counters, to which a batch is written one key after the other:
            ``"raise"`` refuses a batch that would pass the end, and writes none of it;
            ``"saturate"`` stops at the end, and cannot be taken back exactly then.

    Example:
        >>> import kanerva
        >>> memory = kanerva.sdm(bits=256, locations=10_000, patterns=100)
        >>> patterns = kanerva.bits.random(100, 256, seed=0)
        >>> memory.write(patterns)
        >>> cues = kanerva.bits.flip(patterns, 26, seed=1)
        >>> int((memory.recall(cues) != patterns).any(-1).sum())  # patterns not recalled
        0

    Source: Kanerva 1988.
    """

    addresses: Tensor
    counters: Tensor
    _stored: Tensor
    _unit: Tensor

    @door
    def __init__(
        self,
        addresses: Float[Tensor, "m d"] | Int8[Tensor, "m d"] | Packed,
        value_dim: int | None = None,
        *,
        similarity: Similarity = agreement,
        separation: Separation,
        activation: Activation | None = None,
        empty: str = "zero",
        counters: torch.dtype = torch.int32,
        overflow: str = "raise",
    ) -> None:
        activation = Sign() if activation is None else activation
        super().__init__(similarity, separation, activation, empty)
        self._address(addresses)
        width = self.dim
        if value_dim is not None:
            width = checks.integer("value_dim", value_dim, 1, checks.LONGEST)
        kinds = (*arrays.FLOATS, *arrays.INTEGERS)
        if not isinstance(counters, torch.dtype) or counters not in kinds:
            must, do = "a signed integer or a floating dtype", "choose torch.int32"
            refuse("counters", counters, must=must, do=do, error=InputTypeError)
        needed = len(addresses) * (width + 1) * counters.itemsize
        with checks.room("value_dim", f"{width} for each of {len(addresses)} locations", needed):
            self.register_buffer("counters", torch.zeros(len(addresses), width + 1, dtype=counters))
        self.register_buffer("_stored", torch.zeros((), dtype=torch.int64))
        self.overflow = checks.choice("overflow", overflow, ("raise", "saturate"))
        # No counter is further from zero than the peak that was last seen plus the writes since.
        self._peak, self._unseen = 0, 0
        if not (counters.is_floating_point or (self.value_bits and separation.binary)):
            must = "a floating dtype, unless bits are stored at the locations that a Step activates"
            refuse("counters", got=str(counters), must=must, do="choose torch.float32")
        self._fit()

    def _address(self, addresses: Tensor | Packed) -> None:
        """Keep the addresses: packed where they are bits."""
        binary = bool(getattr(self.similarity, "bits", False))
        if isinstance(addresses, Tensor):
            arrays.rows("addresses", addresses)
            self._vet_addresses(addresses, binary)
        elif not isinstance(addresses, Packed):
            must, do = "a tensor or bits.Packed", "draw some with bits.random or bits.Packed.random"
            refuse("addresses", addresses, must=must, do=do, error=InputTypeError)
        elif not binary:
            must, do = "a tensor, unless compared by agreement", "unpack them with addresses[:]"
            refuse("addresses", got="bits.Packed", must=must, do=do)
        if len(addresses) == 0:
            do = "draw some with bits.random"
            refuse("addresses", got="none", must="at least one location", do=do)
        self._dim, dtype = addresses.shape[1], torch.float32
        kept = addresses.words if isinstance(addresses, Packed) else addresses.detach()
        if isinstance(addresses, Tensor):
            dtype = torch.float32 if addresses.dtype == torch.int8 else addresses.dtype
            kept = pack(addresses) if binary else kept.clone()
        self.register_buffer("_unit", torch.ones((), dtype=dtype), persistent=False)
        self.register_buffer("addresses", kept)

    def _vet_addresses(self, addresses: Tensor, binary: bool) -> None:
        """Refuse addresses that cannot be compared with keys."""
        if binary:
            arrays.bipolar("addresses", arrays.floats("addresses", addresses))
        elif addresses.dtype != torch.int8:
            arrays.finite("addresses", arrays.floats("addresses", addresses))
        elif not arrays.tracing() and not torch.equal(addresses, addresses.clamp(-1, 1)):
            must, do = "-1, 0 and +1 where they are int8", "give 0 where a location compares no bit"
            refuse("addresses", addresses, must=must, do=do)

    @property
    def keys(self) -> Shaped[Tensor, "m d"] | Packed:
        """Addresses of the locations; packed, where they are bits."""
        packed = self.addresses.dtype == torch.int64
        return Packed.wrap(self.addresses, self._dim) if packed else self.addresses

    @property
    def values(self) -> Shaped[Tensor, "m e"]:
        """The counters of the locations."""
        return self.counters[:, :-1]

    @property
    def dim(self) -> int:
        """Length d of an address."""
        return self._dim

    @property
    def value_dim(self) -> int:
        """Length e of a value."""
        return self.counters.shape[-1] - 1

    @property
    def key_bits(self) -> bool:
        """Whether keys and queries are -1/+1: where locations are bits, or compare some bits."""
        return super().key_bits or self.addresses.dtype == torch.int8

    @property
    def autoassociative(self) -> bool:
        """Never: the values are counters, and the memory has no energy."""
        return False

    def __len__(self) -> int:
        return int(self._stored)

    @door
    @changes
    def write(
        self,
        keys: Float[Tensor, "*batch d"] | Listed,
        values: Float[Tensor, "*batch e"] | Listed | None = None,
    ) -> None:
        """Deposit values at the locations that their keys activate.

        Args:
            keys: ``(..., d)``.
            values: ``(..., e)``; None to store the keys themselves.

        Raises:
            InputError: a counter would overflow; nothing is written then.
        """
        self._deposit(keys, values, 1)

    @door
    @changes
    def forget(
        self,
        keys: Float[Tensor, "*batch d"] | Listed,
        values: Float[Tensor, "*batch e"] | Listed | None = None,
    ) -> None:
        """Take back what was written by depositing its complement.

        This is the exact reverse of ``write``, unless counters were saturated.

        Args:
            keys: ``(..., d)`` as written.
            values: ``(..., e)`` as written.

        Raises:
            InputError: more than is stored.
        """
        self._deposit(keys, values, -1)

    @door
    @changes
    def clear(self) -> None:
        """Set every counter to zero; the addresses stay."""
        self.counters.zero_()
        self._stored.zero_()
        self._peak, self._unseen = 0, 0

    @door
    @changes
    def kill(self, share: float, *, seed: int | torch.Generator) -> int:
        """Destroy a random share of the locations, with their counters.

        Args:
            share: >= 0, below 1; the nearest whole number of locations is destroyed, and at least
                one is left.
            seed: an integer >= 0 or a CPU generator.

        Returns:
            how many were destroyed.

        Source: Kanerva 1988, on the tolerance of the memory to the loss of neurons.
        """
        count = len(self.addresses)
        died = round(checks.number("share", share, 0, 1) * count)
        if died == count:
            must = f"small enough to leave one of {count} locations"
            refuse("share", got=f"{share:g}", must=must, do="kill fewer")
        order = torch.randperm(count, generator=arrays.generator(seed)).to(self.addresses.device)
        left = order[died:].sort().values
        self.addresses = self.addresses[left]
        self.counters = self.counters[left]
        return died

    def _deposit(self, keys: Any, values: Any, times: int) -> None:
        """Check everything, then change the counters."""
        keys = self._rows("keys", keys, self.dim, self.key_bits)
        values = self._payload(keys, values)
        count = len(values)
        if times < 0 and count > len(self):
            must, do = f"no more than the {len(self)} stored", "forget only what was written"
            refuse("keys", got=str(count), must=must, do=do)
        given = torch.cat([values, torch.ones_like(values[:, :1])], -1)
        self._add(keys.reshape(-1, self.dim), given, times)
        self._stored += times * count

    def _add(self, keys: Tensor, given: Tensor, times: int) -> None:
        """Change the counters; near the end of their range, one key after the other."""
        if not self.counters.is_floating_point():
            end = torch.iinfo(self.counters.dtype).max
            if self._unseen and self._peak + self._unseen + len(keys) > end:
                low, high = self.counters.aminmax()
                self._peak, self._unseen = max(-int(low), int(high)), 0
            if self._peak + self._unseen + len(keys) > end:
                return self._add_one_by_one(keys, given, times, end)
            self._unseen += len(keys)
        rule = (self.similarity, self.separation)
        writes.deposit(keys, given, self.keys, self.counters, *rule, times)

    def _add_one_by_one(self, keys: Tensor, given: Tensor, times: int, end: int) -> None:
        """Write one key after the other, up to the end of the counters.

        Where a counter would pass the end, everything is taken back and refused.
        """
        rule = (self.similarity, self.separation)
        size = max(1, settings.budget // (32 * given.shape[-1]))
        for done, near in enumerate(writes.active(keys, self.keys, *rule)):
            change, parts, peak = times * given[done].long(), torch.split(near, size), 0
            if len(near):
                peak = max(int((self.counters[part] + change).abs().amax()) for part in parts)
            if peak > end and self.overflow == "raise":
                before = (keys[:done], given[:done], self.keys, self.counters)
                writes.deposit(*before, *rule, -times)
                must, got = f"few enough that no counter passes {end}", "more, and one does"
                do = 'choose wider counters, or overflow="saturate"'
                refuse("keys", got=f"{len(keys)} {got}", must=must, do=do)
            for part in parts:
                changed = (self.counters[part] + change).clamp_(-end, end)
                self.counters[part] = changed.to(self.counters.dtype)
            self._peak = max(self._peak, min(peak, end))

    def _held(self) -> tuple[Any, Any, Any, Any, Any]:
        return self.keys, self.counters, self.bias(), None, self.separation

    def _field(self, given: Given) -> Field:
        """Sum the counters; the last column is 0 where nothing was written within reach."""
        parts = (given.keys, given.values, self.similarity, given.rule, given.kept)
        # Writes change the counters in place.
        with self._alone():
            found = routes.field(given.rows, *parts)
        return Field(found.value[:, :-1], found.value[:, -1] == 0, found.size)

    def _mass(self, attention: Tensor, given: Given) -> Tensor:
        """Count the locations shared with everything written."""
        return (attention.double() @ given.values[:, -1].double()).to(attention.dtype)

    @door
    def pattern_weights(
        self, query: Float[Tensor, "*batch d"] | Listed, patterns: Float[Tensor, "n d"] | Listed
    ) -> Float[Tensor, "*batch n"]:
        """Return how much each stored pattern counts in a read.

        Args:
            query: ``(..., d)``.
            patterns: ``(n, d)`` the patterns that were stored.

        Returns:
            ``(..., n)`` how many active locations query and pattern share, or the product of their
            weights where these are not 0 and 1.
        """
        given, stored = self._given(query, None), self._given(patterns, None).rows
        parts = (given.keys, self.similarity, given.rule, None)
        size = max(1, settings.budget // (64 * len(given.keys)))
        active = [routes.weights(part, *parts) for part in torch.split(given.rows, size)]
        columns = []
        for some in torch.split(stored, size):
            weights = routes.weights(some, *parts)
            columns.append(torch.cat([part @ weights.mT for part in active]))
        return torch.cat(columns, -1).reshape(*given.batch, len(stored))

    @door
    def addresses_of(self, values: Float[Tensor, "*batch e"] | Listed) -> Float[Tensor, "*batch d"]:
        r"""Read the memory backwards: return the key under which each value was written.

        .. math:: k = \mathrm{sign}\Bigl(\sum_i (C_i \cdot v)\, A_i\Bigr)

        The addresses A of all locations are summed, each weighted by the inner product of its
        counters C and the value. Locations that were active for a key lie around that key, and
        their counters agree with its value. So a value that was written gives a vector near its
        key, the nearer the fewer pairs are stored. Another value gives a mixture of the stored
        keys, each with the sign in which it agrees with their values by chance. On average half of
        its bits are those of a key, but where few pairs are stored it may be near one of them. So
        nearness to a stored key does not show that a value was written. Integer counters are summed
        exactly.

        Args:
            values: ``(..., e)`` in the memory's dtype; -1/+1 where ``value_bits``.

        Returns:
            ``(..., d)`` of -1/+1 in the memory's dtype. A sum of zero becomes what a read makes of
            it, by ``activation``: with ``Sign`` a bit by its rule for ties. Where no location
            agrees or disagrees, as in an empty memory: zeros, or what ``empty`` says.

        Raises:
            InputError: addresses that are not bits, values of another length, or with other numbers
                than bits where bits are stored.

        Example:
            >>> import kanerva
            >>> memory = kanerva.sdm(bits=256, locations=10_000, radius=110)
            >>> keys, values = kanerva.bits.random(20, 256, seed=1).split(10)
            >>> memory.write(keys, values)
            >>> found = memory.addresses_of(values)
            >>> bool((kanerva.bits.hamming(found, keys) <= 20).all())
            True
            >>> kanerva.bits.hamming(found[:, None], keys).argmin(-1).tolist()  # the nearest key
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

        Source: the locations are those of Kanerva 1988; the question is that of a lecture by the
        authors of Bricken and Pehlevan 2021.
        """
        if not isinstance(self.keys, Packed):
            do = "build one with kanerva.sdm, or with the similarity agreement"
            got = f"one of {self.addresses.dtype} addresses"
            refuse("memory", got=got, must="one whose addresses are -1/+1 bits", do=do)
        rows = self._rows("values", values, self.value_dim, self.value_bits)
        given, exact = (
            rows.detach().reshape(-1, self.value_dim),
            not self.counters.dtype.is_floating_point,
        )
        # Writes change the counters in place.
        with self._alone():
            parts = backwards(given, self.keys, self.values, exact)
            found = torch.cat([self._decided(*part) for part in parts])
        return found.reshape(*rows.shape[:-1], self.dim)

    def _decided(self, values: Tensor, sums: Tensor, empty: Tensor) -> Tensor:
        """Return the signs of sums of addresses; zeros are treated as those of a read."""
        if not arrays.sound(sums):
            do = "scale the values down"
            refuse("values", got="too large: sums overflow", must="of sums within float64", do=do)
        if self.empty == "raise" and not arrays.tracing() and empty.any():
            got = f"without it, {int(empty.sum())} of {empty.numel()} of them"
            do = 'give values that were written, or choose empty="zero" or "keep"'
            refuse("values", got=got, must="such that some counters agree or disagree", do=do)
        tied = self._activated(torch.zeros_like(sums), values)
        signs = torch.where(sums == 0, tied, sums.sign()).to(values.dtype)
        return self._emptied(signs, empty, values)

    def _config(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "value_dim": self.value_dim,
            "counters": str(self.counters.dtype).removeprefix("torch."),
            "overflow": self.overflow,
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    @classmethod
    def _built(cls, record: Record, rules: dict[str, Any]) -> Any:
        """Build an empty memory that fits the tensors of a file."""
        dim, width, dtype = (
            record.size("dim"),
            record.size("value_dim"),
            record.dtype("dtype", FLOATS),
        )
        packed = bool(getattr(rules["similarity"], "bits", False))
        held = record.tensors.get("addresses")
        partial = held is not None and held.dtype == torch.int8 and not packed
        kept = torch.int64 if packed else torch.int8 if partial else dtype
        addresses = record.tensor("addresses", (None, -(-dim // WORD) if packed else dim), kept)
        kind = record.dtype("counters", (*FLOATS, *arrays.INTEGERS))
        record.tensor("counters", (len(addresses), width + 1), kind)
        if int(record.tensor("_stored", (), torch.int64)) < 0:
            unsound("it stores less than nothing")
        keys = Packed(addresses, dim) if packed else addresses
        overflow = record.value("overflow")
        memory = cls(keys, width, counters=kind, overflow=overflow, **rules)
        # Not memory.to(dtype), which would change floating counters too.
        memory._unit = memory._unit.to(dtype)
        return memory

    @door("load_state_dict")
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self._resize(state_dict, prefix, "addresses", "counters")
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._peak, self._unseen = 0, torch.iinfo(torch.int64).max
