"""Parts, arguments and whole memories as plain data, and parts built again from an allow-list.

The library's own parts are written by their name. Classes and functions from elsewhere are written
with their module too, which only serves errors: nothing is imported because a file names it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from kanerva import activation, separation, similarity
from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, describe, refuse
from kanerva.activation import Activation
from kanerva.bits import Packed
from kanerva.separation import Separation

PLACES = (similarity, separation, activation)
# The library's functions and classes of parts, by name.
KNOWN: dict[str, Any] = {
    name: getattr(place, name)
    for place in PLACES
    for name in place.__all__
    if is_dataclass(getattr(place, name)) or isinstance(getattr(place, name), FunctionType)
}
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in arrays.PLAIN}
# How deeply parts may be nested in a file.
DEPTH = 8


def name(part: Any) -> str:
    """Return the name of a part: that of a function, or of the class of an object."""
    return getattr(part, "__name__", type(part).__name__)


def vet(near: Any, rule: Any, last: Any) -> None:
    """Refuse what are no parts of a memory."""
    kinds = (("separation", rule, Separation), ("activation", last, Activation))
    for name, part, kind in kinds:
        if not isinstance(part, kind):
            must, do = f"a part of kanerva.{name}", f"take one from kanerva.{name}"
            refuse(name, part, must=must, do=do, error=InputTypeError)
    if not callable(near) or isinstance(near, type | Separation | Activation):
        must, do = "a function of query and keys", "take one from kanerva.similarity"
        refuse("similarity", near, must=must, do=do, error=InputTypeError)


def fit(near: Any, rule: Separation, dim: int) -> None:
    """Refuse a similarity and a separation that do not go together, or not with keys of ``dim``."""
    if rule.expects and name(near) not in rule.expects:
        must = f"{' or '.join(rule.expects)} for {rule}"
        do = "choose that similarity, or another separation"
        refuse("similarity", got=name(near), must=must, do=do)
    for part in (rule, near):
        length = getattr(part, "length", None)
        if length not in (None, dim):
            must, got = f"{dim}, the length of the keys", f"{length} in {name(part)}"
            refuse("length", got=got, must=must, do="give keys and parts the same length")


def own_init(kind: type) -> bool:
    """Return whether a class of memories is built in another way than the store that it is."""
    store = next((base for base in kind.__mro__ if "_built" in vars(base)), None)
    return store is None or kind.__init__ is not store.__init__  # type: ignore[misc]


def describe_memory(memory: Any) -> tuple[dict[str, Any], dict[str, Tensor], list[Any]]:
    """Return what a file tells of a memory, the tensors among its arguments, and what it needs.

    The last are the classes and functions from elsewhere, which ``load`` must be allowed to use.
    """
    kind, writer = type(memory), Writer()
    told: dict[str, Any] = {"class": kind.__name__} | writer.origin(kind)
    if own_init(kind):
        args, kwargs = memory._arguments
        told["arguments"] = [writer.value(value) for value in args]
        told["keywords"] = {key: writer.value(value) for key, value in kwargs.items()}
        told["dtype"] = str(memory.dtype).removeprefix("torch.")
    else:
        told |= {
            "similarity": writer.part(memory.similarity),
            "separation": writer.part(memory.separation),
            "activation": writer.part(memory.activation),
            "empty": memory.empty,
            "learned": memory.beta is not None,
        }
    return told | memory._config(), writer.tensors, writer.foreign


class Writer:
    """Turns parts and arguments into what JSON can hold, and gathers the tensors among them."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.foreign: list[Any] = []

    def part(self, part: Any) -> Any:
        """Describe a similarity, a separation or an activation."""
        if callable(part) and hasattr(part, "__qualname__") and not isinstance(part, type):
            return self._function(part)
        if isinstance(part, type) or not is_dataclass(part) or not _frozen(part):
            return self._bare(part)
        own = {one.name: getattr(part, one.name) for one in fields(part) if one.init}
        # A learned temperature is a parameter of the memory; here it is a number.
        plain = {key: self.value(self._beta(key, value)) for key, value in own.items()}
        return {"name": type(part).__name__} | self.origin(type(part)) | plain

    def value(self, value: Any) -> Any:
        """Describe an argument."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            if math.isfinite(value):
                return value
            must, do = "made of finite numbers", "set it to a number first"
            refuse("memory", got=repr(value), must=must, do=do)
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, tuple):
            return {"tuple": [self.value(one) for one in value]}
        if isinstance(value, Packed):
            return {"words": self._tensor(value.words), "bits": value.bits}
        if isinstance(value, Tensor):
            learned = isinstance(value, nn.Parameter)
            return {"tensor": self._tensor(value)} | ({"learned": True} if learned else {})
        told = self.part(value)
        return {"function": told} if isinstance(told, str) else told

    def _function(self, part: Any) -> Any:
        """Describe a function by its name."""
        own: str = part.__name__
        if part is KNOWN.get(own):
            return own
        if own == "<lambda>":
            do = "define a function with a name, and give it to kanerva.load(allow=...)"
            refuse("memory", got="one with a lambda", must="made of named functions", do=do)
        return {"function": part.__qualname__} | self.origin(part)

    def _bare(self, part: Any) -> Any:
        """Describe an object of a class without fields."""
        known = isinstance(part, Separation | Activation)
        if known and type(part).__init__ is object.__init__:
            return {"name": type(part).__name__} | self.origin(type(part))
        must = "made of numbers, text, dtypes, tensors, named functions and frozen dataclasses"
        do = "make its class a frozen dataclass, or save memory.state_dict() instead"
        refuse("memory", got=f"one with {describe(part)}", must=must, do=do)

    def origin(self, part: Any) -> dict[str, str]:
        """Return the module of a class or function that is not the library's."""
        if part.__module__.partition(".")[0] == "kanerva":
            return {}
        self.foreign.append(part)
        return {"module": part.__module__}

    def _beta(self, name: str, value: Any) -> Any:
        return value.item() if name == "beta" and isinstance(value, Tensor) else value

    def _tensor(self, value: Tensor) -> str:
        key = f"argument.{len(self.tensors)}"
        self.tensors[key] = value.detach().clone()
        return key


def _frozen(part: Any) -> bool:
    """Return whether an object of a dataclass cannot be changed."""
    return bool(part.__dataclass_params__.frozen)


class Reader:
    """Builds parts and arguments again from a file: the library's, and those that are allowed."""

    def __init__(self, tensors: Mapping[str, Tensor], allow: Iterable[Any], dim: int = 0) -> None:
        self.tensors, self.dim = tensors, dim
        self.allowed = {one.__qualname__: one for one in allow}

    def find(self, told: Mapping[str, Any], key: str) -> Any:
        """Return the class or function that the file names."""
        wanted, module = told.get(key), told.get("module")
        if module is None:
            found = KNOWN.get(wanted) if isinstance(wanted, str) else None
            if found is None:
                got, do = (
                    f"a file that names {describe(wanted)}",
                    "update kanerva, or save it again",
                )
                refuse("path", got=got, must="made of parts of this library", do=do)
            return found
        short = {name.rpartition(".")[2]: one for name, one in self.allowed.items()}
        found = self.allowed.get(str(wanted)) or short.get(str(wanted))
        if found is None or found.__module__ != module:
            must = "made of classes of this library, and of those in allow"
            do = f"give kanerva.load(path, allow=({wanted},)) if you trust the file"
            refuse("path", got=f"a file that names {module}.{wanted}", must=must, do=do)
        return found

    def part(self, told: Any, beta: nn.Parameter | None = None, depth: int = DEPTH) -> Any:
        """Build a part; ``beta`` is the learned temperature that it takes."""
        if isinstance(told, str):
            return self.find({"name": told}, "name")
        if not isinstance(told, dict) or depth == 0:
            refuse("path", got=describe(told), must="a sound file", do="save the memory again")
        if "function" in told:
            return self.find(told, "function")
        kind = self.find(told, "name")
        values = {key: value for key, value in told.items() if key not in ("name", "module")}
        own = fields(kind) if is_dataclass(kind) else ()
        if not isinstance(kind, type) or set(values) != {one.name for one in own if one.init}:
            got = f"a file whose {name(kind)} has {sorted(values)}"
            refuse("path", got=got, must="written by this version", do="save the memory again")
        built = {key: self.value(value, beta, depth - 1) for key, value in values.items()}
        if beta is not None and "beta" in built:
            built["beta"] = beta
        part = kind(**built)
        length = getattr(part, "length", None)
        if self.dim and isinstance(length, int) and length != self.dim:
            got = f"one whose {name(kind)} is for {describe(length)}, not {self.dim}"
            refuse("path", got=got, must="a sound file", do="save it again")
        return part

    def value(self, told: Any, beta: nn.Parameter | None = None, depth: int = DEPTH) -> Any:
        """Build an argument."""
        if not isinstance(told, dict):
            return told
        if depth == 0:
            refuse("path", got="nested too deeply", must="a sound file", do="save it again")
        if "dtype" in told:
            return DTYPES[self._key(told["dtype"], DTYPES)]
        if "tuple" in told and isinstance(told["tuple"], list):
            return tuple(self.value(one, beta, depth - 1) for one in told["tuple"])
        if "words" in told:
            return Packed(self.tensors[self._key(told["words"], self.tensors)], told.get("bits", 0))
        if "tensor" in told:
            tensor = self.tensors[self._key(told["tensor"], self.tensors)].clone()
            return nn.Parameter(tensor) if told.get("learned") is True else tensor
        return self.part(told, beta, depth - 1)

    def _key(self, key: Any, known: Mapping[str, Any]) -> str:
        if not isinstance(key, str) or key not in known:
            got = f"one that names {describe(key)}, which it does not hold"
            refuse("path", got=got, must="a sound file", do="save the memory again")
        return key
