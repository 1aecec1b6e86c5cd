"""What an entropic memory stores, how it is written, and its statistics."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import door, named, refuse
from kanerva.entropic import _recall
from kanerva.entropic._counted import EMPTY, Counted, cap_of
from kanerva.entropic._cues import Cues, cues, fitting, scale
from kanerva.entropic._quantiser import Quantiser
from kanerva.entropic._register import Limits, Recognition, added, entropies, limits, recognised
from kanerva.entropic._spread import Gaussian, Spread
from kanerva.memory._inputs import changes

__all__ = ["Register"]


class Register(Counted):
    """Counts how often each level was seen in each column: what an ``EntropicMemory`` stores.

    Its arguments are described there.
    """

    exempt: Mapping[str, str] = MappingProxyType({})

    @door
    def __init__(
        self,
        columns: int,
        levels: int,
        *,
        spread: Spread = Gaussian(0.1),  # noqa: B008  # frozen
        iota: float = 0.0,
        kappa: float = 0.0,
        xi: int = 0,
        cap: int | None = 1023,
        undefined: str = "pass",
        quantiser: Quantiser | None = None,
        empty: str = "zero",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self._dim = checks.integer("columns", columns, 1, checks.LONGEST)
        self.levels = checks.integer("levels", levels, 1, 2**20)
        self.limits: Limits = limits(iota, kappa, xi, undefined, self._dim)
        checks.instance("spread", spread, Spread, "take one from kanerva.entropic")
        self.spread = spread
        self.cap = cap_of(cap)
        self.empty = checks.choice("empty", empty, EMPTY)
        kind = arrays.floating(dtype)
        self.quantiser = fitting(quantiser, self._dim, self.levels, kind, "quantiser")
        with checks.room("levels", f"{levels} of {columns} columns", 8 * levels * columns):
            counts = torch.zeros(self.levels, self._dim, dtype=torch.int64)
        self._start(counts, scale(self.quantiser), kind)

    @property
    def dim(self) -> int:
        """The number of columns."""
        return self._dim

    @property
    def value_dim(self) -> int:
        """The length of what is read: the number of columns."""
        return self._dim

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        few = ", ".join(f"{name}={value!r}" for name, value in self.limits._asdict().items())
        return f"{self.dim} columns of {self.levels} levels, {self.spread}, {few}, cap={self.cap}"

    @door
    @changes
    def write(
        self,
        keys: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> None:
        """Add one to the cell of every level of every key, up to the cap.

        Args:
            keys: ``(..., columns)`` in the unit of the data; whole levels without a quantiser.
            known: bool that broadcasts to ``keys``; columns that are not known count nowhere.

        Raises:
            InputError: keys of another width or dtype, not finite, or no levels; nothing is written
                then.
        """
        given = self._cues("keys", keys, known, whole=True)
        self._grown(added(self.counts, given.levels, given.known), len(given.places))

    @named()
    @changes
    def fit(
        self,
        x: Float[Tensor, "*batch columns"] | Listed,
        per: str = "column",
        percentiles: tuple[float, float] = (0, 100),
        outside: str = "clip",
    ) -> None:
        """Fit the quantiser to rows, and write these; what was stored is forgotten.

        Args:
            x: ``(..., columns)`` floating and finite, one row or more.
            per: as in ``Quantiser.fit``.
            percentiles: as in ``Quantiser.fit``.
            outside: as in ``Quantiser.fit``.

        Raises:
            InputError: as ``Quantiser.fit`` does, or rows of another width or dtype; nothing is
                changed then.

        Example:
            >>> import torch
            >>> from kanerva.entropic import EntropicMemory
            >>> memory = EntropicMemory(columns=2, levels=8)
            >>> memory.fit(torch.tensor([[0.0, -5.0], [1.0, 5.0]]))
            >>> memory.recognise(torch.tensor([[1.0, -5.0], [0.5, -5.0]])).accepted.tolist()
            [True, False]
        """
        rows = self._rows("x", x, self._dim, False)
        made = Quantiser.fit(rows, self.levels, per, percentiles, outside)
        self.quantiser = fitting(made, self._dim, self.levels, self.dtype, "x")
        # A file holds the quantiser among the arguments that the memory is built with.
        args, given = self._arguments
        self._arguments = args, given | {"quantiser": made}
        self._given_parts = self._parts_now()
        self._scale = scale(made).to(self.device)
        self.clear()
        self.write(rows)

    @door
    @changes
    def forget(
        self,
        keys: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> None:
        """Take back what was written: the exact reverse of ``write``.

        Args:
            keys: ``(..., columns)`` as written.
            known: as written.

        Raises:
            InputError: a cell of the keys is at the cap, and may have lost counts there, or holds
                fewer counts than are taken; nothing is forgotten then.
        """
        given = self._cues("keys", keys, known, whole=True)
        touched = torch.where(given.known, self.counts.gather(0, given.levels), 0)
        if bool((touched >= self._full).any()):
            self._refuse_full()
        counts = added(self.counts, given.levels, given.known, -1)
        self._shrunk(counts, len(given.places), "of what was written")

    def entropy(self) -> float:
        r"""Return the entropy of the register, in bits a column.

        .. math:: H = \tfrac1n \sum_j H_j, \quad H_j = -\sum_k p_{kj} \log_2 p_{kj}, \quad
            p_{kj} = W_{kj} / \sum_k W_{kj}

        With marks alone (``cap=1``) that of a column is log2 of its marked levels. A column in
        which nothing was seen has entropy 0, and counts among the n.
        """
        return float(self.column_entropy().mean())

    def column_entropy(self) -> Float64[Tensor, "columns"]:
        """Return the entropy of every column in bits: ``(columns,)`` float64."""
        return entropies(self.counts)

    def fill(self) -> float:
        """Return the share of the cells that are not 0."""
        return float((self.counts > 0).double().mean())

    def potential(self) -> float:
        r"""Return log2 of how many different objects the register contains.

        .. math:: \log_2 \prod_j \mu_j, \quad \mu_j = \#\{k : W_{kj} > 0\}

        These are the objects that are accepted with iota, kappa and xi of 0. Columns in which
        nothing was seen are left out; -inf for an empty memory.
        """
        marked = (self.counts > 0).sum(0).double()
        return float(marked[marked > 0].log2().sum()) if len(self) else -math.inf

    def _cues(self, name: str, x: Any, known: Any, whole: bool = False) -> Cues:
        """Check numbers in the unit of the data."""
        rows = self._vectors(name, x, self._dim)
        return cues(name, rows, known, self.quantiser, self.levels, whole)

    def _decided(self, given: Cues) -> Recognition:
        return recognised(self.counts, given.levels, given.known, self.limits)

    def _recognised(self, query: Any, known: Any) -> tuple[Cues, Recognition]:
        """Check cues, and compare them with the register."""
        given = self._cues("query", query, known)
        return given, self._decided(given)

    def _mean(self, given: Cues, accepted: Tensor) -> Tensor:
        """Return the mean recall ``(b, columns)`` of cues in the unit of the data."""
        places, unseen = _recall.mean(self.spread, self.counts, given.places, given.known)
        return self._emptied(places, ~accepted.unsqueeze(-1) | unseen, given)

    def _drawn(self, given: Cues, accepted: Tensor, seed: int, which: Tensor) -> Tensor:
        """Draw recalls ``(draws, b, columns)`` of cues, in the unit of the data."""
        levels = given.levels
        hashed = _recall.hashes(torch.where(given.known, levels, -1), seed)
        parts = (levels, given.known, hashed, which)
        drawn = _recall.draw(self.spread, self.counts, *parts)
        return self._emptied(drawn.double(), ~accepted.unsqueeze(-1) | (drawn < 0), given)

    def _emptied(self, places: Tensor, lost: Tensor, given: Cues) -> Tensor:
        """Return the numbers of places; where nothing is recalled, what ``empty`` says."""
        lost = lost.expand(places.shape)
        if self.empty == "raise" and not arrays.tracing() and bool(lost.any()):
            count = int(lost.any(-1).sum())
            got = f"rejected, or without a seen level, in {count} of {lost[..., 0].numel()}"
            do = 'raise xi, write more, or choose empty="zero" or "keep"'
            refuse("query", got=got, must="accepted, with a seen level in every column", do=do)
        found = places if self.quantiser is None else self.quantiser._numbers(places)
        other = given.given.double() if self.empty == "keep" else torch.zeros_like(given.places)
        return torch.where(lost, other, found).to(self.dtype)

    def _parts_now(self) -> tuple[Any, ...]:
        return self.spread, self.quantiser

    def _vet_dtype(self, dtype: torch.dtype) -> None:
        fitting(self.quantiser, self._dim, self.levels, dtype, "dtype")
