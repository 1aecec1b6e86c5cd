"""Baldi and Vershynin 2022: what gates save in depth and weights."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core.checks import choice
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, SEPARATE
from kanerva.lab.papers.baldi2022._units import Inputs
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["depth"]

Way = Annotated[str, "product or and of the units, or layer: hidden units and an output unit"]
Units = Annotated[int, "number k of units; of hidden units in a layer"]
WAYS = {
    "product": "gated units: product",
    "and": "gated units: AND",
    "layer": "hidden units, then one",
}
# Functions of four inputs, by the number of units from one on.
REACH = {
    "product": (1882, 54310, 65534, 65536),
    "and": (1882, 32506, 55682, 65094, 65462, 65518, 65534, 65536),
    "layer": (1882, 41614, 65534, 65536),
}


def _checks() -> Iterator[Check]:
    for way, counts in REACH.items():
        for units, expected in enumerate(counts, 1):
            what = f"{WAYS[way]}, {units}: functions of 4 inputs"
            at = {"inputs": 4, "way": way, "units": units}
            yield Check(what, "functions", expected, 0, SEPARATE, at)
    for inputs in (2, 3, 4):
        at = {"inputs": inputs, "way": "product", "units": inputs}
        what = f"product of {inputs} units: functions of {inputs} inputs that are missing"
        yield Check(what, "missing", 0, 0, LAW, at)
    at = {"inputs": 4, "way": "product", "units": 2}
    what = "product of two units: functions of two hidden units and one that it lacks"
    yield Check(what, "lacking", 0, 0, SEPARATE, at)
    for way, weights in (("product", 10), ("layer", 13)):
        what = f"{WAYS[way]}, 2: weights with 4 inputs"
        yield Check(what, "weights", weights, 0, LAW, {"inputs": 4, "way": way, "units": 2})
    for way, deep in (("product", 1), ("layer", 2)):
        what = f"{WAYS[way]}, 2: depth with 4 inputs"
        yield Check(what, "depth", deep, 0, LAW, {"inputs": 4, "way": way, "units": 2})


def _draw(rows: list[Row]) -> Any:
    drawn = [
        row | {"line": WAYS[row["way"]], "panel": f"{row['inputs']} inputs"}
        for row in sorted(rows, key=lambda row: (row["inputs"], list(WAYS).index(row["way"])))
    ]
    title, up = "Gates save depth and weights", "functions that are computed, % of all"
    frame = plot.Frame(title, "number of weights", up, across=3)
    return plot.lines(drawn, "weights", "percent", frame, by="line", panel="panel")


@recipe(
    "quarks.depth",
    "What gates save in depth and weights",
    "baldi2022",
    "for the claim on depth; the counts are not in the publication",
    quick=[
        *grid(inputs=(2, 3, 4), way=("product", "layer"), units=(1, 2, 3, 4)),
        *grid(inputs=(2, 3, 4), way="and", units=range(1, 9)),
    ],
    paper=grid(inputs=(2, 3, 4), way=tuple(WAYS), units=range(1, 9)),
    checks=_checks(),
    draw=_draw,
)
def depth(inputs: Inputs, way: Way, units: Units) -> Iterator[Row]:
    """Count the functions of n inputs that k linear threshold units reach, gated and in layers.

    The outputs of the units are multiplied, as -1 and 1 or as 0 and 1 (AND), which has the depth 1
    and k (n + 1) ``weights``; or they are the inputs of a further unit without a gate, which has
    the depth 2 and k + 1 weights more. One gate takes all k factors here; gates of two factors, as
    those of ``quarks.circuits``, take ceil(log2 k) layers. ``functions`` is the exact number of
    functions, ``percent`` its share of all, and ``missing`` how many are not reached. ``lacking``
    is, for products, how many of the functions of a layer of as many hidden units are not among
    them.

    With 4 inputs, two units and a product reach 54,310 functions with 10 weights. Two hidden units
    and one more reach 41,614 with 13 weights at twice the depth, and the product lacks none of
    these. With three units both reach all but parity and its complement, and with four units all
    65,536. In general the product of k units has a threshold degree of at most k, and parity of n
    inputs has n, so that it takes n units and n suffice. AND needs 8 units: a threshold
    function that is 1 wherever parity is 1 is 0 at a single further point at most, since any two
    such points have the same sum as two points of parity.

    This counts functions. It does not say which of them a network learns.
    """
    from kanerva.quarks import capacity

    choice("way", way, tuple(WAYS))
    found = capacity.reach(inputs, units, way)
    layer = way == "layer"
    lacking = None
    if way == "product":
        one = product = capacity.functions("threshold", inputs)
        for _ in range(units - 1):
            product = product * one
        lacking = len(capacity.functions("layer", inputs, hidden=units).difference(product))
    everything = 2 ** (2**inputs)
    yield {
        "depth": 2 if layer else 1,
        "weights": units * (inputs + 1) + (units + 1 if layer else 0),
        "functions": found,
        "percent": 100 * found / everything,
        "missing": everything - found,
        "lacking": lacking,
    }
