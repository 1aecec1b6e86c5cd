"""Count the weights that gates add to published networks."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab.papers._common import COMPUTED, INTEGERS, table
from kanerva.lab.recipe import Check, Row, grid, recipe

__all__ = ["parameters"]

GATES = ("none", "se", "shared se", "dia")
DEEP = "ResNet bottleneck"
DEPTHS = (29, 56, 83, 164, 245, 326)
WIDTHS = (16, 32, 64, 128, 256, 512)
PUBLISHED = (
    ("ResNet", (20, 56, 110)),
    ("PreResNet", (20, 56, 110)),
    (DEEP, (164,)),
    ("PreResNet bottleneck", (164,)),
    ("WRN 4", (52,)),
    ("ResNeXt 8x32", (101,)),
    ("ImageNet ResNet", (50,)),
)
# Weights of whole networks; those of other code were read in its tables.
OTHER = "stated with other code (imgclsmob)"
SOURCES = {"own": COMPUTED, "other": OTHER}
TOTALS = table("""
network              depth gate      parameters source
ResNet               20    none      278324     other
ResNet               20    se        280697     other
ResNet               20    dia       292716     other
ResNet               56    none      861620     other
ResNet               56    se        868739     other
ResNet               56    dia       876012     other
ResNet               110   none      1736564    other
ResNet               110   se        1750802    other
ResNet               110   dia       1750956    other
ResNet_bottleneck    164   none      1727284    other
ResNet_bottleneck    164   se        1929388    other
ResNet_bottleneck    164   dia       1946132    other
PreResNet            110   none      1736372    other
PreResNet            110   se        1750514    other
PreResNet            110   dia       1750764    other
PreResNet_bottleneck 164   none      1726388    other
PreResNet_bottleneck 164   se        1928012    other
PreResNet_bottleneck 164   dia       1945236    other
PreResNet_bottleneck 164   dia_norm  1961364    own
WRN_4                52    none      12072500   own
WRN_4                52    dia_norm  12298516   own
ResNeXt_8x32         101   none      32138244   own
ResNeXt_8x32         101   dia       33006020   own
ImageNet_ResNet      50    none      25557032   own
""")
ADDED = (
    ("ImageNet ResNet", 50, "se", 2_530_992),
    ("ImageNet ResNet", 50, "shared se", 700_400),
    ("ImageNet ResNet", 50, "dia", 2_801_020),
)
CELLS = dict(zip(WIDTHS, (776, 2832, 10_784, 42_048, 166_016, 659_712), strict=True))
# One SE a block of widths 64, 128 and 256.
BLOCKS_OF_EACH = 580 + 2184 + 8464
STEM = "its networks with SE normalise after the first convolution, and not after the last block"


def _checks() -> Iterator[Check]:
    for row in TOTALS:
        at = {name: row[name] for name in ("network", "depth", "gate")}
        at["network"] = str(at["network"]).replace("_", " ")
        at["gate"] = str(at["gate"]).replace("_", " and ")
        what = f"{at['network']}, depth {at['depth']}, {at['gate']}: parameters"
        source = SOURCES[str(row["source"])]
        differs = at["gate"] == "se" and str(at["network"]).startswith("PreResNet")
        reason = STEM if differs else ""
        yield Check(what, "parameters", row["parameters"], 0, source, at, reason=reason)
    for network, depth, gate, added in ADDED:
        at = {"network": network, "depth": depth, "gate": gate}
        what = f"{network}, depth {depth}, {gate}: parameters of the gates"
        yield Check(what, "added", added, 0, COMPUTED, at)
    for width, added in CELLS.items():
        at = {"network": f"stage of {width}", "gate": "dia"}
        yield Check(f"cell of {width} channels: parameters", "added", added, 0, COMPUTED, at)
    for depth in DEPTHS:
        for gate, added in (("dia", 218_848), ("se", BLOCKS_OF_EACH * (depth - 2) // 9)):
            at = {"network": DEEP, "depth": depth, "gate": gate}
            what = f"{DEEP}, depth {depth}, {gate}: parameters of the gates"
            yield Check(what, "added", added, 0, INTEGERS, at)


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.huang2024 import _figures_digits

    return _figures_digits.sizes(rows, DEEP)


@recipe(
    "dia.parameters",
    "Weights of one gate for all blocks",
    "huang2024",
    "the tables of parameters, and those of other code",
    quick=[
        *grid(network="ResNet", depth=(20, 110), gate=GATES),
        *grid(network=DEEP, depth=(29, 164), gate=GATES),
        *grid(network="PreResNet bottleneck", depth=164, gate=("none", "dia and norm")),
        *grid(network="ImageNet ResNet", depth=50, gate=GATES),
        *grid(network=[f"stage of {width}" for width in WIDTHS], depth=8, gate="dia"),
    ],
    paper=[
        *(cell for name, deep in PUBLISHED for cell in grid(network=name, depth=deep, gate=GATES)),
        *grid(network="PreResNet bottleneck", depth=164, gate="dia and norm"),
        *grid(network="WRN 4", depth=52, gate="dia and norm"),
        *grid(network=DEEP, depth=[depth for depth in DEPTHS if depth != 164], gate=GATES),
        *grid(network=[f"stage of {width}" for width in WIDTHS], depth=(8, 14), gate="dia"),
    ],
    checks=_checks(),
    draw=_draw,
)  # fmt: skip
def parameters(
    network: Annotated[str, "family of the network, such as ResNet or ResNet bottleneck"],
    depth: Annotated[int, "layers of the network, as its name counts them"],
    gate: Annotated[str, "none, se (one a block), shared se, dia, or dia and norm"],
    reduction: Annotated[int, "what divides the width in a gate; 0 for 16, and 4 or 20 of dia"] = 0,
) -> Iterator[Row]:
    """Count the weights of published residual networks, plain and with gates of their blocks.

    The networks are built, and the gates attached to them with ``nn.share``, so that the numbers
    are those of real modules. ``added`` are the weights of the gates, ``percent`` their share of
    the plain network. ``se`` is one squeeze and excitation a block with reduction 16, ``shared se``
    one for each stage, ``dia`` one ``nn.DIACell`` for each stage with reduction 4, or 20 in the
    network of ImageNet. ``dia and norm`` has the batch normalisation, too, that the published code
    puts at the end of each block of its PreResNet and WRN, and not of the plain ones. A ``stage of
    16`` has blocks of 16 channels alone.

    What a shared gate adds does not depend on depth: 218,848 weights for DIA in the bottleneck
    ResNet of 29 to 326 layers, which are 65 to 6 % of its own. One SE a block adds 33,684 to
    404,208 there. But DIA is no saving at the published sizes: in each of the published networks
    here its cells have more weights than one SE a block, 1.01 times as many in ResNet-110, 1.08 in
    the bottleneck ResNet-164, 1.11 in ResNet-50 and 6.1 in ResNet-20. In the bottleneck ResNet they
    have fewer from 60 blocks on, which are 182 layers. A shared SE has fewer weights in all of
    them, 700,400 in place of 2,530,992 in ResNet-50.

    All published totals are met exactly but two. The PreResNets with SE of other code have 96 and
    480 weights fewer, as they normalise at another place.
    """
    from kanerva.lab.papers.huang2024 import _published

    checks.integer("reduction", reduction, 0, checks.LONGEST)
    found = _published.counted(network, depth, gate, reduction)
    yield found._asdict() | {"percent": 100 * found.added / found.plain}
