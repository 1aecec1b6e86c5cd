"""Find the feed-forward layers of a model, and which of the tokens that enter them are real."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.probe._taps import Call, Site
from kanerva.probe._watch import _Text

__all__ = ["Layer", "bias", "found", "real", "rows_in", "shape"]

# What families call the module with the keys, the one with the values, and the one that a gate multiplies where it stands apart.
NAMES = (
    *(("gate_proj", "down_proj", "up_proj"), ("wi_0", "wo", "wi_1"), ("w1", "w2", "w3")),
    *(("gate_up_proj", "down_proj", ""), ("Wi", "Wo", ""), ("weights_in", "weights_out", "")),
    *(
        ("intermediate.dense", "output.dense", ""),
        ("c_fc", "c_proj", ""),
        ("fc1", "fc2", ""),
        ("wi", "wo", ""),
        ("lin1", "lin2", ""),
    ),
    *(
        ("up_proj", "down_proj", ""),
        ("fc_in", "fc_out", ""),
        ("dense_h_to_4h", "dense_4h_to_h", ""),
        ("ffn", "ffn_output", ""),
    ),
    *(("intermediate_dense", "output_dense", ""), ("layer_1", "layer_2", "")),
)
# Two rows of keys in one module: there the gate comes first, but for the sound of Phi-4, which is not looked at.
DOUBLE = ("gate_up_proj", "Wi", "weights_in")
BACKWARDS = "Phi4MultimodalAudio"


class Layer(NamedTuple):
    """One feed-forward layer.

    * ``name``: of the block that it is, or that it is a part of.
    * ``up``, ``down``: the modules with keys and values.
    * ``gated``: whether a linear part of the input multiplies the activations.
    """

    name: str
    up: nn.Module
    down: nn.Module
    gated: bool


@door("feedforward")
def found(model: Any) -> list[Layer]:
    """Find every feed-forward layer of a model."""
    if not isinstance(model, nn.Module):
        do = "load one with transformers"
        refuse("model", model, must="a torch.nn.Module", do=do, error=InputTypeError)
    tried = (_layer(name, block, names) for name, block in model.named_modules() for names in NAMES)
    places: dict[int, Layer] = {}
    for layer in tried:
        if layer is not None:
            places.setdefault(id(layer.down), layer)
    if not places:
        must = "a model with feed-forward layers of transformers, such as mlp.fc1 and mlp.fc2"
        refuse(
            "model",
            must=must,
            got=f"{type(model).__name__}, without one that is known",
            do="load one with transformers",
        )
    return list(places.values())


def _layer(name: str, block: nn.Module, names: Sequence[str]) -> Layer | None:
    """Take a block for a feed-forward layer if it has modules of these names, and their shapes go together."""
    up, down, linear = (_part(block, path) for path in names)
    if up is None or down is None or (names[2] and linear is None):
        return None
    (hidden, _), (_, inner) = rows_in(up).shape, rows_in(down).shape
    double = names[0] in DOUBLE
    if hidden != (2 * inner if double else inner) or (
        double and type(block).__name__.startswith(BACKWARDS)
    ):
        return None
    if linear is not None and rows_in(linear).shape != rows_in(up).shape:
        return None
    return Layer(name, up, down, double or linear is not None)


def _part(block: nn.Module, path: str) -> nn.Module | None:
    """Return the linear module at a path below a block; None where there is none."""
    part: Any = block
    for name in path.split("."):
        part = getattr(part, "_modules", {}).get(name)
    linear = isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"
    weight = getattr(part, "weight", None)
    return part if linear and isinstance(weight, Tensor) and weight.ndim == 2 else None


def rows_in(module: nn.Module) -> Tensor:
    """Return the weights ``(out, in)`` as a view; Conv1D of transformers holds them the other way round."""
    weight: Tensor = module.weight.detach()  # type: ignore[operator]
    return weight.T if type(module).__name__ == "Conv1D" else weight


def bias(module: nn.Module) -> Tensor | None:
    """Return what is added to the products, as a view; None for nothing."""
    added = module.bias
    return added.detach() if isinstance(added, Tensor) else None


def _routed(name: str) -> bool:
    """Tell whether tokens are sent to a layer one by one."""
    return "experts" in name.split(".")


def shape(name: str, activations: Tensor, text: _Text) -> tuple[int, int]:
    """Say how many texts, and how many tokens each; some families lay them out in one row."""
    tokens = activations.shape[:-1].numel()
    texts = len(activations) if activations.ndim > 2 else 1
    if activations.ndim == 2 and not _routed(name):
        given = [
            text.now[key]
            for key in ("input_ids", "inputs_embeds", "attention_mask")
            if isinstance(text.now.get(key), Tensor)
        ]
        texts = len(given[0]) if given and tokens % max(1, len(given[0])) == 0 else 1
    return texts, tokens // max(1, texts)


def real(name: str, activations: Tensor, text: _Text) -> Tensor | None:
    """Say which tokens ``(b, t)`` are none of padding; None for all."""
    lengths = {
        given.shape[1]
        for given in text.now.values()
        if isinstance(given, Tensor) and given.ndim in (2, 3)
    }
    if _routed(name) or activations.shape[1] not in lengths:
        return None
    wide = activations[:, None]
    kept, _, _ = text.about(
        Site(text.model, name, 0, "self", "", ""), Call(wide, wide, wide, None, None, 1.0)
    )
    return kept if kept is not None and kept.shape == activations.shape[:2] else None
