"""Memories over shared rows, cues, and the routes of softmax reads, with answers in float64."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kanerva.lab.bench import _peers
from kanerva.lab.bench._measure import Route
from kanerva.memory import Patterns
from kanerva.separation import Separation, Softmax
from kanerva.similarity import Similarity, dot

__all__ = [
    "BATCHED",
    "BETA",
    "CHECKED",
    "SINGLE",
    "Rule",
    "answers",
    "attentions",
    "cues",
    "kernel",
    "over",
    "pieces",
    "places",
    "plain",
    "reader",
    "softmax_answer",
    "unit_rows",
]

Rule = tuple[Similarity, Separation]

# The inverse temperature of reads.
BETA = 16.0
# The length of the noise that is added to a pattern to make a cue.
NOISE = 0.4
# The number of queries whose answers are compared with the formula in float64.
CHECKED = 4
# So many cues are drawn at least, so that the cues of a small batch are the first of a large one.
# The patterns of consecutive cues are so many places apart.
DRAWN, STRIDE = 1024, 7919
# The number of rows that are converted to float64 at a time.
PIECE = 65_536
SINGLE, BATCHED = "torch, scaled_dot_product_attention", "torch, softmax(beta q Xᵀ) X"


def unit_rows(count: int, dim: int) -> Tensor:
    """Draw random unit vectors."""
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(0))
    return rows / rows.norm(dim=1, keepdim=True)


def over(keys: Tensor, rule: Rule) -> Patterns:
    """Return a memory that shares these rows, so that several memories need them only once."""
    memory = Patterns(keys.shape[1], similarity=rule[0], separation=rule[1])
    count = len(keys)
    state = {"keys": keys, "ids": torch.arange(count), "_next": torch.tensor(count)}
    memory.load_state_dict(memory.state_dict() | state, assign=True)
    return memory


def places(count: int, batch: int) -> Tensor:
    """Return the places of the patterns of cues, spread over all patterns."""
    return torch.arange(batch) * STRIDE % count


def cues(keys: Tensor, batch: int) -> Tensor:
    """Return patterns with noise."""
    shape = (max(batch, DRAWN), keys.shape[1])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return keys[places(len(keys), batch)] + NOISE * noise[:batch] / math.sqrt(keys.shape[1])


def pieces(rows: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Split rows into blocks that can be converted to float64."""
    return torch.split(rows, PIECE, dim)


def softmax_answer(query: Tensor, keys: Tensor, beta: float) -> Tensor:
    """Return the softmax read in float64."""
    return answers(query, keys, {"": (dot, Softmax(beta))})[""]


def answers(query: Tensor, keys: Tensor, rules: Mapping[str, Rule]) -> dict[str, Tensor]:
    """Return the reads in float64 by several rules, computed from all scores."""
    parts, query = pieces(keys), query.double()
    scores: dict[Similarity, list[Tensor]] = {similarity: [] for similarity, _ in rules.values()}
    for part in parts:
        wide = part.double()
        for similarity, found in scores.items():
            found.append(similarity(query, wide))
    weights = {
        name: pieces(separation(torch.cat(scores[similarity], -1)), -1)
        for name, (similarity, separation) in rules.items()
    }
    sums = {name: torch.zeros(len(query), keys.shape[1], dtype=torch.float64) for name in rules}
    for place, part in enumerate(parts):
        wide = part.double()
        for name in rules:
            sums[name] += weights[name][place] @ wide
    return sums


def reader(name: str, call: Callable[[], Tensor], expected: Tensor, ours: bool = False) -> Route:
    """Return a route whose error is the largest difference over the largest expected number."""

    def check() -> float:
        found = call()[: len(expected)].double()
        return float((found - expected[: len(found)]).abs().max() / expected.abs().max())

    return Route(name, call, check, ours)


def attentions(query: Tensor, keys: Tensor, beta: float, expected: Tensor) -> list[Route]:
    """Return the softmax reads of torch and of other libraries."""
    calls: dict[str, Callable[[], Tensor]] = {SINGLE: partial(kernel, query, keys, beta)}
    module = None
    if 2 * 4 * len(query) * len(keys) <= _peers.LARGEST:
        calls[BATCHED] = partial(plain, query, keys, beta)
        module = _peers.torchhd()
    if module is not None:
        calls["torch-hd, attention"] = partial(module.attention, query, keys, keys, beta)
    attend = _peers.attend(beta)
    if attend is not None:
        calls["x-transformers, Attend(flash=True)"] = partial(attend, query, keys)
    return [reader(name, call, expected) for name, call in calls.items()]


def kernel(query: Tensor, keys: Tensor, beta: float) -> Tensor:
    """Read by the attention kernel of torch, in the shape in which it is fast."""
    attention: Any = torch.nn.functional.scaled_dot_product_attention
    rows = keys[None, None]
    return attention(query[None, None], rows, rows, scale=beta)[0, 0]


def plain(query: Tensor, keys: Tensor, beta: float) -> Tensor:
    """Read by the formula."""
    return torch.softmax(beta * (query @ keys.T), -1) @ keys
