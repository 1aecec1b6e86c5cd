"""Huang and others 2024: a shared gate in a transformer and in a UNet, both small."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab.papers._common import LAW, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["backbones"]

VIT = ("none", "attention", "mlp", "both", "constant")
UNET = ("none", "dia", "constant")
NETWORKS = {"vit": VIT, "unet": UNET}
EPOCHS, UPDATES, EVERY = 12, 500, 50
FORMULA = "10 c k + 2 k + 8 c for each stage"
# What gates add: a stage of width 32 in the transformer, those of 16 and of 32 in the UNet.
ADDED = {"vit": 10 * 32 * 8 + 2 * 8 + 8 * 32, "unet": 10 * 16 * 4 + 2 * 4 + 8 * 16 + 2832}
BARE = {"vit": 35_242, "unet": 134_689}


def _at(backbone: str, gate: str, **more: Any) -> Cell:
    return {"backbone": backbone, "gate": gate, **more}


def _checks() -> Iterator[Check]:
    for backbone, gates in NETWORKS.items():
        what, source = f"weights of the {backbone}, no gate", "counted by hand"
        yield Check(what, "parameters", BARE[backbone], 0, source, _at(backbone, "none"))
        for gate in gates[1:]:
            added = 0 if gate == "constant" else ADDED[backbone]
            what = f"weights that the gate adds to the {backbone}, {gate}"
            yield Check(what, "added", added, 0, FORMULA, _at(backbone, gate))
    for backbone, gate in (("vit", "attention"), ("vit", "mlp"), ("vit", "both"), ("unet", "dia")):
        what = f"mean gate of the untrained {backbone}, {gate}"
        at = _at(backbone, gate, step=0)
        yield Check(what, "mean", 0.25, 0.03, "σ(0) σ(0)", at)
    for gate in VIT:
        at = _at("vit", gate, step=EPOCHS, length=EPOCHS)
        what = f"accuracy of the vit, {gate}, least of the seeds, .7 or more"
        yield Check(what, "accuracy", 0.85, 0.15, SEPARATE, at, "min")
    for gate in UNET:
        at = _at("unet", gate, step=UPDATES, length=UPDATES)
        what = f"loss of the unet over that of Wiener's filter, {gate}, most of the seeds, below 1"
        yield Check(what, "relative", 0.5, 0.5, LAW, at, "max")


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.huang2024 import _figures_backbones

    return _figures_backbones.backbones(rows)


@recipe(
    "dia.backbones",
    "A shared gate in two other networks",
    "huang2024",
    "on other backbones, with small networks of our own",
    quick=[
        *grid(backbone="vit", gate=("none", "both"), length=1),
        *grid(backbone="unet", gate=("none", "dia"), length=5),
    ],
    paper=[
        *grid(backbone="vit", gate=VIT, length=EPOCHS, seed=range(3)),
        *grid(backbone="unet", gate=UNET, length=UPDATES, seed=range(3)),
    ],
    checks=_checks(),
    draw=_draw,
)
def backbones(
    backbone: Annotated[str, "vit, a transformer, or unet"],
    gate: Annotated[str, "none or constant; vit: attention, mlp or both; unet: dia"],
    length: Annotated[int, "epochs of the transformer, or updates of the UNet"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Train a transformer and a UNet on digits, with and without a gate that their blocks share.

    The transformer has 4 layers of width 32 on 16 patches of 2 x 2 pixels. Its gate stands after
    each attention, after each MLP, or after both, and in the last case one cell runs through all 8
    branches. The UNet denoises: four blocks of 16 channels on 8 x 8 places, and five of 32 channels
    on 4 x 4 places. Blocks of one width share a gate, whose state runs from the encoder through the
    middle to the decoder. A constant gate of 0.25 is the control, as the cell begins near 0.25.

    ``accuracy`` is the share of the 896 test digits that the transformer names. ``held_out`` is the
    loss of the UNet on these digits with noise that is the same for all gates, and ``relative`` is
    that loss over the loss of Wiener's filter, which is the best linear denoiser. The same seeds
    have the same split, order, noise and first weights of all but the gates.

    In three seeds no place of DIA in the transformer has an interval of its difference that leaves
    out zero: +1.4 points after the attention (-0.6 to 3.3), -1.7 after the MLP (-4.6 to 1.3), and
    -1.5 after both (-8.7 to 5.7), at 79.9 without a gate. The constant costs 2.3 points (0.9 to
    3.6). The loss of the UNet is 0.383 without a gate, 0.382 with DIA and 0.384 with the constant,
    and the intervals contain zero.
    """
    checks.choice("backbone", backbone, list(NETWORKS))
    checks.choice("gate", gate, NETWORKS[backbone])
    checks.integer("length", length, 0, 10**6)
    seed = checks.integer("seed", seed, 0, 2**40)
    yield from _transformer(gate, length, seed) if backbone == "vit" else _unet(gate, length, seed)


def _transformer(gate: str, epochs: int, seed: int) -> Iterator[Row]:
    from kanerva.lab.papers.huang2024 import _digits, _vit

    design = _vit.Design(epochs=epochs, seed=seed)
    net = _vit.build(design, gate)
    for one in _vit.train(net, _digits.split(seed), design):
        found = {"accuracy": one.accuracy, "held_out": None, "relative": None}
        yield {"step": one.epoch, "loss": one.loss, **found, "mean": one.gate, **_counts(net)}


def _unet(gate: str, updates: int, seed: int) -> Iterator[Row]:
    from kanerva.lab.papers.huang2024 import _unet

    design = _unet.Design(updates=updates, seed=seed)
    given = _unet.digits(seed)
    net = _unet.build(design, gate, given.train)
    trained = _unet.train(net, given.train, design, EVERY)
    losses: dict[int, float | None] = {0: None, **trained.losses}
    losses.setdefault(updates, None)
    for step, loss in losses.items():
        held = None
        if step in (0, updates):
            held = _unet.held_out(trained.net if step else net, given, seed)
        yield {
            "step": step,
            "loss": loss,
            "accuracy": None,
            "held_out": held and held.loss,
            "relative": held and held.loss / held.wiener,
            "mean": held and held.gate,
            **_counts(net),
        }


def _counts(net: Any) -> Row:
    """Return the number of weights, and how many of them the gates have."""
    shared = getattr(net, "shared", None)
    added = 0 if shared is None else shared.parameters_added
    return {"parameters": sum(one.numel() for one in net.parameters()), "added": added}
