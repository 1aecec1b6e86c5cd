"""The store whose keys are linked: a read also sums what the keys in reach are linked to."""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva._engine import routes
from kanerva._engine.routes import Field
from kanerva._engine.scores import wide
from kanerva.bits import Packed
from kanerva.memory import _graph, _links
from kanerva.memory._file import Record
from kanerva.memory._inputs import Given, changes
from kanerva.memory._links import Folded, Links
from kanerva.memory._patterns import Patterns
from kanerva.separation import Mixed
from kanerva.separation._mixed import Edges

__all__ = ["Linked"]

NORMALISATIONS = ("symmetric", "rows", "none")
AMOUNTS = ("auto", "hetero", "mean")
STORE = ("similarity", "separation", "activation", "empty", "dtype", "storage")
Ids = Int64[Tensor, "*_links"] | Sequence[int] | int


class Linked(Patterns):
    r"""Keeps rows and links between them: weights go along the links before values are summed.

    .. math:: u = a\,w + h\,w M - \tfrac{c}{m} \mathbf 1, \quad w = \text{separation}(s), \quad
        y = \text{activation}\Bigl(\sum_j u_j v_j\Bigr)

    M are the strengths of the links, from row i to column j, normalised. With ``"symmetric"`` a
    strength is divided by the root of the out-strength of its source times the in-strength of its
    target, with ``"rows"`` by the out-strength, with ``"none"`` by nothing.

    A row that is written has no links, and one that is forgotten loses them. Rows that a mask
    leaves out neither send nor receive; strengths stay, and m counts the rows that are left.
    Without a mask the links act on the values, once until a row or a link changes, so a read costs
    what it costs without links. With a mask they act on the weights of every query.

    Args:
        dim: d, length of a key.
        value_dim: e, length of a value; None makes the memory auto-associative.
        auto: a, the strength of auto-association.
        hetero: h, the strength of hetero-association.
        mean: c, how often the mean value is subtracted.
        normalise: ``"symmetric"``, ``"rows"`` or ``"none"``.
        rate: share of each step that a recall takes unless it is told otherwise, in (0, 1].
        **store: further arguments of ``Patterns``: ``separation``, which is required, any rule
            without self-coupling, and ``similarity``, ``activation``, ``empty``, ``dtype``,
            ``storage``.

    Attributes:
        auto, hetero, mean, normalise, rate: as given.
        separation: ``Mixed``, the rule that was given with the links as they are.

    Raises:
        InputError: numbers that are not finite, or parts that do not go together.

    Example:
        >>> import torch
        >>> from kanerva import correlated
        >>> from kanerva.separation import Softmax
        >>> memory = correlated.Linked(4, hetero=0.5, normalise="none", separation=Softmax(20.0))
        >>> ids = memory.write(torch.eye(4))
        >>> memory.link([0, 1], [1, 2])
        >>> memory.read(torch.tensor([1.0, 0.0, 0.0, 0.0])).round(decimals=3).tolist()
        [1.0, 0.5, 0.0, 0.0]

    Source: Burns 2024; Haga and Fukai 2021, for the normalisation.
    """

    sources: Tensor
    targets: Tensor
    strengths: Tensor

    @door
    def __init__(
        self,
        dim: int,
        value_dim: int | None = None,
        *,
        auto: float = 1.0,
        hetero: float = 0.0,
        mean: float = 0.0,
        normalise: str = "symmetric",
        rate: float = 1.0,
        **store: Any,
    ) -> None:
        checks.keywords(store, *STORE)
        if "separation" not in store:
            do = "give one, such as separation.Softmax(beta=1.0)"
            refuse("separation", got="left out", must="a part of kanerva.separation", do=do)
        super().__init__(dim, value_dim, **store)
        self._amounts = tuple(
            checks.plain(name, value)
            for name, value in zip(AMOUNTS, (auto, hetero, mean), strict=True)
        )
        self._normalise = checks.choice("normalise", normalise, NORMALISATIONS)
        self.rate = checks.number("rate", rate, 0, 1, open_low=True)
        if self.value_bits and self.rate != 1:
            do = "leave it out; bits take whole steps"
            refuse("rate", got=repr(rate), must="1 where bits are read", do=do)
        # Places of the rows, in the order of sources and then of targets, each pair once.
        self._folded: Folded | None = None
        self.register_buffer("sources", torch.empty(0, dtype=torch.int64))
        self.register_buffer("targets", torch.empty(0, dtype=torch.int64))
        self.register_buffer("strengths", torch.empty(0, dtype=torch.float64))
        self._bind()

    @property
    def auto(self) -> float:
        """Strength a of auto-association."""
        return self._amounts[0]

    @property
    def hetero(self) -> float:
        """Strength h of hetero-association."""
        return self._amounts[1]

    @property
    def mean(self) -> float:
        """How often the mean value is subtracted, c."""
        return self._amounts[2]

    @property
    def normalise(self) -> str:
        """How strengths are normalised."""
        return self._normalise

    @property
    def separation(self) -> Mixed:
        """The rule that was given, with the links as they are."""
        rule, strengths, count = self._bound
        if strengths is not self.strengths or count != len(self):  # a view of a changed memory
            self._bind()
            rule = self._bound[0]
        beta = self._parameters["beta"]
        return rule if beta is None else rule.with_beta(beta)  # type: ignore[return-value]

    @property
    def links(self) -> Links:
        """The links, by the ids of their rows."""
        with self._alone():
            return Links(self.ids[self.sources], self.ids[self.targets], self.strengths.clone())

    @door
    @changes
    def link(
        self,
        sources: Ids,
        targets: Ids,
        strengths: Float[Tensor, "*_links"] | Sequence[float] | float | None = None,
    ) -> None:
        """Link rows; strengths of a pair that is linked already are added up.

        Args:
            sources: ids of the rows where links start.
            targets: ids of the rows where they end, as many.
            strengths: a number for each link, or one for all; 1 if omitted. Not negative unless
                ``normalise="none"``.

        Raises:
            InputError: ids that are not stored, lengths that differ, or strengths that are not
                finite, or negative where they are normalised; nothing is linked then.
        """
        self._own("build a Linked, write its rows to that, and link them")
        pairs = self._pairs(sources, targets)
        self._add(pairs, 1.0 if strengths is None else strengths)

    @door
    @changes
    def unlink(self, sources: Ids, targets: Ids) -> None:
        """Remove links.

        Args:
            sources: ids of the rows where links start.
            targets: ids of the rows where they end, as many.

        Raises:
            InputError: ids that are not stored, or that are not linked; nothing is removed then.
        """
        self._own("build a Linked, write its rows to that, and link them")
        pairs, old = self._pairs(sources, targets), self.sources * len(self) + self.targets
        missing = pairs[~torch.isin(pairs, old)]
        if len(missing):
            first, last = missing[0] // len(self), missing[0] % len(self)
            pair = [self.ids[first].item(), self.ids[last].item()]
            must, do = "pairs that are linked", "see memory.links"
            refuse("sources", got=f"{len(missing)} that are not, such as {pair}", must=must, do=do)
        left = ~torch.isin(old, pairs)
        self._set(old[left], self.strengths[left])

    @door
    @changes
    def connect(self, graph: Any, ids: Ids | None = None, weight: str | None = None) -> None:
        """Link rows as a graph says: its nodes, in their order, are the rows.

        Strengths of pairs that are linked already are added up, as by ``link``.

        Args:
            graph: of networkx (undirected edges link both ways), a sparse array of SciPy or a
                square array of strengths, row to column, or a list of edges ``(i, j)`` or
                ``(i, j, strength)`` between places.
            ids: of the rows that are the nodes, in the order of the nodes; all rows if omitted.
            weight: the attribute of networkx's edges that is the strength; None for 1 everywhere.

        Raises:
            InputError: a graph of another size, or strengths that cannot be used.

        Example:
            >>> import networkx, torch
            >>> import kanerva
            >>> memory = kanerva.cdam(64, beta=1.0, auto=0.5, hetero=0.5)
            >>> ids = memory.write(torch.rand(30, 64, generator=torch.Generator().manual_seed(0)))
            >>> memory.connect(networkx.cycle_graph(30))
            >>> len(memory.links.sources), memory.mixing()[0, 29].item()
            (60, 0.25)
        """
        self._own("build a Linked, write its rows to that, and link them")
        every = torch.arange(len(self), device=self.device)
        nodes = every if ids is None else self._places("ids", ids)
        found = _graph.edges(graph, len(nodes), weight)
        ends = [nodes[torch.from_numpy(part).to(self.device)] for part in found[:2]]
        self._add(ends[0] * len(self) + ends[1], torch.from_numpy(found.strengths))

    def mixing(self) -> Float[Tensor, "m m"]:
        """Return how much of each row is read for each row that is attended to, a I + h M."""
        with self._alone():
            edges, count, kind = self.separation.mixing, len(self), wide(self.dtype)
        with checks.room("memory", f"{count} rows", 2 * count * count * kind.itemsize):
            found = self.auto * torch.eye(count, dtype=kind, device=self.device)
            if isinstance(edges, Edges):
                places, shares = (edges.sources, edges.targets), self.hetero * edges.strengths
                found = found.index_put(places, shares.to(kind), accumulate=True)
        return found if arrays.sound(found) else self._refuse_overflow(kind)

    @door
    def at(
        self,
        beta: float | Float[Tensor, "*batch"] | None = None,
        *,
        auto: float | None = None,
        hetero: float | None = None,
    ) -> "Linked":
        """Return a view of the same rows and links at other strengths.

        Nothing is copied, and what is written to the memory later is seen. A view cannot be
        changed or saved.

        Args:
            beta: as in ``Memory.at``; None for that of the memory.
            auto: strength of auto-association; None for that of the memory.
            hetero: strength of hetero-association; None for that of the memory.

        Raises:
            InputError: numbers that are not finite, or a beta for a rule without one.

        Example:
            >>> import torch, kanerva
            >>> memory = kanerva.cdam(4, beta=50.0, mean=0.0)
            >>> ids = memory.write(torch.eye(4))
            >>> memory.link(ids[:3], ids[1:])
            >>> memory.at(auto=0.0, hetero=1.0).read(torch.eye(4)[0]).round().tolist()
            [0.0, 1.0, 0.0, 0.0]
        """
        other = self._viewed() if beta is None else super().at(beta)
        given = (auto, hetero, None)
        other._amounts = tuple(
            own if value is None else checks.plain(name, value)
            for name, own, value in zip(AMOUNTS, self._amounts, given, strict=True)
        )
        other._folded = None
        with self._alone():
            other._bind()
        return other

    def rows_changed(self, kept: Tensor | None) -> None:
        """Drop the links of rows that were removed, and renumber the others."""
        super().rows_changed(kept)
        if kept is not None and len(self.strengths):
            stays = kept[self.sources] & kept[self.targets]
            place = kept.cumsum(0) - 1
            self._buffers["sources"] = place[self.sources[stays]]
            self._buffers["targets"] = place[self.targets[stays]]
            self._buffers["strengths"] = self.strengths[stays]
        self._bind()

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        return f"{super().extra_repr()}, {len(self.strengths)} links"

    def _add(self, pairs: Tensor, strengths: Any) -> None:
        """Link pairs of places; strengths of a pair that is linked already are added up."""
        amounts = _links.amounts(strengths, len(pairs), self.normalise).to(self.device)
        old = self.sources * len(self) + self.targets
        every, place = torch.unique(torch.cat((old, pairs)), return_inverse=True)
        total = torch.zeros(len(every), dtype=torch.float64, device=self.device)
        self._set(every, total.index_add(0, place, torch.cat((self.strengths, amounts))))

    def _set(self, pairs: Tensor, strengths: Tensor) -> None:
        """Replace the links by pairs of places, source times the number of rows plus target."""
        there = strengths != 0
        pairs, strengths = pairs[there], strengths[there]
        self._buffers["sources"], self._buffers["targets"] = pairs // len(self), pairs % len(self)
        self._buffers["strengths"] = strengths
        self._bind()

    def _bind(self) -> None:
        """Bind the links, as they are now, into the rule."""
        strengths, count, edges = self.strengths, len(self), None
        before, normalised, _ = self.__dict__.get("_bound", (None, None, 0))
        with torch.inference_mode(False), torch.no_grad():
            if len(strengths):
                # Rows that are added change no link.
                same = normalised is strengths and isinstance(before.mixing, Edges)
                shares = before.mixing.strengths if same else self._shares()
                edges = Edges(self.sources, self.targets, shares, count)
            rule = Mixed(self._separation, self.auto, self.hetero, self.mean, edges)
        self._bound = (rule, strengths, count)

    def _shares(self) -> Tensor:
        """Return the normalised strengths."""
        if self.normalise == "none" or not len(self.strengths):
            return self.strengths
        none = torch.zeros(len(self), dtype=torch.float64, device=self.device)
        sent = none.index_add(0, self.sources, self.strengths)[self.sources]
        if self.normalise == "rows":
            return torch.where(sent > 0, self.strengths / sent, 0.0)
        taken = none.index_add(0, self.targets, self.strengths)[self.targets]
        both = (sent * taken).sqrt()
        return torch.where(both > 0, self.strengths / both, 0.0)

    def _field(self, given: Given) -> Field:
        """Sum the values by weights that went along the links, or values along which they went."""
        if given.kept is not None or given.keys.shape[0] == 0:
            return super()._field(given)
        rule: Mixed = given.rule
        values, away = self._fold(given)
        part = (given.keys, given.values if values is None else values, self.similarity, rule.part)
        value = routes.field(given.rows, *part, None).value
        value = value if values is not None or rule.auto == 1 else rule.auto * value
        value = value if away is None else value - away.to(value.dtype)
        if not arrays.sound(value):
            self._refuse_overflow(value.dtype)
        plain = self.activation.plain and self.empty == "zero"
        return Field(value, None if plain else self._nothing(value, given))

    def _refuse_overflow(self, dtype: torch.dtype) -> NoReturn:
        must, do = f"so small that reads stay within {dtype}", "scale auto, hetero and mean down"
        refuse("auto", got=f"{self.auto:g}, with hetero {self.hetero:g}", must=must, do=do)

    def _nothing(self, value: Tensor, given: Given) -> Tensor:
        """Return where every weight is zero, which an activation may not read as zeros."""
        zero = (value == 0).all(-1)
        if given.traced or not zero.any():
            return zero
        parts = (given.keys, self.similarity, given.rule, None)
        weights = routes.weights(given.rows[zero], *parts)
        return zero.index_put((zero.nonzero().squeeze(-1),), (weights == 0).all(-1))

    def _fold(self, given: Given) -> tuple[Tensor | None, Tensor | None]:
        """Return a V + h M V, None without links, and c times the mean value, None for zero."""
        rule: Mixed = given.rule
        edges = rule.mixing if rule.hetero and isinstance(rule.mixing, Edges) else None
        if edges is None and not rule.mean:
            return None, None
        held = given.values.words if isinstance(given.values, Packed) else given.values
        if given.traced:
            return self._folding(given.values, rule, edges)
        key, version = (held, edges), -1 if held.is_inference() else held._version
        known = self._folded
        if known is None or not known.fits(key, version):
            with torch.inference_mode(False), torch.no_grad():
                folded, away = self._folding(given.values, rule, edges)
            known = self._folded = Folded(key, version, folded, away)
        return known.values, known.away

    def _folding(
        self, values: Tensor | Packed, rule: Mixed, edges: Edges | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Compute what ``_fold`` returns."""
        plain, folded = values[:].to(wide(self.dtype)), None
        if edges is not None:
            folded = rule.auto * plain + rule.hetero * edges.sums(plain)
        away = rule.mean * plain.mean(0) if rule.mean else None
        for part in (folded, away):
            if part is not None and not arrays.sound(part):
                self._refuse_overflow(plain.dtype)
        return folded, away

    def _attention(self, weights: Tensor, given: Given) -> Tensor:
        parts = (given.keys, self.similarity, given.rule.part, given.kept)
        return routes.weights(given.rows, *parts)

    def _pairs(self, sources: Any, targets: Any) -> Tensor:
        """Return pairs of places, source times the number of rows plus target."""
        places = {
            name: self._places(name, ids)
            for name, ids in (("sources", sources), ("targets", targets))
        }
        first, last = places.values()
        if len(first) != len(last):
            must, do = f"as many as the {len(first)} sources", "give one target for each source"
            refuse("targets", got=str(len(last)), must=must, do=do)
        return first * len(self) + last

    def _fixed(self) -> list[str]:
        return [*super()._fixed(), "strengths"]

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_folded": None}

    def _config(self) -> dict[str, Any]:
        amounts = dict(zip(AMOUNTS, self._amounts, strict=True))
        return super()._config() | amounts | {"normalise": self.normalise, "rate": self.rate}

    @classmethod
    def _built(cls, record: Record, rules: dict[str, Any]) -> Any:
        names = (*AMOUNTS, "normalise", "rate")
        return super()._built(record, rules | {name: record.value(name) for name in names})

    def _resize(self, state: dict[str, Any], prefix: str, *names: str) -> None:
        links = {name: state.get(prefix + name) for name in ("sources", "targets", "strengths")}
        ids = state.get(prefix + "ids")
        if isinstance(ids, Tensor):
            known = [part for part in links.values() if isinstance(part, Tensor)]
            if len(known) == len(links):
                _links.vet(links, len(ids), self.normalise)
            else:  # other rows without links
                links = {name: self._buffers[name].new_empty(0) for name in links}  # type: ignore[union-attr]
        super()._resize(state, prefix, *names)
        with torch.inference_mode(False):
            for name, part in links.items():
                if isinstance(part, Tensor):
                    self._buffers[name] = self._buffers[name].new_empty(part.shape)  # type: ignore[union-attr]
