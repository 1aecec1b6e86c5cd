"""Predict the gates of a block from those of earlier blocks."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab.papers._common import Seed
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["dependence"]

NAMES = {"se": "SE a block", "shared se": "shared SE", "dia": "DIA"}


def _checks() -> Iterator[Check]:
    """Yield the bounds of what shuffled rows give, and that shares add up."""
    for variant, name in NAMES.items():
        what = f"{name}: R^2 of shuffled rows, maximum"
        at = {"variant": variant}
        yield Check(what, "shuffled", -0.1, 0.15, "0.05 at most", at, "max")
    what = "share of the only earlier block"
    yield Check(what, "importance", 1.0, 1e-9, "shares add up to one", {"block": 2})


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.huang2024 import _figures_study

    return _figures_study.dependence(rows, NAMES)


@recipe(
    "dia.dependence",
    "Earlier gates predict a gate",
    "huang2020",
    "the figure of feature importance, on digits",
    quick=grid(blocks=4, epochs=2, trees=10, variant=tuple(NAMES), seed=0),
    paper=grid(blocks=6, epochs=(0, 20), trees=30, variant=tuple(NAMES), seed=range(2)),
    checks=list(_checks()),
    draw=_draw,
)
def dependence(
    variant: Annotated[str, "se, shared se, dia or recall"],
    blocks: Annotated[int, "number of blocks, all of one width"] = 6,
    epochs: Annotated[int, "epochs of training; 0 for none"] = 20,
    trees: Annotated[int, "number of trees of a forest"] = 30,
    first: Annotated[str, "first weights of the convolutions: he or torch"] = "he",
    seed: Seed = 0,
) -> Iterator[Row]:
    """Predict the gates of a block from those of all earlier blocks by a random forest.

    The gates are those of the pictures kept for testing. A forest is trained on half of them and
    judged by R^2 on the other half, before and after training of the network. ``importance`` is the
    share of each earlier block in the splits of the forest. The same is done with the rows of the
    predicted gates permuted, where nothing can be predicted.

    All gates of a network depend on the same picture. Therefore blocks that share nothing predict
    each other, too, and a high R^2 is no evidence of a link. In six blocks without training, the
    mean R^2 of blocks 2 to 6 is 0.37 to 0.62 with each of the three gates. After 20 epochs it is
    0.76 and 0.77 with one SE a block, in two seeds, 0.74 and 0.91 with a shared SE, and 0.92 and
    0.89 with DIA. Permuted rows give -0.03 at most. In blocks 3 to 6 of trained networks, the block
    just before has 0.53 of the splits with one SE a block, 0.68 with a shared SE and 0.69 with DIA,
    in the mean. Two seeds do not show whether the gates differ in this.
    """
    from kanerva.lab.papers.huang2024 import _digits, _study

    checks.choice("variant", variant, (*NAMES, "recall"))
    blocks = checks.integer("blocks", blocks, 2, 1000)
    epochs = checks.integer("epochs", epochs, 0, 10**6)
    trees = checks.integer("trees", trees, 1, 10**6)
    seed = checks.integer("seed", seed, 0, 2**62)
    design = _digits.Design(blocks, first=first, epochs=epochs, seed=seed)
    net, given = _digits.build(design, variant), _digits.split(seed)
    for _ in _digits.train(net, given, design):
        pass
    yield from _study.dependence(_study.recorded(net, given.test), trees, seed)
