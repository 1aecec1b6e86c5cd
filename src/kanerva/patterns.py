"""The store that keeps every key and value as written."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kanerva import _guard
from kanerva.activation import Activation, Identity
from kanerva.memory import Memory
from kanerva.separation import Separation
from kanerva.similarity import Similarity, dot

__all__ = ["Patterns"]


class Patterns(Memory):
    """Keeps every key and value as written, and gives each an id that stays.

    Args:
        dim: d, length of a key.
        value_dim: e, length of a value; None makes the memory auto-associative: its values are its keys.
        similarity: how near; default ``dot``.
        separation: how much each key counts.
        activation: what is done with the sum; default nothing.
        empty: what is read where nothing answers: ``"zero"``, ``"keep"`` or ``"raise"``.
        dtype: a floating dtype, of keys, values, queries and reads; half precisions are summed in float32.

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
    """

    keys: Tensor
    ids: Tensor
    _values: Tensor | None
    _next: Tensor

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
    ) -> None:
        super().__init__(similarity, separation, Identity() if activation is None else activation, empty)
        dim = _guard.integer("Patterns", "dim", dim, 1, _guard.LONGEST)
        self.register_buffer("keys", torch.empty(0, dim, dtype=_guard.floating("Patterns", dtype)))
        width = None if value_dim is None else _guard.integer("Patterns", "value_dim", value_dim, 1, _guard.LONGEST)
        self.register_buffer("_values", None if width is None else torch.empty(0, width, dtype=dtype))
        self.register_buffer("ids", torch.empty(0, dtype=torch.int64))
        self.register_buffer("_next", torch.zeros((), dtype=torch.int64))
        self._room: dict[str, Tensor] = {}
        self._fit()

    @property
    def values(self) -> Shaped[Tensor, "m e"]:
        """What is summed: the keys, where the memory is auto-associative."""
        return self.keys if self._values is None else self._values

    @property
    def dim(self) -> int:
        """Length d of a key."""
        return self.keys.shape[-1]

    @property
    def value_dim(self) -> int:
        """Length e of a value."""
        return self.values.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of keys, values, queries and reads."""
        return self.keys.dtype

    @property
    def autoassociative(self) -> bool:
        """Whether the values are the keys."""
        return self._values is None

    def __len__(self) -> int:
        return self.keys.shape[0]

    @torch.no_grad()
    def write(self, keys: Float[Tensor, "*batch d"], values: Float[Tensor, "*batch e"] | None = None) -> Int64[Tensor, "*batch"]:
        """Append keys, and the values to be read from them.

        Args:
            keys: ``(..., d)``, one row each; they are copied.
            values: ``(..., e)``; None in an auto-associative memory, or to store the keys themselves.

        Returns:
            ids ``(...)`` int64 by which ``forget`` knows them; no id is given twice.
        """
        self._rows("Patterns.write", "keys", keys, self.dim, self.key_bits)
        if self.autoassociative and values is not None:
            do = "leave them out, or build the memory with value_dim"
            _guard.refuse("Patterns.write", "values", "None in an auto-associative memory", _guard.describe(values), do)
        payload = self._payload("Patterns.write", keys, values)
        ids = self._next + torch.arange(keys[..., 0].numel(), device=keys.device)
        more = {"keys": keys.reshape(-1, self.dim), "ids": ids} | ({} if self._values is None else {"_values": payload})
        # All rows find room before any buffer shows them: a write that fails half way leaves nothing behind.
        self._buffers.update({name: self._followed(name, rows) for name, rows in more.items()} | {"_next": self._next + len(ids)})
        return ids.reshape(keys.shape[:-1])

    @torch.no_grad()
    def forget(self, ids: Int64[Tensor, "*batch"] | Sequence[int]) -> None:
        """Remove what was written under these ids; the others keep theirs.

        Args:
            ids: as ``write`` returned them.

        Raises:
            InputError: an id that is not stored; nothing is removed then.
        """
        must, do = "integers", "give the ids that write returned"
        try:
            asked = torch.as_tensor(ids, device=self.ids.device)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            _guard.refuse("Patterns.forget", "ids", must, _guard.describe(ids), do, _guard.InputTypeError)
        asked = _guard.dense("Patterns.forget", "ids", asked, must).flatten()
        if asked.numel() and asked.dtype not in (*_guard.INTEGERS, torch.uint8):
            _guard.refuse("Patterns.forget", "ids", must, _guard.describe(ids), do, _guard.InputTypeError)
        missing = asked[~torch.isin(asked, self.ids)]
        if len(missing):
            got = f"{missing[:5].tolist()}, which {'is' if len(missing) == 1 else 'are'} not"
            _guard.refuse("Patterns.forget", "ids", "stored", got, "give ids that write returned and forget has not removed")
        left = ~torch.isin(self.ids, asked)
        self._room.clear()
        for name in ("keys", "_values", "ids"):
            rows = self._buffers[name]
            if rows is not None:
                self._buffers[name] = rows[left]

    def _followed(self, name: str, rows: Tensor) -> Tensor:
        """Return a buffer followed by rows, which lie in room kept for them; the room doubles when it is full."""
        old = self._buffers[name]
        assert old is not None
        count, room = len(old), self._room.get(name)
        if room is None or room.data_ptr() != old.data_ptr() or room.dtype != old.dtype or len(room) < count + len(rows):
            room = old.new_empty(max(2 * count, count + len(rows)), *old.shape[1:])
            room[:count] = old
            self._room[name] = room
        room[count : count + len(rows)] = rows
        return room[: count + len(rows)]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Memory:
        # Rows that move to another dtype or device leave their room behind, which would keep the old ones alive.
        self._room.clear()
        return super()._apply(fn, recurse)

    def _config(self) -> dict[str, Any]:
        return {"dim": self.dim, "value_dim": None if self.autoassociative else self.value_dim}

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in ("keys", "_values", "ids"):
            # The room behind a view would be saved with it.
            if prefix + name in destination:
                destination[prefix + name] = destination[prefix + name].clone()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        ids, following = (state_dict.get(prefix + name) for name in ("ids", "_next"))
        if isinstance(ids, Tensor) and isinstance(following, Tensor) and ids.ndim == 1 and following.ndim == 0:
            last = int(ids.max()) if len(ids) else -1
            if len(torch.unique(ids)) < len(ids) or (len(ids) and ids.min() < 0) or not last < int(following) < 2**62:
                must, do = "different ids >= 0, all below the next", "load the state_dict of one memory, whole"
                _guard.refuse("load_state_dict", "ids", must, f"{_guard.describe(ids)}, the next {int(following)}", do)
        self._resize(state_dict, prefix, "keys", "_values", "ids")
        super()._load_from_state_dict(state_dict, prefix, *args)
