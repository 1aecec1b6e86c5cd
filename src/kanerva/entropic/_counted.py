"""What every entropic memory shares: counts with a cap, how they change, and checks of a state."""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse, within
from kanerva._core.settings import settings
from kanerva.dynamics import Settled
from kanerva.entropic._cues import vet_scale
from kanerva.memory._inputs import Inputs, changes

__all__ = ["EMPTY", "Counted", "cap_of", "once"]

EMPTY = ("zero", "keep", "raise")


class Counted(Inputs):
    """Counts that grow by one for what is written, up to a cap.

    A subclass sets ``_dim`` and its quantisers, and calls ``_start`` with counts of 0.

    Attributes:
        counts: integers >= 0, at most the cap.
        cap: the largest count; None for no end.
    """

    counts: Tensor
    cap: int | None
    _stored: Tensor
    _scale: Tensor
    value_bits: bool = False
    _bits, _shows = False, False

    def _start(self, counts: Tensor, scale: Tensor, dtype: torch.dtype) -> None:
        """Register the counts, the number of objects, the hash of the quantisers, and the dtype."""
        self._given_parts = self._parts_now()
        self.register_buffer("_unit", torch.ones((), dtype=dtype), persistent=False)
        self.register_buffer("counts", counts)
        self.register_buffer("_stored", torch.zeros((), dtype=torch.int64))
        self.register_buffer("_scale", scale)

    @abstractmethod
    def _vet_dtype(self, dtype: torch.dtype) -> None:
        """Refuse a dtype that cannot hold the numbers of the levels."""

    def __len__(self) -> int:
        """Count what was written."""
        return int(self._stored)

    @door
    @changes
    def clear(self) -> None:
        """Set every count to 0."""
        self.counts, self._stored = torch.zeros_like(self.counts), torch.zeros_like(self._stored)

    def _grown(self, counts: Tensor, more: int) -> None:
        """Keep int64 counts to which ``more`` objects were added, up to the cap."""
        if not arrays.tracing() and bool((counts < 0).any()):
            must, do = "few enough that counts stay below 2^63", "clear the memory first"
            refuse("keys", got="too many", must=must, do=do)
        kept = counts if self.cap is None else counts.clamp(max=self.cap)
        self.counts = kept.to(self.counts.dtype)
        self._stored = self._stored + more

    def _shrunk(self, counts: Tensor, less: int, must: str) -> None:
        """Keep int64 counts from which ``less`` objects were taken."""
        if bool((counts < 0).any()) or less > len(self):
            got = "some that were not written: a cell holds fewer counts"
            refuse("keys", got=got, must=must, do="forget only what is stored")
        self.counts = counts.to(self.counts.dtype)
        self._stored = self._stored - less

    def _refuse_full(self) -> None:
        """Refuse to forget what may have lost counts at the cap."""
        must, got = "of cells below the cap", f"of cells that hold the cap of {self.cap}"
        refuse("keys", got=got, must=must, do="build the memory with cap=None")

    @property
    def _full(self) -> float:
        """The count from which on a cell may have lost counts."""
        return math.inf if self.cap is None else self.cap

    @door("load_state_dict")
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        vet_scale("state", self._scale, state_dict.get(prefix + "_scale"))
        for name, limit in (("counts", self._full), ("_stored", math.inf)):
            new, here = state_dict.get(prefix + name), getattr(self, name)
            if new is None:
                continue
            do = "load the state of a memory like this one"
            whole = isinstance(new, Tensor) and new.dtype in (*arrays.INTEGERS, torch.uint8)
            if not (whole and bool(((new >= 0) & (new.long() <= limit)).all())):
                refuse(name, new, must=f"whole numbers from 0 to {limit}", do=do)
            if new.shape != here.shape:
                must, got = f"of shape {tuple(here.shape)}", f"of shape {tuple(new.shape)}"
                refuse(name, got=got, must=must, do=do)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move the memory; refuse a dtype that cannot hold its numbers."""
        dtype = fn(torch.empty(0, dtype=self.dtype, device=self.device)).dtype
        if dtype in arrays.FLOATS:
            with within(f"{type(self).__name__}.to"):
                self._vet_dtype(dtype)
        return super()._apply(fn, recurse)

    def _afford(self, shape: tuple[int, ...], what: str, size: int) -> None:
        """Refuse results of ``size`` bytes for queries of some shape: they are returned whole."""
        if size > settings.budget and shape[0] > 1:
            must = f"few enough for {settings.budget} bytes of {what}"
            do = "give fewer at a time, or raise kanerva.settings.budget"
            refuse("query", got=f"{shape}, for {size} bytes", must=must, do=do)


def cap_of(cap: int | None) -> int | None:
    """Check the largest count of a cell."""
    do = "give the largest count of a cell, or None for no end"
    return None if cap is None else checks.integer("cap", cap, 1, 2**62, do)


def once(state: Tensor) -> Settled:
    """Return what settles in one read, which is never fed back."""
    ones = torch.ones(state.shape[:-1], dtype=torch.int64, device=state.device)
    return Settled(state, ones, ones == 1, ones == 0)
