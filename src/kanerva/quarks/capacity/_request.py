"""The name of a class of functions, its inputs, degree and options, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, refuse, warn

__all__ = ["NAMES", "Request", "beyond", "checked", "clipped", "positive"]

NAMES = (
    "threshold",
    "and",
    "product",
    "multiplex",
    "synapse",
    "synapses",
    "masked",
    "shared",
    "layer",
)
# The options of each class, with their defaults.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "synapse": {"which": 0},
    "synapses": {"gate": "sign"},
    "shared": {"gate": "sign"},
    "layer": {"hidden": 2},
}
GATES = ("sign", "step")
# A gate on a synapse multiplies a single weight, so that these classes have degree 1.
LINEAR = ("synapse", "synapses")


@dataclass(frozen=True)
class Request:
    """A class of functions: its name, inputs, degree (at most ``inputs``) and options."""

    name: str
    inputs: int
    degree: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether each unit computes every function of its inputs."""
        return self.degree == self.inputs


def checked(
    name: Any, inputs: Any, degree: Any, options: Mapping[str, Any], names: Sequence[str] = NAMES
) -> Request:
    """Check all arguments, except that the number of inputs may be too large."""
    name = checks.choice("name", name, names)
    n = positive("inputs", inputs)
    known = OPTIONS.get(name, {})
    for option in options:
        if option not in known:
            must = f"one of {', '.join(map(repr, known))}" if known else "left out"
            do = checks.nearest(option, tuple(known), "leave it out")
            refuse(f"the option of {name!r}", option, must=must, do=do)
    given = dict(known) | dict(options)
    if "gate" in given:
        checks.choice("gate", given["gate"], GATES)
    if "hidden" in given:
        given["hidden"] = positive("hidden", given["hidden"])
    if "which" in given:
        given["which"] = _which(given["which"], n)
    degree = clipped(degree, n)
    if degree > 1 and name in LINEAR:
        must, do = f"1 for {name!r}", "leave it out, or take another class"
        refuse("degree", must=must, got=str(degree), do=do)
    return Request(name, n, degree, given)


def clipped(degree: Any, n: int) -> int:
    """Return a degree of at most n, and warn where it was larger."""
    degree = positive("degree", degree)
    if degree > n:
        text = f"degree {degree} is taken as {n}: no product of {n} inputs of ±1 has more factors"
        warn(text)
    return min(degree, n)


def positive(argument: str, value: Any) -> int:
    """Return a number from 1 to 2^31 - 1."""
    checks.integer(argument, value, 1)
    return checks.integer(argument, value, 1, checks.LONGEST)


def _which(value: Any, n: int) -> int | str:
    if isinstance(value, str) and value == "any":
        return "any"
    if isinstance(value, str):
        must, do = "'any' or the place of an input", "write 'any' or an integer"
        refuse("which", value, must=must, do=do, error=InputTypeError)
    do = f"write 'any' or an integer from 0 to {n - 1}"
    return checks.integer("which", value, 0, n - 1, do)


def beyond(request: Request, most: int, do: str) -> NoReturn:
    """Refuse a number of inputs that is beyond what can be listed or counted."""
    degree = f" of degree {request.degree}" if request.degree > 1 else ""
    extra = ", ".join(f"{key}={value!r}" for key, value in request.options.items())
    what = f"{request.name!r}{degree}" + (f" with {extra}" if extra else "")
    must = f"an integer from 1 to {most} for {what}"
    n = request.inputs
    power = str(2**n) if n < 64 else f"(2^{n})"
    refuse("inputs", must=must, got=f"{n}: 2^{power} functions are possible", do=do)
