"""Sum up what a head does while it works: moments, counts and a few rows, never all of its activations."""

import math
from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import door
from kanerva.probe._taps import Call

__all__ = ["COSINES", "DECADES", "INPUTS", "Moments", "Summary"]

# Edges of the histograms: cosines in steps of 0.02, softmax inputs in steps of a quarter (the ends take what lies beyond).
COSINES = torch.linspace(-1, 1, 101)
INPUTS = torch.linspace(-32, 32, 257)
# Weights of 1e-5 and less, to 1e-4, ..., to 1: the classes in which the norms of values are averaged.
DECADES = 6
SINK = 0


class Moments:
    """Count, mean and spread of numbers that come in parts, one column a head."""

    def __init__(self, heads: int) -> None:
        self.count, self.total, self.square = (
            torch.zeros(heads, dtype=torch.float64) for _ in range(3)
        )
        self.largest = torch.full((heads,), -math.inf, dtype=torch.float64)

    def add(self, numbers: Tensor, keep: Tensor | None = None) -> None:
        """Take numbers ``(b, h, ...)``, or those of them that are kept."""
        if not numbers.numel():
            return
        axes = [axis for axis in range(numbers.ndim) if axis != 1]
        zeroed = numbers if keep is None else numbers.masked_fill(~keep, 0)
        count = (
            numbers.numel() / numbers.shape[1]
            if keep is None
            else keep.expand_as(numbers).sum(axes)
        )
        self.count += torch.as_tensor(count).cpu()
        self.total += zeroed.sum(axes).double().cpu()
        self.square += zeroed.square().sum(axes).double().cpu()
        hidden = numbers if keep is None else numbers.masked_fill(~keep, -math.inf)
        self.largest = torch.maximum(self.largest, hidden.amax(axes).double().cpu())

    def mean(self, head: int) -> float | None:
        """Return the mean of a head; None where nothing came."""
        return float(self.total[head] / self.count[head]) if self.count[head] else None

    def spread(self, head: int) -> float | None:
        """Return the standard deviation of a head."""
        if not self.count[head]:
            return None
        mean = self.total[head] / self.count[head]
        return math.sqrt(max(0.0, float(self.square[head] / self.count[head] - mean**2)))


NUMBERS = (
    "query",
    "key",
    "value",
    "beta",
    "top_input",
    "cosine",
    "attended",
    "entropy",
    "effective",
    "top",
    "first",
    "special",
    "sink",
    "line",
)


class Summary:
    """What is kept of one attention: sums for each head, and ``rows`` rows of scores drawn evenly from all that went by.

    Args:
        heads: how many.
        size: at most so many queries of a call are looked at; None for all.
        rows: how many rows of scores are kept.
        seed: of the choice of both.
    """

    def __init__(self, heads: int, size: int | None, rows: int, seed: int) -> None:
        self.heads, self.size, self.room = heads, size, rows
        self.source = torch.Generator().manual_seed(seed)
        self.moments = {name: Moments(heads) for name in NUMBERS}
        self.cosines = torch.zeros(heads, len(COSINES) - 1, dtype=torch.int64)
        self.inputs = torch.zeros(heads, len(INPUTS) - 1, dtype=torch.int64)
        self.values = torch.zeros(2, heads, DECADES, dtype=torch.float64)
        self.attended = torch.zeros(2, heads, dtype=torch.float64)
        self.rows: list[tuple[Tensor, Tensor]] = []
        self.compared: dict[str, Any] = {}  # what was worked out from the rows, until they change
        self.seen = 0
        self.calls = 0
        self.dim = 0

    @torch.no_grad()
    @door("watch")
    def add(
        self, call: Call, real: Tensor | None, special: Tensor | None, first: Tensor | None = None
    ) -> None:
        """Take one call in.

        Args:
            call: what the attention was asked.
            real: ``(b, q)`` False for queries that are padding; None for none.
            special: ``(b, k)`` True for tokens that only structure a text; None where that is not known.
            first: ``(b,)`` place of the first key that is no padding; None for 0.
        """
        self.calls += 1
        self.dim = call.query.shape[-1]
        batch, _, queries, _ = call.query.shape
        here = self._norms(call, real)
        places = self._places(batch, queries).to(call.query.device)
        real = None if real is None else real[:, places]
        part = call.at(places)
        products = part.query.float() @ part.key.float().mT
        arrays.finite("queries and keys", products)
        logits = part.logits(products)
        keep = (
            torch.ones_like(logits[:, :1], dtype=torch.bool)
            if part.keep is None
            else part.keep.expand(batch, -1, *logits.shape[-2:])
        )
        keep = keep & keep.any(-1, keepdim=True) if real is None else keep & real[:, None, :, None]
        row = keep.any(-1)  # (b, 1 or h, q): queries that attend to something
        hidden = logits.masked_fill(~keep, -math.inf)
        weights = hidden.softmax(-1).masked_fill(~row[..., None], 0)
        length = here["query"][:, :, places, None] * here["key"][:, :, None, :]
        cosines = (products / length.clamp_min(1e-12)).clamp_(-1, 1)
        self._weights(logits, hidden, weights, row)
        self._places_of(weights, row, special, first)
        self._scores(abs(part.scale) * length, cosines, logits, keep)
        self._lines(cosines, logits, keep, row)
        self._values(weights, here["value"], keep)
        self._keep(hidden, cosines, row)

    def _norms(self, call: Call, real: Tensor | None) -> dict[str, Tensor]:
        """Measure the lengths of queries, keys and values; those of padding are left out."""
        here = {
            name: torch.linalg.vector_norm(getattr(call, name).float(), dim=-1)
            for name in ("query", "key", "value")
        }
        queries, keys = here["query"].shape[-1], here["key"].shape[-1]
        attended = None
        if call.keep is not None:
            attended = call.keep.expand(len(here["key"]), -1, queries, keys)
            if real is not None:
                attended = attended & real[:, None, :, None]
            attended = attended.any(-2)
        self.moments["query"].add(here["query"], None if real is None else real[:, None])
        self.moments["key"].add(here["key"], attended)
        self.moments["value"].add(here["value"], attended)
        return here

    def _places(self, batch: int, queries: int) -> Tensor:
        """Choose which queries to look at, the same ones in every text of the batch."""
        most = queries if self.size is None else max(1, self.size // batch)
        return (
            torch.arange(queries)
            if most >= queries
            else torch.randperm(queries, generator=self.source)[:most].sort().values
        )

    def _weights(self, logits: Tensor, hidden: Tensor, weights: Tensor, row: Tensor) -> None:
        """Take entropy, effective number and largest weight of every row, and its largest input."""
        logs = hidden.logsumexp(-1) - (weights * logits).sum(-1)
        self.moments["entropy"].add(logs.clamp_min(0), row)
        self.moments["effective"].add(1 / weights.square().sum(-1).clamp_min(1e-30), row)
        self.moments["top"].add(weights.amax(-1), row)
        self.moments["top_input"].add(hidden.amax(-1), row)

    def _places_of(
        self, weights: Tensor, row: Tensor, special: Tensor | None, first: Tensor | None
    ) -> None:
        """Take the weight on the first token, on special ones, and on the token that gets most in its text."""
        place = (
            weights.new_zeros(len(weights), dtype=torch.long)
            if first is None
            else first.to(weights.device)
        )
        self.moments["first"].add(weights[torch.arange(len(weights)), ..., place], row)
        if special is not None and special.shape[-1] == weights.shape[-1]:
            self.moments["special"].add((weights * special[:, None, None]).sum(-1), row)
        share = weights.sum(-2) / row.sum(-1).clamp_min(1)[..., None]
        self.moments["sink"].add(share.amax(-1), row.any(-1))

    def _scores(self, beta: Tensor, cosines: Tensor, logits: Tensor, keep: Tensor) -> None:
        """Take the distributions of temperatures, cosines and softmax inputs over all pairs."""
        self.moments["beta"].add(beta, keep)
        self.moments["cosine"].add(cosines, keep)
        self.moments["attended"].add(
            keep.sum(-1).expand(*logits.shape[:-1]).to(logits.dtype), keep.any(-1)
        )
        self.cosines += _histogram(cosines, keep, COSINES)
        self.inputs += _histogram(logits, keep, INPUTS)

    def _lines(self, cosines: Tensor, logits: Tensor, keep: Tensor, row: Tensor) -> None:
        """Take how much of the variance of the inputs of a row their cosines explain."""
        count = keep.sum(-1, keepdim=True).clamp_min(1)
        parts = []
        for numbers in (cosines, logits):
            mean = numbers.masked_fill(~keep, 0).sum(-1, keepdim=True) / count
            parts.append((numbers - mean).masked_fill(~keep, 0))
        near, far = parts
        both = near.square().sum(-1) * far.square().sum(-1)
        share = (near * far).sum(-1).square() / both.clamp_min(1e-30)
        self.moments["line"].add(share, row & (both > 1e-20))

    def _values(self, weights: Tensor, length: Tensor, keep: Tensor) -> None:
        """Take the norms of values by the weight that they get, in decades, and their mean under the weights."""
        length = length[:, :, None, :].expand_as(weights)
        kept = keep.expand_as(weights)
        decade = (
            (weights.clamp_min(1e-30).log10().ceil() + DECADES - 1).clamp(0, DECADES - 1).long()
        )
        place = (
            decade + DECADES * torch.arange(self.heads, device=weights.device)[None, :, None, None]
        )
        for line, amount in enumerate((kept.to(length.dtype), length * kept)):
            total = torch.bincount(place.flatten(), amount.flatten(), self.heads * DECADES)
            self.values[line] += total.reshape(self.heads, DECADES).double().cpu()
        self.attended += (
            torch.stack([(weights * length).sum((0, 2, 3)), weights.sum((0, 2, 3))]).double().cpu()
        )

    def _keep(self, hidden: Tensor, cosines: Tensor, row: Tensor) -> None:
        """Keep a few rows, each of all that went by with the same chance (Vitter 1985, algorithm R)."""
        found = row.all(1).nonzero().cpu()
        if not self.room or not len(found):
            return
        later = torch.arange(self.seen, self.seen + len(found))
        drawn = (
            torch.rand(len(found), generator=self.source, dtype=torch.float64) * (later + 1)
        ).long()
        places = torch.where(later < self.room, later, drawn)
        self.seen += len(found)
        self.compared.clear()
        for (text, query), place in zip(
            found[places < self.room].tolist(), places[places < self.room].tolist(), strict=True
        ):
            some = hidden[text, :, query].isfinite().any(0)
            kept = (
                hidden[text, :, query, some].float().cpu(),
                cosines[text, :, query, some].float().cpu(),
            )
            self.rows[place : place + 1] = [kept]

    def needed(self, head: int, share: float = 0.9) -> tuple[float, float] | None:
        """Return how many tokens hold that share of a row, and as a part of those attended to: medians over the kept rows."""
        found = []
        for inputs, _ in self.rows:
            weights = (
                inputs[head][inputs[head].isfinite()]
                .double()
                .softmax(0)
                .sort(descending=True)
                .values
            )
            count = int((weights.cumsum(0) < share - 1e-9).sum()) + 1
            found.append((count, count / len(weights)))
        if not found:
            return None
        counts, shares = (
            float(torch.tensor(side).double().quantile(0.5)) for side in zip(*found, strict=True)
        )
        return counts, shares


def _histogram(numbers: Tensor, keep: Tensor, edges: Tensor) -> Tensor:
    """Count the kept numbers between edges that are evenly spaced, for each head; the ends take what lies beyond."""
    heads, count = numbers.shape[1], len(edges) - 1
    low, step = float(edges[0]), float(edges[-1] - edges[0]) / count
    place = (numbers - low).mul_(1 / step).clamp_(0, count - 1).to(torch.int32)
    place += (
        count * torch.arange(heads, device=numbers.device, dtype=torch.int32)[None, :, None, None]
    )
    kept = place.masked_fill_(~keep, heads * count)
    return (
        torch.bincount(kept.flatten(), minlength=heads * count + 1)[:-1].reshape(heads, count).cpu()
    )
