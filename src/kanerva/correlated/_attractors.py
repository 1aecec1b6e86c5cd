"""The attractors of a memory with links, and the mode in which it recalls."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.correlated._measures import overlaps as overlaps_
from kanerva.correlated._measures import spread_of
from kanerva.memory import Linked

__all__ = ["Attractors", "attractors"]

# Thresholds of the modes: the least spread of states that differ; the largest mean overlap with
# neighbours of a memory recalled alone; the share of starts that must end at their own memory; the
# least overlap with it; the least correlation of neighbouring attractors in the wide mode; and the
# effective number of attended memories above which a state is mixed.
DIFFERENT, ALONE, MOST, OWN, TOGETHER, MIXED = 0.1, 0.05, 0.95, 0.5, 0.2, 1.2
# States that differ by less than this share of the patterns have nothing left of their starts.
VANISHED = 1e-4
# The share of the changes of the best match that follow links in a sequence.
ALONG = 0.9


class Attractors(NamedTuple):
    """Where a memory ends from each of its patterns.

    Attributes:
        states: ``(m, d)`` the last states, one for each start.
        overlaps: ``(m, p)`` their Pearson correlation with each of the p patterns.
        correlations: ``(m, m)`` their Pearson correlation with one another.
        spread: standard deviation of the states over the starts, as a share of that of all their
            numbers; 0 where all starts end alike.
        speed: mean absolute difference of a read from its state, by which a step of size 1 would
            still move; 0 at rest.
        converged: ``(m,)`` which recalls came to rest.
        mode: ``"auto"``, ``"narrow"``, ``"wide"``, ``"quiescent"``, ``"sequence"`` or
            ``"unclassified"``; see ``attractors``.
    """

    states: Float[Tensor, "m d"]
    overlaps: Float[Tensor, "m p"]
    correlations: Float[Tensor, "m m"]
    spread: float
    speed: float
    converged: Bool[Tensor, "m"]
    mode: str


@door
def attractors(
    memory: Linked,
    *,
    noise: float = 1.0,
    seed: int | torch.Generator = 0,
    starts: Float[Tensor, "m d"] | None = None,
    steps: int = 100,
) -> Attractors:
    r"""Recall from every pattern, and name the mode of the memory.

    The modes, by the spread of the last states, their overlaps with the own pattern and with those
    it is linked to, and the correlation of the states of linked starts:

    * ``"quiescent"``: all starts end alike, with a spread below 0.1 or differences that are small
      beside the patterns;
    * ``"sequence"``: links have a direction, and the best match still moves along them;
    * ``"auto"``: the own pattern alone, with a mean overlap above 0.5, best in 95 % of the starts,
      and neighbours below 0.05;
    * ``"narrow"``: the own pattern best, and neighbours with it;
    * ``"wide"``: states that mix several patterns, with a correlation of linked starts above 0.2
      and hetero-association > 0;
    * ``"unclassified"``: anything else.

    Args:
        memory: auto-associative, with one pattern or more.
        noise: each start is a pattern plus this number times uniform noise from -0.5 to 0.5; 0
            where the memory stores bits.
        seed: an integer >= 0 or a CPU generator, for the noise.
        starts: ``(m, d)`` starts of your own, one for each pattern, to which no noise is added.
        steps: at most so many steps of the memory's rate.

    Returns:
        the attractors.

    Raises:
        InputError: a memory that is empty or has values of its own, or arguments that do not fit.

    Example:
        >>> import networkx, torch, kanerva
        >>> from kanerva import correlated
        >>> memory = kanerva.cdam(1000, beta=1.0)
        >>> ids = memory.write(torch.rand(30, 1000, generator=torch.Generator().manual_seed(0)))
        >>> memory.connect(networkx.cycle_graph(30))
        >>> for auto in (1.0, 0.5, -0.5):
        ...     correlated.attractors(memory.at(auto=auto, hetero=1 - auto)).mode
        'auto'
        'narrow'
        'wide'

    Source: the modes are named by Burns 2024; the thresholds are this library's.
    """
    checks.instance("memory", memory, Linked, "build one with kanerva.cdam")
    if not memory.autoassociative or len(memory) == 0:
        got = "empty" if memory.autoassociative else "one with values of its own"
        do = "build it without value_dim, and write patterns"
        refuse("memory", got=got, must="auto-associative, with a pattern", do=do)
    patterns, noise = _patterns(memory), checks.number("noise", noise, 0)
    source = arrays.generator(seed)
    if starts is None:
        starts = _noisy(memory, patterns, noise, source)
    else:
        starts = arrays.finite("starts", arrays.rows("starts", starts, len(patterns), memory.dim))
    found = memory.settle(starts, steps=steps)
    states, read = found.state, memory.read(found.state)
    matches, together = overlaps_(states, patterns), overlaps_(states, states)
    spread, speed = spread_of(states), float((read - states).abs().mean())
    mode = _mode(memory, states, matches, together, spread)
    return Attractors(states, matches, together, spread, speed, found.converged, mode)


def _patterns(memory: Linked) -> Tensor:
    """Return the stored patterns in the dtype of the memory."""
    return memory.keys[:].to(memory.dtype)


def _noisy(memory: Linked, patterns: Tensor, noise: float, seed: int | torch.Generator) -> Tensor:
    """Return a start for each pattern."""
    source = arrays.generator(seed)
    if noise == 0:
        return patterns
    if memory.key_bits:
        do = "give noise=0, or starts with bits that you flipped"
        refuse("noise", got=f"{noise:g}", must="0 where the memory stores bits", do=do)
    drawn = torch.rand(patterns.shape, generator=source, dtype=torch.float64) - 0.5
    return patterns + noise * drawn.to(patterns)


def _mode(memory: Linked, states: Tensor, matches: Tensor, together: Tensor, spread: float) -> str:
    """Name the mode of a memory from where its starts ended."""
    sources, targets, others = memory.sources, memory.targets, memory.sources != memory.targets
    sources, targets = sources[others], targets[others]
    # A single start differs from no other: it is quiescent where nothing is left of it.
    middle = states.mean(0) if len(states) > 1 else states.mean()
    nothing = float((states - middle).std()) <= VANISHED * float(_patterns(memory).std())
    if nothing or (spread < DIFFERENT and len(states) > 1):
        return "quiescent"
    linked = torch.zeros(len(memory), len(memory), dtype=torch.bool, device=states.device)
    linked[sources, targets] = True
    if not torch.equal(linked, linked.mT) and _moves(memory, states, linked):
        return "sequence"
    places = torch.arange(len(memory), device=states.device)
    own = float((matches.argmax(-1) == places).double().mean())
    near = float(matches[sources, targets].mean()) if len(sources) else -1.0
    if own >= MOST and float(matches.diagonal().mean()) > OWN:
        return "narrow" if near >= ALONE else "auto"
    close = float(together[sources, targets].mean()) if len(sources) else -1.0
    mixed = float(memory.explain(states).effective.mean()) > MIXED or own < MOST
    return "wide" if memory.hetero > 0 and close > TOGETHER and mixed else "unclassified"


def _moves(memory: Linked, states: Tensor, linked: Tensor) -> bool:
    """Return whether the best match of most states still moves, along links."""
    patterns = _patterns(memory)

    def best(state: Tensor) -> Tensor:
        return overlaps_(state, patterns).argmax(-1, keepdim=True)

    steps = max(8, round(8 / memory.rate))
    path = memory.trace(states, steps=steps, keep=best).states.squeeze(-1)
    before, after = path[:-1], path[1:]
    moved = before != after
    along = (linked[before, after] & moved).sum() >= ALONG * moved.sum()
    return bool(moved.any(0).double().mean() > 0.5) and bool(along)
