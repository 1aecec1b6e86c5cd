"""Entries by name, also those from outside; their parameters, and the memories built from them."""

import dataclasses
import inspect
import numbers
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputError, InputTypeError, describe, door, refuse, warn
from kanerva.lab import plugins
from kanerva.lab.memories._entry import DOMAINS, Chosen, Entry, Facts, Number, Parameter
from kanerva.lab.memories._models import ENTRIES

__all__ = ["GROUP", "named_errors", "build", "choose", "find", "names", "prepare", "spared"]

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
        return ENTRIES | _loaded(points)
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
    _check_given(given, names)
    chosen: dict[str, list[Parameter]] = {}
    for name in sorted(names, key=list(known).index):
        chosen[name] = _chosen(name, known[name], facts, given, chosen)
    return chosen


@door("recall")
def prepare(
    entries: Mapping[str, Entry],
    facts: Facts,
    given: Mapping[str, Number],
    needed: Collection[str],
) -> dict[str, tuple[list[Parameter], Any]]:
    """Choose the parameters of some entries, and build their memories.

    Args:
        entries: as ``find`` returns them.
        facts: of the data.
        given: parameters to take instead, such as ``{"sdm.radius": 24}``.
        needed: names of the entries that the user named; another one from outside the library that
            cannot be built is left out with a warning.

    Returns:
        for each name its parameters, and its memory, which holds nothing yet.

    Raises:
        InputError: a given parameter that no entry has, or a memory that cannot be built.

    Example:
        >>> from kanerva.lab.memories import ENTRIES, Facts
        >>> from kanerva.lab.memories._find import prepare
        >>> found = prepare({"dense": ENTRIES["dense"]}, Facts(1024, 64, 10.0), {}, ["dense"])
        >>> found["dense"][1].dim
        64
    """
    _check_given(given, entries)
    chosen: dict[str, list[Parameter]] = {}
    found: dict[str, tuple[list[Parameter], Any]] = {}
    for name, entry in entries.items():
        with spared(name, entry, needed):
            parameters = _chosen(name, entry, facts, given, chosen)
            found[name] = parameters, build(name, entry, facts.dim, parameters)
            chosen[name] = parameters
    return found


@contextmanager
def spared(name: str, entry: Entry, needed: Collection[str]) -> Iterator[None]:
    """Turn an error of an entry from outside that nobody named into a warning: it is left out.

    Args:
        name: of the memory.
        entry: of the memory.
        needed: the memories that were named, whose errors are raised.

    Example:
        >>> from kanerva.lab.memories._models import ENTRIES
        >>> with spared("hopfield", ENTRIES["hopfield"], ["hopfield"]):
        ...     pass  # the library's own entries are never left out
    """
    try:
        yield
    except InputError as error:
        if name in needed or not entry.origin:
            raise
        warn(f"The memory {name!r} is left out: {error}")


@contextmanager
def named_errors(
    name: str, entry: Entry, must: str = "a callable that raises no error"
) -> Iterator[None]:
    """Name the memory in the errors of the block, and turn what foreign code raises into one.

    Args:
        name: of the memory.
        entry: of the memory; one with an ``origin`` calls foreign code.
        must: what the foreign callable must be.

    Example:
        >>> import kanerva
        >>> from kanerva.lab.memories._models import ENTRIES
        >>> entry = ENTRIES["hopfield"]
        >>> try:
        ...     with kanerva.lab.memories.named_errors("mine", entry):
        ...         kanerva.hopfield(bits=0)
        ... except kanerva.InputError as error:
        ...     print(str(error)[:45])
        mine: hopfield: bits must be an integer >= 1,
    """
    if entry.origin:
        with plugins.foreign("memory", entry.origin, must):
            yield
    else:
        with plugins.prefixed(name):
            yield


def build(name: str, entry: Entry, dim: int, parameters: Sequence[Parameter]) -> Any:
    """Build the memory of an entry.

    Args:
        name: of the entry, for errors.
        entry: what to build.
        dim: the length of a pattern.
        parameters: as ``choose`` returns them.

    Returns:
        the memory, which holds nothing yet.

    Raises:
        InputError: a parameter is out of range, or the constructor fails or returns something else
            than a memory of this length.

    Example:
        >>> from kanerva.lab.memories import ENTRIES, Parameter, build
        >>> build("dense", ENTRIES["dense"], 64, [Parameter("order", 3, "given")]).dim
        64
    """
    from kanerva.memory import Associative

    place = entry.origin or name
    keywords = {parameter.name: parameter.value for parameter in parameters}
    with named_errors(name, entry):
        memory = entry.build(dim, **keywords)
    if not isinstance(memory, Associative):
        must, got = "a callable that returns a kanerva.Memory", f"{place!r}, which returns "
        got += describe(memory)
        refuse("memory", must=must, got=got, do="return the memory", error=InputTypeError)
    lengths = {"length": memory.dim, "value length": memory.value_dim}
    for what, length in lengths.items():
        if length != dim:
            must = f"a callable that returns a memory of the {what} it is given, {dim}"
            got = f"{place!r}, which returns one of {what} {length}"
            refuse("memory", must=must, got=got, do="build the memory with that length")
    return memory


def _check_given(given: Mapping[str, Number], names: Collection[str]) -> None:
    """Refuse parameters of memories that take no part."""
    for key in given:
        name = key.rpartition(".")[0]
        if name not in names:
            must = f"NAME.PARAMETER=VALUE with a name among {', '.join(names)}"
            do = checks.nearest(name, tuple(names), "")
            do = f"{do}, or " * bool(do) + "name a memory that takes part"
            refuse("set", must=must, got=key, do=do)


def _chosen(
    name: str, entry: Entry, facts: Facts, given: Mapping[str, Number], before: Chosen
) -> list[Parameter]:
    """Choose the parameters of one entry."""
    mine = [
        Parameter(key.rpartition(".")[2], value, "given")
        for key, value in given.items()
        if key.rpartition(".")[0] == name
    ]
    with named_errors(name, entry, "an Entry whose pick raises no error"):
        picked = entry.pick(facts, {**before, "given": mine})
    if not isinstance(picked, list | tuple) or not all(map(_is_parameter, picked)):
        must = "an Entry whose pick returns a list of kanerva.lab.memories.Parameter"
        got = f"{entry.origin or name!r}, which returns {describe(picked)}"
        refuse("memory", must=must, got=got, do="return [Parameter(name, value, why)]")
    return _replaced(name, list(picked), mine)


def _is_parameter(value: Any) -> bool:
    """Return whether a value is a parameter with a name, a plain value and a reason."""
    if not isinstance(value, Parameter) or not isinstance(value.value, Number | numbers.Number):
        return False
    return isinstance(value.name, str) and isinstance(value.why, str)


def _named(text: str, points: Mapping[str, Any]) -> tuple[str, Entry]:
    """Return the name and the entry that a text stands for."""
    if text in ENTRIES:
        return text, ENTRIES[text]
    if text in points:
        loaded = _loaded({text: points[text]})
        if loaded:
            return text, loaded[text]
    if isinstance(text, str) and plugins.is_location(text):
        name = text.replace(":", ".").rpartition(".")[2]
        if name in (*ENTRIES, *BASELINES):
            must = "module:NAME with a name that kanerva does not use itself"
            refuse("memory", text, must=must, do=f"rename {name}")
        return name, _entry(name, text, plugins.load("memory", text))
    known = (*ENTRIES, *points)
    must = f"one of {', '.join(known)}, or module:NAME of your own"
    refuse("memory", text, must=must, do=checks.nearest(text, known, "check its name"))


def _loaded(points: Mapping[str, EntryPoint]) -> dict[str, Entry]:
    """Return the entries of entry points; those that cannot be used are left out."""
    return plugins.load_all(points, lambda name, value: _entry(name, points[name].value, value))


def _entry(name: str, origin: str, value: Any) -> Entry:
    """Make an entry of an object from outside."""
    from kanerva.memory import Associative

    if isinstance(value, Entry):
        return dataclasses.replace(value, origin=origin)
    if not callable(value) or isinstance(value, Associative):
        must = "a callable that builds a memory from the length of a pattern, or an Entry"
        got = f"{name!r}, which is of type {type(value).__name__}"
        refuse("memory", must=must, got=got, do="name the function or class that builds it")

    def pick(facts: Facts, chosen: Chosen) -> list[Parameter]:
        _bind(name, value, facts.dim, chosen["given"])
        return chosen["given"]

    title = name.replace("_", " ")
    return Entry(title[:1].upper() + title[1:], DOMAINS, (), pick, value, origin=origin)


def _bind(name: str, function: Callable[..., Any], dim: int, given: list[Parameter]) -> None:
    """Refuse parameters that a callable does not take, or lacks."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a callable written in another language
        return
    try:
        signature.bind_partial(dim)
    except TypeError:
        must = "a callable that takes the length of a pattern as its first positional argument"
        takes = "keyword arguments only" if signature.parameters else "no argument"
        got = f"{name!r}, which takes {takes}"
        refuse("memory", must=must, got=got, do="give it a first parameter for that length")
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
            do = checks.nearest(parameter.name, tuple(known), "check its name")
            refuse("set", must=must, got=f"{name}.{parameter.name}", do=do)
        known[parameter.name] = parameter
    return list(known.values())
