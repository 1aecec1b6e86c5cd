"""What a hetero-associative entropic memory stores, how it is written, and its statistics."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from kanerva._core import arrays, checks, machine
from kanerva._core.arrays import Listed
from kanerva._core.errors import door, refuse
from kanerva.entropic import _projection
from kanerva.entropic._counted import EMPTY, Counted, cap_of
from kanerva.entropic._cues import Cues, cues, fitting, scale
from kanerva.entropic._projection import Relation
from kanerva.entropic._quantiser import Quantiser
from kanerva.entropic._register import Limits, Recognition, limits
from kanerva.memory._inputs import changes

__all__ = ["Pairs"]

Known = Bool[Tensor, "*_known"] | Listed | None
# The largest count that each dtype of counts holds.
KINDS = {255: torch.uint8, 2**15 - 1: torch.int16, 2**31 - 1: torch.int32}
# Counts of more bytes are refused.
MOST = 2**30


class Pairs(Counted):
    """Counts pairs of levels: what a ``HeteroEntropicMemory`` stores.

    Its arguments are described there.
    """

    exempt: Mapping[str, str] = MappingProxyType({})

    @door
    def __init__(
        self,
        columns: int,
        levels: int,
        value_columns: int,
        value_levels: int,
        *,
        iota: float = 0.0,
        kappa: float = 0.0,
        xi: int = 0,
        cap: int | None = 65535,
        quantiser: Quantiser | None = None,
        value_quantiser: Quantiser | None = None,
        empty: str = "zero",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self._dim = checks.integer("columns", columns, 1, checks.LONGEST)
        self.levels = checks.integer("levels", levels, 1, 2**20)
        self._value_dim = checks.integer("value_columns", value_columns, 1, checks.LONGEST)
        self.value_levels = checks.integer("value_levels", value_levels, 1, 2**20)
        pairs = self._dim * self._value_dim
        self.limits: Limits = limits(iota, kappa, xi, "pass", pairs, "pairs of columns")
        self.cap = cap_of(cap)
        self.empty = checks.choice("empty", empty, EMPTY)
        if self.empty == "keep" and self._dim != self._value_dim:
            got, do = f"{value_columns} for keys of {columns}", 'choose another "empty"'
            must = "as many as columns, because the query is kept"
            refuse("value_columns", got=got, must=must, do=do)
        kind = arrays.floating(dtype)
        self.quantiser = fitting(quantiser, self._dim, self.levels, kind, "quantiser")
        self.value_quantiser = fitting(
            value_quantiser, self._value_dim, self.value_levels, kind, "value_quantiser"
        )
        scales = torch.stack([scale(self.quantiser), scale(self.value_quantiser)])
        self._start(self._blank(), scales, kind)

    def _blank(self) -> Tensor:
        """Return counts of 0, or refuse more of them than there may be."""
        kind = next((kind for most, kind in KINDS.items() if self._full <= most), torch.int64)
        shape = (self._dim, self._value_dim, self.levels, self.value_levels)
        bytes_ = math.prod(shape) * kind.itemsize
        got = f"{self.levels}, for counts of {' x '.join(map(str, shape))} cells"
        if bytes_ > MOST:
            must = f"few enough for {machine.size(MOST)} of counts"
            do = "take fewer levels or columns, or a lower cap"
            refuse("levels", got=f"{got}, which need {machine.size(bytes_)}", must=must, do=do)
        # A write counts in int64.
        with checks.room("levels", got, bytes_ + 8 * math.prod(shape)):
            return torch.zeros(shape, dtype=kind)

    @property
    def dim(self) -> int:
        """The number of columns of a key."""
        return self._dim

    @property
    def value_dim(self) -> int:
        """The number of columns of a value."""
        return self._value_dim

    @property
    def autoassociative(self) -> bool:
        """False: every key is written with a value."""
        return False

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        few = ", ".join(f"{name}={value!r}" for name, value in self.limits._asdict().items())
        few = few.removesuffix(", undefined='pass'")
        keys = f"{self.dim} columns of {self.levels} levels"
        values = f"{self.value_dim} of {self.value_levels}"
        return f"{keys} to {values}, {few}, cap={self.cap}"

    @door
    @changes
    def write(
        self,
        keys: Float[Tensor, "*batch columns"] | Listed,
        values: Float[Tensor, "*batch value_columns"] | Listed | None = None,
        known: Known = None,
        value_known: Known = None,
    ) -> None:
        """Add one to the cell of every pair of a level of a key and one of its value, to the cap.

        Args:
            keys: ``(..., columns)`` in the unit of the data; whole levels without a quantiser.
            values: ``(..., value_columns)`` of the same leading dimensions.
            known: bool that broadcasts to ``keys``; columns that are not known count nowhere.
            value_known: the same for ``values``.

        Raises:
            InputError: keys or values of another width or dtype, not finite, or no levels, or not
                one value for each key; nothing is written then.
        """
        own, other = self._pair(keys, values, known, value_known, whole=True)
        counts = _projection.added(self.counts, _part(own), _part(other))
        self._grown(counts, len(own.places))

    @door
    @changes
    def forget(
        self,
        keys: Float[Tensor, "*batch columns"] | Listed,
        values: Float[Tensor, "*batch value_columns"] | Listed | None = None,
        known: Known = None,
        value_known: Known = None,
    ) -> None:
        """Take back what was written: the exact reverse of ``write``.

        Args:
            keys: ``(..., columns)`` as written.
            values: ``(..., value_columns)`` as written.
            known: as written.
            value_known: as written.

        Raises:
            InputError: a cell of the pairs is at the cap, and may have lost counts there, or holds
                fewer counts than are taken; nothing is forgotten then.
        """
        own, other = self._pair(keys, values, known, value_known, whole=True)
        parts = _part(own), _part(other)
        touched = _projection.held(self.counts, *parts)
        if any(bool(((found >= self._full) & seen).any()) for found, seen in touched):
            self._refuse_full()
        counts = _projection.added(self.counts, *parts, -1)
        self._shrunk(counts, len(own.places), "of what was written with these values")

    @door
    def recognise(
        self,
        keys: Float[Tensor, "*batch columns"] | Listed,
        values: Float[Tensor, "*batch value_columns"] | Listed | None = None,
        known: Known = None,
        value_known: Known = None,
    ) -> Recognition:
        r"""Decide whether pairs of a key and a value are contained in the register.

        .. math:: \#\{(i, j) : R^\iota_{ij a_i b_j} = 0\} \le \xi \quad\text{and}\quad
            \rho(a, b) = \tfrac{1}{n p} \sum_{ij} R_{ij a_i b_j} \ge \kappa\,\Omega

        Args:
            keys: ``(..., columns)`` in the unit of the data; they are rounded to levels.
            values: ``(..., value_columns)`` of the same leading dimensions.
            known: bool that broadcasts to ``keys``; True for the columns that are known, None for
                all. Pairs of columns of which one is not known never mismatch.
            value_known: the same for ``values``.

        Returns:
            whether each pair is accepted; how many pairs of columns mismatch, of n p; the weight
            rho; and Omega, the mean over pairs of columns of the mean count of their cells that are
            not 0.

        Raises:
            InputError: keys or values of another width or dtype, out of range, or not finite.

        Example:
            >>> import torch
            >>> from kanerva.entropic import HeteroEntropicMemory
            >>> memory = HeteroEntropicMemory(2, 3, 1, 2)
            >>> memory.write(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0]]))
            >>> keys = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
            >>> memory.recognise(keys, torch.tensor([[1.0], [1.0]])).mismatches.tolist()
            [0, 1]
        """
        own, other = self._pair(keys, values, known, value_known)
        counts, pairs = self.counts, self._dim * self._value_dim
        means = _projection.omega(counts)
        least = (self.limits.iota * means).flatten()
        mismatches, weight = [], []
        for found, seen in _projection.held(counts, _part(own), _part(other)):
            empty = (found <= 0) | (found.double() < least)
            mismatches.append((empty & seen).sum(-1))
            weight.append(torch.where(seen, found, 0).sum(-1).double() / pairs)
        fails, rho = torch.cat(mismatches), torch.cat(weight)
        mean = means.mean().expand(rho.shape)
        accepted = (fails <= self.limits.xi) & (rho >= self.limits.kappa * mean)
        return Recognition(*(part.reshape(own.batch) for part in (accepted, fails, rho, mean)))

    def entropy(self) -> float:
        r"""Return the entropy of the register, in bits a pair of columns.

        .. math:: H = \tfrac{1}{n p} \sum_{ij} H_{ij}, \quad
            H_{ij} = -\sum_{kl} p_{ijkl} \log_2 p_{ijkl}, \quad
            p_{ijkl} = R_{ijkl} / \sum_{kl} R_{ijkl}

        It is the joint entropy of the levels of key and value. A pair of columns without counts has
        entropy 0, and counts among the n p.
        """
        return float(self.plane_entropy().mean())

    def plane_entropy(self) -> Float64[Tensor, "columns value_columns"]:
        """Return the entropy of every pair of columns in bits: ``(columns, value_columns)``."""
        return _projection.entropy(self.counts)

    def _relation(self) -> Relation:
        """Return the thinned relation, as it is now: later writes do not change it."""
        return Relation.thinned(self.counts, self.limits.iota)

    def _cues(self, name: str, x: Any, known: Any, whole: bool = False) -> Cues:
        """Check keys or queries in the unit of the data."""
        rows = self._vectors(name, x, self._dim)
        return cues(name, rows, known, self.quantiser, self.levels, whole)

    def _targets(self, name: str, x: Any, known: Any, whole: bool = False) -> Cues:
        """Check values in the unit of the data."""
        rows = self._vectors(name, x, self._value_dim)
        return cues(name, rows, known, self.value_quantiser, self.value_levels, whole)

    def _pair(
        self, keys: Any, values: Any, known: Any, value_known: Any, whole: bool = False
    ) -> tuple[Cues, Cues]:
        """Check keys and their values."""
        own = self._cues("keys", keys, known, whole)
        if values is None:
            must = f"a tensor of shape (..., {self._value_dim})"
            refuse("values", got="left out", must=must, do="give one value for each key")
        other = self._targets("values", values, value_known, whole)
        if own.batch != other.batch:
            got = f"of leading dimensions {tuple(other.batch)} for keys of {tuple(own.batch)}"
            do = "give both the same leading dimensions"
            refuse("values", got=got, must="one for each key", do=do)
        return own, other

    def _parts_now(self) -> tuple[Any, ...]:
        return self.quantiser, self.value_quantiser

    def _vet_dtype(self, dtype: torch.dtype) -> None:
        fitting(self.quantiser, self._dim, self.levels, dtype, "dtype")
        fitting(self.value_quantiser, self._value_dim, self.value_levels, dtype, "dtype")


def _part(given: Cues) -> tuple[Tensor, Tensor]:
    """Return levels, and which are known; a level that is not known stands for none."""
    return given.levels, given.known
