"""Train a small residual network on digits, with gates of its blocks and with controls."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["digits"]

VARIANTS = ("none", "wide", "se", "shared se", "dia", "recall", "constant", "scale")
FIRST = ("he", "torch")
BASE: Cell = {"data": "digits", "blocks": 6, "epochs": 20, "timed": 0}
HE = BASE | {"first": "he"}
# Those that are trained in the quick size; of the others the weights are counted.
TRAINED = ("none", "dia")
# Weights of the network of six blocks of 16 channels.
SIZES = {
    "none": 28_378,
    "wide": 29_248,
    "se": 29_266,
    "shared se": 28_526,
    "dia": 29_154,
    "recall": 29_140,
    "constant": 28_378,
    "scale": 28_384,
}
MEASURED = ("none", "se", "shared se", "dia")


def _checks() -> Iterator[Check]:
    for variant, size in SIZES.items():
        source = SEPARATE if variant in MEASURED else "counted by hand"
        at = {"variant": variant, "blocks": 6, "data": "digits"}
        yield Check(f"{variant}: parameters", "parameters", size, 0, source, at)
    begins = "mean gate before training"
    yield Check(f"dia: {begins}", "start", 0.25, 0.03, SEPARATE, {"variant": "dia"})
    for variant in ("constant", "scale"):
        yield Check(f"{variant}: {begins}", "start", 0.25, 0, LAW, {"variant": variant})
    for first in FIRST:
        for variant in VARIANTS:
            least = 0.94 if variant == "dia" else 0.95
            what = f"{variant}, first weights of {first}: accuracy, at least {least}"
            at = BASE | {"variant": variant, "first": first}
            yield Check(what, "accuracy", (1 + least) / 2, (1 - least) / 2, SEPARATE, at)


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.huang2024 import _figures_digits

    return _figures_digits.differences(rows)


@recipe(
    "dia.digits",
    "Digits with gates, and with controls",
    "huang2024",
    "the comparison of accuracies, with other data and a small network",
    quick=[
        *grid(**HE | {"epochs": 1}, variant=TRAINED),
        *grid(**HE | {"epochs": 0}, variant=[one for one in VARIANTS if one not in TRAINED]),
    ],
    paper=[
        *grid(**BASE, first=FIRST, seed=range(5), variant=VARIANTS),
        *grid(**HE | {"epochs": 2, "timed": 1}, seed=range(3), variant=VARIANTS),
    ],
    checks=_checks(),
    draw=_draw,
)
def digits(
    variant: Annotated[str, "none, wide, se, shared se, dia, recall, constant or scale"],
    first: Annotated[str, "first weights of the convolutions: he or torch"],
    data: Annotated[str, "digits, mnist, or a folder with one folder of pictures for each class"],
    blocks: Annotated[int, "residual blocks of 16 channels"],
    epochs: Annotated[int, "epochs; 0 counts weights alone"],
    timed: Annotated[int, "1 measures the time of an epoch, which differs from run to run"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train a small residual network on half of the digits, with gates and with controls.

    The network has six residual blocks of 16 channels, which are one stage. ``se`` is one squeeze
    and excitation a block, ``shared se`` one for all blocks, ``dia`` one ``nn.DIACell``, and
    ``recall`` reads the gates of earlier blocks by attention; the reduction is 4. There are three
    controls: ``constant`` multiplies each block by 0.25, ``scale`` by a learned number, 0.25 at
    first, and ``wide`` has no gates and as many weights as ``dia``, in wider blocks. All variants
    of a seed have the same halves of the set, the same order of pictures, and the same first
    weights, except those of ``wide``. ``accuracy`` is that of the test half after the last epoch,
    ``start`` and ``end`` are the mean gates before and after training, and ``epoch`` is the time of
    the processor for the fastest epoch, in seconds. ``he`` draws the first weights of convolutions
    from the normal distribution with variance 2 / (9 c), and ``torch`` as torch does.

    With the first weights of ``he``, over five seeds, the network without gates names 98.4 % of the
    test pictures. No gate changes that beyond its 95 % interval, in points: -0.9 (-2.2 to 0.3) for
    DIA, 0.2 (-0.9 to 1.2) for one SE a block, 0.0 (-1.0 to 0.9) for shared SE, 0.1 (-0.8 to 1.1)
    for the recall, 0.4 (-0.6 to 1.4) for wider blocks and 0.2 (-0.7 to 1.1) for learned numbers.
    The constant gate loses 1.5 (0.6 to 2.5). The learned numbers begin at the same 0.25, are better
    than it by 1.7 (1.4 to 2.0), and end at 1.5 on average. DIA begins at 0.25, too, and ends at
    0.49.

    With the first weights of ``torch`` the network without gates names 98.8 %, and nothing loses:
    DIA has -0.1 points (-0.7 to 0.4) and the constant 0.1 (-0.8 to 1.0). Of the 14 intervals, that
    of the recall with these weights lies above zero, 0.2 (0.02 to 0.5), which is as often as chance
    alone leaves out zero. An epoch of DIA takes 1.24 times, and one of SE a block 1.11 times, that
    without gates.
    """
    from kanerva.lab.papers.huang2024 import _digits, _trials

    checks.choice("variant", variant, VARIANTS)
    checks.choice("first", first, FIRST)
    checks.integer("blocks", blocks, 1, 1000)
    checks.integer("epochs", epochs, 0, 10**6)
    checks.integer("timed", timed, 0, 1)
    colours, classes = _digits.colours_and_classes(data)
    design = _digits.Design(
        blocks, first=first, epochs=epochs, seed=seed, colours=colours, classes=classes
    )
    wide = variant == "wide"
    net = _trials.widened(design) if wide else _digits.build(design, variant)
    yield _trials.trial(net, design, data, bool(timed))._asdict()
