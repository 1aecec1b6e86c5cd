"""Train without skips, without batch normalisation, and without both, at several depths."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["stability"]

VARIANTS = ("none", "se", "dia", "constant")
NAMES = {"none": "no gates", "se": "SE a block", "dia": "DIA", "constant": "0.25 in all blocks"}
BOTH: Cell = {"skip": 1, "norm": 1}
NO_SKIP: Cell = {"skip": 0, "norm": 1}
NO_NORM: Cell = {"skip": 1, "norm": 0}
NEITHER: Cell = {"skip": 0, "norm": 0}
SETTINGS = (BOTH, NO_SKIP, NO_NORM, NEITHER)


def _paper() -> Iterator[Cell]:
    """Yield the cells of the larger size: many at the start, and fewer that are trained."""
    for setting in SETTINGS:
        depths = (4, 8, 16, 32)
        yield from grid(blocks=depths, **setting, epochs=0, variant=VARIANTS, seed=range(2))
    # Divergence shows in the first of two epochs; the second has a hundredth of the rate.
    yield from grid(blocks=(16, 32), **NO_NORM, epochs=2, variant=VARIANTS, seed=range(3))
    yield from grid(blocks=6, **NO_SKIP, epochs=20, variant=("none", "dia"), seed=range(2))
    yield from grid(blocks=6, **NO_SKIP, epochs=20, variant=("se", "constant"), seed=0)
    yield from grid(blocks=6, **NO_SKIP, epochs=60, variant="dia", seed=0)
    yield from grid(blocks=6, **NO_NORM, epochs=20, variant=VARIANTS, seed=0)
    yield from grid(blocks=4, **NEITHER, epochs=20, variant=("none", "dia"), seed=0)


def _quick() -> Iterator[Cell]:
    """Yield the cells of the smaller size."""
    for setting in SETTINGS:
        yield from grid(blocks=4, **setting, epochs=0, variant=VARIANTS, seed=0)
    yield from grid(blocks=4, **NO_SKIP, epochs=2, variant=("none", "dia"), seed=0)


def _checks() -> Iterator[Check]:
    """Yield laws of the start, and accuracies that other code measured."""
    start: Cell = {"when": "start"}
    for end in ("min", "max"):
        what = f"mean gate of an untrained DIA, {end}imum over blocks"
        yield Check(what, "gate", 0.25, 0.03, LAW, start | BOTH | {"variant": "dia"}, end)
        what = f"constant gate, {end}imum"
        yield Check(what, "gate", 0.25, 0.0, LAW, {"variant": "constant"}, end)
    for blocks in (4, 8, 16, 32):
        # Without biases, features are in proportion to the product of the gates.
        one = start | {"blocks": blocks, "epochs": 0, "last": 1}
        what = f"{blocks} blocks without both: log2 of the growth, 0.25 less no gates"
        at, none = (one | NEITHER | {"variant": name} for name in ("constant", "none"))
        yield Check(what, "growth", -2.0 * (blocks - 1), 1e-6, LAW, at, less=none)
        # Normalisation takes the factor out again, but for what is added to the variance.
        what = f"{blocks} blocks without skips: log2 of the growth, 0.25 less no gates"
        at, none = (one | NO_SKIP | {"variant": name} for name in ("constant", "none"))
        yield Check(what, "growth", 0.0, 0.05, LAW, at, less=none)
    wanted = (
        ("none", 20, 0.979, 0.02),
        ("se", 20, 0.955, 0.04),
        ("dia", 20, 0.641, 0.15),
        ("dia", 60, 0.985, 0.015),
    )
    for variant, epochs, expected, tolerance in wanted:
        what = f"{NAMES[variant]}, no skips, {epochs} epochs: right answers"
        at = NO_SKIP | {"variant": variant, "blocks": 6, "epochs": epochs, "when": "end"}
        yield Check(what, "right", expected, tolerance, SEPARATE, at | {"last": 1})


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.huang2024 import _figures_study

    return _figures_study.stability(rows, NAMES)


@recipe(
    "dia.stability",
    "Gates without skips or norm",
    "huang2024",
    "the tables without skips and without norm, on digits",
    quick=list(_quick()),
    paper=list(_paper()),
    checks=list(_checks()),
    draw=_draw,
)
def stability(
    variant: Annotated[str, "none, se, dia or constant"],
    blocks: Annotated[int, "number of blocks"] = 6,
    skip: Annotated[int, "1 adds the input of a block to its branch, 0 does not"] = 1,
    norm: Annotated[int, "1 normalises by batch, 0 does not"] = 1,
    epochs: Annotated[int, "epochs of training; 0 for a look at the start alone"] = 0,
    rate: Annotated[float, "learning rate"] = 0.05,
    first: Annotated[str, "first weights of the convolutions: he or torch"] = "he",
    seed: Seed = 0,
) -> Iterator[Row]:
    """Take skips, batch normalisation or both from a network, and look at it before and after.

    Each block computes ``x + h a``, or ``h a`` without skips, from its branch ``a`` and its gate
    ``h``. Seen as a step of a dynamical system, the gate is its size. A row is one block of one
    network, at the start or at the end of training: its mean gate, the norm of the gradient of its
    branch, and ``growth``, the log2 of the change of its features against that of the first
    block, when the pictures change a little. ``relative`` is the same with each change divided by
    the norm of the features. ``diverged`` is 1 where the loss or a gate was not finite.

    At the start DIA is a step of 0.23 to 0.26 at every depth, and behaves as the constant gate of
    0.25 does. Through 32 blocks with skips and without norm, a change grows by 2^15 to 2^16 without
    gates, by 2^6 with one SE a block, and by 2^0.7 to 2^0.9 with DIA and with the constant; the
    gradient of the first block is 2e4 to 6e4, 33 to 66, 0.02 to 0.05, and 0.02 to 0.06. Trained at
    a rate of 0.05, 16 such blocks without gates diverge in each of three seeds, and none of the
    gated ones do. So small steps are stable, and a constant that attends to nothing is as stable as
    DIA. Without skips a small gate does not help: with norm, all grow by 2^11 to 2^12, since norm
    takes the factor out again, and without norm a gate of 0.25 divides the features by 4 in each
    block, so that in 32 blocks gradients are below 1e-21.

    Trained without skips but with norm, six blocks name 0.98 of the digits after 20 epochs without
    gates, 0.96 with one SE a block, 0.66 and 0.84 with DIA in two seeds, and 0.53 with the
    constant; after 60 epochs DIA names 0.98, too. Without norm but with skips, in one seed, DIA
    names 0.79 after 20 epochs, SE 0.58, and the plain network and the constant 0.10. At 32 such
    blocks and two epochs SE diverges as well, and DIA and the constant do not.
    """
    from kanerva.lab.papers.huang2024 import _digits, _study

    blocks = checks.integer("blocks", blocks, 1, 1000)
    epochs = checks.integer("epochs", epochs, 0, 10**6)
    skip, norm = checks.integer("skip", skip, 0, 1), checks.integer("norm", norm, 0, 1)
    rate = checks.number("rate", rate, 0, open_low=True)
    seed = checks.integer("seed", seed, 0, 2**62)
    more: dict[str, Any] = {"skip": bool(skip), "norm": bool(norm), "rate": rate}
    design = _digits.Design(blocks, first=first, epochs=epochs, seed=seed, **more)
    yield from _study.stability(variant, design)
