"""The hetero-associative entropic memory: a register of pairs of levels."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import door, refuse
from kanerva._core.settings import settings
from kanerva.dynamics import Settled
from kanerva.entropic import _search
from kanerva.entropic._counted import once
from kanerva.entropic._cues import Cues
from kanerva.entropic._paired import Known, Pairs
from kanerva.entropic._projection import WIDE, Relation
from kanerva.entropic._register import in_bits

__all__ = ["HeteroEntropicMemory", "HeteroExplanation"]

METHODS = ("random", "test", "search")
Weights = Float[Tensor, "*_weights"] | Listed | None
Pieces = Iterator[tuple[slice, Tensor]]


class HeteroExplanation(NamedTuple):
    """One read of a hetero-associative entropic memory, and what it is made of.

    Attributes:
        value: ``(..., value_columns)`` what was read.
        accepted: ``(...)`` bool: whether no column of the projection is all 0.
        projection: ``(..., value_columns, value_levels)`` float64, of which each column gives one
            number of the value.
        weights: ``(..., value_columns, value_levels)`` the probability of every level in a random
            recall: the projection over its sum in each column; 0 in a column that is all 0.
        entropy: ``(..., value_columns)`` of these probabilities, in bits.
    """

    value: Float[Tensor, "*batch value_columns"]
    accepted: Bool[Tensor, "*batch"]
    projection: Float64[Tensor, "*batch value_columns value_levels"]
    weights: Float[Tensor, "*batch value_columns value_levels"]
    entropy: Float[Tensor, "*batch value_columns"]

    @property
    def mass(self) -> Float64[Tensor, "*batch"]:
        """The sum of the projection."""
        return self.projection.sum((-2, -1))


class HeteroEntropicMemory(Pairs):
    r"""Counts pairs of levels of keys and values, and recalls either from the other.

    The register R has a plane of m x q cells for each pair of one of the n columns of keys, of m
    levels, and one of the p columns of values, of q levels. Writing a key a with a value b adds one
    to one cell of each plane. A cue projects onto a table of p columns and q levels: a cell
    survives if every known column of the cue supports it in the thinned relation, in which cells
    below iota times the mean of their plane are 0.

    .. math:: P_{jl}(a) = \begin{cases} \sum_i w_i R^\iota_{ij a_i l} &
        \text{if } R^\iota_{ij a_i l} > 0 \text{ for all known } i \\ 0 & \text{else} \end{cases}

    A cue is accepted if no column of its projection is all 0. ``recall`` draws a value from the
    projection, or draws several and keeps the one that projects back nearest to the cue. ``read``
    is the mean of the projection in each column. As pairs are counted, ``reversed`` recalls keys
    from values.

    Args:
        columns: n, the length of a key.
        levels: m, the number of levels of a column of keys.
        value_columns: p, the length of a value.
        value_levels: q, the number of levels of a column of values.
        iota: cells below iota times the mean of the cells of their plane that are not 0 count as
            empty, except for weight and entropy.
        kappa: the least weight of a pair that ``recognise`` accepts, as a share of the mean weight.
        xi: how many of the n p pairs of columns may mismatch in ``recognise``.
        cap: the largest count of a cell; None for no end.
        quantiser: how numbers of keys become levels; None for keys that are whole levels.
        value_quantiser: the same for values.
        empty: what is recalled for a rejected cue: ``"zero"``, ``"keep"`` the cue, where keys and
            values have the same length, or ``"raise"``.
        dtype: of keys, values, queries and reads.

    Attributes:
        counts: ``(columns, value_columns, levels, value_levels)``, the register R, in the smallest
            of uint8, int16, int32 and int64 that holds the cap.

    Raises:
        InputError: numbers out of range, or more than 1 GiB of counts.

    Example:
        >>> import torch
        >>> from kanerva.entropic import HeteroEntropicMemory
        >>> memory = HeteroEntropicMemory(columns=2, levels=3, value_columns=1, value_levels=4)
        >>> memory.write(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), torch.tensor([[3.0], [1.0]]))
        >>> memory.recall(torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]])).tolist()
        [[3.0], [1.0], [0.0]]
        >>> memory.project(torch.tensor([0.0, 1.0])).tolist()  # twice: one of each column
        [[0.0, 0.0, 0.0, 2.0]]
        >>> memory.reversed().recall(torch.tensor([3.0])).tolist()
        [0.0, 1.0]

    Source: Morales and Pineda 2024 (arXiv 2411.02438). There pairs may count several times, by the
    weights of their features; here each counts once.
    """

    @door
    def project(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        weights: Weights = None,
        known: Known = None,
    ) -> Float64[Tensor, "*batch value_columns value_levels"]:
        """Return the projection of cues onto the values.

        Args:
            query: ``(..., columns)`` in the unit of the data; it is rounded to levels.
            weights: numbers >= 0 that broadcast to ``query``: how much each column of the cue
                counts, w. They are scaled to n w / sum w. None for 1.
            known: bool that broadcasts to ``query``; True for the columns of the cue that are
                known, None for all. A cue of which none is known projects onto nothing.

        Returns:
            ``(..., value_columns, value_levels)`` float64.

        Raises:
            InputError: queries of another width or dtype, out of range, or not finite; weights
                below 0 or with sum 0; projections of more bytes than the budget.

        Example:
            >>> import torch
            >>> from kanerva.entropic import HeteroEntropicMemory
            >>> memory = HeteroEntropicMemory(2, 2, 1, 2)
            >>> memory.write(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.0], [1.0]]))
            >>> cue = torch.tensor([0.0, 1.0])
            >>> memory.project(cue, weights=torch.tensor([3.0, 1.0])).tolist()
            [[2.0, 0.0]]
            >>> memory.project(cue, known=torch.tensor([True, False])).tolist()
            [[1.0, 1.0]]
        """
        given = self._cues("query", query, known)
        scaled = self._scaled(weights, given)
        self._afford(given.places.shape, "projections", self._bytes(given))
        found = self._relation().project(given.levels, given.known, scaled)
        return found.reshape(*given.batch, self.value_dim, self.value_levels)

    @door
    def recall(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        *,
        method: str = "random",
        tries: int | None = None,
        seed: int = 0,
        known: Known = None,
    ) -> Float[Tensor, "*batch value_columns"]:
        """Draw a value for each cue from its projection.

        The cue and the seed decide, so that a cue gets the same recall in every batch.

        Args:
            query: ``(..., columns)`` in the unit of the data.
            method: ``"random"`` draws one level in each column. ``"test"`` draws further values
                that differ, and keeps the one with the least ``distance``. ``"search"`` goes on
                from that one: it moves one column by one level, within the projection, as long as
                the distance falls, the moves in random order.
            tries: how many further values ``"test"`` and ``"search"`` draw, >= 1; None for
                2 max(n, p) - 1. Where so many are not found within eight times as many draws, there
                are fewer.
            seed: an integer >= 0.
            known: as in ``project``.

        Returns:
            ``(..., value_columns)``; where a cue is rejected, what ``empty`` says.

        Raises:
            InputError: as ``project``; an unknown method; a cue is rejected and ``empty`` is
                ``"raise"``.
        """
        checks.choice("method", method, METHODS)
        seed = checks.integer("seed", seed, 0, 2**63 - 1)
        count = 2 * max(self.dim, self.value_dim) - 1
        if tries is not None:
            count = checks.integer("tries", tries, 1, 2**20, "leave it out for the usual number")
            if method == "random":
                refuse("tries", tries, must='None for "random"', do='take method="test"')
        given, relation = self._cues("query", query, known), self._relation()
        back = relation.turned()
        hashed = bits.fingerprint(torch.where(given.known, given.levels, -1), seed)
        places = torch.zeros(len(hashed), self.value_dim, dtype=torch.int64, device=self.device)
        accepted = torch.zeros(len(hashed), dtype=torch.bool, device=self.device)
        for part, plane in self._planes(given, relation):
            accepted[part] = _whole(plane)
            cue = _search.Cue(given.levels[part], given.known[part], plane, hashed[part])
            cue = cue.of(accepted[part])
            if method == "random":
                one = torch.ones(1, dtype=torch.int64, device=self.device)
                found = _search.drawn(cue, one)[0]
            else:
                found = _search.best(back, cue, count)
            if method == "search":
                found = _search.improved(back, cue, found)
            places[part][accepted[part]] = found
        found = self._emptied(places.double(), accepted, given)
        return found.reshape(*given.batch, self.value_dim)

    @door
    def distance(
        self,
        values: Float[Tensor, "*_batch value_columns"] | Listed,
        query: Float[Tensor, "*_others columns"] | Listed,
        known: Known = None,
    ) -> Float64[Tensor, "*batch"]:
        r"""Return how far from cues values project back, in levels squared.

        .. math:: D(b, a) = \frac{1}{\#\text{known}} \sum_i \frac{\sum_k Q_{ik} (k - a_i)^2}
            {\sum_k Q_{ik}}

        Q is the projection of the value b onto the keys, with the projection of the cue at the
        cells of b as weights. A column in which Q is all 0 costs (levels - 1)^2, the most there is.
        The published code counts 0 for it, which prefers values that contradict the cue.

        Args:
            values: ``(..., value_columns)`` in the unit of the data; they are rounded to levels.
            query: ``(..., columns)``; both leading dimensions broadcast.
            known: as in ``project``; True at least once for each cue.

        Returns:
            ``(...)`` float64.

        Raises:
            InputError: as ``project``; leading dimensions that do not broadcast; a cue of which no
                column is known.
        """
        given = self._cues("query", query, known)
        wanted = self._targets("values", values, None)
        batch = arrays.together(wanted.batch, given.batch)
        if batch is None:
            got = f"of leading dimensions {tuple(wanted.batch)} for {tuple(given.batch)}"
            do = "give one value for each query, or one query"
            refuse(
                "values", got=got, must="of dimensions that broadcast with those of query", do=do
            )
        if not arrays.tracing() and not bool(given.known.any(-1).all()):
            must, do = "known in one column or more of each query", "leave out the other queries"
            refuse("known", got="False in all columns of a query", must=must, do=do)
        relation = self._relation()
        back = relation.turned()
        which, own = (
            torch.arange(len(one.places), device=self.device).reshape(one.batch).expand(batch)
            for one in (wanted, given)
        )
        parts = []
        for some in torch.split(torch.arange(which.numel(), device=self.device), self._block()):
            mine, its = own.reshape(-1)[some], which.reshape(-1)[some]
            unique, inverse = torch.unique(mine, return_inverse=True)
            levels, seen = given.levels[unique], given.known[unique]
            plane = relation.project(levels, seen, torch.ones_like(levels, dtype=torch.float64))
            found = wanted.levels[its], wanted.known[its]
            weights = _search.at(plane[inverse], found[0])
            parts.append(_search.distances(back, found, weights, levels[inverse], seen[inverse]))
        return torch.cat(parts).reshape(batch)

    @door
    def read(
        self, query: Float[Tensor, "*batch columns"] | Listed, known: Known = None
    ) -> Float[Tensor, "*batch value_columns"]:
        r"""Return the mean of what would be recalled at random.

        .. math:: y_j = \sum_l P_{jl}\, l \Big/ \sum_l P_{jl}

        Args:
            query: as in ``project``.
            known: as in ``project``.

        Returns:
            ``(..., value_columns)`` in the unit of the values; where a cue is rejected, what
            ``empty`` says.

        Raises:
            InputError: as ``recall``.
        """
        given = self._cues("query", query, known)
        return self._mean(given).reshape(*given.batch, self.value_dim)

    @door
    def settle(
        self, query: Float[Tensor, "*batch columns"] | Listed, *, steps: int = 100
    ) -> Settled:
        """Read once: values are no cues, so that nothing is fed back.

        Args:
            query: ``(..., columns)``.
            steps: >= 1; one is taken.

        Returns:
            the read, with one step made.
        """
        checks.integer("steps", steps, 1)
        given = self._cues("query", query, None)
        return once(self._mean(given).reshape(*given.batch, self.value_dim))

    @door
    def explain(  # type: ignore[override]  # a register has weights for each column
        self, query: Float[Tensor, "*batch columns"] | Listed, known: Known = None
    ) -> HeteroExplanation:
        """Read once, and return what the read is made of.

        Args:
            query: ``(..., columns)`` in the unit of the data.
            known: as in ``project``.
        """
        given = self._cues("query", query, known)
        self._afford(given.places.shape, "projections", self._bytes(given))
        value = self._mean(given).reshape(*given.batch, self.value_dim)
        ones = torch.ones_like(given.places)
        plane = self._relation().project(given.levels, given.known, ones)
        shares = _shares(plane)
        entropy = in_bits(shares)
        shape = (*given.batch, self.value_dim, self.value_levels)
        return HeteroExplanation(
            value,
            _whole(plane).reshape(given.batch),
            plane.reshape(shape),
            shares.to(self.dtype).reshape(shape),
            entropy.to(self.dtype).reshape(shape[:-1]),
        )

    @door
    def pattern_weights(
        self,
        query: Float[Tensor, "*batch d"] | Listed,
        patterns: Float[Tensor, "n value_columns"] | Listed,
    ) -> Float[Tensor, "*batch n"]:
        r"""Return the probability that a random recall returns just each of some values.

        .. math:: P(x) = \prod_j P_{j x_j} \Big/ \sum_l P_{jl}

        Args:
            query: ``(..., columns)``.
            patterns: ``(n, value_columns)``, in the unit of the values.

        Returns:
            ``(..., n)``; 0 where the query is rejected.
        """
        given = self._cues("query", query, None)
        stored = self._targets("patterns", patterns, None)
        parts = []
        for _, plane in self._planes(given, self._relation()):
            logs = _shares(plane).log()
            picked = [
                logs.gather(-1, one.expand(len(logs), -1).unsqueeze(-1)).sum((-2, -1))
                for one in stored.levels
            ]
            chance = torch.stack(picked, -1) if picked else logs.new_zeros(len(logs), 0)
            possible = _whole(plane).unsqueeze(-1) & stored.known.all(-1)
            parts.append(torch.where(possible, chance.exp(), 0.0))
        shape = (*given.batch, len(stored.levels))
        return torch.cat(parts).to(self.dtype).reshape(shape)

    def reversed(self) -> "HeteroEntropicMemory":
        """Return a memory of the same counts that recalls keys from values.

        It is a copy: what is written to one of them later is not in the other. The value of
        ``reversed().reversed()`` is the memory itself.

        Returns:
            a memory with keys and values, and their quantisers, in each other's place.

        Example:
            >>> import torch
            >>> from kanerva.entropic import HeteroEntropicMemory
            >>> memory = HeteroEntropicMemory(2, 3, 1, 4)
            >>> memory.write(torch.tensor([[0.0, 2.0]]), torch.tensor([[3.0]]))
            >>> memory.reversed().read(torch.tensor([3.0])).tolist()
            [0.0, 2.0]
        """
        made = HeteroEntropicMemory(
            self.value_dim,
            self.value_levels,
            self.dim,
            self.levels,
            iota=self.limits.iota,
            kappa=self.limits.kappa,
            xi=self.limits.xi,
            cap=self.cap,
            quantiser=self.value_quantiser,
            value_quantiser=self.quantiser,
            empty=self.empty,
            dtype=self.dtype,
        ).to(self.device)
        with self._alone(), torch.inference_mode(False):
            made.counts = self.counts.permute(1, 0, 3, 2).contiguous()
            made._stored = self._stored.clone()
        return made

    def _scaled(self, weights: Any, given: Cues) -> Float64[Tensor, "b columns"]:
        """Return the weights of columns as n w / sum w."""
        if weights is None:
            return torch.ones_like(given.places)
        rows = arrays.finite("weights", self._vectors("weights", weights, self.dim))
        shape = (*given.batch, self.dim)
        if arrays.together(rows.shape, shape) != shape:
            must, got = f"of a shape that broadcasts to {shape}", f"of shape {tuple(rows.shape)}"
            refuse("weights", got=got, must=must, do="give one weight for each column")
        rows = rows.double().expand(shape).reshape(-1, self.dim)
        total = rows.sum(-1, keepdim=True)
        kept = torch.where(given.known, rows, 0.0).sum(-1) + (~given.known).all(-1)
        if not arrays.tracing() and not bool((rows >= 0).all() and (kept > 0).all()):
            must = "at least 0, with a sum above 0 over the known columns"
            refuse("weights", weights, must=must, do="leave them out for equal weights")
        return self.dim * rows / total

    def _bytes(self, given: Cues) -> int:
        """Return the bytes of the projections of cues."""
        return len(given.places) * self.value_dim * self.value_levels * WIDE

    def _block(self) -> int:
        """Return how many projections fit the budget."""
        cells = max(self.value_dim * self.value_levels, self.dim * self.levels)
        return max(1, settings.budget // (4 * WIDE * cells))

    def _planes(self, given: Cues, relation: Relation) -> Pieces:
        """Yield the projections of a few cues at a time."""
        count = len(given.places)
        size = max(1, min(self._block(), count))
        for start in range(0, max(1, count), size):
            part = slice(start, min(start + size, count))
            levels, known = given.levels[part], given.known[part]
            ones = torch.ones_like(given.places[part])
            yield part, relation.project(levels, known, ones)

    def _mean(self, given: Cues) -> Tensor:
        """Return the mean value ``(b, value_columns)`` of cues, in the unit of the values."""
        width = torch.arange(self.value_levels, dtype=torch.float64, device=self.device)
        found = [
            (_shares(plane) @ width, _whole(plane))
            for _, plane in self._planes(given, self._relation())
        ]
        places, accepted = (torch.cat(part) for part in zip(*found, strict=True))
        return self._emptied(places, accepted, given)

    def _emptied(self, places: Tensor, accepted: Tensor, given: Cues) -> Tensor:
        """Return the numbers of places; where a cue is rejected, what ``empty`` says."""
        if self.empty == "raise" and not arrays.tracing() and not bool(accepted.all()):
            got = f"rejected in {int((~accepted).sum())} of {len(accepted)}"
            do = 'lower iota, write more, or choose empty="zero"'
            refuse("query", got=got, must="accepted", do=do)
        quantiser = self.value_quantiser
        found = places if quantiser is None else quantiser._numbers(places)
        other = given.given.double() if self.empty == "keep" else torch.zeros_like(found)
        return torch.where(accepted.unsqueeze(-1), found, other).to(self.dtype)


def _whole(plane: Float64[Tensor, "b columns levels"]) -> Bool[Tensor, "b"]:
    """Return whether no column is all 0."""
    return (plane > 0).any(-1).all(-1)


def _shares(plane: Float64[Tensor, "b columns levels"]) -> Float64[Tensor, "b columns levels"]:
    """Return each column over its sum; 0 for one that is all 0."""
    total = plane.sum(-1, keepdim=True)
    return plane / torch.where(total > 0, total, 1.0)
