"""Describe the parts of a memory as plain data, and build them again from an allow-list."""

import math
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from kanerva import activation, separation, similarity
from kanerva._core.errors import refuse

FUNCTIONS = {
    part.__name__: part
    for part in (
        similarity.agreement,
        similarity.closeness,
        similarity.cosine,
        similarity.dot,
        similarity.manhattan,
    )
}
CLASSES: dict[str, Any] = {
    name: getattr(module, name)
    for module in (similarity, separation, activation)
    for name in module.__all__
    if isinstance(getattr(module, name), type) and is_dataclass(getattr(module, name))
}


def name(part: Any) -> str:
    """Name a part: a function by its own name, an object by its class."""
    return getattr(part, "__name__", type(part).__name__)


def describe(part: Any) -> Any:
    """Turn a part into what JSON can hold."""
    if part in FUNCTIONS.values():
        return part.__name__
    if CLASSES.get(type(part).__name__) is not type(part):
        do = "save its state_dict instead"
        refuse("memory", must="made of parts of this library", got=f"one with {part!r}", do=do)
    values = {field.name: getattr(part, field.name) for field in fields(part) if field.init}
    return {"name": type(part).__name__} | {key: _plain(value) for key, value in values.items()}


def build(told: Any, dim: int, beta: nn.Parameter | None = None, *, depth: int = 2) -> Any:
    """Turn what ``describe`` gave into a part again; ``dim`` is what any length in it must be, ``beta`` was learned."""
    if isinstance(told, str) and told in FUNCTIONS:
        return FUNCTIONS[told]
    kind = told.get("name") if isinstance(told, dict) else None
    if not isinstance(kind, str) or kind not in CLASSES:
        must = "made of parts of this library"
        refuse(
            "path",
            must=must,
            got=f"a file that names {describe(kind or told)}",
            do="update kanerva, or save it again",
        )
    values = {key: value for key, value in told.items() if key != "name"}
    if set(values) != {field.name for field in fields(CLASSES[kind]) if field.init}:
        got = f"a file whose {kind} has {sorted(values)}"
        refuse("path", must="written by this version", got=got, do="save the memory again")
    length = values.get("bits", values.get("dim", dim))
    if length != dim:
        refuse(
            "path",
            must="a sound file",
            got=f"one whose {kind} is for {describe(length)}, not {dim}",
            do="save it again",
        )
    if "part" in values and depth > 1:
        values["part"] = build(values["part"], dim, beta, depth=depth - 1)
    if beta is not None and "beta" in values:
        values["beta"] = beta
    return CLASSES[kind](**values)


def _plain(value: Any) -> Any:
    """Turn one value of a part into a number, a string or a nested part."""
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        refuse(
            "memory", must="made of finite numbers", got=repr(value), do="set it to a number first"
        )
    return describe(value) if is_dataclass(value) else value
