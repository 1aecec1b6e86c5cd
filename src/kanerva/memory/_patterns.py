"""The store that keeps every key and value as written: in memory, in fewer bytes, or in a file that is mapped."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kanerva import functional
from kanerva._core import arrays, checks
from kanerva._core import map as map_
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva._core.map import Source
from kanerva._core.settings import settings
from kanerva._engine import overlaps
from kanerva.activation import Activation, Identity
from kanerva.bits import WORD, Packed, signs
from kanerva.dynamics import Settled
from kanerva.memory._base import Mask, Memory
from kanerva.separation import Difference, Separation
from kanerva.similarity import Similarity, dot

__all__ = ["Patterns"]

# So many rows of a file are looked at when it is opened.
GLANCE = 1024


class Patterns(Memory):
    """Keeps every key and value as written, and gives each an id that stays.

    Args:
        dim: d, length of a key.
        value_dim: e, length of a value; None makes the memory auto-associative: its values are its keys.
        similarity: how near; default ``dot``.
        separation: how much each key counts.
        activation: what is done with the sum; default nothing.
        empty: what is read where nothing answers: ``"zero"``, ``"keep"`` or ``"raise"``.
        dtype: a floating dtype, of queries and reads, and of keys and values unless ``storage`` says otherwise; half precisions
            are summed in float32.
        storage: what keys and values are kept in: None for ``dtype``; a floating dtype such as ``torch.bfloat16``, to which
            they are rounded when written, and which ``.to(dtype)`` leaves as it is; ``"bits"`` for -1/+1, 64 to a word:
            ``keys`` and ``values`` are ``bits.Packed`` then.

    Example:
        >>> import torch
        >>> from kanerva import Patterns
        >>> from kanerva.separation import Softmax
        >>> memory = Patterns(2, value_dim=1, separation=Softmax(beta=50.0))
        >>> memory.write(torch.eye(2), torch.tensor([[10.0], [20.0]])).tolist()
        [0, 1]
        >>> memory.forget([0])
        >>> memory.read(torch.tensor([1.0, 0.0])).item()
        20.0
        >>> small = Patterns(256, separation=Softmax(beta=50.0), storage=torch.bfloat16)
        >>> ids = small.write(torch.zeros(1000, 256))
        >>> small.keys.nbytes  # instead of a million
        512000
    """

    ids: Tensor
    _next: Tensor
    _unit: Tensor

    @door
    def __init__(
        self,
        dim: int,
        value_dim: int | None = None,
        *,
        similarity: Similarity = dot,
        separation: Separation,
        activation: Activation | None = None,
        empty: str = "zero",
        dtype: torch.dtype = torch.float32,
        storage: torch.dtype | str | None = None,
    ) -> None:
        super().__init__(
            similarity, separation, Identity() if activation is None else activation, empty
        )
        self._dim = checks.integer("dim", dim, 1, checks.LONGEST)
        self._width = (
            None if value_dim is None else checks.integer("value_dim", value_dim, 1, checks.LONGEST)
        )
        self.register_buffer(
            "_unit", torch.ones((), dtype=arrays.floating(dtype)), persistent=False
        )
        self.storage, self._file = self._kind(storage), ""
        # Not by register_buffer, which leaves no room for the property of that name.
        self._buffers["keys"] = self._none(self._dim)
        self.register_buffer("_values", None if self._width is None else self._none(self._width))
        self.register_buffer("ids", torch.empty(0, dtype=torch.int64))
        self.register_buffer("_next", torch.zeros((), dtype=torch.int64))
        self._room: dict[str, Tensor] = {}
        # What ``certify`` prepared, and of which rows in which state.
        self._near: tuple[list[Tensor], tuple[int, ...], functional.Coarse] | None = None
        self._fit()

    @classmethod
    @door
    def over(
        cls,
        keys: Source,
        values: Source | None = None,
        *,
        similarity: Similarity = dot,
        separation: Separation,
        activation: Activation | None = None,
        empty: str = "zero",
        bits: int | tuple[int, int] | None = None,
        dtype: torch.dtype | None = None,
    ) -> "Patterns":
        """Read from the rows of a file, which may be larger than memory: they are mapped, and read a block at a time.

        Reads are exact, and ``settings.progress`` hears of them block by block. Nothing can be written or forgotten, and
        ``ids`` is empty: a row is known by its place in the file, which must stay as it is while it is used. Copies of the
        memory share the map; its state_dict holds what is learned alone. When it is opened, only the first rows are looked at
        (are they bits, where bits are asked?): NaN further on is found by the read whose sum it spoils.

        Args:
            keys: a file with one key a row: ``.npy``, or ``.safetensors`` with one tensor; ``(path, name)`` of a tensor among
                others, such as ``(path, "keys")`` of a saved memory. float16, bfloat16, float32, float64, or int64 words of
                ``bits.pack`` where keys are bits.
            values: a file with one value a row; None makes the memory auto-associative.
            similarity: how near; default ``dot``.
            separation: how much each key counts.
            activation: what is done with the sum; default nothing.
            empty: what is read where nothing answers.
            bits: length of packed keys and values, or the two lengths; None where they fill their words.
            dtype: of queries and reads; None for float32, or float64 where a file holds that.

        Returns:
            a memory that is only read.

        Raises:
            InputFileError: no such file, a damaged one, or one that holds something else.
            InputError: rows that do not fit one another or the parts.

        Example:
            >>> import pathlib, tempfile
            >>> import numpy, torch
            >>> from kanerva import Patterns
            >>> from kanerva.separation import Softmax
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "keys.npy")
            ...     numpy.save(path, numpy.eye(3, dtype=numpy.float32))
            ...     memory = Patterns.over(path, separation=Softmax(beta=50.0))
            ...     memory.recall(torch.tensor([0.6, 0.3, 0.1])).round().tolist()
            [1.0, 0.0, 0.0]
        """
        rows = {"keys": map_.rows("keys", keys)}
        if values is not None:
            rows["values"] = map_.rows("values", values)
            if len(rows["values"]) != len(rows["keys"]):
                got = f"{len(rows['values'])} for {len(rows['keys'])} keys"
                refuse(
                    "values", must="one for each key", got=got, do="give a file with as many rows"
                )
        lengths = _lengths(rows, bits)
        wide = (
            torch.float64
            if any(part.dtype == torch.float64 for part in rows.values())
            else torch.float32
        )
        memory = cls(
            lengths["keys"],
            lengths.get("values"),
            similarity=similarity,
            separation=separation,
            activation=activation,
            empty=empty,
            dtype=wide if dtype is None else dtype,
        )
        for name, kept, binary in (
            ("keys", "keys", memory.key_bits),
            ("values", "_values", memory.value_bits),
        ):
            if name in rows:
                _glance(name, rows[name], lengths[name], binary)
                memory._buffers[kept] = rows[name]
        memory._file = str(keys[0] if isinstance(keys, tuple) else keys)
        memory.storage = "bits" if rows["keys"].dtype == torch.int64 else rows["keys"].dtype
        # A state_dict of a file that need not fit into memory would have to.
        memory._non_persistent_buffers_set.update(("keys", "_values", "ids", "_next"))
        return memory

    @property
    def keys(self) -> Shaped[Tensor, "m d"] | Packed:
        """What a query is compared with; packed, where bits are stored."""
        rows = self._buffers["keys"]
        assert rows is not None
        return Packed.wrap(rows, self._dim) if rows.dtype == torch.int64 else rows

    @property
    def values(self) -> Shaped[Tensor, "m e"] | Packed:
        """What is summed: the keys, where the memory is auto-associative."""
        rows = self._buffers["_values"]
        if rows is None or self._width is None:
            return self.keys
        return Packed.wrap(rows, self._width) if rows.dtype == torch.int64 else rows

    @property
    def dim(self) -> int:
        """Length d of a key."""
        return self._dim

    @property
    def value_dim(self) -> int:
        """Length e of a value."""
        return self._dim if self._width is None else self._width

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of queries and reads."""
        rows = self._buffers["keys"] if self.storage is None else None
        return (self._unit if rows is None else rows).dtype

    @property
    def autoassociative(self) -> bool:
        """Whether the values are the keys."""
        return self._width is None

    def __len__(self) -> int:
        return self.keys.shape[0]

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        kept = "" if self.storage is None else f", kept as {_plain(self.storage)}"
        return super().extra_repr() + kept + (f", over {self._file!r}" if self._file else "")

    @door
    def read(
        self, query: Float[Tensor, "*batch d"], mask: Mask = None, tolerance: float | None = None
    ) -> Float[Tensor, "*batch e"]:
        """Read once.

        Args:
            query: ``(..., d)`` in the memory's dtype; -1/+1 where ``key_bits``.
            mask: broadcasts to ``(..., m)``: bool (True keeps) or float (added to the scores, so that beta scales it too).
            tolerance: error allowed, as a share of the largest value stored, for a read of the few patterns that matter, as
                ``certify`` makes it; None for the plain read.

        Returns:
            ``(..., e)`` in the memory's dtype, as ``Memory.read`` says.

        Raises:
            InputError: as ``Memory.read`` does; with a tolerance, other parts than ``certify`` takes, or a mask.
        """
        if tolerance is None:
            return super().read(query, mask)
        if mask is not None:
            refuse("mask", mask, must="None with a tolerance", do="read without tolerance")
        return self.certify(query, tolerance).value

    @door
    def certify(
        self, query: Float[Tensor, "*batch d"], tolerance: float = 1e-6
    ) -> functional.Certified:
        """Read by softmax of dot products from the few patterns that matter, and bound the error.

        The first call prepares the patterns in low precision, which takes half their room; what is written later prepares them anew.

        Args:
            query: ``(..., d)``.
            tolerance: error allowed, as a share of the largest value stored; see ``functional.certify``.

        Returns:
            values, bounds, and of how many patterns each was made.

        Raises:
            InputError: another rule than Softmax of dot products, an activation, or rows that are packed or of half precision.

        Example:
            >>> import torch, kanerva
            >>> memory = kanerva.modern_hopfield(dim=64, beta=100.0)
            >>> ids = memory.write(torch.nn.functional.normalize(torch.randn(5000, 64, generator=torch.Generator().manual_seed(0)), dim=-1))
            >>> found = memory.certify(memory.keys[:3])
            >>> found.active.tolist(), bool((found.bound < 1e-6).all())
            ([1, 1, 1], True)
        """
        if self.similarity is not dot:
            refuse(
                "similarity",
                must="dot",
                got=getattr(self.similarity, "__name__", repr(self.similarity)),
                do="read without tolerance",
            )
        if type(self.activation) is not Identity:
            refuse(
                "activation",
                must="Identity()",
                got=repr(self.activation),
                do="read without tolerance",
            )
        self._checked(query)
        if len(self) == 0:
            value = super().read(query)
            nothing = torch.zeros_like(value[..., 0], dtype=torch.int64)
            return functional.Certified(value, nothing.double(), nothing)
        keys, values = self.keys, self.values
        rows = [
            rows for rows in (self._buffers["keys"], self._buffers["_values"]) if rows is not None
        ]
        # Of tensors made in inference mode nobody knows whether they have changed.
        versions = tuple(-1 if part.is_inference() else part._version for part in rows)
        near = self._near
        # The rows themselves are kept beside: another tensor could come to lie where they did.
        same = (
            near is not None
            and len(near[0]) == len(rows)
            and all(one is other for one, other in zip(near[0], rows, strict=True))
        )
        if near is None or not same or near[1] != versions or -1 in versions:
            self._near = near = (rows, versions, functional.coarse(keys, values))
        return functional.certify(query, keys, values, self.separation, tolerance, near[2])

    def _settled(self, journey: dict[str, Any]) -> Settled:
        # Few patterns are recalled in the space of their overlaps, which has fewer dimensions.
        query, keys, kept = journey["query"], self.keys, journey["context"]
        count = query[..., 0].numel()
        sums = (
            self.autoassociative
            and self.similarity is dot
            and type(self.activation) is Identity
            and self.empty == "zero"
        )
        plain = (
            isinstance(keys, Tensor)
            and keys.dtype == query.dtype in functional.EXACT
            and not isinstance(self._separation, Difference)
        )
        learns = torch.is_grad_enabled() and (query.requires_grad or self.beta is not None)
        if (
            not sums
            or not plain
            or learns
            or kept
            or arrays.tracing()
            or not overlaps.pays(keys.shape, count, journey["steps"])
        ):
            return super()._settled(journey)
        assert isinstance(keys, Tensor)
        rules = {name: journey[name] for name in ("steps", "rate", "tolerance")}
        return overlaps.settle(query, keys, self.separation, **rules)

    @torch.no_grad()
    @door
    def write(
        self, keys: Float[Tensor, "*batch d"], values: Float[Tensor, "*batch e"] | None = None
    ) -> Int64[Tensor, "*batch"]:
        """Append keys, and the values to be read from them.

        Args:
            keys: ``(..., d)``, one row each; they are copied.
            values: ``(..., e)``; None in an auto-associative memory, or to store the keys themselves.

        Returns:
            ids ``(...)`` int64 by which ``forget`` knows them; no id is given twice.

        Raises:
            InputError: rows that do not fit, or are beyond the range of the storage; nothing is written then.
        """
        self._own("build a Patterns and write its rows to that")
        self._rows("keys", keys, self.dim, self.key_bits)
        if self.autoassociative and values is not None:
            do = "leave them out, or build the memory with value_dim"
            refuse("values", values, must="None in an auto-associative memory", do=do)
        payload = self._payload(keys, values)
        ids = self._next + torch.arange(keys[..., 0].numel(), device=keys.device)
        more = {"keys": self._kept("keys", keys.reshape(-1, self.dim)), "ids": ids}
        more |= {} if self.autoassociative else {"_values": self._kept("values", payload)}
        # All rows find room before any buffer shows them: a write that fails half way leaves nothing behind.
        self._buffers.update(
            {name: self._followed(name, rows) for name, rows in more.items()}
            | {"_next": self._next + len(ids)}
        )
        return ids.reshape(keys.shape[:-1])

    @torch.no_grad()
    @door
    def forget(self, ids: Int64[Tensor, "*batch"] | Sequence[int]) -> None:
        """Remove what was written under these ids; the others keep theirs.

        Args:
            ids: as ``write`` returned them.

        Raises:
            InputError: an id that is not stored; nothing is removed then.
        """
        self._own("leave rows out of a read with a mask, or write those to keep to a new Patterns")
        must, do = "integers", "give the ids that write returned"
        try:
            asked = torch.as_tensor(ids, device=self.ids.device)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            refuse("ids", ids, must=must, do=do, error=InputTypeError)
        asked = arrays.dense("ids", asked, must).flatten()
        if asked.numel() and asked.dtype not in (*arrays.INTEGERS, torch.uint8):
            refuse("ids", ids, must=must, do=do, error=InputTypeError)
        missing = asked[~torch.isin(asked, self.ids)]
        if len(missing):
            got = f"{missing[:5].tolist()}, which {'is' if len(missing) == 1 else 'are'} not"
            refuse(
                "ids",
                must="stored",
                got=got,
                do="give ids that write returned and forget has not removed",
            )
        left = ~torch.isin(self.ids, asked)
        self._room.clear()
        self._near = None
        for name in ("keys", "_values", "ids"):
            rows = self._buffers[name]
            if rows is not None:
                self._buffers[name] = rows[left]

    def _kind(self, storage: torch.dtype | str | None) -> torch.dtype | str | None:
        """Refuse what keys and values cannot be kept in."""
        must = 'None, a floating dtype or "bits"'
        if storage is None or storage in arrays.FLOATS:
            return storage
        if storage != "bits":
            do = "choose torch.bfloat16 for half the room"
            refuse("storage", storage, must=must, do=do, error=InputTypeError)
        for name, binary in (
            ("keys", self.key_bits),
            ("values", self.autoassociative or self.value_bits),
        ):
            if not binary:
                must, got = f"a floating dtype where {name} are real numbers", "'bits'"
                refuse(
                    "storage",
                    must=must,
                    got=got,
                    do="choose torch.bfloat16, or compare by agreement and read by Sign",
                )
        return storage

    def _none(self, length: int) -> Tensor:
        """Return no rows of vectors of that length, as they are kept."""
        if self.storage == "bits":
            return torch.empty(0, -(-length // WORD), dtype=torch.int64)
        return torch.empty(
            0,
            length,
            dtype=self.storage if isinstance(self.storage, torch.dtype) else self._unit.dtype,
        )

    def _kept(self, name: str, rows: Tensor) -> Tensor:
        """Return rows as they are kept."""
        if not isinstance(self.storage, torch.dtype):
            size = max(1, settings.budget // (16 * rows.shape[1]))
            return (
                rows
                if self.storage is None
                else torch.cat([signs(part) for part in torch.split(rows, size)])
            )
        kept = rows.to(self.storage)
        if not arrays.sound(kept):
            do = "scale them down, or keep them in torch.bfloat16 or wider"
            refuse(name, rows, must=f"within the range of {_plain(self.storage)}", do=do)
        return kept

    def _own(self, do: str) -> None:
        """Refuse to change or to copy a file that is only read."""
        if self._file:
            refuse(
                "memory",
                must="one that holds its own rows",
                got=f"over the file {self._file!r}, which is only read",
                do=do,
            )

    def _followed(self, name: str, rows: Tensor) -> Tensor:
        """Return a buffer followed by rows, which lie in room kept for them; the room doubles when it is full."""
        old = self._buffers[name]
        assert old is not None
        count, room = len(old), self._room.get(name)
        if (
            room is None
            or room.data_ptr() != old.data_ptr()
            or room.dtype != old.dtype
            or len(room) < count + len(rows)
        ):
            room = old.new_empty(max(2 * count, count + len(rows)), *old.shape[1:])
            room[:count] = old
            self._room[name] = room
        room[count : count + len(rows)] = rows
        return room[: count + len(rows)]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Memory:
        # Rows that move to another dtype or device leave their room behind, which would keep the old ones alive.
        self._room.clear()
        self._near = None
        kept = (
            ()
            if self.storage is None
            else tuple(id(self._buffers[name]) for name in ("keys", "_values"))
        )

        def move(tensor: Tensor) -> Tensor:
            # What has a dtype of its own keeps it, and goes where the rest goes.
            there = fn(tensor[:0]) if id(tensor) in kept else None
            return (
                fn(tensor)
                if there is None or there.dtype == tensor.dtype
                else tensor.to(there.device)
            )

        return super()._apply(move, recurse)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Patterns":
        self._near = None
        if self._file:
            # Nobody writes to the rows of a file, so copies share them.
            memo |= {
                id(rows): rows
                for name in ("keys", "_values")
                if (rows := self._buffers[name]) is not None
            }
        memo[id(self)] = other = type(self).__new__(type(self))
        other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return other

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_near": None}

    def _config(self) -> dict[str, Any]:
        self._own("keep that file, and open it again with Patterns.over")
        kept = (
            {}
            if self.storage is None
            else {"storage": _plain(self.storage), "dtype": _plain(self.dtype)}
        )
        return {"dim": self.dim, "value_dim": self._width} | kept

    def _vet_bits(self, name: str, rows: Tensor) -> None:
        if self.storage != "bits":
            return super()._vet_bits(name, rows)
        if rows.dtype != torch.int64:
            do = 'load the state of a memory with storage="bits"'
            refuse(name, rows, must="int64 words", do=do, error=InputTypeError)
        Packed(rows, self.dim if name == "keys" else self.value_dim)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in ("keys", "_values", "ids"):
            # The room behind a view would be saved with it.
            if prefix + name in destination:
                destination[prefix + name] = destination[prefix + name].clone()

    @door("load_state_dict")
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        ids, following = (state_dict.get(prefix + name) for name in ("ids", "_next"))
        if (
            isinstance(ids, Tensor)
            and isinstance(following, Tensor)
            and ids.ndim == 1
            and following.ndim == 0
        ):
            last = int(ids.max()) if len(ids) else -1
            if (
                len(torch.unique(ids)) < len(ids)
                or (len(ids) and ids.min() < 0)
                or not last < int(following) < 2**62
            ):
                must, do = (
                    "different ids >= 0, all below the next",
                    "load the state_dict of one memory, whole",
                )
                refuse("ids", must=must, got=f"{describe(ids)}, the next {int(following)}", do=do)
        if not self._file:
            self._resize(state_dict, prefix, "keys", "_values", "ids")
        super()._load_from_state_dict(state_dict, prefix, *args)


def _lengths(rows: dict[str, Tensor], bits: int | tuple[int, int] | None) -> dict[str, int]:
    """Return the lengths of the keys, and of the values, in a file: bits, where they are packed."""
    packed = [name for name in rows if rows[name].dtype == torch.int64]
    if bits is not None and not packed:
        got = _plain(rows["keys"].dtype)
        refuse(
            "bits",
            must="left out, unless rows are int64 words",
            got=f"{bits} for rows of {got}",
            do="leave it out",
        )
    both = bits if isinstance(bits, tuple) else (bits, bits)
    if len(both) != 2:
        refuse(
            "bits",
            bits,
            must="one length, or one of keys and one of values",
            do="give (key_bits, value_bits)",
        )
    given = dict(zip(("keys", "values"), both, strict=True))
    lengths = {name: part.shape[1] for name, part in rows.items()}
    for name in packed:
        most = WORD * lengths[name]
        low = most - WORD + 1
        do = f"give the length that the {name} had when they were packed"
        lengths[name] = (
            most if given[name] is None else checks.integer("bits", given[name], low, most, do)
        )
    return lengths


def _glance(name: str, rows: Tensor, length: int, binary: bool) -> None:
    """Look at the first rows of a file: whether they are bits, where bits are asked."""
    first = rows[:GLANCE]
    if first.dtype != torch.int64:
        _ = arrays.bipolar(name, first) if binary else None
        return
    if not binary:
        do = "compare by agreement and read by Sign, or give a file of floats"
        refuse(
            name, must="floating rows, for these parts take real numbers", got="int64 words", do=do
        )
    if length % WORD and (first[:, -1] >> length % WORD).any():
        must, do = f"0 beyond bit {length} of each row", "make them with bits.pack, or give bits"
        refuse(name, must=must, got="not: bits are set there", do=do)


def _plain(kind: torch.dtype | str) -> str:
    """Name a dtype without its module."""
    return str(kind).removeprefix("torch.")
