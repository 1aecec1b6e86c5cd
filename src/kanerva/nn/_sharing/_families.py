"""The residual branches of known models, and those that names, patterns or functions choose."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import nn

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, refuse

__all__ = ["FAMILIES", "Family", "chosen"]


class Family(NamedTuple):
    """A block of a known library, and the modules in it whose output is added to the input.

    Attributes:
        name: of the models.
        kind: class of the block.
        branches: names of the modules in the block.
        after: what is registered before the branches, where other blocks bear the same name: those
            of networks that normalise first have the two the other way around.
    """

    name: str
    kind: str
    branches: tuple[str, ...]
    after: str = ""

    def holds(self, block: nn.Module) -> bool:
        """Return whether a module is a block of this family."""
        parts = list(block._modules)
        if type(block).__name__ != self.kind or not self.after:
            return type(block).__name__ == self.kind
        found = self.after in parts and self.branches[0] in parts
        return found and parts.index(self.after) < parts.index(self.branches[0])


FAMILIES = (
    Family("transformers ResNet", "ResNetBasicLayer", ("layer",)),
    Family("transformers ResNet", "ResNetBottleNeckLayer", ("layer",)),
    Family("transformers RegNet", "RegNetXLayer", ("layer",)),
    Family("transformers RegNet", "RegNetYLayer", ("layer",)),
    Family("transformers ConvNeXt", "ConvNextLayer", ("drop_path",)),
    Family("transformers ViT", "ViTLayer", ("attention", "mlp", "output.dropout")),
    Family("transformers BERT", "BertSelfOutput", ("dropout",)),
    Family("transformers BERT", "BertOutput", ("dropout",)),
    Family("transformers GPT-2", "GPT2Block", ("attn", "crossattention", "mlp")),
    Family("diffusers UNet2D", "ResnetBlock2D", ("conv2",)),
    Family("torchvision and timm ResNet", "BasicBlock", ("bn2",), "conv2"),
    Family("torchvision and timm ResNet", "Bottleneck", ("bn3",), "conv3"),
)
Branches = str | list[str] | tuple[str, ...] | Callable[[str, nn.Module], bool] | None
HOW = 'give names or patterns of the modules whose output is added, such as "layers.*.branch"'


def chosen(model: nn.Module, branches: Any) -> list[str]:
    """Return the names of the modules whose output is gated, in the order of registration.

    Args:
        model: the whole model.
        branches: a pattern, a list of patterns or names, a function of name and module, or None
            for the known families.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if branches is None:
        return _known(model, modules)
    if callable(branches) and not isinstance(branches, nn.Module):
        checks.takes("branches", branches, 2, "write lambda name, module: ...")
        found = [name for name, module in modules.items() if branches(name, module)]
        if not found:
            _nothing("a function that is true for some module", "true for none", modules)
        return _outermost(found)
    patterns = [branches] if isinstance(branches, str) else branches
    must = "a pattern, a list of patterns or names, or a function of name and module"
    if not isinstance(patterns, list | tuple) or not all(isinstance(one, str) for one in patterns):
        refuse("branches", branches, must=must, do=HOW, error=InputTypeError)
    if not patterns:
        refuse("branches", branches, must="not empty", do=HOW)
    found = []
    for pattern in patterns:
        names = [name for name in modules if fnmatchcase(name, pattern)]
        if not names:
            _nothing("names or patterns of modules", f"{pattern!r}, which matches none", modules)
        found += _outermost(names)
    found = list(dict.fromkeys(found))
    inner = [name for name in found if name not in _outermost(found)]
    if inner:
        got, do = f"{inner[0]!r}, which lies inside another one", "leave out one of the two"
        refuse("branches", got=got, must="modules of which none contains another", do=do)
    return found


def _outermost(names: list[str]) -> list[str]:
    """Return the names of modules that lie in no other of them."""
    known = set(names)

    def inside(name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:end]) in known for end in range(1, len(parts)))

    return [name for name in names if not inside(name)]


def _known(model: nn.Module, modules: dict[str, nn.Module]) -> list[str]:
    """Return the branches of a model of a known family."""
    found = []
    for name, module in (("", model), *modules.items()):
        for family in FAMILIES:
            if family.holds(module):
                paths = (f"{name}.{path}" if name else path for path in family.branches)
                found += [path for path in paths if path in modules]
    if not found:
        names = ", ".join(dict.fromkeys(family.name for family in FAMILIES))
        got = f"left out for {type(model).__name__}, which has no block of these"
        must = f"given, unless the model is one of {names}"
        refuse("branches", got=got, must=must, do=_such(modules))
    return found


def _nothing(must: str, got: str, modules: dict[str, nn.Module]) -> None:
    refuse("branches", got=got, must=must, do=_such(modules))


def _such(modules: dict[str, nn.Module]) -> str:
    """Return what to do, with names of modules that one could give."""
    # Names with numbers repeat in a stack of blocks.
    numbered = [name for name in modules if any(part.isdigit() for part in name.split("."))]
    shown = [*numbered, *modules][:3]
    such = ", ".join(map(repr, dict.fromkeys(shown)))
    return f"give names or patterns such as {such}" if such else "give a model that has modules"
