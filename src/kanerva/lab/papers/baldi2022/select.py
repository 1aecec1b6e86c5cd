"""Baldi and Vershynin 2022: one of several threshold units, selected by further inputs."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import LAW, Seed
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["select"]

WAYS = {
    "and": "AND of units",
    "product": "product of units",
    "addition": "addition, no gate",
    "synapse": "gated synapse",
    "layer": "hidden units, then one",
}
SEVERAL = ("and", "product", "layer")
INPUTS = (3, 6, 9, 12)


def _checks() -> Iterator[Check]:
    for way, name in WAYS.items():
        for inputs in INPUTS:
            what = f"{name}: outputs of {inputs} inputs that are those of the selected unit"
            at = {"way": way, "inputs": inputs, "units": 2}
            yield Check(what, "least", 1.0, 0, LAW, at, "min")
    for way in SEVERAL:
        what = f"{WAYS[way]}: outputs that are those of the selected one of more units"
        yield Check(what, "least", 1.0, 0, LAW, {"way": way, "inputs": 6}, "min")
    for way, gates in {"and": 5, "product": 5, "layer": 0}.items():
        at = {"way": way, "inputs": 6, "units": 6}
        yield Check(f"{WAYS[way]}: gates for one of 6", "gates", gates, 0, LAW, at)
    for way, depth in {"product": 1, "synapse": 2, "addition": 2, "layer": 2}.items():
        at = {"way": way, "inputs": 12, "units": 2}
        yield Check(f"{WAYS[way]}: depth for one of 2", "depth", depth, 0, LAW, at)
    for way, weights in {"product": 30, "addition": 31, "synapse": 31, "layer": 33}.items():
        at = {"way": way, "inputs": 12, "units": 2}
        what = f"{WAYS[way]}: weights for one of 2 units of 12 inputs"
        yield Check(what, "weights", weights, 0, LAW, at)


def _draw(rows: list[Row]) -> Any:
    return {"": _force(rows), "share": _share(rows), "size": _size(rows)}


def _force(rows: list[Row]) -> Any:
    """Draw the large weights and the activations against the inputs."""
    names = {
        "product": "AND, product, hidden units",
        "addition": WAYS["addition"],
        "synapse": WAYS["synapse"],
    }
    pairs = [
        row for row in rows if row["units"] == 2 and row["kind"] == "normal" and row["way"] in names
    ]
    drawn = [row | {"y": row["largest"], "line": names[row["way"]]} for row in pairs]
    most = "bound of the activations"
    drawn += [
        row | {"y": row["activation"], "line": most} for row in pairs if row["way"] == "product"
    ]
    title = "The weights of a selector grow with the activations"
    up = "largest weight onto a selector"
    frame = plot.Frame(title, "inputs of each unit", up, log="xy", dots=(most,))
    return plot.lines(drawn, "inputs", "y", frame, by="line")


def _several(rows: list[Row]) -> list[Row]:
    """Return the rows of units of 6 inputs, in the ways that select among several."""
    return [
        row
        for row in rows
        if row["inputs"] == 6 and row["kind"] == "normal" and row["way"] in SEVERAL
    ]


def _share(rows: list[Row]) -> Any:
    """Draw how many outputs are right with the large weights, and with a quarter of them."""
    whole = "all three, weights at full size"
    drawn = [row | {"y": row["least"], "line": whole} for row in _several(rows)]
    drawn += [
        row | {"y": row["quarter"], "line": f"{WAYS[row['way']]}, a quarter of it"}
        for row in _several(rows)
    ]
    title = "Only weights above the activations select a unit"
    up = "share of the outputs that are those of the selected unit"
    frame = plot.Frame(title, "number of units of 6 inputs", up, limits=(0.45, 1.03))
    return plot.lines(drawn, "units", "y", frame, by="line")


def _size(rows: list[Row]) -> Any:
    """Draw what it takes to select one of several units."""
    names = {"product": "product, or AND", "layer": WAYS["layer"]}
    drawn = [
        row | {"y": row[name], "panel": name, "line": names[row["way"]]}
        for name in ("gates", "depth")
        for row in _several(rows)
        if row["way"] in names
    ]
    title = "Selecting one of several units of 6 inputs"
    frame = plot.Frame(title, "number of units", "gates, and layers of units", across=2)
    return plot.lines(drawn, "units", "y", frame, by="line", panel="panel")


@recipe(
    "quarks.select",
    "One of several units, as further inputs select",
    "baldi2022",
    "for the idea; the publication proves lower bounds by it and has no numbers",
    quick=[
        *grid(inputs=INPUTS, units=2, way=tuple(WAYS), trials=20),
        *grid(inputs=6, units=(3, 4, 5, 6), way=SEVERAL, trials=20),
        *grid(inputs=6, units=2, way=tuple(WAYS), kind="whole", trials=20),
    ],
    paper=[
        *grid(inputs=range(1, 13), units=2, way=tuple(WAYS), trials=200),
        *grid(inputs=6, units=(3, 4, 5, 6, 8, 11, 16), way=SEVERAL, trials=200),
        *grid(inputs=(3, 6, 9, 12), units=2, way=tuple(WAYS), kind="whole", trials=200),
        *grid(inputs=(16, 24, 64), units=2, way=tuple(WAYS), trials=50),
    ],
    checks=_checks(),
    draw=_draw,
)
def select(
    inputs: Annotated[int, "inputs n of each unit; all are tried up to n = 12, else 4,096 of them"],
    units: Annotated[int, "number k of units; 2 for addition and synapse"],
    way: Annotated[str, "and, product, addition, synapse, or layer: without a gate"],
    kind: Annotated[str, "weights and biases: normal, or whole numbers from -3 to 3"] = "normal",
    trials: Annotated[int, "number of random sets of units"] = 40,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Select one of k random threshold units by large weights onto ceil(log2 k) further inputs.

    The circuits are those of ``kanerva.quarks.circuits.select``: units that are not selected are
    forced to 1 and multiplied (AND, or the product of -1 and 1), forced to -1 and added to the
    activation of the other unit (addition), or forced to 1 as the gate of the selector's synapse
    (synapse). ``layer`` does it without a gate: units that are not selected are forced to 0, and
    one more unit is 1 where any is. ``equal`` is the share of the outputs, over inputs and
    selectors, that are those of the selected unit, and ``least`` that of the worst selector of all
    trials. ``quarter`` is the same share with a quarter of each weight onto the selectors.
    ``largest`` is the mean of the largest weight onto a selector or an attending unit, and
    ``activation`` that of the bound of all activations, the sum of the absolute weights.
    ``weights`` counts all trained numbers.

    In the paper size all outputs are those of the selected unit, for 200 random sets of units for
    each number of inputs from 1 to 12, all inputs tried, and for samples of 16, 24 and 64 inputs.
    This holds for normal weights and for whole numbers, which have ties. The large weights are the
    price. They grow with the bound of the activations, from 2.1 with one input to 11.8 with 12:
    for two units they are 0.7 times as large for products and AND, and 1.3 times for addition and
    the synapse. With a quarter of them some units are not forced, and the share of right outputs
    falls to 0.84 for a product of two units of 12 inputs, and to 0.51 for one of 16 units of 6.

    A product of two units takes one gate, one layer, and 30 weights for 12 inputs; hidden units and
    one more take 33 weights and two layers. With more units the gates are multiplied in pairs. So
    the product is not shorter there: of 16 units it has 4 layers and 15 gates, and hidden units
    still 2 layers. What gates add is counted in ``quarks.depth`` and ``quarks.capacity``.
    """
    import torch

    from kanerva.lab.papers.baldi2022 import _selection
    from kanerva.quarks import circuits

    checks.choice("way", way, tuple(WAYS))
    checks.choice("kind", kind, ("normal", "whole"))
    inputs, trials = checks.integer("inputs", inputs, 1, 1000), checks.integer("trials", trials, 1)
    pair = way in ("addition", "synapse")
    units = checks.integer("units", units, 2, 2 if pair else 64)
    source = torch.Generator().manual_seed(checks.integer("seed", seed, 0, 2**62))
    found = []
    for _ in range(trials):
        weight, bias = _selection.drawn(units, inputs, kind, source)
        found.append(_selection.selected(weight, bias, _selection.corners(inputs, source), way))
    size = circuits.select(weight, bias, "and" if way == "layer" else way).size()
    more = units + 1 if way == "layer" else 0
    yield {
        "equal": sum(each["equal"] for each in found) / trials,
        "least": min(each["least"] for each in found),
        "quarter": sum(each["quarter"] for each in found) / trials,
        "largest": sum(each["largest"] for each in found) / trials,
        "activation": sum(each["activation"] for each in found) / trials,
        "gates": 0 if way == "layer" else size.gates,
        "depth": 2 if way == "layer" else size.depth,
        "weights": size.parameters + more,
    }
