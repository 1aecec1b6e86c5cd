"""Reads of the few rows that matter: with a bound on the error, or the nearest ones themselves."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import door, refuse
from kanerva._engine import certify as certify_
from kanerva._engine import nearest as nearest_
from kanerva._engine import prune
from kanerva._engine.certify import Certified
from kanerva._engine.scores import narrow
from kanerva.bits import Packed
from kanerva.memory._inputs import Given, Mask
from kanerva.memory._rows import Rows


class Nearest(NamedTuple):
    """The nearest stored rows of each query, the nearest first.

    Attributes:
        ids: ``(..., k)`` int64, as ``write`` returned them; places in the file for
            ``Patterns.over``; -1 where a mask leaves fewer than k.
        scores: ``(..., k)`` their scores; -inf where a mask leaves fewer.
        weights: ``(..., k)`` how much each counts in a read; 0 where a mask leaves fewer.
    """

    ids: Int64[Tensor, "*batch k"]
    scores: Float[Tensor, "*batch k"]
    weights: Float[Tensor, "*batch k"]


class Near(Rows):
    """Finds the rows that matter to a query."""

    # What ``certify`` prepared, and from which rows in which version.
    _near: tuple[list[Tensor], tuple[int, ...], prune.Coarse] | None

    @door
    def nearest(
        self, query: Float[Tensor, "*batch d"] | Listed, k: int = 1, mask: Mask = None
    ) -> Nearest:
        """Return which stored rows are nearest to a query.

        The scores of a few queries and keys are computed at a time. Of equal scores, the row that
        was written first comes first.

        Args:
            query: ``(..., d)``.
            k: how many rows, from 1 to the number of stored rows.
            mask: as in ``read``.

        Returns:
            ids, scores and weights ``(..., k)``.

        Raises:
            InputError: nothing is stored, or less than ``k``.

        Example:
            >>> import kanerva
            >>> memory = kanerva.modern_hopfield(dim=64, beta=1.0)
            >>> ids = memory.write(kanerva.bits.random(100, 64, seed=0))
            >>> cue = kanerva.bits.flip(memory.keys[17], 10, seed=1)
            >>> found = memory.nearest(cue, k=2)
            >>> found.ids[0].item(), found.scores[0].item()
            (17, 44.0)
        """
        given = self._given(query, mask)
        if given.keys.shape[0] == 0:
            refuse("memory", got="empty", must="one that stores rows", do="write to it first")
        k = checks.integer("k", k, 1, given.keys.shape[0])

        def found_of(given: Given) -> tuple[Tensor, Tensor, Tensor]:
            parts = (given.keys, self.similarity, given.rule, given.kept)
            return nearest_.nearest(given.rows, *parts, k)

        # Scores are returned as they are, so no temperature may multiply them.
        places, scores, weights = self._at_each(given, found_of, scaled=False)
        known = self._buffers["ids"]
        ids = places if known is None or len(known) == 0 else known[places]
        ids = ids.masked_fill(scores == -torch.inf, -1)
        scores = scores.to(given.rows.dtype)  # -inf stays
        found = (ids, scores, narrow(weights, given.rows))
        return Nearest(*(part.reshape(*given.batch, k) for part in found))

    @door
    def certify(
        self, query: Float[Tensor, "*batch d"] | Listed, tolerance: float = 1e-6
    ) -> Certified:
        """Read by softmax of dot products from the few patterns that matter, with an error bound.

        The first call prepares the patterns in low precision, which takes half their memory; after
        a write they are prepared again.

        Args:
            query: ``(..., d)``.
            tolerance: error allowed, as a share of the largest value stored; see
                ``functional.certify``.

        Returns:
            values, bounds, and of how many patterns each was made.

        Raises:
            InputError: another rule than Softmax of dot products, an activation, or rows that are
                packed or of half precision.

        Example:
            >>> import torch, kanerva
            >>> memory = kanerva.modern_hopfield(dim=64, beta=100.0)
            >>> drawn = torch.randn(5000, 64, generator=torch.Generator().manual_seed(0))
            >>> ids = memory.write(torch.nn.functional.normalize(drawn, dim=-1))
            >>> found = memory.certify(memory.keys[:3])
            >>> found.active.tolist(), bool((found.bound < 1e-6).all())
            ([1, 1, 1], True)
        """
        rule = certify_.vet(self.similarity, self.separation)
        given = self._given(query, None)
        if not self.activation.plain or given.several:
            got = "with a bias or a prior of the keys, or several betas"
            got = got if self.activation.plain else repr(self.activation)
            do = "read without tolerance"
            refuse("activation", got=got, must="Identity(), at one beta, without bias", do=do)
        if given.keys.shape[0] == 0:
            value = self._read(given).reshape(*given.batch, self.value_dim)
            nothing = torch.zeros_like(value[..., 0], dtype=torch.int64)
            return Certified(value, nothing.double(), nothing)
        rows = given.rows.reshape(*given.batch, self.dim)
        near = self._coarse(given)
        return certify_.certify(rows, given.keys, given.values, rule, tolerance, near)

    def rows_changed(self, kept: Tensor | None) -> None:
        """Forget what ``certify`` prepared."""
        super().rows_changed(kept)
        self._near = None

    def _coarse(self, given: Given) -> prune.Coarse | None:
        """Return the patterns in low precision, as they are now."""
        keys, values = given.keys, given.values
        if isinstance(keys, Packed) or isinstance(values, Packed):
            return None
        rows = [keys] if values is keys else [keys, values]
        # Tensors made in inference mode have no version: they may have changed.
        versions = tuple(-1 if part.is_inference() else part._version for part in rows)
        near = self._near
        if near is not None and len(near[0]) == len(rows) and near[1] == versions:
            # The rows themselves are compared: another tensor could lie where they did.
            same = all(one is other for one, other in zip(near[0], rows, strict=True))
            if same and -1 not in versions:
                return near[2]
        made = prune.coarse(keys.detach(), values.detach())
        self._near = (rows, versions, made)
        return made
