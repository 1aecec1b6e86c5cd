"""Reads of stored patterns: softmax, other rules, five steps, pruned, nearest, and a density."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from torch import Tensor

from kanerva import bits as vectors
from kanerva import similarity as similar
from kanerva import theory
from kanerva.lab.bench import _peers
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case
from kanerva.lab.bench._patterns import (
    BATCHED,
    BETA,
    CHECKED,
    SINGLE,
    Rule,
    answers,
    attentions,
    cues,
    kernel,
    over,
    pieces,
    places,
    plain,
    reader,
    softmax_answer,
    unit_rows,
)
from kanerva.lab.bench._sizes import Sizes
from kanerva.memory import Patterns
from kanerva.separation import Argmax, Cap, Circle, Compact, Entmax, Power, Softmax, TopK

__all__ = ["density", "nearest", "pruned", "recall", "rules", "softmax"]

# Inverse temperatures of a density, and of a read in which one pattern has nearly all weight.
WIDE, SHARP = 4.0, 32.0
# Of bits, one in so many is flipped to make a cue.
EVERY = 10
# The largest error, as a share of the largest number of an answer. The kernel of torch has such
# errors in a sum over a million patterns for one query. Where a rule has a hard boundary, float32
# may select other patterns than float64.
ALLOWED = 2e-3
# The same after five steps, which amplify the rounding error of the first.
SPREAD = 1e-2
STEPS, KEPT, SHARE = 5, 32, 0.001
# Rules other than softmax are compared up to so many products of numbers.
LARGE = 10**11


def softmax(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read once by softmax."""
    for dim, count in product(sizes.dims, sizes.patterns):
        keys = unit_rows(count, dim)
        memory = over(keys, (similar.dot, Softmax(BETA)))
        expected = softmax_answer(cues(keys, CHECKED), keys, BETA)
        for batch in sizes.queries:
            query = cues(keys, batch)
            ours = reader("kanerva", partial(memory.read, query), expected, True)
            routes = [ours, *attentions(query, keys, BETA, expected)]
            limit = limits.attending(batch, count, dim)
            yield Case("softmax", _setting(dim, count, batch), routes, ALLOWED, limit)


def rules(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read once by each rule; the softmax read is the peer of all of them."""
    for dim, count in product(sizes.dims, sizes.patterns):
        keys = unit_rows(count, dim)
        signs = torch.where(keys < 0, -1.0, 1.0)
        most = max(CHECKED, *sizes.queries)
        flipped = vectors.flip(signs[places(count, most)], dim // EVERY, seed=3)
        memories, expected = _memories(keys, signs, flipped)
        for batch in sizes.queries:
            if count * batch * dim > LARGE:
                continue
            query = cues(keys, batch)
            routes = []
            for name, memory in memories.items():
                call = partial(memory.read, flipped[:batch] if memory.key_bits else query)
                ours = name != "softmax read"
                title = f"kanerva, {name}" if ours else name
                routes.append(reader(title, call, expected[name], ours))
            yield Case("rules", _setting(dim, count, batch), routes, ALLOWED)


def recall(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Recall in five steps."""
    dim, count, batch = sizes.one
    keys = unit_rows(count, dim)
    memory, query = over(keys, (similar.dot, Softmax(BETA))), cues(keys, batch)
    expected = query[:CHECKED]
    for _ in range(STEPS):
        expected = softmax_answer(expected, keys, BETA)
    call = partial(memory.recall, query, steps=STEPS)
    routes = [reader("kanerva, recall of five steps", call, expected, True)]
    for name, read in ((SINGLE, kernel), (BATCHED, plain)):
        routes.append(reader(f"{name}, five times", partial(_again, read, query, keys), expected))
    limit = STEPS * limits.attending(batch, count, dim)
    yield Case("recall", _setting(dim, count, batch), routes, SPREAD, limit)


def pruned(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read only the patterns that matter, where one pattern has nearly all weight."""
    dim, count, batch = sizes.pruned
    keys = unit_rows(count, dim)
    memory, query = over(keys, (similar.dot, Softmax(SHARP))), cues(keys, batch)
    expected = softmax_answer(query[:CHECKED], keys, SHARP)
    call = partial(memory.read, query, tolerance=1e-6)
    ours = reader("kanerva, tolerance of 1e-6", call, expected, True)
    routes = [ours, *attentions(query, keys, SHARP, expected)]
    limit = limits.attending(batch, count, dim)
    yield Case("pruned", _setting(dim, count, batch), routes, ALLOWED, limit)


def nearest(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read the nearest pattern."""
    dim, count, batch = sizes.one
    keys, rule = unit_rows(count, dim), (similar.dot, Argmax())
    memory, query = over(keys, rule), cues(keys, batch)
    expected = answers(query[:CHECKED], keys, {"": rule})[""]

    def formula() -> Tensor:
        return keys[(query @ keys.T).argmax(-1)]

    routes = [
        reader("kanerva", partial(memory.read, query), expected, True),
        reader("torch, X[(q Xᵀ).argmax()]", formula, expected),
    ]
    search = _peers.neighbours(keys)
    if search is not None:
        routes.append(reader("scikit-learn, NearestNeighbors", partial(search, query), expected))
    limit = limits.scoring(batch, count, dim)
    yield Case("nearest", _setting(dim, count, batch), routes, ALLOWED, limit)


def density(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Return the negative logarithm of a Gaussian density, which is an energy."""
    dim, count, batch = sizes.one
    keys = unit_rows(count, dim)
    memory, query = over(keys, (similar.closeness, Softmax(WIDE))), cues(keys, batch)
    few = query[:CHECKED].double()
    scores = torch.cat([similar.closeness(few, part.double()) for part in pieces(keys)], -1)
    expected = -(WIDE * scores).logsumexp(-1) / WIDE

    def formula() -> Tensor:
        norms = query.square().sum(-1, keepdim=True) + keys.square().sum(-1)
        squares = (norms - 2 * query @ keys.T) / 2
        return -(-WIDE * squares).logsumexp(-1) / WIDE

    routes = [
        reader("kanerva", partial(memory.energy, query), expected, True),
        reader("torch, logsumexp(-beta |q - X|²/2)", formula, expected),
    ]
    module = _peers.scikit()
    if module is not None:
        fitted = module.KernelDensity(bandwidth=WIDE**-0.5).fit(keys.numpy())
        constant = math.log(count) + dim / 2 * math.log(2 * math.pi / WIDE)

        def scored() -> Tensor:
            return -(torch.from_numpy(fitted.score_samples(query.numpy())) + constant) / WIDE

        routes.append(reader("scikit-learn, KernelDensity", scored, expected))
    limit = limits.scoring(batch, count, dim)
    yield Case("density", _setting(dim, count, batch), routes, ALLOWED, limit)


def _setting(dim: int, count: int, batch: int) -> dict[str, int]:
    return {"d": dim, "N": count, "B": batch}


def _rules(dim: int) -> dict[str, Rule]:
    """Return the rules by name; circle and cap have one pattern in a thousand within reach."""
    return {
        "softmax read": (similar.dot, Softmax(BETA)),
        "circle": (similar.agreement, Circle(dim, theory.radius.quantile(dim, SHARE))),
        "cap": (similar.cosine, Cap(dim, theory.cap.quantile(dim, SHARE))),
        "power 3": (similar.dot, Power(3)),
        "compact": (similar.closeness, Compact(2.0)),
        "entmax 1.5": (similar.dot, Entmax(1.5, BETA)),
        f"top {KEPT}": (similar.dot, TopK(KEPT, BETA)),
    }


def _memories(
    keys: Tensor, signs: Tensor, flipped: Tensor
) -> tuple[dict[str, Patterns], dict[str, Tensor]]:
    """Return a memory for each rule, over the keys or their signs, and the answers in float64."""
    rules = _rules(keys.shape[1])
    memories = {name: over(signs, rule) for name, rule in rules.items()}
    binary = {name: rule for name, rule in rules.items() if memories[name].key_bits}
    real = {name: rule for name, rule in rules.items() if name not in binary}
    memories |= {name: over(keys, rule) for name, rule in real.items()}
    expected = answers(cues(keys, CHECKED), keys, real)
    expected |= answers(flipped[:CHECKED], signs, binary)
    for name, rule in binary.items():
        memories[f"{name} of packed bits"] = _packed(signs, rule)
        expected[f"{name} of packed bits"] = expected[name]
    return memories, expected


def _packed(signs: Tensor, rule: Rule) -> Patterns:
    """Return a memory that stores these bits 64 to a word."""
    similarity, separation = rule
    memory = Patterns(signs.shape[1], similarity=similarity, separation=separation, storage="bits")
    for part in pieces(signs):
        memory.write(part)
    return memory


def _again(read: Callable[[Tensor, Tensor, float], Tensor], query: Tensor, keys: Tensor) -> Tensor:
    for _ in range(STEPS):
        query = read(query, keys, BETA)
    return query
