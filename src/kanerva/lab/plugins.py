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
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from kanerva._core.errors import InputError, refuse

__all__ = ["call", "current_folder", "entry_points", "is_location", "load", "load_all", "names"]


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
        except (Exception, SystemExit) as error:
            warnings.warn(
                f"The entry point {name!r} of {_package(point)} is left out: {_reason(error)}.",
                stacklevel=2,
            )
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
    except (Exception, SystemExit) as error:
        must = "module:NAME of a module that can be imported"
        got = f"{location!r}: {_reason(error)}"
        do = "write the name of an installed module or of one in the current folder"
        refuse(argument, must=must, got=got, do=do)
    try:
        return operator.attrgetter(name)(module)
    except AttributeError:
        must, got = f"module:NAME of something in the module {home!r}", f"{location!r}"
        refuse(argument, must=must, got=got, do=f"check the name {name!r}")


def call(argument: str, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function from outside the library, and turn its errors into one sentence.

    Args:
        argument: the name of the argument by which the function was given, for the error.
        name: the name of the function, for the error.
        function: what is called.
        *args: its positional arguments.
        **kwargs: its keyword arguments.

    Raises:
        InputError: the function raises an error; an ``InputError`` stays as it is.

    Example:
        >>> from kanerva.lab import plugins
        >>> plugins.call("data", "round", round, 2.5)
        2
    """
    try:
        return function(*args, **kwargs)
    except InputError:
        raise
    except Exception as error:
        got = f"{name!r}: {_reason(error)}"
        refuse(argument, must="a callable that raises no error", got=got, do="correct it")


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


def _reason(error: BaseException) -> str:
    """Describe an error by its type, its message, and the line of foreign code that raised it."""
    text = " ".join(str(error).split())[:160].rstrip(".")
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if _foreign(frame.filename)]
    if not outside or isinstance(error, SyntaxError):  # its message names the line already
        return reason
    return f"{reason} ({Path(outside[-1].filename).name}, line {outside[-1].lineno})"


def _foreign(filename: str) -> bool:
    """Return whether a frame belongs neither to this module nor to the import system."""
    own = (__file__, importlib.__file__, importlib.metadata.__file__)
    return not filename.startswith("<") and filename not in own
