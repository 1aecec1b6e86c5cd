"""Running summaries of the heads of an attention: moments, histograms, and a few rows of scores."""

import math
from typing import Any

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import door
from kanerva.probe._calls import Call
from kanerva.probe._inputs import Tokens

__all__ = ["COSINES", "DECADES", "INPUTS", "Moments", "Summary"]

# Edges of the histograms of cosines and of softmax inputs. The first and the last bin include
# everything beyond.
COSINES = torch.linspace(-1, 1, 101)
INPUTS = torch.linspace(-32, 32, 257)
# Classes of weights for the lengths of values: up to 1e-5, up to 1e-4, ..., up to 1.
DECADES = 6
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
    "null",
    "mismatch",
)


# Softmax inputs (h, k), or (h, k + 1) with that of a learned sink last, and cosines (h, k).
Row = tuple[Tensor, Tensor]


class Moments:
    """Count, mean and standard deviation of numbers that are added in parts, for each head."""

    def __init__(self, heads: int) -> None:
        self.count = torch.zeros(heads, dtype=torch.float64)
        self.total = torch.zeros(heads, dtype=torch.float64)
        self.square = torch.zeros(heads, dtype=torch.float64)
        self.largest = torch.full((heads,), -math.inf, dtype=torch.float64)

    def add(self, numbers: Tensor, keep: Tensor | None = None) -> None:
        """Add numbers ``(b, h, ...)``, or those that are kept."""
        if not numbers.numel():
            return
        axes = [axis for axis in range(numbers.ndim) if axis != 1]
        if keep is None:
            self.count += numbers.numel() / numbers.shape[1]
            zeroed = hidden = numbers
        else:
            self.count += keep.expand_as(numbers).sum(axes).cpu()
            zeroed = numbers.masked_fill(~keep, 0)
            hidden = numbers.masked_fill(~keep, -math.inf)
        self.total += zeroed.sum(axes).double().cpu()
        self.square += zeroed.square().sum(axes).double().cpu()
        self.largest = torch.maximum(self.largest, hidden.amax(axes).double().cpu())

    def mean(self, head: int) -> float | None:
        """Return the mean of a head; None without numbers."""
        return float(self.total[head] / self.count[head]) if self.count[head] else None

    def spread(self, head: int) -> float | None:
        """Return the standard deviation of a head; None without numbers."""
        if not self.count[head]:
            return None
        mean = self.total[head] / self.count[head]
        return math.sqrt(max(0.0, float(self.square[head] / self.count[head] - mean**2)))


class Summary:
    """The summary of one attention: sums for each head, and a uniform sample of rows of scores.

    Args:
        heads: number of heads.
        size: the largest number of queries analysed in a call; None for all.
        rows: number of rows of scores that are kept.
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
        self.rows: list[Row] = []
        self.compared: dict[str, Any] = {}  # results computed from the rows, until they change
        self.seen = 0
        self.dim = 0
        self.biased = False

    @torch.no_grad()
    @door("watch")
    def add(self, call: Call, tokens: Tokens) -> None:
        """Add one call of the attention."""
        batch, _, queries, self.dim = call.query.shape
        real = call.real if tokens.real is None else tokens.real
        lengths = self._add_lengths(call, real)
        places = self._places(batch, queries).to(call.query.device)
        part = call.queries(places)
        products = part.query.float() @ part.key.float().mT
        arrays.finite("queries and keys", products)
        logits = arrays.finite("scores", part.logits(products))
        self.biased |= part.bias is not None and bool(part.bias.any())
        keep = _kept(part, logits, None if real is None else real[:, places])
        row = keep.any(-1)  # (b, 1 or h, q): queries that attend to something
        hidden = logits.masked_fill(~keep, -math.inf)
        every = torch.cat((hidden, _null_inputs(part, logits)), -1)
        weights = every.softmax(-1).masked_fill(~row[..., None], 0)
        length = lengths["query"][:, :, places, None] * lengths["key"][:, :, None, :]
        cosines = (products / length.clamp_min(1e-12)).clamp_(-1, 1)
        self._add_spread(weights, row)
        if call.null is not None:
            self.moments["null"].add(weights[..., -1], row)
        weights = weights[..., : logits.shape[-1]]
        self._add_weights(hidden, weights, row)
        self._add_places(weights, row, tokens)
        self._add_scores(part.slope(products) * length, cosines, logits, keep)
        self._add_linearity(cosines, logits, keep, row)
        self._add_values(weights, lengths["value"], keep)
        if call.output is not None:
            self._add_mismatch(weights @ call.value.float(), call.output[:, places], row)
        self.sample(every, cosines, row)

    def _add_lengths(self, call: Call, real: Tensor | None) -> dict[str, Tensor]:
        """Add the lengths of queries, keys and values without padding; return them all."""
        lengths = {
            name: torch.linalg.vector_norm(getattr(call, name).float(), dim=-1)
            for name in ("query", "key", "value")
        }
        queries, keys = lengths["query"].shape[-1], lengths["key"].shape[-1]
        attended = None
        if call.keep is not None:
            attended = call.keep.expand(len(lengths["key"]), -1, queries, keys)
            if real is not None:
                attended = attended & real[:, None, :, None]
            attended = attended.any(-2)
        self.moments["query"].add(lengths["query"], None if real is None else real[:, None])
        self.moments["key"].add(lengths["key"], attended)
        self.moments["value"].add(lengths["value"], attended)
        return lengths

    def _places(self, batch: int, queries: int) -> Tensor:
        """Choose the queries that are analysed, the same ones in every text of the batch."""
        most = queries if self.size is None else max(1, self.size // batch)
        if most >= queries:
            return torch.arange(queries)
        return torch.randperm(queries, generator=self.source)[:most].sort().values

    def _add_spread(self, weights: Tensor, row: Tensor) -> None:
        """Add entropy and effective number of every row, a learned sink being one more key."""
        entropy = torch.special.entr(weights).sum(-1)
        self.moments["entropy"].add(entropy, row)
        self.moments["effective"].add(1 / weights.square().sum(-1).clamp_min(1e-30), row)

    def _add_weights(self, hidden: Tensor, weights: Tensor, row: Tensor) -> None:
        """Add largest weight and largest input of every row."""
        self.moments["top"].add(weights.amax(-1), row)
        self.moments["top_input"].add(hidden.amax(-1), row)

    def _add_mismatch(self, read: Tensor, output: Tensor, row: Tensor) -> None:
        """Add the distance of the output of the model from the read with the measured weights."""
        output = output.float().transpose(1, 2)
        size = torch.linalg.vector_norm(output, dim=-1)
        apart = torch.linalg.vector_norm(read - output, dim=-1) / size.clamp_min(1e-12)
        self.moments["mismatch"].add(apart, row & (size > 1e-6))

    def _add_places(self, weights: Tensor, row: Tensor, tokens: Tokens) -> None:
        """Add the weight on the first token, on special ones, and on the sink of each text."""
        texts = torch.arange(len(weights), device=weights.device)
        first = torch.zeros_like(texts) if tokens.first is None else tokens.first
        self.moments["first"].add(weights[texts, ..., first.to(weights.device)], row)
        special = tokens.special
        if special is not None and special.shape[-1] == weights.shape[-1]:
            self.moments["special"].add((weights * special[:, None, None]).sum(-1), row)
        share = weights.sum(-2) / row.sum(-1).clamp_min(1)[..., None]
        self.moments["sink"].add(share.amax(-1), row.any(-1))

    def _add_scores(self, beta: Tensor, cosines: Tensor, logits: Tensor, keep: Tensor) -> None:
        """Add temperatures, cosines and softmax inputs of all pairs."""
        self.moments["beta"].add(beta, keep)
        self.moments["cosine"].add(cosines, keep)
        attended = keep.sum(-1).expand(*logits.shape[:-1]).to(logits.dtype)
        self.moments["attended"].add(attended, keep.any(-1))
        self.cosines += _histogram(cosines, keep, COSINES)
        self.inputs += _histogram(logits, keep, INPUTS)

    def _add_linearity(self, cosines: Tensor, logits: Tensor, keep: Tensor, row: Tensor) -> None:
        """Add the squared correlation of the inputs of a row with its cosines."""
        count = keep.sum(-1, keepdim=True).clamp_min(1)

        def centred(numbers: Tensor) -> Tensor:
            mean = numbers.masked_fill(~keep, 0).sum(-1, keepdim=True) / count
            return (numbers - mean).masked_fill(~keep, 0)

        x, y = centred(cosines), centred(logits)
        both = x.square().sum(-1) * y.square().sum(-1)
        share = (x * y).sum(-1).square() / both.clamp_min(1e-30)
        self.moments["line"].add(share, row & (both > 1e-20))

    def _add_values(self, weights: Tensor, length: Tensor, keep: Tensor) -> None:
        """Add the lengths of values by the decade of their weight, and weighted by it."""
        length = length[:, :, None, :].expand_as(weights)
        kept = keep.expand_as(weights)
        decade = weights.clamp_min(1e-30).log10().ceil() + DECADES - 1
        heads = torch.arange(self.heads, device=weights.device)[None, :, None, None]
        place = decade.clamp(0, DECADES - 1).long() + DECADES * heads
        for line, amount in enumerate((kept.to(length.dtype), length * kept)):
            total = torch.bincount(place.flatten(), amount.flatten(), self.heads * DECADES)
            self.values[line] += total.reshape(self.heads, DECADES).double().cpu()
        totals = torch.stack([(weights * length).sum((0, 2, 3)), weights.sum((0, 2, 3))])
        self.attended += totals.double().cpu()

    def sample(self, inputs: Tensor, cosines: Tensor, row: Tensor) -> None:
        """Sample rows so that all rows so far were kept with equal probability.

        Args:
            inputs: ``(b, h, q, k)`` softmax inputs, -inf for keys that are left out; one more for a
                learned sink.
            cosines: ``(b, h, q, k)``.
            row: ``(b, 1 or h, q)`` False for queries that are left out.

        Source: Vitter 1985, algorithm R.
        """
        found = row.all(1).nonzero().cpu()
        if not self.room or not len(found):
            return
        rank = torch.arange(self.seen, self.seen + len(found))
        drawn = torch.rand(len(found), generator=self.source, dtype=torch.float64) * (rank + 1)
        places = torch.where(rank < self.room, rank, drawn.long())
        taken = places < self.room
        self.seen += len(found)
        self.compared.clear()
        for (text, query), place in zip(found[taken].tolist(), places[taken].tolist(), strict=True):
            some = inputs[text, :, query].isfinite().any(0)
            kept_inputs = inputs[text, :, query, some].float().cpu()
            tokens = some[: cosines.shape[-1]]
            kept_cosines = cosines[text, :, query, tokens].float().cpu()
            self.rows[place : place + 1] = [(kept_inputs, kept_cosines)]

    def needed(self, head: int, share: float = 0.9) -> tuple[float, float] | None:
        """Return how many keys hold a share of the weight of a row, a learned sink among them.

        Returns:
            medians over the kept rows of their number, and of their share of the attended keys;
            None without rows.
        """
        counts, shares = [], []
        for inputs, _ in self.rows:
            logits = inputs[head][inputs[head].isfinite()].double()
            weights = logits.softmax(0).sort(descending=True).values
            count = int((weights.cumsum(0) < share - 1e-9).sum()) + 1
            counts.append(count)
            shares.append(count / len(weights))
        return (_median(counts), _median(shares)) if counts else None


def _null_inputs(call: Call, logits: Tensor) -> Tensor:
    """Return the softmax inputs ``(b, h, q, 1)`` of a learned sink; ``(b, h, q, 0)`` for none."""
    if call.null is None:
        return logits[..., :0]
    return call.null.to(logits).expand(*logits.shape[:-1], 1)


def _kept(call: Call, logits: Tensor, real: Tensor | None) -> Tensor:
    """Return the kept pairs ``(b, 1 or h, q, k)``, without queries that are padding."""
    keep = torch.ones_like(logits[:, :1], dtype=torch.bool)
    if call.keep is not None:
        keep = call.keep.expand(len(logits), -1, *logits.shape[-2:])
    return keep if real is None else keep & real[:, None, :, None]


def _median(numbers: list[Any]) -> float:
    return float(torch.tensor(numbers).double().quantile(0.5))


def _histogram(numbers: Tensor, keep: Tensor, edges: Tensor) -> Tensor:
    """Count the kept numbers of each head between evenly spaced edges."""
    heads, count = numbers.shape[1], len(edges) - 1
    low, step = float(edges[0]), float(edges[-1] - edges[0]) / count
    place = (numbers - low).mul_(1 / step).clamp_(0, count - 1).to(torch.int32)
    head = torch.arange(heads, device=numbers.device, dtype=torch.int32)
    place += count * head[None, :, None, None]
    # What is left out is counted in one more bin at the end.
    kept = place.masked_fill_(~keep, heads * count)
    counts = torch.bincount(kept.flatten(), minlength=heads * count + 1)
    return counts[:-1].reshape(heads, count).cpu()
