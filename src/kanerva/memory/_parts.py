"""Parts, arguments and whole memories as plain data, and parts built again from an allow-list.

The library's own parts are written by their name, those of a family of memories above this floor
with the package of the family. Classes and functions from elsewhere are written with their module
too, which only serves errors: nothing outside the library is imported because a file names it.
"""

import importlib
import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from kanerva import activation, separation, similarity
from kanerva._core import arrays
from kanerva._core.errors import InputError, InputTypeError, describe, refuse
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
# Dtypes of the tensors that a file can hold.
KEPT = (*arrays.FLOATS, *arrays.INTEGERS, torch.uint8, torch.bool)
# How deeply parts may be nested in a file.
DEPTH = 8
# The packages above this floor whose classes of memories and of parts a file may name. A package is
# imported when such a file is loaded.
FAMILIES = ("kanerva.density", "kanerva.diffusion", "kanerva.entropic")


def name(part: Any) -> str:
    """Return the name of a part: that of a function, or of the class of an object."""
    return getattr(part, "__name__", type(part).__name__)


def title(part: Any) -> str:
    """Return the name of a part, with its module where the library has another of that name."""
    own = name(part)
    mine = KNOWN.get(own, part)
    return own if mine in (part, type(part)) else f"{part.__module__}.{own}"


def vet(near: Any, rule: Any, last: Any) -> None:
    """Refuse what are no parts of a memory."""
    kinds = (("separation", rule, Separation), ("activation", last, Activation))
    for name, part, kind in kinds:
        if not isinstance(part, kind):
            must, do = f"a part of kanerva.{name}", f"take one from kanerva.{name}"
            refuse(name, part, must=must, do=do, error=InputTypeError)
    blank = type(rule).forward is Separation.forward and type(rule).partial is Separation.partial
    if blank and type(rule).__call__ is Separation.__call__:
        do = "write one of the two methods"
        refuse("separation", rule, must="a rule that writes forward or partial", do=do)
    own = (type(last).forward, type(last).__call__)
    if own == (Activation.forward, Activation.__call__):
        refuse("activation", last, must="one that writes forward", do="write this method")
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


def family_of(part: Any) -> str | None:
    """Return the package of a class of a family of memories; None for any other object."""
    place = str(getattr(part, "__module__", ""))
    homes = (family for family in FAMILIES if f"{place}.".startswith(f"{family}."))
    return next(homes, None) if isinstance(part, type) else None


def member(family: Any, wanted: Any) -> Any:
    """Return the class of a family of memories that a file names; None where there is none."""
    if family not in FAMILIES or not isinstance(wanted, str):
        return None
    found = getattr(importlib.import_module(family), wanted, None)
    return found if family_of(found) == family else None


def describe_memory(memory: Any) -> tuple[dict[str, Any], dict[str, Tensor], list[Any]]:
    """Return what a file holds of a memory, the tensors among its arguments, and what it needs.

    The last are the classes and functions from elsewhere, which ``load`` must be allowed to use.
    """
    kind, writer = type(memory), Writer(memory._parameters.get("beta"))
    header: dict[str, Any] = writer.named("class", kind)
    if own_init(kind):
        now = memory._parts_now()
        if any(one is not other for one, other in zip(now, memory._given_parts, strict=True)):
            do = "give it to the constructor"
            got = "one with a part that was set after it was built"
            refuse("memory", got=got, must="made of the parts it was built with", do=do)
        args, kwargs = memory._arguments
        header["arguments"] = [writer.value(value) for value in args]
        header["keywords"] = {key: writer.value(value) for key, value in kwargs.items()}
        header["dtype"] = str(memory.dtype).removeprefix("torch.")
    else:
        header |= {
            "similarity": writer.part(memory.similarity),
            "separation": writer.part(memory._part()),
            "activation": writer.part(memory.activation),
            "empty": memory.empty,
            "learned": memory.beta is not None,
        }
    return header | memory._config(), writer.tensors, writer.foreign


class Writer:
    """Turns parts and arguments into what JSON can hold, and gathers the tensors among them.

    Args:
        beta: the learned temperature of the memory, which is a parameter of its own.
    """

    def __init__(self, beta: nn.Parameter | None = None) -> None:
        self.beta = beta
        self.tensors: dict[str, Tensor] = {}
        self.foreign: list[Any] = []

    def part(self, part: Any, depth: int = DEPTH) -> Any:
        """Describe a similarity, a separation or an activation."""
        if callable(part) and hasattr(part, "__qualname__") and not isinstance(part, type):
            return self._function(part)
        kind = type(part)
        if isinstance(part, type) or not is_dataclass(part) or not _frozen(part):
            return self._bare(part)
        own = {one.name: getattr(part, one.name) for one in fields(part) if one.init}
        record = self.named("name", kind)
        _vet_fields(part, own)
        if depth == 0:
            must, do = f"made of parts nested {DEPTH} deep at most", "nest fewer"
            refuse("memory", got="one of parts nested deeper", must=must, do=do)
        plain = {key: self.value(self._number(key, one), depth - 1) for key, one in own.items()}
        return record | ({"fields": plain} if "module" in record else plain)

    def value(self, value: Any, depth: int = DEPTH) -> Any:
        """Describe an argument."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            if math.isfinite(value):
                return value
            must, do = "made of finite numbers", "set it to a number first"
            refuse("memory", got=repr(value), must=must, do=do)
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if type(value) is tuple and depth > 0:
            return {"tuple": [self.value(one, depth - 1) for one in value]}
        if isinstance(value, Packed):
            return {"words": self._tensor(value.words), "bits": value.bits}
        if isinstance(value, Tensor):
            learned = isinstance(value, nn.Parameter)
            return {"tensor": self._tensor(value)} | ({"learned": True} if learned else {})
        record = self.part(value, depth)
        return {"function": record} if isinstance(record, str) else record

    def named(self, key: str, part: Any) -> dict[str, Any]:
        """Return the name of a class or function, with its module where it is not the library's."""
        store = part.__module__.startswith("kanerva.memory.")
        if store or part is KNOWN.get(part.__name__):
            return {key: part.__name__}
        family = family_of(part)
        if family is None:
            self.foreign.append(part)
        return {key: part.__qualname__, "module": family or part.__module__}

    def _function(self, part: Any) -> Any:
        """Describe a function by its name."""
        own: str = part.__name__
        if part is KNOWN.get(own):
            return own
        record = self.named("function", part)
        inner = "<locals>" in part.__qualname__ and getattr(part, "__closure__", None)
        bound = inner or getattr(part, "__self__", None) is not None
        if own == "<lambda>" or bound:
            kind = "lambda" if own == "<lambda>" else f"function {own!r} that depends on an object"
            got = f"one with a {kind}"
            do = "define a function of a module, and give it to kanerva.load(allow=...)"
            refuse("memory", got=got, must="made of named functions", do=do)
        return record

    def _bare(self, part: Any) -> Any:
        """Describe an object of a class without fields."""
        known = isinstance(part, Separation | Activation) and not is_dataclass(part)
        if known and type(part).__init__ is object.__init__ and not vars(part):
            return self.named("name", type(part)) | {"fields": {}}
        must = "made of numbers, text, dtypes, tensors, named functions and frozen dataclasses"
        do = "make its class a frozen dataclass, or save memory.state_dict() instead"
        if isinstance(part, list | dict):
            do = "give a tuple"
        refuse("memory", got=f"one with {describe(part)}", must=must, do=do)

    def _number(self, name: str, value: Any) -> Any:
        """Return a learned temperature, which is a parameter of the memory, as a number."""
        scalar = name == "beta" and isinstance(value, Tensor) and value.ndim == 0
        mine = value is self.beta or not isinstance(value, nn.Parameter)
        return value.item() if scalar and mine else value

    def _tensor(self, value: Tensor) -> str:
        must, do = "made of dense, finite tensors of real numbers", "store it in another way"
        plain = arrays._plain(value) and value.dtype in KEPT
        if not plain or not arrays.sound(value):
            refuse("memory", got=f"one with {describe(value)}", must=must, do=do)
        key = f"argument.{len(self.tensors)}"
        self.tensors[key] = value.detach().clone()
        return key


def _frozen(part: Any) -> bool:
    """Return whether an object of a dataclass cannot be changed."""
    return bool(part.__dataclass_params__.frozen)


def _vet_fields(part: Any, own: dict[str, Any]) -> None:
    """Refuse a part that its own fields do not give back."""
    try:
        again = type(part)(**own)
        back = [getattr(again, name) for name in own]
        same = all(map(_equal, own.values(), back)) and not _init_only(type(part))
    except Exception:
        same = False
    if not same:
        must, do = "made of parts that their fields give back", "keep the arguments as they are"
        refuse("memory", got=f"one with {describe(part)}", must=must, do=do)


def _init_only(kind: Any) -> bool:
    """Return whether a dataclass takes arguments that are no fields."""
    known = {one.name for one in fields(kind) if one.init}
    return bool(set(inspect.signature(kind).parameters) - known)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.shape == other.shape and bool((one == other).all())
    return one is other or bool(one == other) or repr(one) == repr(other)


def called(kind: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call a class of a file with arguments of the file, whatever it raises for wrong ones."""
    try:
        return kind(*args, **kwargs)
    except InputError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:100]
        got = f"one whose {kind.__name__} does not take its arguments ({words})"
        refuse("path", got=got, must="a sound file", do="save the memory again")


class Reader:
    """Builds parts and arguments again from a file: the library's, and those that are allowed."""

    def __init__(self, tensors: Mapping[str, Tensor], allow: Iterable[Any], dim: int = 0) -> None:
        self.tensors, self.dim = tensors, dim
        self.allowed = {(one.__module__, one.__qualname__): one for one in allow}

    def find(self, record: Mapping[str, Any], key: str) -> Any:
        """Return the class or function that the file names."""
        wanted, module = record.get(key), record.get("module")
        if module is None:
            found = KNOWN.get(wanted) if isinstance(wanted, str) else None
            if found is None:
                got = f"a file that names {describe(wanted)}"
                must, do = "made of parts of this library", "update kanerva, or save it again"
                refuse("path", got=got, must=must, do=do)
            return found
        found = self.allowed.get((str(module), str(wanted))) or member(module, wanted)
        if found is None:
            must = "made of classes of this library, and of those in allow"
            do = f"give kanerva.load(path, allow=[{wanted}]) if you trust the file"
            refuse("path", got=f"a file that names {module}.{wanted}", must=must, do=do)
        return found

    def part(self, record: Any, beta: nn.Parameter | None = None, depth: int = DEPTH) -> Any:
        """Build a part; ``beta`` is the learned temperature that it takes."""
        if isinstance(record, str):
            return self.find({"name": record}, "name")
        if not isinstance(record, dict) or depth == 0:
            refuse("path", got=describe(record), must="a sound file", do="save the memory again")
        if "function" in record:
            return self.find(record, "function")
        kind = self.find(record, "name")
        values = {key: value for key, value in record.items() if key not in ("name", "module")}
        values = values.get("fields", {}) if "module" in record else values
        own = fields(kind) if is_dataclass(kind) else ()
        part = isinstance(kind, type) and not issubclass(kind, nn.Module)
        known = {one.name for one in own if one.init}
        if not part or not isinstance(values, dict) or set(values) != known:
            got = f"a file whose {name(kind)} has {describe(values)}"
            refuse("path", got=got, must="written by this version", do="save the memory again")
        built = {key: self.value(value, beta, depth - 1) for key, value in values.items()}
        if beta is not None and "beta" in built:
            built["beta"] = beta
        made = called(kind, **built)
        length = getattr(made, "length", None)
        if self.dim and isinstance(length, int) and length != self.dim:
            got = f"one whose {name(kind)} is for {describe(length)}, not {self.dim}"
            refuse("path", got=got, must="a sound file", do="save it again")
        return made

    def value(self, record: Any, beta: nn.Parameter | None = None, depth: int = DEPTH) -> Any:
        """Build an argument."""
        if not isinstance(record, dict):
            return record
        if "name" in record or "function" in record:
            return self.part(record, beta, depth)
        if "dtype" in record:
            return DTYPES[self._key(record["dtype"], DTYPES)]
        if "tuple" in record and isinstance(record["tuple"], list) and depth > 0:
            return tuple(self.value(one, beta, depth - 1) for one in record["tuple"])
        if "words" in record:
            return Packed(
                self.tensors[self._key(record["words"], self.tensors)], record.get("bits", 0)
            )
        if "tensor" in record:
            tensor = self.tensors[self._key(record["tensor"], self.tensors)].clone()
            if record.get("learned") is not True:
                return tensor
            return nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
        refuse("path", got=describe(record), must="a sound file", do="save the memory again")

    def _key(self, key: Any, known: Mapping[str, Any]) -> str:
        if not isinstance(key, str) or key not in known:
            got = f"one that names {describe(key)}, which it does not hold"
            refuse("path", got=got, must="a sound file", do="save the memory again")
        return key
