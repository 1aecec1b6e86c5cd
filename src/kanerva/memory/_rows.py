"""Buffers with one row a stored item: they grow, shrink, move and are saved together."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.memory import _state
from kanerva.memory._base import Memory
from kanerva.memory._inputs import changes


def _held(default: Any, kind: torch.dtype) -> float:
    """Return a default that the dtype of its rows holds."""
    number = checks.plain("default", default)
    try:
        held = torch.tensor(number).to(torch.float64).to(kind).double().item()
    except RuntimeError:
        held = math.inf
    rounded = kind.is_floating_point and math.isfinite(held)
    if not rounded and held != number:
        refuse("default", default, must=f"a number that {kind} holds", do="choose another dtype")
    return number


class Row(NamedTuple):
    """A further row of every item.

    Attributes:
        shape: of the row of one item.
        dtype: of the row; None for that of the memory.
        default: for items that are written without it; None where it must be given.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype | None
    default: float | None


# How often each row counts: exact counts, whatever the dtype of the memory.
PRIOR = Row((), torch.float64, 1.0)


class Rows(Memory):
    """A memory whose buffers have one row a stored item."""

    storage: torch.dtype | str | None
    _further: dict[str, Row]
    # Space behind the rows, by name, into which they grow.
    _room: dict[str, Tensor]

    @door
    @changes
    def register_rows(
        self,
        name: str,
        shape: tuple[int, ...] = (),
        dtype: torch.dtype | None = None,
        default: float | None = None,
    ) -> None:
        """Add a buffer with one row for every stored item, which follows all that happens to it.

        ``write`` takes the rows by this name, ``forget`` and ``clear`` remove them, and copies,
        ``to``, state dicts and files hold them.

        Args:
            name: of the buffer and of the keyword of ``write``.
            shape: of the row of one item; () for one number.
            dtype: of the rows; None for the memory's, which ``to`` changes.
            default: for items that are written without it, and for those that are stored already;
                None where it must be given.

        Raises:
            InputError: a name that is taken, or a memory with items and no default.

        Example:
            >>> import torch
            >>> from kanerva import Patterns
            >>> from kanerva.separation import Softmax
            >>> memory = Patterns(2, separation=Softmax(1.0))
            >>> memory.register_rows("age", default=0.0)
            >>> ids = memory.write(torch.eye(2), age=torch.tensor([3.0, 5.0]))
            >>> memory.forget(ids[:1])
            >>> memory.age.tolist()
            [5.0]
        """
        free = isinstance(name, str) and name.isidentifier() and name not in ("self", "keys")
        if not free or hasattr(self, name):
            do = "choose a name that the memory does not use"
            refuse("name", name, must="a new name of an attribute", do=do)
        sizes = shape if isinstance(shape, tuple) else (shape,)
        sizes = tuple(checks.integer("shape", size, 1, checks.LONGEST) for size in sizes)
        if dtype is not None and dtype not in arrays.PLAIN:
            must, do = "a dtype of real numbers, or None", "choose torch.float32"
            refuse("dtype", dtype, must=must, do=do, error=InputTypeError)
        kind = self.dtype if dtype is None else dtype
        default = None if default is None else _held(default, kind)
        count = self._length()
        if default is None and count:
            do = "register rows before anything is written, or give a default"
            refuse("default", got="None", must=f"a number, for the {count} items stored", do=do)
        self._register(name, Row(sizes, dtype, default))

    def _register(self, name: str, row: Row) -> None:
        """Add a buffer with one row for every stored item, at its default."""
        self._further[name] = row
        size, kind = (self._length(), *row.shape), row.dtype or self.dtype
        rows = torch.full(size, row.default or 0, dtype=kind, device=self.device)
        self.register_buffer(name, rows)

    def rows_changed(self, kept: Tensor | None) -> None:
        """Follow a change of the rows: a subclass that derives something from them writes it.

        It is called once after ``write``, ``forget``, ``clear``, ``load_state_dict`` and ``to``,
        while no other thread can change the memory. An override calls that of its parent.

        Args:
            kept: ``(m,)`` bool, which of the former rows are left, where rows were removed; None
                where they were added, loaded or moved.

        Example:
            >>> import torch
            >>> from kanerva import Patterns
            >>> from kanerva.separation import Softmax
            >>> class Counted(Patterns):
            ...     changes = 0
            ...     def rows_changed(self, kept):
            ...         super().rows_changed(kept)
            ...         self.changes += 1
            >>> memory = Counted(2, separation=Softmax(1.0))
            >>> memory.forget(memory.write(torch.eye(2)))
            >>> memory.changes
            2
        """

    def _length(self) -> int:
        return len(cast(Tensor, self._buffers["ids"]))

    def _names(self) -> list[str]:
        """Return the names of the buffers with one row an item."""
        known = ("keys", "_values", "ids", *self._further)
        return [name for name in known if self._buffers.get(name) is not None]

    def _further_rows(self, given: dict[str, Any], batch: torch.Size) -> dict[str, Tensor]:
        """Check the further rows that are written with items of these leading dimensions."""
        for name in given:
            checks.choice("keyword", name, tuple(self._further))
        return {name: self._further_row(name, given.get(name), batch) for name in self._further}

    def _further_row(self, name: str, value: Any, batch: torch.Size) -> Tensor:
        shape, dtype, default = self._further[name]
        kind, count = self.dtype if dtype is None else dtype, batch.numel()
        if value is None and default is not None:
            return torch.full((count, *shape), default, dtype=kind, device=self.device)
        must = f"a tensor of {kind} and of shape {(*batch, *shape)}"
        rows = arrays.dense(name, value, must, kind)
        if rows.dtype != kind or rows.shape != (*batch, *shape):
            refuse(name, value, must=must, do="give one row for each key")
        if rows.device != self.device:
            must, do = f"on {self.device}", f"move it with {name}.to({str(self.device)!r})"
            refuse(name, got=f"on {rows.device}", must=must, do=do)
        return arrays.finite(name, rows).reshape(count, *shape)

    def _fixed(self) -> list[str]:
        """Return the names of the buffers whose dtype ``to`` leaves as it is."""
        fixed = [name for name, row in self._further.items() if row.dtype is not None]
        return fixed + ([] if self.storage is None else ["keys", "_values"])

    def _append(self, more: dict[str, Tensor]) -> None:
        """Append rows to all buffers: all of them find room before any buffer changes."""
        self._buffers.update({name: self._followed(name, rows) for name, rows in more.items()})

    def _followed(self, name: str, rows: Tensor) -> Tensor:
        """Return a buffer followed by rows, in room that doubles when it is full."""
        old, room = cast(Tensor, self._buffers[name]), self._room.get(name)
        count, total = len(old), len(old) + len(rows)
        fits = room is not None and room.data_ptr() == old.data_ptr() and room.dtype == old.dtype
        if room is None or not fits or len(room) < total:
            room = old.new_empty(max(2 * count, total), *old.shape[1:])
            room[:count] = old
            self._room[name] = room
        room[count:total] = rows
        return room[:total]

    def _keep(self, left: Tensor) -> None:
        """Keep the marked rows of every buffer."""
        self._room.clear()
        for name in self._names():
            self._buffers[name] = cast(Tensor, self._buffers[name])[left]
        self.rows_changed(left)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # Rows that move leave their room behind, which would keep the old ones alive.
        self._room.clear()
        kept = {id(self._buffers[name]) for name in self._fixed()}

        def move(tensor: Tensor) -> Tensor:
            # Rows with a dtype of their own keep it, and go where the others go.
            there = fn(tensor[:0]) if id(tensor) in kept else None
            if there is None or there.dtype == tensor.dtype:
                return fn(tensor)
            return tensor.to(there.device)

        with self._alone():
            moved = super()._apply(move, recurse)
            self.rows_changed(None)
        return moved

    def __getstate__(self) -> dict[str, Any]:
        # The room is not copied: rows are views of it, and would be copied with it.
        return super().__getstate__() | {"_room": {}}

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self._names():
            # The room behind a view would be saved with it.
            if prefix + name in destination:
                destination[prefix + name] = destination[prefix + name].clone()

    @door("load_state_dict")
    @changes
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        ids, following = (state_dict.get(prefix + name) for name in ("ids", "_next"))
        if isinstance(ids, Tensor) and isinstance(following, Tensor):
            _state.vet_ids(ids, following)
        if prefix + "prior" in state_dict and "prior" not in self._further:
            self._register("prior", PRIOR)
        strict = len(args) > 1 and args[1]
        known = {prefix + name for name in self.state_dict()}
        beyond = [name for name in state_dict if name.startswith(prefix) and name not in known]
        if strict and beyond and not prefix:
            got = f"one with {beyond[0]!r}"
            must, do = "of a memory with the same rows", "register its rows first"
            refuse("state", got=got, must=must, do=do)
        self._resize(state_dict, prefix, *self._names())
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.rows_changed(None)
