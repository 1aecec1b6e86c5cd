"""The memories that a comparison knows by name: how each is built, with which parameters, and why these."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva import models, theory
from kanerva._core.errors import door, refuse
from kanerva.memory import Memory

__all__ = ["ENTRIES", "Entry", "Facts", "Parameter", "choose", "measure"]

Number = int | float | str
# What the counters of the neuron view may take, unless the number of locations is given.
COUNTERS = 32 * 2**20
# How many patterns are compared with all others to learn how far apart the data are.
COMPARED = 1000


class Facts(NamedTuple):
    """What the parameters are chosen from: how many patterns, how long, how far apart.

    Attributes:
        patterns: m, how many are to be stored.
        dim: n, the length of each.
        gap: the median over patterns of x.x - max x.y over the other patterns y, in units of the dot product.
    """

    patterns: int
    dim: int
    gap: float


class Parameter(NamedTuple):
    """One number of a memory, and where it comes from.

    Attributes:
        name: as the constructor calls it.
        value: what it is.
        why: in words.
    """

    name: str
    value: Number
    why: str


Chosen = Mapping[str, list[Parameter]]


@dataclass(frozen=True)
class Entry:
    """A memory that can take part in a comparison.

    * ``title``: what a reader calls it.
    * ``domains``: of ``"bits"`` and ``"real"``, what it can store.
    * ``pick``: from the facts and what was chosen for the entries before it to its parameters.
    * ``build``: the constructor, called with the length of a pattern and the parameters.

    Example:
        >>> from kanerva.lab.memories import ENTRIES, Facts
        >>> entry = ENTRIES["dense"]
        >>> [(parameter.name, parameter.value) for parameter in entry.pick(Facts(1797, 64, 10.0), {})]
        [('order', 4)]
    """

    title: str
    domains: tuple[str, ...]
    pick: Callable[[Facts, Chosen], list[Parameter]]
    build: Callable[..., Memory]


def measure(x: Float[Tensor, "m n"], seed: int = 0) -> Facts:
    """Learn from the patterns what their memories are to be fitted to.

    Args:
        x: ``(m, n)``.
        seed: an integer >= 0: which patterns are compared, where there are very many.

    Returns:
        the facts.

    Example:
        >>> import torch
        >>> from kanerva.lab.memories import measure
        >>> measure(2 * torch.eye(3)).gap
        4.0
    """
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(x), generator=draw)[:COMPARED]
    dots = x[rows] @ x.T
    own = dots.gather(1, rows[:, None])
    # The pattern itself, and its duplicates, are no neighbours.
    same = (x[rows].square().sum(-1)[:, None] - 2 * dots + x.square().sum(-1)) <= 1e-6 * own.abs()
    gap = (own - dots.masked_fill(same, -math.inf).amax(1, keepdim=True)).flatten()
    gap = gap[gap.isfinite() & (gap > 0)]
    return Facts(
        len(x), x.shape[1], float(gap.median()) if len(gap) else float(own.abs().mean()) or 1.0
    )


@door("recall")
def choose(
    names: list[str], facts: Facts, given: Mapping[str, Number]
) -> dict[str, list[Parameter]]:
    """Choose the parameters of some entries, by theory or as given.

    Args:
        names: of ``ENTRIES``.
        facts: of the data.
        given: parameters to take instead, such as ``{"sdm.radius": 24}``.

    Returns:
        for each name its parameters.

    Raises:
        InputError: a given parameter that no entry among ``names`` has.

    Example:
        >>> from kanerva.lab.memories import Facts, choose
        >>> choose(["sdm_patterns"], Facts(1024, 64, 10.0), {})["sdm_patterns"][0].value
        11
    """
    chosen: dict[str, list[Parameter]] = {}
    for name in sorted(names, key=list(ENTRIES).index):
        mine = {
            key.partition(".")[2]: value
            for key, value in given.items()
            if key.partition(".")[0] == name
        }
        picked = {
            parameter.name: parameter
            for parameter in ENTRIES[name].pick(facts, chosen | {"given": _given(mine)})
        }
        for key, value in mine.items():
            if key not in picked:
                known = ", ".join(f"{name}.{parameter}" for parameter in picked)
                refuse(
                    "set",
                    must=f"one of {known}" if known else f"left out for {name}",
                    got=f"{name}.{key}",
                    do="check its name",
                )
            picked[key] = Parameter(key, value, "given")
        chosen[name] = list(picked.values())
    strange = [key for key in given if key.partition(".")[0] not in names]
    if strange:
        must = f"NAME.PARAMETER=VALUE with a name among {', '.join(names)}"
        refuse("set", must=must, got=strange[0], do="name a memory that takes part")
    return chosen


def _given(values: Mapping[str, Number]) -> list[Parameter]:
    return [Parameter(key, value, "given") for key, value in values.items()]


def _value(chosen: Chosen, entry: str, name: str) -> Number | None:
    return next(
        (parameter.value for parameter in chosen.get(entry, []) if parameter.name == name), None
    )


def _hopfield(facts: Facts, chosen: Chosen) -> list[Parameter]:
    return [Parameter("diagonal", "zero", "as in the paper: no neuron acts on itself")]


def _dense(facts: Facts, chosen: Chosen) -> list[Parameter]:
    # Patterns recalled without error: n^(k-1) / (2 (2k-3)!! ln n) for order k (Krotov and Hopfield 2016).
    order, odd = 3, 3
    while (
        facts.dim ** (order - 1) < facts.patterns * 2 * odd * math.log(max(facts.dim, 3))
        and order < 20
    ):
        order += 1
        odd *= 2 * order - 3
    return [
        Parameter(
            "order",
            order,
            f"the least, from 3, that holds {facts.patterns} random patterns without error",
        )
    ]


def _exponential(facts: Facts, chosen: Chosen) -> list[Parameter]:
    return [Parameter("beta", 1.0, "as in the paper")]


def _beta(facts: Facts) -> Parameter:
    beta = math.log(100 * max(facts.patterns - 1, 1)) / facts.gap
    return Parameter(
        "beta",
        float(f"{beta:.3g}"),
        "leaves all other patterns at most 1 % of the weight, at the median pattern",
    )


def _modern(facts: Facts, chosen: Chosen) -> list[Parameter]:
    return [_beta(facts)]


def _sparse(facts: Facts, chosen: Chosen) -> list[Parameter]:
    return [
        _beta(facts)._replace(why="that of the modern Hopfield network"),
        Parameter("alpha", 2.0, "sparsemax, as in the paper"),
    ]


def _sdm(facts: Facts, chosen: Chosen) -> list[Parameter]:
    most = COUNTERS // (4 * (facts.dim + 1))
    locations = max(
        1000, int(float(f"{most:.0e}")) if float(f"{most:.0e}") <= most else int(0.9 * most)
    )
    locations = int(_value(chosen, "given", "locations") or locations)
    best = theory.radius.optimal(facts.dim, facts.patterns, locations)
    why = f"best signal to noise for {facts.patterns} random patterns, p = (2 M T)^(-1/3); activates {best.activation * locations:.0f}"
    return [
        Parameter("locations", locations, f"what counters of {COUNTERS // 2**20} MiB hold"),
        Parameter("radius", best.radius, why),
    ]


def _sdm_patterns(facts: Facts, chosen: Chosen) -> list[Parameter]:
    best = theory.radius.optimal(facts.dim, facts.patterns)
    return [
        Parameter(
            "radius",
            best.radius,
            f"best signal to noise for {facts.patterns} random patterns and unlimited locations",
        )
    ]


def _attention(facts: Facts, chosen: Chosen) -> list[Parameter]:
    radius = (
        _value(chosen, "given", "radius")
        or _value(chosen, "sdm_patterns", "radius")
        or _sdm_patterns(facts, chosen)[0].value
    )
    beta = theory.beta.fit(facts.dim, int(radius)).beta
    return [
        Parameter(
            "radius",
            radius,
            f"that of the SDM it matches; the fitted beta is {beta:.3g} per unit of cosine",
        )
    ]


ENTRIES: dict[str, Entry] = {
    "hopfield": Entry("Hopfield", ("bits",), _hopfield, models.hopfield),
    "dense": Entry("Dense", ("bits",), _dense, models.dense),
    "exponential": Entry("Exponential", ("bits",), _exponential, models.exponential),
    "modern_hopfield": Entry("Modern Hopfield", ("bits", "real"), _modern, models.modern_hopfield),
    "sparse_hopfield": Entry("Sparse Hopfield", ("bits", "real"), _sparse, models.sparse_hopfield),
    "sdm": Entry("SDM, neurons", ("bits",), _sdm, models.sdm),
    "sdm_patterns": Entry("SDM, patterns", ("bits",), _sdm_patterns, models.sdm_patterns),
    "attention": Entry("SDM, attention", ("bits",), _attention, models.sdm_attention),
}
