"""What is known of a tensor that depends on the inputs, found by its storage.

A storage is found by its address, and a weak reference keeps the address from being used again.
Each view of a storage has an entry of its own, by its offset, sizes and strides. A write in place
renews the entries of all views of the storage.
"""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor
from torch.multiprocessing import reductions
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["Root", "Signal", "Signals", "moved", "repeats", "size"]

# So many storages are kept before those that are gone are looked for.
SWEEP = 4096

Place = tuple[Any, ...]


class Root(NamedTuple):
    """Which numbers a tensor is a function of, entry by entry.

    Two tensors of one root are functions of the same numbers at every entry.

    Attributes:
        source: a number of its own for each set of numbers in one order.
        shape: the sizes without leading ones, because these change no entry in a product.
    """

    source: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signal:
    """What is known of a tensor that depends on the inputs.

    Attributes:
        root: the numbers that it is a function of.
        depth: the largest number of gates on a path to it.
        weighs: whether it was normalised to weigh: a softmax, or numbers over their sum.
        reduced: the root of the numbers that it is a sum, mean, maximum or other summary of.
        total: the root of the numbers that it is the plain sum of.
        inverse: the root of the numbers that it is one over the sum of.
        difference: the roots of the two signals that it is the difference of.
        blend: the roots of a and b where it is z (a - b), so that a sum with b mixes them.
    """

    root: Root
    depth: int = 0
    weighs: bool = False
    reduced: Root | None = None
    total: Root | None = None
    inverse: Root | None = None
    difference: tuple[Root, Root] | None = None
    blend: tuple[Root, Root] | None = None


class _Store:
    """The entries of one storage."""

    __slots__ = ("depth", "reference", "views")

    def __init__(self, reference: Any) -> None:
        self.reference, self.depth = reference, 0
        self.views: dict[Place, Signal] = {}


class Signals:
    """The tensors that depend on the inputs."""

    def __init__(self) -> None:
        self._stores: dict[int, _Store] = {}
        # Tensors without a storage, such as sparse ones.
        self._others: Any = WeakTensorKeyDictionary()
        self._sources = itertools.count()
        self._derived: dict[Any, int] = {}
        # Of numbers whose axes were turned: what was turned, its sizes, and the order of its axes.
        self._turned: dict[int, tuple[Root, tuple[int, ...], tuple[int, ...]]] = {}
        # Of numbers that were repeated: what was repeated, and to which sizes.
        self._spreads: dict[int, tuple[Root, tuple[int, ...]]] = {}
        self._sweep = SWEEP

    def start(self) -> None:
        """Begin a call: how numbers were taken from others in calls before is not needed."""
        self._derived.clear()
        self._turned.clear()
        self._spreads.clear()

    def fresh(self, shape: Any) -> Root:
        """Return the root of numbers that are no function of others entry by entry."""
        return Root(next(self._sources), _stripped(shape))

    def derive(self, root: Root, shape: Any, *how: Any) -> Root:
        """Return the root of numbers taken from others: the same one for the same way."""
        key = (root, *how)
        found = self._derived.get(key)
        if found is None:
            found = self._derived[key] = next(self._sources)
        return Root(found, _stripped(shape))

    def turn(self, root: Root, shape: Any, order: tuple[int, ...]) -> Root:
        """Return the root of numbers whose axes were put in another order; twice may be none."""
        base, sizes = root, tuple(shape)
        before = self._turned.get(root.source)
        if before is not None and tuple(before[1][axis] for axis in before[2]) == sizes:
            base, sizes, order = *before[:2], tuple(before[2][axis] for axis in order)
        if order == tuple(range(len(order))):
            return base
        found = self.derive(base, [sizes[axis] for axis in order], "turn", sizes, order)
        self._turned[found.source] = (base, sizes, order)
        return found

    def spread(self, root: Root, shape: Any) -> Root:
        """Return the root of numbers that a product broadcasts to a shape."""
        wide, origin = _stripped(shape), self.origin(root)
        if wide in (root.shape, origin.shape):
            return root if wide == root.shape else origin
        found = self.derive(origin, wide, "expand", wide)
        self._spreads[found.source] = (origin, wide)
        return found

    def origin(self, root: Root) -> Root:
        """Return the root of numbers before they were repeated."""
        before = self._spreads.get(root.source)
        return before[0] if before is not None and before[1] == root.shape else root

    def cut(self, root: Root, shape: Any, axis: int, size: int | None) -> Root | None:
        """Return the root of a part along an axis of repeated numbers: every part is the same.

        Args:
            root: of the whole.
            shape: of the whole.
            axis: counted from the end.
            size: of the part; None for a single place, whose axis is left out.
        """
        origin, sizes = self.origin(root), list(shape)
        if origin is root or not repeats(origin, axis):
            return None
        if size is not None:
            sizes[axis] = size
            return self.spread(origin, sizes)
        del sizes[axis]
        kept = list(origin.shape)
        if len(kept) >= -axis:
            del kept[axis]
        return self.spread(Root(origin.source, _stripped(kept)), sizes)

    def of(self, tensor: Tensor) -> Signal | None:
        """Return what is known of a tensor; None for one that depends on no input."""
        storage = _storage(tensor)
        if storage is None:
            return self._others.get(tensor)
        store = self._stores.get(storage._cdata)
        if store is None:
            return None
        place = _place(tensor)
        found = store.views.get(place)
        if found is None:
            # A view that was made outside the mode.
            found = store.views[place] = Signal(self.fresh(_shape(tensor)), store.depth)
        return found

    def mark(self, tensor: Tensor, signal: Signal, written: bool = False) -> None:
        """Keep what is known of a tensor: a new one, a view, or one that was written in place."""
        storage = _storage(tensor)
        if storage is None:
            self._others[tensor] = signal
            return
        store = self._stores.get(storage._cdata)
        if store is None:
            self._tidy()
            store = self._stores[storage._cdata] = _Store(_weak(storage))
        if written:
            store.views.clear()
        store.depth = max(store.depth, signal.depth)
        store.views[_place(tensor)] = signal

    def begin(self, tensor: Tensor) -> None:
        """Make a tensor an input: a signal that no gate has made."""
        storage = _storage(tensor)
        if storage is not None:
            self._stores.pop(storage._cdata, None)
        self.mark(tensor, Signal(self.fresh(_shape(tensor))), written=True)

    def forget(self, tensor: Tensor) -> None:
        """Take note that a tensor was overwritten by numbers that depend on no input."""
        storage = _storage(tensor)
        if storage is None:
            self._others.pop(tensor, None)
        elif storage._cdata in self._stores:
            if tensor.numel() * tensor.element_size() >= storage.nbytes():
                del self._stores[storage._cdata]
            else:
                # The other entries of the storage stay what they are.
                store = self._stores[storage._cdata]
                kept = Signal(self.fresh(_shape(tensor)), store.depth)
                self.mark(tensor, kept, written=True)

    def _tidy(self) -> None:
        if len(self._stores) < self._sweep:
            return
        gone = [key for key, store in self._stores.items() if store.reference.expired()]
        for key in gone:
            del self._stores[key]
        self._sweep = max(SWEEP, 2 * len(self._stores))


# Untyped in torch.
_weak: Any = reductions.StorageWeakRef


def repeats(origin: Root, axis: int) -> bool:
    """Return whether numbers have one place along an axis, counted from the end."""
    return len(origin.shape) < -axis or origin.shape[axis] == 1


def moved(signal: Signal, root: Root) -> Signal:
    """Return a signal whose entries were rearranged."""
    return replace(signal, root=root, difference=None, blend=None)


def _stripped(shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape)
    first = next((place for place, size in enumerate(sizes) if size != 1), len(sizes))
    return sizes[first:]


def _storage(tensor: Tensor) -> Any:
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return None


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.numel(),) if tensor.is_nested else tuple(tensor.shape)


def _place(tensor: Tensor) -> Place:
    if tensor.is_nested:
        return ("nested",)
    return (tensor.storage_offset(), tensor.shape, tensor.stride())


def size(tensor: Tensor) -> int:
    """Return the number of entries."""
    return tensor.numel() if tensor.is_nested else math.prod(tensor.shape)
