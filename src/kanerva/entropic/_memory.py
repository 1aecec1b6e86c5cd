"""The entropic memory: a register of counts that recognises, rejects and recalls."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._engine.draws import numbered
from kanerva.dynamics import Settled
from kanerva.entropic import _recall
from kanerva.entropic._counted import once
from kanerva.entropic._register import Recognition, in_bits
from kanerva.entropic._stored import Register

__all__ = ["Chain", "EntropicExplanation", "EntropicMemory"]

# The logarithm of a probability that float64 rounds to 0, in place of that of 0.
NEVER = -1e4
# Longer chains would take days.
DEEPEST = 2**24


class EntropicExplanation(NamedTuple):
    """One read of an entropic memory, and what it is made of.

    Attributes:
        value: ``(..., columns)`` what was read.
        accepted: ``(...)`` bool, as in ``Recognition``.
        mismatches: ``(...)`` int64, as in ``Recognition``.
        weight: ``(...)`` float64, as in ``Recognition``.
        mean: ``(...)`` float64, as in ``Recognition``.
        weights: ``(..., columns, levels)`` the probability of every level.
        entropy: ``(..., columns)`` of these probabilities, in bits.
    """

    value: Float[Tensor, "*batch columns"]
    accepted: Bool[Tensor, "*batch"]
    mismatches: Int64[Tensor, "*batch"]
    weight: Float[Tensor, "*batch"]
    mean: Float[Tensor, "*batch"]
    weights: Float[Tensor, "*batch columns levels"]
    entropy: Float[Tensor, "*batch columns"]

    @property
    def mass(self) -> Float[Tensor, "*batch"]:
        """The sum of all weights: the number of columns in which a level was seen."""
        return self.weights.sum((-2, -1))


class Chain(NamedTuple):
    """Recalls that are fed back as cues.

    Attributes:
        states: ``(depth + 1, ..., columns)``, the query first.
        accepted: ``(depth + 1, ...)`` bool: whether a state was recalled from an accepted cue; True
            for the query. Once False, it is False for the rest of the chain.
    """

    states: Float[Tensor, "moments *batch columns"]
    accepted: Bool[Tensor, "moments *batch"]


class EntropicMemory(Register):
    r"""Counts how often each level was seen in each column, recognises cues, and draws recalls.

    The register W has a row for each of m levels and a column for each of n features. Writing an
    object adds one to one cell of each column. With the thinned register, whose cells below iota
    times the mean of their column are 0, a cue a is accepted if

    .. math:: \#\{j : W^\iota_{a_j j} = 0\} \le \xi \quad\text{and}\quad
        \rho(a) = \tfrac1n \sum_j W_{a_j j} \ge \kappa\,\Omega

    and recalled by one draw in each column, from its counts and a spread around the cue:

    .. math:: P(k) \propto W_{kj} \exp\Bigl(-\frac{(k - a_j)^2}{2 s^2}\Bigr)

    The probabilities are attention with one head of width one for each column, over everything
    that was written; ``read`` is their mean. The size of the memory does not grow with what it
    holds. The entropy of the register is the quantity that trades recall for precision: a register
    with few levels or many objects accepts more.

    Args:
        columns: n, the length of a key.
        levels: m, the number of levels of a column.
        spread: how far from the cue a recall goes.
        iota: cells below iota times the mean of the cells of their column that are not 0 count as
            empty in ``recognise``.
        kappa: the least weight of an accepted cue, as a share of the mean weight Omega.
        xi: how many columns of an accepted cue may mismatch.
        cap: the largest count of a cell; 1 keeps marks alone, which is the binary register; None
            for no end. With a cap, the entropy of a full register is that of its capped counts.
        undefined: whether columns that are not known ``"pass"``, or each ``"fail"`` as one
            mismatch.
        quantiser: how numbers become levels; None for keys that are whole levels.
        empty: what is recalled for a rejected cue, and in columns where nothing was seen:
            ``"zero"``, the number 0 in the unit of the data, ``"keep"`` the cue, 0 where it is not
            known, or ``"raise"``.
        dtype: of keys, queries and reads.

    Attributes:
        counts: ``(levels, columns)`` int64, the register W.

    Example:
        >>> import torch
        >>> from kanerva.entropic import EntropicMemory
        >>> memory = EntropicMemory(columns=3, levels=4)
        >>> memory.write(torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 3.0]]))
        >>> cues = torch.tensor([[0.0, 1.0, 3.0], [3.0, 1.0, 3.0]])
        >>> memory.recognise(cues).accepted.tolist()
        [True, False]
        >>> memory.recall(cues, seed=0).tolist()
        [[0.0, 1.0, 3.0], [0.0, 0.0, 0.0]]
        >>> round(memory.entropy(), 3)  # bits a column: two levels in one of three
        0.333

    Source: Pineda, Fuentes and Morales 2021 (marks); Pineda and Morales 2022 (counts);
    Hernandez, Morales and Pineda 2024 (one register for all classes).
    """

    @door
    def recognise(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> Recognition:
        """Decide whether cues are contained in the register.

        Args:
            query: ``(..., columns)`` in the unit of the data; it is rounded to levels.
            known: bool that broadcasts to ``query``; True for the columns of the cue that are
                known, None for all.

        Returns:
            whether each cue is accepted, its mismatching columns, its weight, and the mean weight.

        Raises:
            InputError: queries of another width or dtype, out of range, or not finite.

        Example:
            >>> import torch
            >>> from kanerva.entropic import EntropicMemory
            >>> memory = EntropicMemory(columns=2, levels=3)
            >>> memory.write(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
            >>> memory.recognise(torch.tensor([[0.0, 0.0], [1.0, 0.0]])).mismatches.tolist()
            [1, 2]
        """
        given, found = self._recognised(query, known)
        return Recognition(*(part.reshape(given.batch) for part in found))

    @door
    def recall(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        *,
        seed: int = 0,
        draws: int | None = None,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> Float[Tensor, "*drawn columns"]:
        """Draw one level in each column, around the rounded cue.

        The cue and the seed decide, so that a cue gets the same recall in every batch.

        Args:
            query: ``(..., columns)`` in the unit of the data.
            seed: an integer >= 0.
            draws: k >= 1 independent recalls, in front of all other dimensions; None for one,
                without that dimension. It is the first of several.
            known: as in ``recognise``; columns that are not known are drawn by their counts alone.

        Returns:
            ``(..., columns)``, or ``(k, ..., columns)``; where a cue is rejected, or nothing was
            seen in a column, what ``empty`` says.

        Raises:
            InputError: as ``recognise``; a cue is rejected and ``empty`` is ``"raise"``.
        """
        seed = checks.integer("seed", seed, 0, 2**63 - 1)
        given, found = self._recognised(query, known)
        which = numbered(draws, 16 * given.places.numel(), self.device)
        drawn = self._drawn(given, found.accepted, seed, which)
        shape = given.batch if draws is None else (len(which), *given.batch)
        return drawn.reshape(*shape, self.dim)

    @door
    def weights(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> Float[Tensor, "*batch columns levels"]:
        """Return the probability of every level in a recall, whether the cue is accepted or not.

        Args:
            query: ``(..., columns)`` in the unit of the data; it is not rounded, unless the spread
                does so.
            known: as in ``recognise``.

        Returns:
            ``(..., columns, levels)``, with sum 1 over levels; 0 in columns where nothing was seen.
        """
        given = self._cues("query", query, known)
        self._afford(given.places.shape, "weights", 8 * given.places.numel() * self.levels)
        found = self.spread.forward(given.places, given.known, self.counts)
        return found.to(self.dtype).reshape(*given.batch, self.dim, self.levels)

    @door
    def read(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> Float[Tensor, "*batch columns"]:
        r"""Return the mean of what would be recalled: softmax attention in each column.

        .. math:: y_j = \sum_k P(k)\, k

        Args:
            query: as in ``weights``; the rounded cue must be accepted.
            known: as in ``recognise``.

        Returns:
            ``(..., columns)`` in the unit of the data; where a cue is rejected, or nothing was seen
            in a column, what ``empty`` says.

        Raises:
            InputError: as ``recall``.
        """
        given, found = self._recognised(query, known)
        return self._mean(given, found.accepted).reshape(*given.batch, self.dim)

    @door
    def energy(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> Float[Tensor, "*batch"]:
        r"""Return the energy that a read lowers, in levels squared.

        .. math:: E(q) = -s^2 \sum_j \log \sum_k W_{kj} \exp\Bigl(-\frac{(k - q_j)^2}{2 s^2}\Bigr)

        Its slope in levels is the query less what is read, where the cue is accepted.

        Args:
            query: as in ``weights``.
            known: as in ``recognise``; columns that are not known have no slope.

        Returns:
            ``(...)``; +inf where nothing was seen in a column.

        Raises:
            InputError: as ``recognise``; the spread has no energy.
        """
        given = self._cues("query", query, known)
        parts = [
            self.spread.energy(places, seen, self.counts).sum(-1)
            for places, seen in _recall.rows(given.places, given.known, width=self.levels)
        ]
        return torch.cat(parts).to(self.dtype).reshape(given.batch)

    @door
    def settle(
        self, query: Float[Tensor, "*batch columns"] | Listed, *, steps: int = 100
    ) -> Settled:
        """Read once, which is all that the published memory does.

        Args:
            query: ``(..., columns)``.
            steps: >= 1; one is taken.

        Returns:
            the read, with one step made.
        """
        checks.integer("steps", steps, 1)
        given, found = self._recognised(query, None)
        return once(self._mean(given, found.accepted).reshape(*given.batch, self.dim))

    @door
    def explain(  # type: ignore[override]  # a register has weights for each column
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> EntropicExplanation:
        """Read once, and return what the read is made of.

        Args:
            query: ``(..., columns)`` in the unit of the data.
            known: as in ``recognise``.
        """
        given, found = self._recognised(query, known)
        self._afford(given.places.shape, "weights", 8 * given.places.numel() * self.levels)
        value = self._mean(given, found.accepted)
        weights = self.spread.forward(given.places, given.known, self.counts)
        bits = in_bits(weights)
        shape = (*given.batch, self.dim)
        accepted, mismatches, weight, mean = (part.reshape(given.batch) for part in found)
        whole = weights.to(self.dtype).reshape(*shape, self.levels)
        entropy = bits.to(self.dtype).reshape(shape)
        value = value.reshape(shape)
        return EntropicExplanation(value, accepted, mismatches, weight, mean, whole, entropy)

    @door
    def pattern_weights(
        self, query: Float[Tensor, "*batch d"] | Listed, patterns: Float[Tensor, "n d"] | Listed
    ) -> Float[Tensor, "*batch n"]:
        r"""Return the probability that a recall returns just each of some patterns.

        .. math:: P(x) = \prod_j P_j(x_j)

        Args:
            query: ``(..., columns)``.
            patterns: ``(n, columns)``, in the unit of the data.

        Returns:
            ``(..., n)``; 0 where the query is rejected.
        """
        given, found = self._recognised(query, None)
        stored = self._cues("patterns", patterns, None)
        marks = torch.nn.functional.one_hot(stored.levels, self.levels).double().flatten(1)
        parts = []
        for places, seen in _recall.rows(given.places.round(), given.known, width=self.levels):
            logs = self.spread.forward(places, seen, self.counts).log().clamp(min=NEVER)
            parts.append((logs.flatten(1) @ marks.mT).exp())
        possible = found.accepted.unsqueeze(-1) & stored.known.all(-1)  # no level, no chance
        chance = torch.where(possible, torch.cat(parts), 0.0)
        return chance.to(self.dtype).reshape(*given.batch, len(stored.levels))

    @door
    def chain(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        depth: int,
        *,
        seed: int = 0,
        through: Callable[[Tensor], Tensor] | None = None,
    ) -> Chain:
        """Recall, and feed every recall back as the next cue: a chain of associations.

        Args:
            query: ``(..., columns)`` in the unit of the data.
            depth: how many recalls, from 1 to 2^24.
            seed: an integer >= 0; every recall of the chain has a draw of its own.
            through: what is done with a recall before it is the next cue, such as decoding it to a
                picture and encoding that again: a function from ``(..., columns)`` to the same
                shape. None for nothing.

        Returns:
            all states, and which of them were recalled from an accepted cue. A cue that is rejected
            ends its chain: the states after it are what ``empty`` says.

        Example:
            >>> import torch
            >>> from kanerva.entropic import EntropicMemory, Gaussian
            >>> memory = EntropicMemory(columns=1, levels=8, spread=Gaussian(0.2))
            >>> memory.write(torch.arange(8.0).unsqueeze(-1))
            >>> memory.chain(torch.tensor([0.0]), depth=5, seed=1).states.flatten().tolist()
            [0.0, 0.0, 3.0, 3.0, 3.0, 6.0]

        Source: "retrieval association chains" of Pineda and Morales 2023.
        """
        do = "give how many recalls follow one another"
        depth = checks.integer("depth", depth, 1, DEEPEST, do)
        seed = checks.integer("seed", seed, 0, 2**63 - 1)
        checks.function("through", through, "give one from states (..., columns) to the same shape")
        given = self._cues("query", query, None)
        alive = torch.ones(len(given.places), dtype=torch.bool, device=self.device)
        states, accepted = [given.given], [alive]
        for step in range(1, depth + 1):
            if step > 1:
                given = self._cues("through", self._fed(given.batch, states[-1], through), None)
            alive = alive & self._decided(given).accepted
            which = torch.tensor([step], device=self.device)
            states.append(self._drawn(given, alive, seed, which)[0])
            accepted.append(alive)
        whole = torch.stack(states).reshape(depth + 1, *given.batch, self.dim)
        return Chain(whole, torch.stack(accepted).reshape(depth + 1, *given.batch))

    def _fed(
        self, batch: torch.Size, state: Tensor, through: Callable[[Tensor], Tensor] | None
    ) -> Tensor:
        """Return the next cue of a chain."""
        shaped = state.reshape(*batch, self.dim)
        if through is None:
            return shaped
        found = through(shaped.clone())
        if not isinstance(found, Tensor) or found.shape != shaped.shape:
            must, do = f"a function that returns states of shape {tuple(shaped.shape)}", "do so"
            refuse("through", found, must=must, do=do, error=InputTypeError)
        return found
