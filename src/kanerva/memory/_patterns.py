"""The store that keeps every key and value: in memory, in fewer bytes, or in a mapped file."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._core.map import Source
from kanerva._core.settings import settings
from kanerva._engine import overlaps
from kanerva.activation import Activation, Identity
from kanerva.bits import WORD, Packed, signs
from kanerva.dynamics import Rules, Settled
from kanerva.memory import _over, _prior
from kanerva.memory._associative import normal
from kanerva.memory._base import Memory
from kanerva.memory._file import Record
from kanerva.memory._inputs import Given, Mask, changes
from kanerva.memory._near import Near
from kanerva.memory._rows import PRIOR
from kanerva.separation import Separation
from kanerva.similarity import Similarity, dot

__all__ = ["Patterns"]


class Patterns(Near):
    """Keeps every key and value as written, and gives each an id that stays.

    Args:
        dim: d, length of a key.
        value_dim: e, length of a value; None makes the memory auto-associative: its values are its
            keys.
        similarity: how near a query is to a key; default ``dot``.
        separation: how much each key counts.
        activation: what is done with the sum; default nothing.
        empty: what is read where every weight is zero: ``"zero"``, ``"keep"`` or ``"raise"``.
        dtype: a floating dtype, of queries and reads, and of keys and values unless ``storage``
            gives another; half precisions are summed in float32.
        storage: what keys and values are kept in: None for ``dtype``; a floating dtype such as
            ``torch.bfloat16``, to which they are rounded when written, and which ``.to(dtype)``
            does not change; ``"bits"`` for -1/+1, 64 to a word: ``keys`` and ``values`` are
            ``bits.Packed`` then.

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
        >>> small.keys.nbytes  # half of the million bytes of float32
        512000
    """

    ids: Tensor
    prior: Tensor | None
    _next: Tensor

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
        activation = Identity() if activation is None else activation
        super().__init__(similarity, separation, activation, empty)
        self._further, self._room, self._file = {}, {}, ""
        self._dim = checks.integer("dim", dim, 1, checks.LONGEST)
        self._width = value_dim
        if value_dim is not None:
            self._width = checks.integer("value_dim", value_dim, 1, checks.LONGEST)
        unit = torch.ones((), dtype=arrays.floating(dtype))
        self.register_buffer("_unit", unit, persistent=False)
        self.storage = self._checked_storage(storage)
        # Not by register_buffer, which does not allow a property of the same name.
        self._buffers["keys"] = normal(self._none(self._dim))
        values = None if self._width is None else self._none(self._width)
        self.register_buffer("_values", values)
        self.register_buffer("prior", None)  # until a row is written with one
        self.register_buffer("ids", torch.empty(0, dtype=torch.int64))
        self.register_buffer("_next", torch.zeros((), dtype=torch.int64))
        self._near = None
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
        """Read from the rows of a file, which may be larger than memory.

        The rows are mapped, and read a block at a time. Reads are exact, and ``settings.progress``
        is called after each block. Nothing can be written or forgotten, and ``ids`` is empty: a row
        is identified by its place in the file, which must not change while it is used. Copies of
        the memory share the map; its state_dict holds only what is learned. When it is opened, only
        the first rows are checked for bits, where bits are needed; NaN further on is found by the
        read whose sum it spoils.

        Args:
            keys: a file with one key a row: ``.npy``, or ``.safetensors`` with one tensor;
                ``(path, name)`` of a tensor among others, such as ``(path, "keys")`` of a saved
                memory. float16, bfloat16, float32, float64, or int64 words of ``bits.pack`` where
                keys are bits.
            values: a file with one value a row; None makes the memory auto-associative.
            similarity: how near a query is to a key; default ``dot``.
            separation: how much each key counts.
            activation: what is done with the sum; default nothing.
            empty: what is read where every weight is zero.
            bits: length of packed keys and values, or the two lengths; None where they fill their
                words.
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
        rows = _over.mapped(keys, values)
        lengths = _over.lengths(rows, bits)
        memory = cls(
            lengths["keys"],
            lengths.get("values"),
            similarity=similarity,
            separation=separation,
            activation=activation,
            empty=empty,
            dtype=_over.widest(rows) if dtype is None else dtype,
        )
        binary = {"keys": memory.key_bits, "values": memory.value_bits}
        for name, part in rows.items():
            _over.glance(name, part, lengths[name], binary[name])
            memory._buffers["keys" if name == "keys" else "_values"] = part
        memory._file = str(keys[0] if isinstance(keys, tuple) else keys)
        kind = rows["keys"].dtype
        memory.storage = "bits" if kind == torch.int64 else kind
        # A state_dict of a file that need not fit into memory would have to.
        memory._non_persistent_buffers_set.update(("keys", "_values", "ids", "_next"))
        return memory

    @property
    def keys(self) -> Shaped[Tensor, "m d"] | Packed:
        """What a query is compared with; packed, where bits are stored."""
        rows: Any = self._buffers["keys"]
        return Packed.wrap(rows, self._dim) if rows.dtype == torch.int64 else rows

    @property
    def values(self) -> Shaped[Tensor, "m e"] | Packed:
        """What is summed: the keys, where the memory is auto-associative."""
        rows = self._buffers["_values"]
        if rows is None or self._width is None:
            return self.keys
        return Packed.wrap(rows, self._width) if rows.dtype == torch.int64 else rows

    def _held(self) -> tuple[Any, Any, Any, Any, Any]:
        keys = self.keys
        plain = type(self).separation is Memory.separation and self._parameters["beta"] is None
        rule = self._separation if plain else self.separation
        bias = None if type(self).bias is Memory.bias else self.bias()
        own = self._width is None and type(self).values is Patterns.values
        values = keys if own else self.values
        return keys, values, bias, self._buffers["prior"], rule

    @property
    def dim(self) -> int:
        """Length d of a key."""
        return self._dim

    @property
    def value_dim(self) -> int:
        """Length e of a value."""
        return self._dim if self._width is None else self._width

    @property
    def autoassociative(self) -> bool:
        """Whether the values are the keys."""
        return self._width is None

    def __len__(self) -> int:
        return len(cast(Tensor, self._buffers["keys"]))

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        kept = "" if self.storage is None else f", kept as {_over.short(self.storage)}"
        return super().extra_repr() + kept + (f", over {self._file!r}" if self._file else "")

    @door
    def read(
        self,
        query: Float[Tensor, "*batch d"] | Listed,
        mask: Mask = None,
        tolerance: float | None = None,
    ) -> Float[Tensor, "*batch e"]:
        """Read once.

        Args:
            query: ``(..., d)`` in the memory's dtype; -1/+1 where ``key_bits``.
            mask: broadcasts to ``(..., m)``: bool (True keeps a key) or float (added to the
                scores, so that beta scales it too).
            tolerance: error allowed, as a share of the largest value stored, for a read of the few
                patterns that matter, as ``certify`` makes it; None for the plain read.

        Returns:
            ``(..., e)`` in the memory's dtype, as in ``Memory.read``.

        Raises:
            InputError: as ``Memory.read`` does; with a tolerance, other parts than ``certify``
                takes, or a mask.
        """
        if tolerance is None:
            given = self._given(query, mask)
            one = given.betas is None  # the usual read takes few calls
            value = self._read(given) if one else self._at_each(given, self._read)
            return value if len(given.batch) == 1 else value.reshape(*given.batch, self.value_dim)
        if mask is not None:
            refuse("mask", mask, must="None with a tolerance", do="read without tolerance")
        return self.certify(query, tolerance).value

    def _ended(
        self, given: Given, rules: Rules, order: str, seed: int | torch.Generator
    ) -> Settled:
        rule, query = given.rule, given.rows
        sums = self._descends and self.activation.plain and self.empty == "zero"
        learns = torch.is_grad_enabled() and (query.requires_grad or self.beta is not None)
        whole = sums and not learns and not given.several and order == "sync"
        whole = whole and self._stages(given) is None
        # Few patterns are recalled in the space of their overlaps, which has fewer dimensions.
        if not whole or not overlaps.pays(query, given.keys, self.similarity, rule, rules.steps):
            return super()._ended(given, rules, order, seed)
        arrays.generator(seed)
        query = query.reshape(*given.batch, query.shape[-1])
        return overlaps.settle(query, given.keys, rule, rules)

    @door
    @changes
    def write(
        self,
        keys: Float[Tensor, "*batch d"] | Listed,
        values: Float[Tensor, "*batch e"] | Listed | None = None,
        prior: Shaped[Tensor, "*_prior"] | Listed | float | None = None,
        **rows: Tensor,
    ) -> Int64[Tensor, "*batch"]:
        r"""Append keys, and the values to be read from them.

        With a prior :math:`\pi_i` a key has the weight and the part in the energy that
        :math:`\pi_i` equal keys would have; for softmax,

        .. math:: w_i \propto \pi_i e^{\beta s_i}, \quad
            \Phi = \tfrac1\beta \log \sum_i \pi_i e^{\beta s_i}

        Args:
            keys: ``(..., d)``, one row each; they are copied.
            values: ``(..., e)``; None in an auto-associative memory, or to store the keys
                themselves.
            prior: numbers > 0 that broadcast to ``(...)``: how often each key counts before any
                query, whatever the inverse temperature; None for once. They are kept in
                ``memory.prior``, float64.
            **rows: further rows by the names of ``register_rows``, one for each key.

        Returns:
            ids ``(...)`` int64, for ``forget``; no id is given twice.

        Raises:
            InputError: rows that do not fit, or are beyond the range of the storage, or a prior
                for a rule that takes none; nothing is written then.

        Example:
            >>> import torch, kanerva
            >>> memory = kanerva.modern_hopfield(dim=2, beta=1.0)
            >>> ids = memory.write(torch.eye(2), prior=[1.0, 3.0])
            >>> memory.weights(torch.zeros(2)).tolist()
            [0.25, 0.75...]
        """
        self._own("build a Patterns and write its rows to that")
        keys = self._rows("keys", keys, self.dim, self.key_bits)
        if self.autoassociative and values is not None:
            do = "leave them out, or build the memory with value_dim"
            refuse("values", values, must="None in an auto-associative memory", do=do)
        payload = self._payload(keys, values)
        ids = self._next + torch.arange(keys[..., 0].numel(), device=keys.device)
        more = {"keys": self._stored("keys", keys.reshape(-1, self.dim)), "ids": ids}
        if not self.autoassociative:
            more["_values"] = self._stored("values", payload)
        batch = keys.shape[:-1]
        counts = _prior.given(prior, batch, self._separation, self.device)
        further = self._further_rows(rows, batch)
        if counts is not None:
            further["prior"] = counts
            if self.prior is None:
                self._register("prior", PRIOR)
        self._append(more | further)
        self._buffers["_next"] = self._next + len(ids)
        self.rows_changed(None)
        return ids.reshape(keys.shape[:-1])

    @door
    @changes
    def forget(self, ids: Int64[Tensor, "*batch"] | Sequence[int]) -> None:
        """Remove what was written under these ids; the others keep theirs.

        Args:
            ids: as ``write`` returned them.

        Raises:
            InputError: an id that is not stored; nothing is removed then.
        """
        self._own("leave rows out of a read with a mask, or write those to keep to a new Patterns")
        left = torch.ones_like(self.ids, dtype=torch.bool)
        left[self._places("ids", ids)] = False
        self._keep(left)

    def _places(self, name: str, ids: Any) -> Tensor:
        """Return the places of the rows with these ids, ``(n,)``."""
        must, do = "integers", "give the ids that write returned"
        try:
            chosen = torch.as_tensor(ids, device=self.ids.device)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            refuse(name, ids, must=must, do=do, error=InputTypeError)
        chosen = arrays.dense(name, chosen, must).flatten()
        if chosen.numel() and chosen.dtype not in (*arrays.INTEGERS, torch.uint8):
            refuse(name, ids, must=must, do=do, error=InputTypeError)
        rising, order = self.ids.sort()
        place = torch.searchsorted(rising, chosen.long()).clamp_max(max(0, len(rising) - 1))
        missing = chosen[rising[place] != chosen] if len(rising) else chosen
        if len(missing):
            got = f"{missing[:5].tolist()}, which {'is' if len(missing) == 1 else 'are'} not"
            do = "give ids that write returned and forget has not removed"
            refuse(name, got=got, must="stored", do=do)
        return order[place]

    @door
    @changes
    def clear(self) -> None:
        """Remove everything that is stored; ids are not given again."""
        self._own("build a Patterns and write to that")
        self._keep(torch.zeros_like(self.ids, dtype=torch.bool))

    def _checked_storage(self, storage: torch.dtype | str | None) -> torch.dtype | str | None:
        """Refuse what keys and values cannot be kept in."""
        must = 'None, a floating dtype or "bits"'
        # An array would be compared number by number.
        if storage is None or (isinstance(storage, torch.dtype) and storage in arrays.FLOATS):
            return storage
        if not isinstance(storage, str) or storage != "bits":
            do = "choose torch.bfloat16 for half the memory"
            refuse("storage", storage, must=must, do=do, error=InputTypeError)
        values = self.autoassociative or self.value_bits
        for name, binary in (("keys", self.key_bits), ("values", values)):
            if not binary:
                must = f"a floating dtype where {name} are real numbers"
                do = "choose torch.bfloat16, or compare by agreement and read by Sign"
                refuse("storage", got="'bits'", must=must, do=do)
        return storage

    def _none(self, length: int) -> Tensor:
        """Return no rows of vectors of that length, as they are kept."""
        if self.storage == "bits":
            return torch.empty(0, -(-length // WORD), dtype=torch.int64)
        kind = self.storage if isinstance(self.storage, torch.dtype) else self.dtype
        return torch.empty(0, length, dtype=kind)

    def _stored(self, name: str, rows: Tensor) -> Tensor:
        """Return rows as they are kept."""
        if self.storage is None:
            return rows
        if not isinstance(self.storage, torch.dtype):
            size = max(1, settings.budget // (16 * rows.shape[1]))
            return torch.cat([signs(part) for part in torch.split(rows, size)])
        kept = rows.to(self.storage)
        if not arrays.sound(kept):
            must = f"within the range of {_over.short(self.storage)}"
            do = "scale them down, or keep them in torch.bfloat16 or wider"
            refuse(name, rows, must=must, do=do)
        return kept

    def _own(self, do: str) -> None:
        """Refuse to change or to copy a file that is only read."""
        if self._file:
            got = f"over the file {self._file!r}, which is only read"
            refuse("memory", got=got, must="one that holds its own rows", do=do)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        self._near = None
        if self._file:
            # Nothing writes to the rows of a file, so copies share them.
            held = (self._buffers["keys"], self._buffers["_values"])
            memo |= {id(rows): rows for rows in held if rows is not None}
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_near": None}

    def _vet_bits(self, name: str, rows: Tensor) -> None:
        if self.storage != "bits":
            return super()._vet_bits(name, rows)
        if rows.dtype != torch.int64:
            do = 'load the state of a memory with storage="bits"'
            refuse(name, rows, must="int64 words", do=do, error=InputTypeError)
        Packed(rows, self.dim if name == "keys" else self.value_dim)

    def _names(self) -> list[str]:
        return [] if self._file else super()._names()

    def _config(self) -> dict[str, Any]:
        self._own("keep that file, and open it again with Patterns.over")
        record: dict[str, Any] = {"dim": self.dim, "value_dim": self._width}
        if self.storage is not None:
            record |= {"storage": _over.short(self.storage), "dtype": _over.short(self.dtype)}
        if self._further:
            record["rows"] = {
                name: [list(shape), None if dtype is None else _over.short(dtype), default]
                for name, (shape, dtype, default) in self._further.items()
            }
        return record

    @classmethod
    def _built(cls, record: Record, rules: dict[str, Any]) -> Any:
        """Build an empty memory that fits the tensors of a file."""
        dim = record.size("dim")
        width = None if record.value("value_dim") is None else record.size("value_dim")
        storage: torch.dtype | str | None = None
        if record.has("storage"):
            bits = record.value("storage") == "bits"
            storage = "bits" if bits else record.dtype("storage", arrays.FLOATS)
        kept = torch.int64 if storage == "bits" else storage
        lengths = {"keys": dim} | ({} if width is None else {"_values": width})
        if storage == "bits":
            lengths = {name: -(-length // WORD) for name, length in lengths.items()}
        keys = record.tensor("keys", (None, lengths["keys"]), cast(torch.dtype | None, kept))
        if width is not None:
            record.tensor("_values", (len(keys), lengths["_values"]), keys.dtype)
        record.tensor("ids", (len(keys),), torch.int64)
        record.tensor("_next", (), torch.int64)
        dtype = keys.dtype if storage is None else record.dtype("dtype", arrays.FLOATS)
        return cls(dim, width, dtype=dtype, storage=storage, **rules)

    def _restore(self, record: Record) -> None:
        """Register the further rows that a file tells of."""
        for name, (shape, dtype, default) in record.rows().items():
            if name == "prior":
                self._register(name, PRIOR)
            elif name not in self._further:
                self.register_rows(name, shape, dtype, default)
