"""Objects from outside the library: entry points of installed packages, and ``module:NAME``.

This module finds and imports objects. What an object must be is checked where it is used.
It does not import torch.
"""

import importlib
import importlib.metadata
import operator
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from kanerva._core.errors import InputError, refuse, warn

__all__ = [
    "call",
    "current_folder",
    "entry_points",
    "foreign",
    "is_location",
    "load",
    "load_all",
    "names",
    "prefixed",
]

# Folders of code that is not the cause of an error although it raises it.
KANERVA, PYTHON = str(Path(__file__).parents[1]), str(Path(os.__file__).parent)


def names(group: str) -> list[str]:
    """Return the names of the entry points of a group in alphabetical order; nothing is imported.

    Args:
        group: such as ``"kanerva.memories"``.

    Example:
        >>> from kanerva.lab import plugins
        >>> "kanerva" in plugins.names("console_scripts")
        True
    """
    return sorted({point.name for point in importlib.metadata.entry_points(group=group)})


def entry_points(group: str, taken: Collection[str] = ()) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, without importing them.

    Args:
        group: such as ``"kanerva.memories"``.
        taken: names of the library, which no entry point may have.

    Returns:
        the entry points in the alphabetical order of their names.

    Raises:
        InputError: two entry points have the same name, or one has a name of the library.

    Example:
        >>> from kanerva.lab import plugins
        >>> plugins.entry_points("a.group.without.members")
        {}
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(importlib.metadata.entry_points(group=group)):
        argument = f"entry point {point.name!r} of {group!r}"
        if point.name in taken:
            must, got = "a name that kanerva does not use itself", f"defined by {_package(point)}"
            refuse(argument, must=must, got=got, do="rename it, or uninstall that package")
        if point.name in found:
            both = f"defined by {_package(found[point.name])} and by {_package(point)}"
            refuse(argument, must="defined once", got=both, do="uninstall one of them")
        found[point.name] = point
    return found


def load_all(
    points: Mapping[str, EntryPoint], convert: Callable[[str, Any], Any]
) -> dict[str, Any]:
    """Import the objects of entry points, and leave out with a warning those that cannot be used.

    Args:
        points: entry points by name, as ``entry_points`` returns them.
        convert: called with the name and the object; returns what is kept, or raises an error.

    Returns:
        the converted objects by name.

    Example:
        >>> from kanerva.lab import plugins
        >>> points = {"tau": plugins.EntryPoint("tau", "math:tau", "numbers")}
        >>> plugins.load_all(points, lambda name, value: round(value, 3))
        {'tau': 6.283}
    """
    found = {}
    for name, point in points.items():
        try:
            found[name] = convert(name, point.load())
        except BaseException as error:
            _pass_interrupt(error)
            package, reason = _package(point), _reason(error)
            warn(f"The entry point {name!r} of {package} is left out: {reason}.")
    return found


def is_location(text: str) -> bool:
    """Return whether a text has the form ``module:NAME``.

    Example:
        >>> from kanerva.lab import plugins
        >>> plugins.is_location("package.module:NAME"), plugins.is_location("data/mine.npy")
        (True, False)
    """
    module, colon, name = text.partition(":")
    parts = (*module.split("."), *name.split("."))
    return bool(colon) and all(part.isidentifier() for part in parts)


def load(argument: str, location: str) -> Any:
    """Import the object at ``module:NAME``; the module may lie in the current folder.

    Args:
        argument: the name of the argument, for the error.
        location: a text for which ``is_location`` holds.

    Raises:
        InputError: the module is missing, raises an error when it is imported, or has no such name.

    Example:
        >>> from kanerva.lab import plugins
        >>> plugins.load("memory", "math:tau")
        6.283185307179586
    """
    home, _, name = location.partition(":")
    try:
        with current_folder():
            module = importlib.import_module(home)
    except BaseException as error:
        _pass_interrupt(error)
        must = "module:NAME of a module that can be imported"
        got = f"{location!r}: {_reason(error)}"
        do = "write the name of an installed module or of one in the current folder"
        refuse(argument, must=must, got=got, do=do)
    try:
        with foreign(argument, location):  # a module or a class can compute its attributes
            return operator.attrgetter(name)(module)
    except InputError as error:
        if not isinstance(error.__cause__, AttributeError):
            raise
        must, got = f"module:NAME of something in the module {home!r}", f"{location!r}"
        refuse(argument, must=must, got=got, do=f"check the name {name!r}")


def call(
    argument: str, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """Call a function from outside the library, and turn what it raises into one sentence.

    Args:
        argument: the name of the argument by which the function was given, for the error.
        name: of the function, such as ``module:NAME``, for the error.
        function: what is called.
        *args: its positional arguments.
        **kwargs: its keyword arguments, of any names.

    Raises:
        InputError: the function raises anything; to an ``InputError`` the name is added.

    Example:
        >>> from kanerva.lab import plugins
        >>> plugins.call("data", "round", round, 2.5)
        2
    """
    with foreign(argument, name):
        return function(*args, **kwargs)


@contextmanager
def foreign(
    argument: str,
    name: str,
    must: str = "a callable that raises no error",
    do: str = "correct it",
) -> Iterator[None]:
    """Turn whatever code from outside raises inside the block into one sentence that names it.

    Args:
        argument: the name of the argument by which the code was given, for the error.
        name: of the code, such as ``module:NAME``, for the error.
        must: what the code must be, for the error.
        do: what the user can do, for the error.

    Raises:
        InputError: the block raises anything but the interrupt of a Ctrl-C; to an ``InputError``
            the name is added.

    Example:
        >>> from kanerva import InputError
        >>> from kanerva.lab import plugins
        >>> try:
        ...     with plugins.foreign("memory", "mine:memory"):
        ...         raise SystemExit
        ... except InputError as error:
        ...     print(error.got)
        'mine:memory': SystemExit
    """
    try:
        with prefixed(name):
            yield
    except InputError:
        raise
    except BaseException as error:
        _pass_interrupt(error)
        raise InputError("", argument, must, f"{name!r}: {_reason(error)}", do) from error


@contextmanager
def prefixed(name: str) -> Iterator[None]:
    """Put a name in front of the sentences that are raised inside the block.

    Example:
        >>> import kanerva
        >>> from kanerva.lab import plugins
        >>> try:
        ...     with plugins.prefixed("mine:memory"):
        ...         kanerva.dense(64, order=1)
        ... except kanerva.InputError as error:
        ...     print(error.function)
        mine:memory: dense
    """
    try:
        yield
    except InputError as error:
        if error.function != name:
            error.function = f"{name}: {error.function}" if error.function else name
            error.args = (error.function, *error.args[1:])
        raise


@contextmanager
def current_folder() -> Iterator[None]:
    """Put the current folder first on ``sys.path`` inside the block.

    Example:
        >>> import os, sys
        >>> from kanerva.lab import plugins
        >>> with plugins.current_folder():
        ...     sys.path[0] == os.getcwd()
        True
    """
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:  # unless the imported module took it out itself
            sys.path.remove(here)


def _package(point: EntryPoint) -> str:
    """Name the package that defines an entry point."""
    return f"the package {point.dist.name!r}" if point.dist else f"{point.value!r}"


def _pass_interrupt(error: BaseException) -> None:
    """Raise the interrupt of a Ctrl-C, which ends the command, and nothing else."""
    if type(error) is KeyboardInterrupt:
        raise error


def _reason(error: BaseException) -> str:
    """Describe an error by its type, its message, and the line of foreign code that raised it."""
    try:
        text = " ".join(str(error).split())[:160].rstrip(".")
    except Exception:  # of a class whose own __str__ fails
        text = ""
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if _outside(frame.filename)]
    if not outside or isinstance(error, SyntaxError):  # its message names the line already
        return reason
    return f"{reason} ({Path(outside[-1].filename).name}, line {outside[-1].lineno})"


def _outside(filename: str) -> bool:
    """Return whether a frame belongs neither to this library, nor to Python, nor to torch."""
    torch = getattr(sys.modules.get("torch"), "__file__", None)
    homes = (KANERVA, *([str(Path(torch).parent)] if torch else []))
    if filename.startswith(("<", *(home + os.sep for home in homes))):
        return False
    return not filename.startswith(PYTHON + os.sep) or "-packages" + os.sep in filename
