"""Entries by name, also those from outside; their parameters, and the memories built from them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.lab import plugins
from kanerva.lab.memories._entry import DOMAINS, Chosen, Entry, Facts, Number, Parameter
from kanerva.lab.memories._models import ENTRIES

__all__ = ["GROUP", "build", "choose", "find", "names"]

# The group of entry points under which other packages offer memories.
GROUP = "kanerva.memories"
# The baselines of a comparison, whose names no memory may have.
BASELINES = ("cue", "nearest")


def names() -> list[str]:
    """Return the names of all memories, those of entry points last; nothing is imported.

    Example:
        >>> from kanerva.lab import memories
        >>> memories.names()[:3]
        ['hopfield', 'dense', 'exponential']
    """
    return list(dict.fromkeys((*ENTRIES, *plugins.names(GROUP))))


@door("recall")
def find(names: Sequence[str] = ()) -> dict[str, Entry]:
    """Return entries by name, those of this library first.

    Args:
        names: each a name of ``ENTRIES``, the name of an entry point of the group
            ``kanerva.memories``, or ``module:NAME`` of an ``Entry`` or of a callable that builds a
            memory from the length of a pattern; the entry is then called NAME. Empty for all of the
            first two kinds.

    Returns:
        the entries; entry points that cannot be used are left out with a warning.

    Raises:
        InputError: an unknown name, a module that cannot be imported, something that is no memory,
            or two memories of one name.

    Example:
        >>> from kanerva.lab.memories import find
        >>> list(find(["sdm", "dense"]))
        ['dense', 'sdm']
    """
    points = plugins.entry_points(GROUP, taken=(*ENTRIES, *BASELINES))
    if not names:
        return ENTRIES | plugins.load_all(points, _entry)
    found: dict[str, Entry] = {}
    for text in dict.fromkeys(names):
        name, entry = _named(text, points)
        if name in found:
            got = f"two of the name {name!r}"
            refuse("memory", must="given once for each name", got=got, do="rename one of them")
        found[name] = entry
    return {name: found[name] for name in (*ENTRIES, *found) if name in found}


@door("recall")
def choose(
    names: Sequence[str],
    facts: Facts,
    given: Mapping[str, Number],
    entries: Mapping[str, Entry] | None = None,
) -> dict[str, list[Parameter]]:
    """Choose the parameters of some entries, by theory or as given.

    Args:
        names: of ``entries``.
        facts: of the data.
        given: parameters to take instead, such as ``{"sdm.radius": 24}``.
        entries: as ``find`` returns them; ``ENTRIES`` where left out.

    Returns:
        for each name its parameters.

    Raises:
        InputError: a given parameter that no entry among ``names`` has.

    Example:
        >>> from kanerva.lab.memories import Facts, choose
        >>> choose(["sdm_patterns"], Facts(1024, 64, 10.0), {})["sdm_patterns"][0].value
        11
    """
    known = ENTRIES if entries is None else entries
    for key in given:
        if key.rpartition(".")[0] not in names:
            must = f"NAME.PARAMETER=VALUE with a name among {', '.join(names)}"
            refuse("set", must=must, got=key, do="name a memory that takes part")
    chosen: dict[str, list[Parameter]] = {}
    for name in sorted(names, key=list(known).index):
        mine = [
            Parameter(key.rpartition(".")[2], value, "given")
            for key, value in given.items()
            if key.rpartition(".")[0] == name
        ]
        picked = known[name].pick(facts, chosen | {"given": mine})
        chosen[name] = _replaced(name, picked, mine)
    return chosen


def build(name: str, entry: Entry, dim: int, parameters: Sequence[Parameter]) -> Any:
    """Build the memory of an entry.

    Args:
        name: of the entry, for errors.
        entry: what to build.
        dim: the length of a pattern.
        parameters: as ``choose`` returns them.

    Returns:
        the ``kanerva.Memory``, which holds nothing yet.

    Raises:
        InputError: a parameter is out of range, or the constructor fails or returns something else
            than a memory of this length.

    Example:
        >>> from kanerva.lab.memories import ENTRIES, Parameter, build
        >>> build("dense", ENTRIES["dense"], 64, [Parameter("order", 3, "given")]).dim
        64
    """
    from kanerva.memory import Memory

    keywords = {parameter.name: parameter.value for parameter in parameters}
    memory = plugins.call("memory", name, entry.build, dim, **keywords)
    if not isinstance(memory, Memory):
        must, got = "a callable that returns a kanerva.Memory", f"{name!r}, which returns "
        got += describe(memory)
        refuse("memory", must=must, got=got, do="return the memory", error=InputTypeError)
    if memory.dim != dim:
        must = f"a callable that returns a memory of the length it is given, {dim}"
        got = f"{name!r}, which returns one of length {memory.dim}"
        refuse("memory", must=must, got=got, do="build the memory with that length")
    return memory


def _named(text: str, points: Mapping[str, Any]) -> tuple[str, Entry]:
    """Return the name and the entry that a text stands for."""
    if text in ENTRIES:
        return text, ENTRIES[text]
    if text in points:
        loaded = plugins.load_all({text: points[text]}, _entry)
        if loaded:
            return text, loaded[text]
    if isinstance(text, str) and plugins.is_location(text):
        name = text.replace(":", ".").rpartition(".")[2]
        if name in (*ENTRIES, *BASELINES):
            must = "module:NAME with a name that kanerva does not use itself"
            refuse("memory", text, must=must, do=f"rename {name}")
        return name, _entry(name, plugins.load("memory", text))
    must = f"one of {', '.join((*ENTRIES, *points))}, or module:NAME of your own"
    refuse("memory", text, must=must, do="check its name")


def _entry(name: str, value: Any) -> Entry:
    """Make an entry of an object from outside."""
    from kanerva.memory import Memory

    if isinstance(value, Entry):
        return value
    if not callable(value) or isinstance(value, Memory):
        must = "a callable that builds a memory from the length of a pattern, or an Entry"
        got = f"{name!r}, which is of type {type(value).__name__}"
        refuse("memory", must=must, got=got, do="name the function or class that builds it")

    def pick(facts: Facts, chosen: Chosen) -> list[Parameter]:
        _bind(name, value, facts.dim, chosen["given"])
        return chosen["given"]

    title = name.replace("_", " ")
    return Entry(title[:1].upper() + title[1:], DOMAINS, (), pick, value)


def _bind(name: str, function: Callable[..., Any], dim: int, given: list[Parameter]) -> None:
    """Refuse parameters that a callable does not take, or lacks."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a callable written in another language
        return
    try:
        signature.bind_partial(dim)
    except TypeError:
        must, got = "a callable of the length of a pattern", f"{name!r}, which takes no argument"
        refuse("memory", must=must, got=got, do="give it a parameter for that length")
    try:
        signature.bind(dim, **{parameter.name: parameter.value for parameter in given})
    except TypeError as error:
        must = f"what {name}({', '.join(signature.parameters)}) takes"
        names = ", ".join(f"{name}.{parameter.name}" for parameter in given)
        got = f"{names or 'left out'} ({error})"
        refuse("set", must=must, got=got, do=f"write --set {name}.PARAMETER=VALUE")


def _replaced(name: str, picked: list[Parameter], given: list[Parameter]) -> list[Parameter]:
    """Return the picked parameters, with the given ones in their places."""
    known = {parameter.name: parameter for parameter in picked}
    for parameter in given:
        if parameter.name not in known:
            listed = ", ".join(f"{name}.{one}" for one in known)
            must = f"one of {listed}" if known else f"left out for {name}"
            refuse("set", must=must, got=f"{name}.{parameter.name}", do="check its name")
        known[parameter.name] = parameter
    return list(known.values())
