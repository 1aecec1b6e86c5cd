"""The store that adds what is written to the counters of fixed locations."""

from typing import Any

import torch
from jaxtyping import Float, Int8, Shaped
from torch import Tensor

from kanerva import functional
from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._core.settings import settings
from kanerva.activation import Activation, Sign
from kanerva.bits import Packed, pack
from kanerva.memory._base import Mask, Memory
from kanerva.separation import Separation, Step
from kanerva.similarity import Similarity, agreement, dot

__all__ = ["Locations"]


class Locations(Memory):
    r"""Adds every value to the counters of the fixed locations that its address activates: Kanerva's store.

    .. math:: C_i \mathrel{+}= w_i(a)\, v, \quad h_i \mathrel{+}= w_i(a)

    Its size does not grow with what is written. The last column of ``counters`` is h, how often a location was written; its
    sum over the active locations is the mass of a read, so that nothing written within reach is told from a tie.

    Args:
        addresses: ``(m, d)`` of the locations; -1/+1 with ``agreement``, and then packed 64 bits to a word; int8 of -1, 0 and
            +1 with ``dot`` for locations that look at some bits only, those where they are not 0: keys are bits then.
        value_dim: e, length of a value; None for d.
        similarity: how near; default ``agreement``.
        separation: which locations are active, for writing and reading alike.
        activation: what is done with the sum; default the sign, ties by coin.
        empty: what is read where nothing answers: ``"zero"``, ``"keep"`` or ``"raise"``.
        counters: dtype of the counters; an integer one for bits stored at locations that a ``Step`` activates, else a floating one.
        overflow: of integer counters, to which a batch is written one key after the other: ``"raise"`` refuses a batch that
            would pass the end, and writes none of it; ``"saturate"`` stops at the end, and cannot be taken back exactly then.

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
        super().__init__(
            similarity, separation, Sign() if activation is None else activation, empty
        )
        self._address(addresses)
        width = (
            self.dim
            if value_dim is None
            else checks.integer("value_dim", value_dim, 1, checks.LONGEST)
        )
        if not isinstance(counters, torch.dtype) or counters not in (
            *arrays.FLOATS,
            *arrays.INTEGERS,
        ):
            must, do = "a signed integer or a floating dtype", "choose torch.int32"
            refuse("counters", counters, must=must, do=do, error=InputTypeError)
        with checks.room("value_dim", f"{width} for each of {len(addresses)} locations"):
            self.register_buffer("counters", torch.zeros(len(addresses), width + 1, dtype=counters))
        self.register_buffer("_stored", torch.zeros((), dtype=torch.int64))
        self.overflow = checks.choice("overflow", overflow, ("raise", "saturate"))
        # No counter is further from zero than the peak that was last seen and the writes that went by unseen since.
        self._peak, self._unseen = 0, 0
        if not (counters.is_floating_point or (self.value_bits and isinstance(separation, Step))):
            must = "a floating dtype, unless bits are stored at the locations that a Step activates"
            refuse("counters", must=must, got=str(counters), do="choose torch.float32")
        self._fit()

    def _address(self, addresses: Tensor | Packed) -> None:
        """Keep the addresses: packed where they are bits."""
        partial = self.similarity is dot and getattr(addresses, "dtype", None) == torch.int8
        if isinstance(addresses, Tensor):
            arrays.rows("addresses", addresses)
            if partial and not torch.equal(addresses, addresses.clamp(-1, 1)):
                do = "give 0 where a location does not look"
                refuse("addresses", addresses, must="-1, 0 and +1 where they are int8", do=do)
            if not partial:
                arrays.floats("addresses", addresses)
        elif not isinstance(addresses, Packed):
            do = "draw some with bits.random or bits.Packed.random"
            refuse(
                "addresses", addresses, must="a tensor or bits.Packed", do=do, error=InputTypeError
            )
        if len(addresses) == 0:
            refuse(
                "addresses",
                must="at least one location",
                got="none",
                do="draw some with bits.random",
            )
        binary = self.similarity is agreement
        if isinstance(addresses, Packed) and not binary:
            do = "unpack them with addresses[:]"
            refuse(
                "addresses", must="a tensor, unless compared by agreement", got="bits.Packed", do=do
            )
        if isinstance(addresses, Tensor):
            (arrays.bipolar if binary else arrays.finite)("addresses", addresses)
        dtype = addresses.dtype if isinstance(addresses, Tensor) and not partial else torch.float32
        self._dim = addresses.shape[1]
        self.register_buffer("_unit", torch.ones((), dtype=dtype), persistent=False)
        packed = (
            addresses.words
            if isinstance(addresses, Packed)
            else pack(addresses)
            if binary
            else addresses.detach().clone()
        )
        self.register_buffer("addresses", packed)

    @property
    def keys(self) -> Shaped[Tensor, "m d"] | Packed:
        """Addresses of the locations; packed, where they are bits."""
        return (
            Packed.wrap(self.addresses, self._dim)
            if self.similarity is agreement
            else self.addresses
        )

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
    def dtype(self) -> torch.dtype:
        """Dtype of queries and reads."""
        return self._unit.dtype

    @property
    def key_bits(self) -> bool:
        """Whether keys and queries are -1/+1: where locations are bits, or look at some bits only."""
        return super().key_bits or self.addresses.dtype == torch.int8

    @property
    def autoassociative(self) -> bool:
        """Never: the values are counters, and the memory has no energy."""
        return False

    def __len__(self) -> int:
        return int(self._stored)

    @door
    def write(
        self, keys: Float[Tensor, "*batch d"], values: Float[Tensor, "*batch e"] | None = None
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
    def forget(
        self, keys: Float[Tensor, "*batch d"], values: Float[Tensor, "*batch e"] | None = None
    ) -> None:
        """Take back what was written by depositing its complement: the exact reverse, unless counters were saturated.

        Args:
            keys: ``(..., d)`` as written.
            values: ``(..., e)`` as written.

        Raises:
            InputError: more than is stored.
        """
        self._deposit(keys, values, -1)

    @torch.no_grad()
    @door
    def kill(self, share: float, *, seed: int | torch.Generator) -> int:
        """Destroy a random share of the locations, with all that they hold.

        Args:
            share: >= 0, below 1; the nearest whole number of locations dies, and one at least is left.
            seed: an integer >= 0 or a CPU generator.

        Returns:
            how many died.

        Source: Kanerva 1988, on the tolerance of the memory to the loss of neurons.
        """
        count = len(self.addresses)
        died = round(checks.number("share", share, 0, 1) * count)
        if died == count:
            refuse(
                "share",
                must=f"small enough to leave one of {count} locations",
                got=f"{share:g}",
                do="kill fewer",
            )
        order = torch.randperm(count, generator=arrays.generator(seed)).to(self.addresses.device)
        left = order[died:].sort().values
        self.addresses = self.addresses[left]
        self.counters = self.counters[left]
        return died

    @torch.no_grad()
    def _deposit(self, keys: Tensor, values: Tensor | None, times: int) -> None:
        """Check everything, then change the counters."""
        self._rows("keys", keys, self.dim, self.key_bits)
        values = self._payload(keys, values)
        count = len(values)
        if times < 0 and count > len(self):
            refuse(
                "keys",
                must=f"no more than the {len(self)} stored",
                got=str(count),
                do="forget only what was written",
            )
        given = torch.cat([values, torch.ones_like(values[:, :1])], -1)
        self._add(keys.reshape(-1, self.dim), given, times)
        self._stored += times * count

    def _add(self, keys: Tensor, given: Tensor, times: int) -> None:
        """Change the counters, minding their ends where one may be near."""
        if not self.counters.is_floating_point():
            end = torch.iinfo(self.counters.dtype).max
            if self._unseen and self._peak + self._unseen + len(keys) > end:
                low, high = self.counters.aminmax()
                self._peak, self._unseen = max(-int(low), int(high)), 0
            if self._peak + self._unseen + len(keys) > end:
                return self._add_one_by_one(keys, given, times, end)
            self._unseen += len(keys)
        functional.deposit(
            keys, given, self.keys, self.counters, self.similarity, self.separation, times=times
        )

    def _add_one_by_one(self, keys: Tensor, given: Tensor, times: int, end: int) -> None:
        """Write one key after the other, up to the end of the counters; or take all back where one would pass it."""
        rule = (self.similarity, self.separation)
        size = max(1, settings.budget // (32 * given.shape[-1]))
        for done, near in enumerate(functional.active(keys, self.keys, *rule)):
            change, parts = times * given[done].long(), torch.split(near, size)
            peak = (
                max(int((self.counters[part] + change).abs().amax()) for part in parts)
                if len(near)
                else 0
            )
            if peak > end and self.overflow == "raise":
                functional.deposit(
                    keys[:done], given[:done], self.keys, self.counters, *rule, times=-times
                )
                do = 'choose wider counters, or overflow="saturate"'
                refuse(
                    "keys",
                    must=f"few enough that no counter passes {end}",
                    got=f"{len(keys)} more, and one does",
                    do=do,
                )
            for part in parts:
                self.counters[part] = (
                    (self.counters[part] + change).clamp_(-end, end).to(self.counters.dtype)
                )
            self._peak = max(self._peak, min(peak, end))

    def _field(self, query: Tensor, mask: Mask) -> functional.Field:
        """Sum the counters; the last column tells whether anything was written within reach."""
        field = functional.field(
            query, self.keys, self.counters, self.similarity, self.separation, mask
        )
        return functional.Field(field.value[..., :-1], field.value[..., -1] == 0)

    def _mass(self, weights: Tensor) -> Tensor:
        """Count the locations shared with everything written."""
        return (weights.double() @ self.counters[:, -1].double()).to(weights.dtype)

    def _config(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "value_dim": self.value_dim,
            "counters": str(self.counters.dtype).removeprefix("torch."),
            "overflow": self.overflow,
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    @door("load_state_dict")
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self._resize(state_dict, prefix, "addresses", "counters")
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._peak, self._unseen = 0, torch.iinfo(torch.int64).max
