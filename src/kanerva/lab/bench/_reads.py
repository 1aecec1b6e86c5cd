"""Reads among stored patterns: softmax, other rules, five steps, pruned, nearest, and a density."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor

from kanerva import bits as vectors
from kanerva import similarity as similar
from kanerva import theory
from kanerva.lab.bench import _peers
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._sizes import Sizes
from kanerva.memory import Patterns
from kanerva.separation import (
    Argmax,
    Cap,
    Circle,
    Compact,
    Entmax,
    Power,
    Separation,
    Softmax,
    TopK,
)
from kanerva.similarity import Similarity

__all__ = ["density", "nearest", "pruned", "recall", "rules", "softmax"]

# Inverse temperatures: of reads, of a density, and where one pattern takes nearly all of the weight.
BETA, WIDE, SHARP = 16.0, 4.0, 32.0
# Length of what is added to a pattern to make a cue; of bits, every so many is flipped.
NOISE, EVERY = 0.4, 10
# So many queries are compared with the formula in float64, to so much of the largest number of an answer: torch's own kernel is that far
# off where it sums a million patterns for one query, and at the edge of what a rule keeps, float32 may keep others.
CHECKED, ALLOWED = 4, 2e-3
# Steps carry on what rounding does to the first.
SPREAD = 1e-2
STEPS, KEPT, SHARE = 5, 32, 0.001
# As many cues are always drawn, so that fewer are the first of them; the patterns they are of lie so far apart.
ASKED, STRIDE = 1024, 7919
PIECE = 65_536
SINGLE, BATCHED = "torch, scaled_dot_product_attention", "torch, softmax(beta q Xᵀ) X"
# Pairs of query and pattern, times their length, beyond which rules are not compared: softmax alone takes many seconds there.
LARGE = 10**11


def softmax(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read once by softmax."""
    for dim, count in product(sizes.dims, sizes.patterns):
        memory, keys = _stored(dim, count, Softmax(BETA))
        expected = _exact(_cues(keys, CHECKED), keys, similar.dot, Softmax(BETA))
        for batch in sizes.queries:
            query = _cues(keys, batch)
            routes = [
                _reader("kanerva", partial(memory.read, query), expected, True),
                *_attentions(query, keys, BETA, expected),
            ]
            yield Case(
                "softmax",
                {"d": dim, "N": count, "B": batch},
                routes,
                ALLOWED,
                limits.attending(batch, count, dim),
            )


def rules(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read once by each rule; the softmax read is what they are compared with."""
    for dim, count in product(sizes.dims, sizes.patterns):
        soft, keys = _stored(dim, count, Softmax(BETA))
        signs = torch.where(keys < 0, -1.0, 1.0)
        flipped = vectors.flip(
            signs[_places(count, max(CHECKED, *sizes.queries))], dim // EVERY, seed=3
        )
        parts = _rules(dim)
        binary = {name: rule for name, rule in parts.items() if rule[0] is similar.agreement}
        real = {name: rule for name, rule in parts.items() if name not in binary}
        exact = _exactly(
            _cues(keys, CHECKED), keys, {"softmax": (similar.dot, Softmax(BETA)), **real}
        )
        exact |= _exactly(flipped[:CHECKED], signs, binary)
        memories = {
            name: _sharing(signs if name in binary else keys, *rule) for name, rule in parts.items()
        }
        packed = _packed(signs, memories["circle"].separation)
        if packed is not None:
            memories["circle of packed bits"], exact["circle of packed bits"] = (
                packed,
                exact["circle"],
            )
        for batch in sizes.queries:
            if count * batch * dim > LARGE:
                continue
            query = _cues(keys, batch)
            routes = [_reader("softmax read", partial(soft.read, query), exact["softmax"])]
            for name, memory in memories.items():
                asked = flipped[:batch] if memory.similarity is similar.agreement else query
                routes.append(
                    _reader(f"kanerva, {name}", partial(memory.read, asked), exact[name], True)
                )
            yield Case("rules", {"d": dim, "N": count, "B": batch}, routes, ALLOWED)


def recall(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read five times, each time with what was read."""
    dim, count, batch = sizes.one
    memory, keys = _stored(dim, count, Softmax(BETA))
    query = expected = _cues(keys, batch)
    expected = expected[:CHECKED]
    for _ in range(STEPS):
        expected = _exact(expected, keys, similar.dot, Softmax(BETA))
    routes = [
        _reader(
            "kanerva, recall of five steps",
            partial(memory.recall, query, steps=STEPS),
            expected,
            True,
        )
    ]
    for name, read in ((SINGLE, _attention), (BATCHED, _formula)):
        routes.append(_reader(f"{name}, five times", partial(_again, read, query, keys), expected))
    yield Case(
        "recall",
        {"d": dim, "N": count, "B": batch},
        routes,
        SPREAD,
        STEPS * limits.attending(batch, count, dim),
    )


def pruned(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read once where one pattern takes nearly all of the weight, leaving out those that cannot matter."""
    dim, count, batch = sizes.pruned
    memory, keys = _stored(dim, count, Softmax(SHARP))
    if "tolerance" not in inspect.signature(memory.read).parameters:
        return
    query = _cues(keys, batch)
    expected = _exact(query[:CHECKED], keys, similar.dot, Softmax(SHARP))
    routes = [
        _reader(
            "kanerva, tolerance of 1e-6",
            partial(cast(Any, memory.read), query, tolerance=1e-6),
            expected,
            True,
        ),
        *_attentions(query, keys, SHARP, expected),
    ]
    yield Case(
        "pruned",
        {"d": dim, "N": count, "B": batch},
        routes,
        ALLOWED,
        limits.attending(batch, count, dim),
    )


def nearest(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read the nearest pattern."""
    dim, count, batch = sizes.one
    memory, keys = _stored(dim, count, Argmax())
    query = _cues(keys, batch)
    expected = _exact(query[:CHECKED], keys, similar.dot, Argmax())
    routes = [_reader("kanerva", partial(memory.read, query), expected, True)]
    routes.append(
        _reader("torch, X[(q Xᵀ).argmax()]", lambda: keys[(query @ keys.T).argmax(-1)], expected)
    )
    search = _peers.neighbours(keys)
    if search is not None:
        routes.append(_reader("scikit-learn, NearestNeighbors", partial(search, query), expected))
    yield Case(
        "nearest",
        {"d": dim, "N": count, "B": batch},
        routes,
        ALLOWED,
        _scoring(limits, batch, count, dim),
    )


def density(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Return the logarithm of a Gaussian density, which is an energy."""
    dim, count, batch = sizes.one
    memory, keys = _stored(dim, count, Softmax(WIDE), similar.closeness)
    query = _cues(keys, batch)
    scores = torch.cat(
        [similar.closeness(query[:CHECKED].double(), part.double()) for part in _pieces(keys)], -1
    )
    expected = -(WIDE * scores).logsumexp(-1) / WIDE

    def plain() -> Tensor:
        squares = (
            query.square().sum(-1, keepdim=True) + keys.square().sum(-1) - 2 * query @ keys.T
        ) / 2
        return -(-WIDE * squares).logsumexp(-1) / WIDE

    routes = [_reader("kanerva", partial(memory.energy, query), expected, True)]
    routes.append(_reader("torch, logsumexp(-beta |q - X|²/2)", plain, expected))
    module = _peers.scikit()
    if module is not None:
        fitted = module.KernelDensity(bandwidth=WIDE**-0.5).fit(keys.numpy())
        constant = math.log(count) + dim / 2 * math.log(2 * math.pi / WIDE)

        def scored() -> Tensor:
            return -(torch.from_numpy(fitted.score_samples(query.numpy())) + constant) / WIDE

        routes.append(_reader("scikit-learn, KernelDensity", scored, expected))
    yield Case(
        "density",
        {"d": dim, "N": count, "B": batch},
        routes,
        ALLOWED,
        _scoring(limits, batch, count, dim),
    )


def _rules(dim: int) -> dict[str, tuple[Similarity, Separation]]:
    """Name the rules that are compared, with parts that reach a part of what is stored."""
    return {
        "circle": (similar.agreement, Circle(dim, theory.radius.quantile(dim, SHARE))),
        "cap": (similar.cosine, Cap(dim, theory.cap.quantile(dim, SHARE))),
        "power 3": (similar.dot, Power(3)),
        "compact": (similar.closeness, Compact(2.0)),
        "entmax 1.5": (similar.dot, Entmax(1.5, BETA)),
        f"top {KEPT}": (similar.dot, TopK(KEPT, BETA)),
    }


def _stored(
    dim: int, count: int, separation: Separation, similarity: Similarity = similar.dot
) -> tuple[Patterns, Tensor]:
    """Write random unit vectors; return the memory and the very rows that it keeps, for all routes."""
    keys = torch.randn(count, dim, generator=torch.Generator().manual_seed(0))
    keys /= keys.norm(dim=1, keepdim=True)
    return _sharing(keys, similarity, separation), keys


def _sharing(keys: Tensor, similarity: Similarity, separation: Separation) -> Patterns:
    """Return a memory whose keys are these rows themselves, so that many of them need the room of one."""
    memory = Patterns(keys.shape[1], similarity=similarity, separation=separation)
    memory.write(keys[:1])
    memory._buffers.update(keys=keys, ids=torch.arange(len(keys)))
    return memory


def _packed(signs: Tensor, separation: Separation) -> Patterns | None:
    """Return a memory that keeps these bits 64 to a word, where it can."""
    if "storage" not in inspect.signature(Patterns).parameters:
        return None
    memory = Patterns(
        signs.shape[1], similarity=similar.agreement, separation=separation, storage="bits"
    )
    for part in _pieces(signs):
        memory.write(part)
    return memory


def _places(count: int, batch: int) -> Tensor:
    """Choose patterns to ask for, spread over all; a larger batch begins with the smaller one."""
    return torch.arange(batch) * STRIDE % count


def _cues(keys: Tensor, batch: int) -> Tensor:
    """Return patterns with noise added."""
    noise = torch.randn(
        max(batch, ASKED), keys.shape[1], generator=torch.Generator().manual_seed(1)
    )
    return keys[_places(len(keys), batch)] + NOISE * noise[:batch] / math.sqrt(keys.shape[1])


def _attentions(query: Tensor, keys: Tensor, beta: float, expected: Tensor) -> list[Route]:
    """Return what others offer for a softmax read."""
    whole = 2 * 4 * len(query) * len(keys) <= _peers.LARGEST
    routes = [_reader(SINGLE, partial(_attention, query, keys, beta), expected)]
    if whole:
        routes.append(_reader(BATCHED, partial(_formula, query, keys, beta), expected))
    module = _peers.torchhd()
    if module is not None and whole:
        routes.append(
            _reader(
                "torch-hd, attention", lambda: module.attention(query, keys, keys, beta), expected
            )
        )
    attend = _peers.attend(beta)
    if attend is not None:
        routes.append(
            _reader("x-transformers, Attend(flash=True)", partial(attend, query, keys), expected)
        )
    return routes


def _attention(query: Tensor, keys: Tensor, beta: float) -> Tensor:
    """Call torch's kernel with the shapes that it is fast with."""
    value = torch.nn.functional.scaled_dot_product_attention(
        query[None, None], keys[None, None], keys[None, None], scale=beta
    )
    return value[0, 0]


def _formula(query: Tensor, keys: Tensor, beta: float) -> Tensor:
    """Write the formula down as it stands."""
    return torch.softmax(beta * (query @ keys.T), -1) @ keys


def _again(read: Callable[[Tensor, Tensor, float], Tensor], query: Tensor, keys: Tensor) -> Tensor:
    for _ in range(STEPS):
        query = read(query, keys, BETA)
    return query


def _exact(query: Tensor, keys: Tensor, similarity: Similarity, separation: Separation) -> Tensor:
    """Read in float64: all scores, all weights, and the sum, with nothing cut but the keys that are widened."""
    return _exactly(query, keys, {"": (similarity, separation)})[""]


def _exactly(
    query: Tensor, keys: Tensor, rules: Mapping[str, tuple[Similarity, Separation]]
) -> dict[str, Tensor]:
    """Read in float64 by several rules, for which the keys are widened together."""
    parts, query = _pieces(keys), query.double()
    scores: dict[Similarity, list[Tensor]] = {similarity: [] for similarity, _ in rules.values()}
    for part in parts:
        wide = part.double()
        for similarity, found in scores.items():
            found.append(similarity(query, wide))
    weights = {
        name: _pieces(separation(torch.cat(scores[similarity], -1)), -1)
        for name, (similarity, separation) in rules.items()
    }
    sums = {name: torch.zeros(len(query), keys.shape[1], dtype=torch.float64) for name in rules}
    for place, part in enumerate(parts):
        wide = part.double()
        for name in rules:
            sums[name] += weights[name][place] @ wide
    return sums


def _pieces(rows: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut rows that are to be widened a piece at a time."""
    return torch.split(rows, PIECE, dim)


def _reader(name: str, call: Callable[[], Any], expected: Tensor, ours: bool = False) -> Route:
    """Check a read by the largest difference, as a share of the largest number of the answer."""

    def check() -> float:
        found = call()
        found = (found if isinstance(found, Tensor) else found.value)[: len(expected)].double()
        return float((found - expected[: len(found)]).abs().max() / expected.abs().max())

    return Route(name, call, check, ours)


def _scoring(limits: Limits, batch: int, count: int, dim: int) -> float:
    """Return the seconds of one product, or of reading the keys."""
    return max(2 * batch * count * dim / limits.single, limits.reading(4 * count * dim))
