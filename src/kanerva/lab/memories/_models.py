"""The memories of this library: how a comparison chooses their parameters, and what they are."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kanerva._core import checks
from kanerva.lab.citations import MEMORIES, short
from kanerva.lab.memories._annealed import ANNEALED
from kanerva.lab.memories._densities import DENSITIES
from kanerva.lab.memories._entropic import ENTROPIC
from kanerva.lab.memories._entry import DOMAINS, Chosen, Entry, Facts, Number, Parameter

__all__ = ["ENTRIES", "table"]

Values = Mapping[str, Any]

# The counters of a location store take at most so many bytes, unless locations are given.
COUNTERS = 32 * 2**20
# The share of patterns that are recalled at what theory calls the capacity.
RECALLED = 0.95
# Of the memories that store real numbers.
SIMILARITIES = ("closeness", "cosine", "dot")
# What the rows of a memory with links are linked to.
LINKS = ("order", "nearest")


def _value(chosen: Chosen, entry: str, name: str) -> int | float | None:
    """Return a number that was chosen or given; None where there is none."""
    values = (one.value for one in chosen.get(entry, []) if one.name == name)
    value = next(values, None)
    return None if value is None else checks.plain(name, value)


def _hopfield(facts: Facts, chosen: Chosen) -> list[Parameter]:
    why = "as in the paper: no neuron acts on itself"
    return [Parameter("diagonal", "zero", why)]


def _dense(facts: Facts, chosen: Chosen) -> list[Parameter]:
    # Order k recalls n^(k-1) / (2 (2k-3)!! ln n) patterns without error (Krotov and Hopfield 2016).
    order, odd = 3, 3
    needed = facts.patterns * 2 * math.log(max(facts.dim, 3))
    while facts.dim ** (order - 1) < needed * odd and order < 20:
        order += 1
        odd *= 2 * order - 3
    why = f"the least, from 3, that holds {facts.patterns} random patterns without error"
    return [Parameter("order", order, why, 2, 60, "log", tuned=True)]


def _exponential(facts: Facts, chosen: Chosen) -> list[Parameter]:
    low, high = 2 / facts.dim, 4.0
    return [Parameter("beta", 1.0, "as in the paper", low, high, "log", tuned=True)]


def _similarity(facts: Facts, chosen: Chosen) -> Parameter:
    """Choose how queries are compared with patterns."""
    given = next((one.value for one in chosen["given"] if one.name == "similarity"), None)
    if given is not None:
        return Parameter("similarity", checks.choice("similarity", given, SIMILARITIES), "given")
    if facts.binary:
        return Parameter("similarity", "dot", "as in the paper")
    why = "minus half the squared Euclidean distance: the nearest wins, not the longest"
    return Parameter("similarity", "closeness", why)


def _beta(facts: Facts, similarity: Parameter) -> Parameter:
    """Choose the beta at which the others together weigh 1 %.

    Real patterns may lie much closer to each other than at the median, and must come back, too.
    """
    apart, where = facts.gap, "at the median pattern"
    if not facts.binary:
        apart, where = facts.closest, "at 99 % of the patterns"
    if similarity.value == "cosine":
        apart = facts.angle
    beta = math.log(100 * max(facts.patterns - 1, 1)) / apart
    why = f"leaves all other patterns at most 1 % of the weight, {where}"
    beta = float(f"{beta:.3g}")
    return Parameter("beta", beta, why, beta / 16, 16 * beta, "log", tuned=True)


def _modern(facts: Facts, chosen: Chosen) -> list[Parameter]:
    similarity = _similarity(facts, chosen)
    return [_beta(facts, similarity), similarity]


def _sparse(facts: Facts, chosen: Chosen) -> list[Parameter]:
    similarity = _similarity(facts, chosen)
    beta = _beta(facts, similarity)._replace(why="that of the modern Hopfield network")
    return [beta, Parameter("alpha", 2.0, "sparsemax, as in the paper"), similarity]


def _cdam(facts: Facts, chosen: Chosen) -> list[Parameter]:
    similarity = _similarity(facts, chosen)
    beta = _beta(facts, similarity)._replace(why="that of the modern Hopfield network")
    auto = "above that of hetero-association, so that signs are those of the pattern"
    links = "each row with the next, as in a serial order; or nearest, with the row most like it"
    return [
        beta,
        Parameter("auto", 0.8, auto),
        Parameter("hetero", 0.2, "the rest of 1"),
        Parameter("links", "order", links, choices=LINKS),
        similarity,
    ]


def _sdm(facts: Facts, chosen: Chosen) -> list[Parameter]:
    from kanerva import theory

    most = COUNTERS // (4 * (facts.dim + 1))
    rounded = int(float(f"{most:.0e}"))
    locations = max(1000, rounded if rounded <= most else int(0.9 * most))
    locations = int(_value(chosen, "given", "locations") or locations)
    best = theory.radius.optimal(facts.dim, facts.patterns, locations)
    size = f"as many as fit into counters of {COUNTERS // 2**20} MiB"
    why = (
        f"best signal to noise for {facts.patterns} random patterns, p = (2 M T)^(-1/3); "
        f"activates {best.activation * locations:.0f}"
    )
    # A smaller radius activates less than one location on average.
    low = theory.radius.quantile(facts.dim, 1 / locations)
    return [Parameter("locations", locations, size), _radius(facts, best.radius, why, low)]


def _sdm_patterns(facts: Facts, chosen: Chosen) -> list[Parameter]:
    from kanerva import theory

    best = theory.radius.optimal(facts.dim, facts.patterns)
    stored = f"{facts.patterns} random patterns and unlimited locations"
    return [_radius(facts, best.radius, f"best signal to noise for {stored}")]


def _attention(facts: Facts, chosen: Chosen) -> list[Parameter]:
    from kanerva import theory

    given, matched = _value(chosen, "given", "radius"), _value(chosen, "sdm_patterns", "radius")
    best = theory.radius.optimal(facts.dim, facts.patterns).radius
    radius = next((one for one in (given, matched) if one is not None), best)
    beta = theory.beta.fit(facts.dim, int(radius)).beta
    why = f"that of the SDM it matches; the fitted beta is {beta:.3g} per unit of cosine"
    return [_radius(facts, int(radius), why)]


def _radius(facts: Facts, radius: int, why: str, low: int = 1) -> Parameter:
    """Return a radius in bits, from 16 to 1 standard deviations below the mean distance, n / 2."""
    deviation = math.sqrt(facts.dim) / 2
    low = max(low, round(facts.dim / 2 - 16 * deviation))
    high = max(low, round(facts.dim / 2 - deviation))
    return Parameter("radius", radius, why, low, high, tuned=True)


def _winners(facts: Facts) -> Parameter:
    """Choose how many units are active in a read."""
    if facts.ones is None:
        return Parameter("winners", None, "the number of +1 differs: each unit has a threshold")
    return Parameter("winners", facts.ones, "the number of +1 in every pattern")


def _willshaw(facts: Facts, chosen: Chosen) -> list[Parameter]:
    return [_winners(facts)]


def _covariance(facts: Facts, chosen: Chosen) -> list[Parameter]:
    share = float(f"{facts.activity:.4g}")
    return [Parameter("activity", share, "the share of +1 among the bits"), _winners(facts)]


def _hopfield_holds(facts: Facts, given: Values) -> float:
    from kanerva.theory import capacity

    return capacity.hopfield(facts.dim)


def _dense_holds(facts: Facts, given: Values) -> float:
    from kanerva.theory import capacity

    return capacity.dense(facts.dim, given["order"])


def _exponential_holds(facts: Facts, given: Values) -> float:
    from kanerva.theory import capacity

    return capacity.exponential(facts.dim)


def _modern_holds(facts: Facts, given: Values) -> float | None:
    from kanerva.theory import capacity

    if not facts.binary or given["similarity"] != "dot":
        return None
    scale = math.sqrt(facts.dim / (facts.dim - 1))
    return capacity.modern(facts.dim, given["beta"], scale, 1 - RECALLED).patterns


def _sdm_holds(facts: Facts, given: Values) -> float:
    from kanerva.theory import capacity

    locations = given.get("locations", math.inf)
    return capacity.patterns(facts.dim, given["radius"], locations, RECALLED)


def _willshaw_holds(facts: Facts, given: Values) -> float | None:
    from kanerva.theory import capacity

    return facts.ones and capacity.willshaw(facts.dim, facts.ones).patterns


def _covariance_holds(facts: Facts, given: Values) -> float:
    from kanerva.theory import capacity

    return capacity.covariance(facts.dim, facts.activity)


def _constructor(name: str) -> Callable[..., Any]:
    """Return a constructor of ``kanerva.models``, which is imported when it is first called."""

    def construct(dim: int, **parameters: Number) -> Any:
        from kanerva import models

        return getattr(models, name)(dim, **parameters)

    return construct


def _comparing(name: str) -> Callable[..., Any]:
    """Return a constructor of ``kanerva.models`` whose memory compares by a named similarity."""

    def construct(dim: int, similarity: str = "dot", **parameters: Number) -> Any:
        from kanerva import Patterns, models
        from kanerva import similarity as similarities

        built = getattr(models, name)(dim, **parameters)
        compare = getattr(similarities, checks.choice("similarity", similarity, SIMILARITIES))
        return Patterns(dim, similarity=compare, separation=built.separation)

    return construct


def _linked(dim: int, beta: float, auto: float, hetero: float, links: str, similarity: str) -> Any:
    """Build a memory with links that recalls in whole steps; ``_link`` links its rows."""
    from kanerva import correlated, separation
    from kanerva import similarity as similarities

    compare = getattr(similarities, checks.choice("similarity", similarity, SIMILARITIES))
    rule = separation.Softmax(beta)
    memory = correlated.Linked(
        dim, auto=auto, hetero=hetero, normalise="rows", similarity=compare, separation=rule
    )
    memory.__dict__["linked_to"] = checks.choice("links", links, LINKS)
    return memory


def _link(memory: Any, data: Any) -> None:
    """Store rows, and link each in both ways with the next or with the one most like it."""
    from kanerva.similarity import closeness

    ids = memory.write(data.real)
    if len(ids) < 2:
        return
    ends = ids[1:], ids[:-1]
    if memory.linked_to == "nearest":
        near = closeness(data.real, data.real).fill_diagonal_(-math.inf)
        ends = ids, ids[near.argmax(-1)]
    memory.link(*ends)
    memory.link(*reversed(ends))


def _model(
    constructor: str,
    title: str,
    domains: tuple[str, ...],
    pick: Callable[[Facts, Chosen], list[Parameter]],
    construct: Callable[[str], Callable[..., Any]] = _constructor,
    **more: Any,  # further fields of Entry
) -> Entry:
    """Make the entry of a constructor of ``kanerva.models``."""
    return Entry(title, domains, MEMORIES[constructor], pick, construct(constructor), **more)


def _is_sparse(facts: Facts) -> bool:
    """Return whether few bits are +1."""
    return facts.unbalanced and 0 < facts.activity < 0.5


def _is_unbalanced(facts: Facts) -> bool:
    """Return whether few bits are +1, or few are -1."""
    return facts.unbalanced and 0 < facts.activity < 1


ENTRIES: dict[str, Entry] = {
    "hopfield": _model("hopfield", "Hopfield", ("bits",), _hopfield, theory=_hopfield_holds),
    "dense": _model("dense", "Dense", ("bits",), _dense, theory=_dense_holds),
    "exponential": _model(
        "exponential", "Exponential", ("bits",), _exponential, theory=_exponential_holds
    ),
    "modern_hopfield": _model(
        "modern_hopfield", "Modern Hopfield", DOMAINS, _modern, _comparing, theory=_modern_holds
    ),
    "sparse_hopfield": _model("sparse_hopfield", "Sparse Hopfield", DOMAINS, _sparse, _comparing),
    "cdam": _model(
        "cdam", "CDAM", DOMAINS, _cdam, lambda _: _linked, fill=_link, suits=lambda facts: False
    ),
    "sdm": _model("sdm", "SDM, neurons", ("bits",), _sdm, theory=_sdm_holds),
    "sdm_patterns": _model(
        "sdm_patterns", "SDM, patterns", ("bits",), _sdm_patterns, theory=_sdm_holds
    ),
    "attention": _model("sdm_attention", "SDM, attention", ("bits",), _attention),
    "willshaw": _model(
        "willshaw", "Willshaw", ("bits",), _willshaw, suits=_is_sparse, theory=_willshaw_holds
    ),
    "covariance": _model(
        "covariance",
        "Covariance",
        ("bits",),
        _covariance,
        suits=_is_unbalanced,
        theory=_covariance_holds,
    ),
    **DENSITIES,
    **ANNEALED,
    **ENTROPIC,
}


class Row(NamedTuple):
    """Some constructors of ``kanerva.models``, what they build, and from which parts."""

    constructors: tuple[str, ...]
    about: str
    similarity: str
    separation: str


# The table of memories in the README.
ROWS = (
    Row(
        ("sdm",),
        "sparse distributed memory: fixed random locations with counters",
        "agreement",
        "Step",
    ),
    Row(
        ("sdm_patterns",),
        "the same memory computed from its stored patterns; unlimited or finite locations",
        "agreement, Overlap",
        "Circle, Linear",
    ),
    Row(("sdm_attention",), "the attention nearest to it", "cosine", "Softmax"),
    Row(
        ("sdm_continuous",),
        "locations on the sphere; also `sdm_continuous_patterns`, `sdm_continuous_attention`",
        "cosine",
        "Step, Cap, Softmax",
    ),
    Row(
        ("sdm_selected", "sdm_hyperplane"),
        "locations that compare only a few bits each",
        "dot",
        "Step",
    ),
    Row(("attention",), "attention over stored keys and values", "dot", "Softmax"),
    Row(("modern_hopfield",), "attention, repeated until it converges", "dot", "Softmax"),
    Row(
        ("sparse_hopfield",),
        "the same with weights that can be exactly zero",
        "dot",
        "Entmax",
    ),
    Row(("hopfield",), "outer products of bits, diagonal zero or kept", "dot", "Linear"),
    Row(("dense",), "polynomial interactions", "dot", "Power"),
    Row(("exponential",), "exponential interactions", "dot", "Exponential"),
    Row(
        ("cdam",),
        "patterns linked by a graph: one of them, its community, or a sequence",
        "dot",
        "Mixed(Softmax)",
    ),
    Row(
        ("correlated_hopfield", "sequence_hopfield"),
        "the same for bits: attractors correlated along a ring, sequences",
        "dot",
        "Mixed(Linear), Mixed(Power)",
    ),
    Row(
        ("willshaw",),
        "clipped sums of outer products, for codes in which few bits are +1",
        "dot",
        "Step",
    ),
    Row(("covariance",), "outer products less the mean activity, for sparse codes", "dot", "Step"),
)


def table() -> list[str]:
    """Return the rows of the README's table of memories, in Markdown.

    Example:
        >>> from kanerva.lab import memories
        >>> memories.table()[9]
        '| `dense` | polynomial interactions | dot | Power | Krotov and Hopfield 2016 |'
    """
    return [_line(row) for row in ROWS]


def _line(row: Row) -> str:
    """Write one row in Markdown, each source once."""
    names = ", ".join(f"`{name}`" for name in row.constructors)
    keys = [key for name in row.constructors for key in MEMORIES[name]]
    sources = "; ".join(dict.fromkeys(short(key) for key in keys))
    return f"| {names} | {row.about} | {row.similarity} | {row.separation} | {sources} |"
