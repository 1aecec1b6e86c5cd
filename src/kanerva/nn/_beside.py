"""Attention to a window, and to a memory of what lay before it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, named, refuse
from kanerva._core.settings import settings
from kanerva.nn._attention import Attention
from kanerva.nn._heads import blame, no_autocast, products, sound, widen
from kanerva.nn._reader import check_mask, read

__all__ = ["MemoryAttention"]

STORED = ("stored_key", "stored_value")
OPTIONS = ("normalise", "beta", "value_dim", "separation", "bias")

Rows = Float[Tensor, "b n dim"]
Mask = Bool[Tensor, "b n"] | None


class MemoryAttention(nn.Module):
    r"""Attends to its window, and to the nearest of the keys that earlier calls left behind.

    .. math:: y = W_o \bigl(g_h\, m + (1 - g_h)\, a\bigr), \quad g_h = \text{sigmoid}(\text{gate}_h)

    a is what ``attention`` reads in the window, m what the same query reads by the same rule from
    the ``k`` stored keys with the highest scores. The memory holds the last ``capacity`` pairs of
    key and value of each row of the batch, from earlier calls; the oldest go first. Row i of the
    batch reads and writes memory i alone, so consecutive calls take consecutive segments of the
    same texts. ``forget`` ends a text.

    Stored pairs carry no gradient: they were made by the weights of their time, and are not updated
    when these change. So the map of the keys learns from the window alone. Stored pairs are
    buffers, and copies and state dicts contain them; ``DistributedDataParallel`` must be told not
    to broadcast buffers. Where a row of the batch has no pair, its output is that of plain
    attention, whatever the gate.

    Activation checkpointing calls the layer again in the backward pass, where it would read what
    the first call has written. Pass ``write=False`` there, and write after the backward pass, by a
    call without gradients. A call with ``write=True`` in a backward pass is refused, and so is the
    gradient of a checkpoint with ``use_reentrant=False`` whose memory has changed since its first
    call. A compiled layer does not notice either.

    Args:
        dim: width of input and output, >= 1.
        heads: number of heads, >= 1; it divides ``dim``.
        capacity: number of pairs that are kept for each row of the batch, >= 1.
        k: number of stored keys that a query reads, >= 1; all of them where no more are stored.
        **options: of ``Attention``: ``normalise``, ``beta``, ``value_dim``, ``separation`` and
            ``bias``.

    Attributes:
        attention: the ``Attention`` to the window, whose maps the memory shares.
        gate: ``(heads,)``, trained, 0 at first.
        stored_key: ``(b, heads, n, d)``, the stored keys; n <= ``capacity``.
        stored_value: ``(b, heads, n, value_dim / heads)``.
        count: ``(b,)`` int64, how many pairs each row of the batch has written.

    Raises:
        InputError: as ``Attention`` does.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> layer = nn.MemoryAttention(dim=64, heads=4, capacity=100, k=8)
        >>> text = torch.randn(2, 90, 64, generator=torch.Generator().manual_seed(0))
        >>> first, second = layer(text[:, :60]), layer(text[:, 60:])
        >>> first.shape, second.shape, len(layer)
        (torch.Size([2, 60, 64]), torch.Size([2, 30, 64]), 90)
        >>> layer.forget()
        >>> len(layer)
        0

    Source: Wu and others 2022.
    """

    stored_key: Tensor
    stored_value: Tensor
    count: Tensor
    _changes = 0

    @named()
    def __init__(self, dim: int, heads: int, capacity: int, k: int, **options: Any) -> None:
        super().__init__()
        checks.keywords(options, *OPTIONS)
        do = "give the number of pairs to keep"
        self.capacity = checks.integer("capacity", capacity, 1, checks.LONGEST, do)
        do = "give the number of stored keys that a query reads"
        self.k = checks.integer("k", k, 1, checks.LONGEST, do)
        self.attention = Attention(dim, heads, **options)
        self.gate = nn.Parameter(torch.zeros(self.attention.heads))
        for name, width in (("stored_key", dim), ("stored_value", self.attention.value_dim)):
            self.register_buffer(name, torch.empty(0, heads, 0, width // heads))
        self.register_buffer("count", torch.empty(0, dtype=torch.int64))

    def __len__(self) -> int:
        """Return how many pairs are stored for the row of the batch that has most."""
        most = int(self.count.max()) if len(self.count) else 0
        return min(most, self.stored_key.shape[2])

    @torch.no_grad()
    @named()
    def reset(self, seed: int | torch.Generator) -> "MemoryAttention":
        """Draw all weights again, close the gate half, and forget.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by the layers of a model.

        Returns:
            the module itself.

        Example:
            >>> from kanerva import nn
            >>> nn.MemoryAttention(64, 4, 100, 8).reset(1).gate.tolist()
            [0.0, 0.0, 0.0, 0.0]
        """
        self.attention.reset(seed)
        self.gate.zero_()
        self.forget()
        return self

    @door("MemoryAttention")
    @blame
    def forward(self, x: Rows, mask: Mask = None, causal: bool = True, write: bool = True) -> Rows:
        """Read the window and the memory, then write the window.

        The scores of some queries at a time are computed, within ``settings.budget``. While
        gradients are recorded, the k keys and values of each query are kept as well.

        Args:
            x: ``(b, n, dim)``, the window.
            mask: ``(b, n)`` bool; a place that is False is left out, and not written.
            causal: each place attends to itself and to those before it in the window.
            write: write the keys and values of the window afterwards.

        Returns:
            ``(b, n, dim)``.

        Raises:
            InputError: shapes or dtypes that do not fit, another batch than the stored one, or
                numbers that are not finite; then nothing is written.

        Example: see ``MemoryAttention``.
        """
        self._check(x, mask)
        causal, write = checks.flag("causal", causal), checks.flag("write", write)
        if write and arrays.transformed():
            must, do = "False within a transform of torch.func", "write by a call outside of it"
            refuse("write", got="True", must=must, do=do)
        if write and arrays.backward():
            must = "False in a backward pass, where activation checkpointing repeats the call"
            do = "pass write=False to the checkpoint, and write after the backward pass"
            refuse("write", got="True", must=must, do=do)
        own = self.attention
        queries, keys, values = own._project(x, None)
        keep, plain = own._left(queries, mask, causal)
        found = read(queries, keys, values, own.separation, keep, plain)
        if self.stored_key.shape[2]:
            found = self._mixed(found, self._recalled(queries))
            if torch.is_grad_enabled() and not arrays.tracing():
                found = _Unchanged.apply(found, self._changes)  # type: ignore[no-untyped-call]
        output: Tensor = own.out(found.transpose(1, 2).flatten(2))
        output = sound(output, x=x)
        if write:
            # Tensors made in inference mode could not be written to outside of it.
            with torch.inference_mode(False), torch.no_grad():
                self._write(keys.detach(), values.detach(), mask)
        return output

    @torch.no_grad()
    @door
    def forget(self, rows: int | Sequence[int] | Int64[Tensor, " r"] | None = None) -> None:
        """Remove what is stored.

        Args:
            rows: places in the batch whose pairs are removed, such as of texts that have ended; all
                if omitted, after which any batch is taken.

        Raises:
            InputError: a place that is not in the stored batch.

        Example: see ``MemoryAttention``.
        """
        self._changed()
        if rows is None:
            for name in STORED:
                own = getattr(self, name)
                setattr(self, name, own.new_empty(0, own.shape[1], 0, own.shape[3]))
            self.count = self.count.new_empty(0)
            return
        self.count[self._places(rows)] = 0

    def _changed(self) -> None:
        """Count a change of what is stored; a graph would have to be traced again for each."""
        if not arrays.tracing():
            self._changes += 1

    def _places(self, rows: Any) -> Tensor:
        """Return places in the stored batch, as int64 on its device."""
        batch = len(self.count)
        if not batch:
            refuse("rows", rows, must="omitted where nothing is stored", do="call forget()")
        must = f"integers from 0 to {batch - 1}, the places in the stored batch"
        do = "give the places of the texts that have ended"
        try:
            places = torch.as_tensor(rows, device=self.count.device)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            refuse("rows", rows, must=must, do=do, error=InputTypeError)
        places = arrays.dense("rows", places, must, torch.int64).flatten()
        if places.numel() and places.dtype not in arrays.INTEGERS:
            refuse("rows", rows, must=must, do=do, error=InputTypeError)
        if ((places < 0) | (places >= batch)).any():
            refuse("rows", got=f"{places[:5].tolist()}", must=must, do=do)
        return places.long()

    def extra_repr(self) -> str:
        """Return the arguments that the module was built with."""
        return f"capacity={self.capacity}, k={self.k}"

    def _check(self, x: Any, mask: Any) -> None:
        """Refuse input that does not fit, or another batch than the stored one."""
        self.attention._check_rows("x", x)
        if mask is not None:
            check_mask(mask, (tuple(x.shape[:2]),), "give one entry for each place")
        batch = self.stored_key.shape[0]
        if batch and x.shape[0] != batch:
            must, do = f"of batch {batch}, as what is stored", "call forget() first"
            refuse("x", got=f"of batch {x.shape[0]}", must=must, do=do)

    def _mixed(self, window: Tensor, memory: Tensor) -> Tensor:
        """Mix what the window and the memory gave, where there is a memory."""
        with no_autocast(window):
            gate = widen(self.gate).sigmoid()[:, None, None]
            gate = gate * (self.count > 0)[:, None, None, None]
            return (gate * memory + (1 - gate) * window).to(window.dtype)

    def _recalled(self, queries: Tensor) -> Tensor:
        """Read the memory, some queries of some rows of the batch at a time."""
        keys, values = self.stored_key, self.stored_value
        if self.k >= keys.shape[2] and torch.is_grad_enabled():
            # A later write must not change what this read keeps for its gradient.
            keys, values = keys.clone(), values.clone()
        stored = torch.arange(keys.shape[2], device=keys.device) < self.count[:, None]
        rows, places = self._block(*queries.shape[1:3])
        tensors = (queries, keys, values, stored)
        lines = []
        for start in range(0, max(1, len(queries)), rows):
            part, *memory = (tensor[start : start + rows] for tensor in tensors)
            spans = range(0, max(1, part.shape[2]), places)
            read = [self._nearest(part[:, :, at : at + places], *memory) for at in spans]
            lines.append(torch.cat(read, 2))
        return torch.cat(lines)

    def _block(self, heads: int, count: int) -> tuple[int, int]:
        """Return of how many rows of the batch, and how many places, queries are read at once."""
        size, width = self.stored_key.shape[2], self.stored_key.shape[3]
        numbers = size + min(self.k, size) * (width + self.stored_value.shape[3])
        most = settings.budget // (4 * max(4, self.stored_key.element_size()) * heads * numbers)
        return max(1, most // max(1, count)), max(1, min(most, count))

    def _nearest(self, queries: Tensor, keys: Tensor, values: Tensor, stored: Tensor) -> Tensor:
        """Read the k keys with the highest scores, ``(b, h, q, e)``, in the dtype of the values."""
        rule = self.attention.separation
        if self.k >= keys.shape[2]:
            return read(queries, keys, values, rule, stored[:, None, None])
        with torch.no_grad(), no_autocast(queries):
            scores = products(queries, keys)
            # In place, because a copy of all scores takes longer than the product.
            absent = torch.zeros_like(stored, dtype=scores.dtype).masked_fill(~stored, -math.inf)
            places = scores.add_(absent[:, None, None]).topk(self.k, sorted=False).indices
        batch, heads, count, _ = places.shape
        row = torch.arange(batch, device=keys.device)[:, None, None, None]
        head = torch.arange(heads, device=keys.device)[:, None, None]
        # Each query has keys of its own, so it is a batch of one query.
        found = read(
            queries.reshape(-1, 1, 1, queries.shape[3]),
            keys[row, head, places].flatten(0, 2)[:, None],
            values[row, head, places].flatten(0, 2)[:, None],
            rule,
            stored[row, places].flatten(0, 2)[:, None, None],
        )
        return found.reshape(batch, heads, count, values.shape[3])

    def _write(self, keys: Tensor, values: Tensor, mask: Tensor | None) -> None:
        """Store pairs in place of the oldest; those that the mask leaves out are not stored.

        The pairs of a row of the batch form a ring: pair i is at place i modulo the number of
        places. Until there are ``capacity`` places, there is one for every pair.
        """
        batch, _, count, _ = keys.shape
        if not batch * count:
            return
        self._changed()
        self._grow(batch, count)
        taken, size = min(count, self.capacity), self.stored_key.shape[2]
        places = torch.arange(taken, device=keys.device)
        order = (places + (count - taken)).expand(batch, -1)
        fresh, written = (order >= 0), torch.full_like(self.count, count)
        if mask is not None:
            # Those that are written come last, in their order; what precedes them stays as it was.
            order = mask.byte().argsort(dim=1, stable=True)[:, count - taken :]
            fresh, written = mask.gather(1, order), mask.sum(1)
        self.count.add_(written)
        places = (self.count[:, None] - taken + places) % size
        for stored, rows in ((self.stored_key, keys), (self.stored_value, values)):
            shape = (-1, stored.shape[1], -1, stored.shape[3])
            at = places[:, None, :, None].expand(shape)
            new = rows.gather(2, order[:, None, :, None].expand(shape)).to(stored.dtype)
            new = torch.where(fresh[:, None, :, None], new, stored.gather(2, at))
            stored.scatter_(2, at, new)

    def _grow(self, batch: int, count: int) -> None:
        """Make room for more pairs of each row of the batch, up to the capacity."""
        if not len(self.count):
            self.count = self.count.new_zeros(batch)
        size = self.stored_key.shape[2]
        more = min(count, self.capacity - size)
        grown = []
        for stored in (self.stored_key, self.stored_value) if more else ():
            room = stored.new_zeros(batch, stored.shape[1], more, stored.shape[3])
            stored = stored.expand(batch, -1, -1, -1) if size else room[:, :, :0]
            grown.append(torch.cat((stored, room), 2))
        if grown:
            self.stored_key, self.stored_value = grown

    def load_state_dict(self, state_dict: Mapping[str, Any], *rest: Any, **more: Any) -> Any:
        """Load weights and pairs as torch does; where it refuses an entry, the own pairs stay.

        A module that contains this one loads its parts in turn: there the pairs have been replaced
        when another entry is refused, as every entry that fits.

        Args:
            state_dict: of a ``MemoryAttention`` of the same widths and the same capacity.
            *rest: ``strict`` and ``assign``, as of ``torch.nn.Module``.
            **more: the same.

        Returns:
            the missing and the unexpected keys.

        Raises:
            InputError: pairs that do not fit each other or the layer; then nothing is changed.
            RuntimeError: other entries that torch refuses.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> one, other = (nn.MemoryAttention(8, 2, capacity=5, k=2) for _ in range(2))
            >>> one(torch.eye(3, 8)[None]).shape, other.load_state_dict(one.state_dict())
            (torch.Size([1, 3, 8]), <All keys matched successfully>)
            >>> len(other)
            3
        """
        own = {name: getattr(self, name) for name in (*STORED, "count")}
        try:
            return super().load_state_dict(state_dict, *rest, **more)
        except RuntimeError:
            for name, tensor in own.items():
                setattr(self, name, tensor)
            raise

    @door("MemoryAttention.load_state_dict")
    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Check the pairs in a state dict, and make room for them."""
        names = [f"{prefix}{name}" for name in (*STORED, "count")]
        if any(name in state_dict for name in names):
            given = self._vetted({name: state_dict.get(name) for name in names})
            # What is assigned is written to later, so it must not be shared.
            state_dict |= {name: tensor.detach().clone() for name, tensor in given.items()}
            self._fit(*given.values())
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _vetted(self, given: dict[str, Any]) -> dict[str, Tensor]:
        """Return the pairs and the count of a state dict, if they fit each other and the layer."""
        (key, stored), (other, values), (last, count) = given.items()
        do = "take all three from the state dict of a layer with the same widths"
        for name, rows, own in ((key, stored, self.stored_key), (other, values, self.stored_value)):
            must = f"a floating tensor of shape (b, {own.shape[1]}, n, {own.shape[3]})"
            if arrays.dense(name, rows, must).dtype not in arrays.FLOATS:
                refuse(name, rows, must=must, do=do, error=InputTypeError)
            if rows.ndim != 4 or (rows.shape[1], rows.shape[3]) != (own.shape[1], own.shape[3]):
                refuse(name, rows, must=must, do=do)
            arrays.finite(name, rows.to(own.dtype))
        batch, _, size, _ = stored.shape
        if (values.shape[0], values.shape[2], values.dtype) != (batch, size, stored.dtype):
            must = f"{stored.dtype} of {batch} rows of the batch and {size} places, as {key} is"
            refuse(other, values, must=must, do=do)
        must = f"an integer tensor of shape ({batch},) with counts >= 0"
        if arrays.dense(last, count, must, torch.int64).dtype not in arrays.INTEGERS:
            refuse(last, count, must=must, do=do, error=InputTypeError)
        if count.shape != (batch,) or (not arrays.tracing() and bool((count < 0).any())):
            refuse(last, count, must=must, do=do)
        if size and not batch:
            refuse(key, stored, must="without places where the batch has no rows", do=do)
        full = not arrays.tracing() and bool((count > size).any())
        if size > self.capacity or (full and size != self.capacity):
            got, do = f"{self.capacity}", f"build the layer with capacity {size}"
            refuse("capacity", got=got, must=f"{size}, as that of the state dict is", do=do)
        return given

    def _fit(self, key: Tensor, value: Tensor, count: Tensor) -> None:
        """Give the buffers the shapes of other pairs."""
        self._changed()
        with torch.inference_mode(False):
            for name, other in zip((*STORED, "count"), (key, value, count), strict=True):
                setattr(self, name, getattr(self, name).new_zeros(other.shape))


class _Unchanged(torch.autograd.Function):
    """Passes a read on, and refuses its gradient if it was repeated after a change of the memory.

    A checkpoint replaces the tensors that a call has saved by those of its repetition, but the
    attributes of ``ctx`` remain those of the first call.
    """

    @staticmethod
    def forward(ctx: Any, found: Tensor, changes: int) -> Tensor:
        ctx.changes = changes
        ctx.save_for_backward(torch.tensor(changes, device="cpu"))
        return found.view_as(found)

    @staticmethod
    @door("MemoryAttention")
    def backward(ctx: Any, *gradients: Any) -> Any:
        (changes,) = ctx.saved_tensors
        if int(changes) != ctx.changes:
            must = "written to and forgotten only after the backward pass of a checkpoint"
            got = "changed after the first call that the checkpoint repeats"
            refuse("memory", got=got, must=must, do="write after the backward pass")
        return gradients[0], None
