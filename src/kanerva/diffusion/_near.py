"""Plain distances to the nearest of many rows, a block at a time and exact where rows are equal."""

import hashlib
import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva._core.settings import settings
from kanerva._engine import nearest as nearest_
from kanerva._engine.scores import pieces
from kanerva.separation import Softmax
from kanerva.similarity import closeness

__all__ = [
    "LARGE",
    "MANY",
    "SMALL",
    "Near",
    "among",
    "choice",
    "distinct",
    "grown",
    "others",
    "spacing",
]

# Rows of which the distance to their neighbour is measured, at most: the median of more would
# change by less than its spread.
MANY = 2048
# Rows that are found by scalar products, before their distances are taken from differences.
CANDIDATES = 8
# Products of numbers up to which all distances are taken from differences at once.
FEW = 2**26
# Numbers whose squares float64 can add; differences below 1e-154 are 0.
SMALL, LARGE = 1e-100, 1e100


class Near(NamedTuple):
    """The nearest row of each query: its place, and the distance to it.

    Of rows that are equally near, the first counts. Where there is none, the place is -1 and the
    distance infinite.
    """

    places: Int64[Tensor, "n"]
    distances: Float64[Tensor, "n"]


class Distinct(NamedTuple):
    """The rows that differ: the places where each occurs first and next, and which each row is.

    ``again`` is -1 where a row occurs once.
    """

    first: Int64[Tensor, "k"]
    again: Int64[Tensor, "k"]
    which: Int64[Tensor, "m"]


def grown(*several: Float[Tensor, "_ d"]) -> tuple[float, list[Tensor]]:
    """Return rows over a power of two, where all their squares would vanish; and that power."""
    top = max(float(rows.abs().amax()) for rows in several)
    if not 0 < top < SMALL:
        return 1.0, list(several)
    unit = 2.0 ** math.frexp(top)[1]
    return unit, [rows.double() / unit for rows in several]


def among(query: Float[Tensor, "n d"], keys: Float[Tensor, "m d"]) -> Near:
    """Return the nearest key of each query, of one or more.

    Candidates are found by scalar products, and their distances are taken from differences in
    float64. Where rounding could have hidden a nearer key, all distances of that query are.
    """
    kinds = distinct(keys)
    found = _search(query, _taken(keys, kinds.first), None)
    return Near(kinds.first[found.places], found.distances)


def others(rows: Float[Tensor, "n d"]) -> Near:
    """Return the nearest other row of each row; copies are at distance 0."""
    kinds = distinct(rows)
    none = torch.full_like(kinds.which, -1)
    places, distances = none, none.double().fill_(torch.inf)
    if len(kinds.first) > 1:
        found = _search(_taken(rows, kinds.first), _taken(rows, kinds.first), _count(kinds.first))
        places = kinds.first[found.places][kinds.which]
        distances = found.distances[kinds.which]
    # A copy is nearer than any row that differs: the first one, or the next for the first itself.
    own = kinds.first[kinds.which]
    copy = torch.where(own == _count(own), kinds.again[kinds.which], own)
    copied = kinds.again[kinds.which] >= 0
    return Near(torch.where(copied, copy, places), torch.where(copied, 0.0, distances))


def spacing(rows: Float[Tensor, "m d"]) -> Float64[Tensor, "k"]:
    """Return how far rows that differ are from the nearest other one: of 2,048 at most.

    Empty where all rows are equal.
    """
    keys = _taken(rows, distinct(rows).first)
    if len(keys) < 2:
        return torch.empty(0, dtype=torch.float64, device=rows.device)
    chosen = choice(len(keys), MANY).to(rows.device)
    return _search(keys[chosen], keys, chosen).distances


def choice(count: int, most: int) -> Int64[Tensor, "k"]:
    """Choose some of so many rows, always the same ones, at random: files may be sorted."""
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most].sort().values


def distinct(rows: Float[Tensor, "m d"]) -> Distinct:
    """Find the rows that differ, by digests."""
    known: dict[bytes, int] = {}
    first: list[int] = []
    again: list[int] = []
    which: list[int] = []
    for part in pieces(*rows.shape):
        # Adding zero turns -0 into 0, which is the same number in other bytes.
        for row in (rows[part].detach().double() + 0.0).cpu().numpy():
            key = hashlib.blake2b(row, digest_size=16).digest()
            kind = known.setdefault(key, len(first))
            if kind == len(first):
                first.append(len(which))
                again.append(-1)
            elif again[kind] < 0:
                again[kind] = len(which)
            which.append(kind)
    found = (torch.tensor(part, dtype=torch.long) for part in (first, again, which))
    return Distinct(*(part.to(rows.device) for part in found))


def _taken(rows: Tensor, places: Tensor) -> Tensor:
    """Take some rows; all of them without a copy."""
    return rows if len(places) == len(rows) else rows[places]


def _count(like: Tensor) -> Tensor:
    return torch.arange(len(like), device=like.device)


@torch.no_grad()
def _search(query: Tensor, keys: Tensor, own: Tensor | None) -> Near:
    """Return the nearest key of each query, of keys that differ; ``own`` is the key to leave out.

    There is a key besides it.
    """
    if len(query) * len(keys) * keys.shape[1] <= FEW or len(keys) <= CANDIDATES:
        return _direct(query, keys, own)
    query = query.double()
    places, scores, _ = nearest_.nearest(query, keys, closeness, Softmax(1.0), None, CANDIDATES)
    origin = keys[:1].double()
    length = max(
        float((keys[part].double() - origin).square().sum(-1).amax())
        for part in pieces(*keys.shape)
    )
    blur = 2 * (keys.shape[1] + 8) * torch.finfo(torch.float64).eps
    margin = blur * ((query - origin).square().sum(-1) + length)
    found = _refined(query, keys, places, own)
    # No other key is nearer than the last candidate is.
    sure = found.distances.square() / 2 < -scores[:, -1] - margin
    left = (~sure).nonzero().squeeze(-1)
    if len(left):
        exact = _direct(query[left], keys, None if own is None else own[left])
        for known, new in zip(found, exact, strict=True):
            known[left] = new
    return found


def _refined(query: Tensor, keys: Tensor, places: Tensor, own: Tensor | None) -> Near:
    """Return the nearest of some keys for each query, by differences."""
    done = []
    for part in pieces(len(query), places.shape[1] * keys.shape[1]):
        some = places[part]
        apart = _apart(query[part].unsqueeze(1), keys[some].double()).squeeze(1)
        if own is not None:
            apart = apart.masked_fill(some == own[part, None], torch.inf)
        least = apart.amin(-1)
        first = torch.where(apart == least[:, None], some, len(keys)).amin(-1)
        done.append(Near(first, least))
    return _joined(done)


def _direct(query: Tensor, keys: Tensor, own: Tensor | None) -> Near:
    """Return the nearest key for each query, by differences to all keys."""
    done = []
    # Some queries and some keys at a time, so that their distances and numbers fit the budget.
    tall = max(1, settings.budget // (64 * max(keys.shape[1], 256)))
    for start in range(0, len(query), tall):
        rows = query[start : start + tall].double()
        best = Near(_count(rows).fill_(-1), rows.new_full((len(rows),), torch.inf))
        wide = max(1, settings.budget // (64 * max(keys.shape[1], len(rows))))
        for left in range(0, len(keys), wide):
            apart = _apart(rows, keys[left : left + wide].double())
            if own is not None:
                here = own[start : start + tall] - left
                inside = ((here >= 0) & (here < apart.shape[1])).nonzero().squeeze(-1)
                apart[inside, here[inside]] = torch.inf
            least, place = apart.min(-1)
            # Of equal distances torch may name any.
            place = (apart == least[:, None]).int().argmax(-1)
            nearer = least < best.distances
            place = torch.where(nearer, place + left, best.places)
            best = Near(place, torch.where(nearer, least, best.distances))
        done.append(best)
    return _joined(done)


def _apart(query: Tensor, keys: Tensor) -> Tensor:
    return torch.cdist(query, keys, compute_mode="donot_use_mm_for_euclid_dist")


def _joined(done: list[Near]) -> Near:
    return Near(*(torch.cat(same) for same in zip(*done, strict=True)))
