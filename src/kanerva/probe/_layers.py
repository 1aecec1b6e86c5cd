"""The feed-forward layers of a model, and which of the tokens that enter them are padding."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.probe._calls import Call
from kanerva.probe._inputs import Inputs
from kanerva.probe._sites import Site

__all__ = ["Layer", "bias", "layers", "real", "rows", "shape"]

# Names of the module with the keys, of the one with the values, and of the one that the gate
# multiplies where it is a module of its own; by families of models.
NAMES = (
    ("gate_proj", "down_proj", "up_proj"),
    ("wi_0", "wo", "wi_1"),
    ("w1", "w2", "w3"),
    ("gate_up_proj", "down_proj", ""),
    ("Wi", "Wo", ""),
    ("weights_in", "weights_out", ""),
    ("intermediate.dense", "output.dense", ""),
    ("c_fc", "c_proj", ""),
    ("fc1", "fc2", ""),
    ("wi", "wo", ""),
    ("lin1", "lin2", ""),
    ("up_proj", "down_proj", ""),
    ("fc_in", "fc_out", ""),
    ("dense_h_to_4h", "dense_4h_to_h", ""),
    ("ffn", "ffn_output", ""),
    ("intermediate_dense", "output_dense", ""),
    ("layer_1", "layer_2", ""),
)
# Modules that hold the rows of the gate, first, and those that it multiplies. In the audio layers
# of Phi-4 the gate comes second; they are not supported.
DOUBLE = ("gate_up_proj", "Wi", "weights_in")
BACKWARDS = "Phi4MultimodalAudio"


class Layer(NamedTuple):
    """One feed-forward layer.

    * ``name``: name of its block, or of the block that contains it.
    * ``up``, ``down``: the modules with keys and values.
    * ``gated``: whether a linear function of the input multiplies the activations.
    """

    name: str
    up: nn.Module
    down: nn.Module
    gated: bool


@door("feedforward")
def layers(model: Any) -> list[Layer]:
    """Find every feed-forward layer of a model."""
    if not isinstance(model, nn.Module):
        do = "load one with transformers"
        refuse("model", model, must="a torch.nn.Module", do=do, error=InputTypeError)
    found: dict[int, Layer] = {}
    for name, block in model.named_modules():
        for names in NAMES:
            layer = _layer(name, block, names)
            if layer is not None:
                found.setdefault(id(layer.down), layer)
    if not found:
        must = "a model with feed-forward layers of transformers, such as mlp.fc1 and mlp.fc2"
        got = f"{type(model).__name__}, without one that is known"
        refuse("model", got=got, must=must, do="load one with transformers")
    return list(found.values())


def _layer(name: str, block: nn.Module, names: Sequence[str]) -> Layer | None:
    """Return a block as a layer if it has modules of these names, of shapes that fit."""
    up, down, linear = (_linear(block, path) for path in names)
    if up is None or down is None or (names[2] and linear is None):
        return None
    double = names[0] in DOUBLE
    if double and type(block).__name__.startswith(BACKWARDS):
        return None
    inner = rows(down).shape[1]
    if len(rows(up)) != (2 * inner if double else inner):
        return None
    if linear is not None and rows(linear).shape != rows(up).shape:
        return None
    return Layer(name, up, down, double or linear is not None)


def _linear(block: nn.Module, path: str) -> nn.Module | None:
    """Return the linear module at a path below a block; None where there is none."""
    part: Any = block
    for name in path.split("."):
        part = getattr(part, "_modules", {}).get(name)
    linear = isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"
    weight = getattr(part, "weight", None)
    return part if linear and isinstance(weight, Tensor) and weight.ndim == 2 else None


def rows(module: nn.Module) -> Tensor:
    """Return the weights ``(out, in)`` as a view; Conv1D of transformers stores them transposed."""
    weight: Tensor = module.weight.detach()  # type: ignore[operator]
    return weight.T if type(module).__name__ == "Conv1D" else weight


def bias(module: nn.Module) -> Tensor | None:
    """Return the bias as a view; None for none."""
    added = module.bias
    return added.detach() if isinstance(added, Tensor) else None


def _routed(name: str) -> bool:
    """Return whether a layer is an expert, to which tokens are sent one by one."""
    return "experts" in name.split(".")


def shape(name: str, activations: Tensor, inputs: Inputs) -> tuple[int, int]:
    """Return the number of texts, and of tokens in each; some families put all texts in one row."""
    tokens = activations.shape[:-1].numel()
    texts = len(activations) if activations.ndim > 2 else 1
    if activations.ndim == 2 and not _routed(name):
        names = ("input_ids", "inputs_embeds", "attention_mask")
        values = (inputs.current.get(key) for key in names)
        count = next((len(value) for value in values if isinstance(value, Tensor)), 1)
        texts = count if tokens % max(1, count) == 0 else 1
    return texts, tokens // max(1, texts)


def real(name: str, activations: Tensor, inputs: Inputs) -> Tensor | None:
    """Return which tokens ``(b, t)`` are no padding; None for all."""
    lengths = {
        value.shape[1]
        for value in inputs.current.values()
        if isinstance(value, Tensor) and value.ndim in (2, 3)
    }
    if _routed(name) or activations.shape[1] not in lengths:
        return None
    # The tokens are those of a self-attention of one head with the same input.
    head = activations[:, None]
    site = Site(inputs.model, name, 0, "self", "", "")
    kept = inputs.tokens(site, Call(head, head, head, None, None, 1.0)).real
    return kept if kept is not None and kept.shape == activations.shape[:2] else None
