"""Fit the parameters of a memory to the data, on cues that are never reported."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kanerva._core.errors import InputError, refuse
from kanerva.lab.data import DataSet
from kanerva.lab.memories import Entry, Number, Parameter, build, named_errors
from kanerva.lab.recall._coded import Coded
from kanerva.lab.recall._store import fill, settled
from kanerva.lab.recall._trials import Cues

__all__ = ["Bench", "Tuned", "tune"]

# Values of the first grid, and how often the gaps beside the best value are halved.
FIRST, ROUNDS = 7, 2
# Where less is recalled with every value, memories are tuned with a quarter of the patterns.
LEAST, QUARTER = 0.5, 4


class Tuned(NamedTuple):
    """A parameter with the value that was fitted.

    Attributes:
        parameter: with the fitted value.
        theory: the value that theory gives.
        gain: the share of cues recalled exactly with the fitted value less that with theory's.
        stored: the number of patterns with which it was fitted.
    """

    parameter: Parameter
    theory: Number
    gain: float
    stored: int


class Bench(NamedTuple):
    """What a memory is tuned on.

    Attributes:
        coded: the data in one code.
        data: the data.
        cues: with a seed that no reported cue has.
        steps: the largest number of reads in a recall.
    """

    coded: Coded
    data: DataSet
    cues: Cues
    steps: int


def tune(name: str, entry: Entry, parameters: list[Parameter], bench: Bench) -> list[Tuned]:
    """Fit every parameter of a memory that is ``tuned``, one after another.

    The value is the one with which most cues are recalled exactly: on a grid over its range that
    holds theory's value, then on finer grids around the best. Of equal values it is the nearest to
    theory's. Where no value recalls half of the cues, a quarter of the patterns are stored, and so
    on, so that a memory is fitted to as many patterns as it can hold.

    Args:
        name: of the memory.
        entry: of the memory.
        parameters: as theory chooses them.
        bench: data and cues.

    Returns:
        the parameters that were fitted.
    """
    found: list[Tuned] = []
    values = list(parameters)
    for place, parameter in enumerate(values):
        if not parameter.tuned:
            continue
        _vet(name, parameter)

        def share(value: Number, stored: int, place: int = place) -> float:
            tried = [*values[:place], values[place]._replace(value=value), *values[place + 1 :]]
            return _share(name, entry, tried, bench, stored)

        best = _best(parameter, share, len(bench.coded.x))
        found.append(best)
        values[place] = best.parameter
    return found


def _vet(name: str, parameter: Parameter) -> None:
    """Refuse a parameter that cannot be fitted over its range."""
    if parameter.choices:
        return
    ends = (parameter.low, parameter.high, parameter.value)
    numbers = [end for end in ends if isinstance(end, int | float) and math.isfinite(end)]
    sound = len(numbers) == 3 and numbers[0] < numbers[1]
    positive = sound and min(numbers) > 0
    if not sound or parameter.scale not in ("linear", "log")[: 1 + positive]:
        must = "finite, with low < high, and above 0 on a log scale"
        got = f"{ends[2]} from {ends[0]} to {ends[1]}, scale {parameter.scale!r}"
        do = f"correct the Parameter of {name!r}, or set tuned=False"
        refuse(f"parameter {parameter.name!r}", must=must, got=got, do=do)


def _best(parameter: Parameter, share: Callable[[Number, int], float], stored: int) -> Tuned:
    """Return the value with which most is recalled, with fewer patterns where that is nothing."""
    theory, every = parameter.value, stored
    while True:
        shares: dict[Number, float] = {}
        for values in _grids(parameter, shares):
            shares |= {value: share(value, stored) for value in values if value not in shares}
        most = max(shares.values())
        if most >= LEAST or stored < 2 * QUARTER:
            break
        stored //= QUARTER
    value = _nearest(shares, parameter)
    gain = most - shares[theory]
    why = "" if stored == every else f"with {stored:,} patterns stored, "
    why += f"recalls {most:.0%} of the cues of another seed, theory's value {shares[theory]:.0%} "
    why += f"({parameter.why})"
    return Tuned(parameter._replace(value=value, why=why), theory, gain, stored)


def _nearest(shares: dict[Number, float], parameter: Parameter) -> Number:
    """Return the value of the largest share that is nearest to theory's."""
    most, theory = max(shares.values()), parameter.value
    best = [value for value, share in shares.items() if share == most]
    if parameter.choices:
        return theory if theory in best else best[0]
    return min(best, key=lambda value: abs(_place(parameter, value) - _place(parameter, theory)))


def _grids(parameter: Parameter, shares: dict[Number, float]) -> Iterator[list[Number]]:
    """Yield the values of each round; ``shares`` are those of the values tried before."""
    if parameter.choices:
        yield list(dict.fromkeys((parameter.value, *parameter.choices)))
        return
    low, high = (_place(parameter, end) for end in (parameter.low, parameter.high))
    even = [_value(parameter, low + (high - low) * step / (FIRST - 1)) for step in range(FIRST)]
    yield list(dict.fromkeys((parameter.value, *even)))
    for _ in range(ROUNDS):
        tried = sorted(_place(parameter, value) for value in shares)
        here = _place(parameter, _nearest(shares, parameter))
        below = max((one for one in tried if one < here), default=here)
        above = min((one for one in tried if one > here), default=here)
        finer = [_value(parameter, end + (here - end) / 2) for end in (below, above)]
        yield list(dict.fromkeys(finer))


def _place(parameter: Parameter, value: Any) -> float:
    """Return where a value lies on the scale of its parameter."""
    return math.log(value) if parameter.scale == "log" else float(value)


def _value(parameter: Parameter, place: float) -> Number:
    """Return the value at a place on the scale, with three digits or as a whole number."""
    value = math.exp(place) if parameter.scale == "log" else place
    return round(value) if isinstance(parameter.value, int) else float(f"{value:.3g}")


def _share(
    name: str, entry: Entry, parameters: list[Parameter], bench: Bench, stored: int
) -> float:
    """Return the share of cues recalled exactly; 0 where the memory refuses the parameters."""
    coded, trial = bench.coded, bench.cues.of(stored)
    try:
        with named_errors(name, entry):
            memory = build(name, entry, coded.x.shape[1], parameters)
            fill(memory, entry, coded, bench.data, bench.cues.order[:stored])
            recalled = settled(memory, coded.cue(trial), bench.steps).state
    except InputError:
        return 0.0
    return coded.scorer.exact(recalled, trial.chosen)
