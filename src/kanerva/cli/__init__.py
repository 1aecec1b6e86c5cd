"""The command line, one file a command. Each command calls the library and prints the result."""

import io
import sys
import warnings
from contextlib import suppress
from typing import Any

from rich.text import Text

from kanerva._core.errors import InputError
from kanerva.cli import (  # noqa: F401  # adds the commands
    attach,
    audit,
    bench,
    codec,
    density,
    probe,
    quarks,
    recall,
    recipes,
    theory,
)
from kanerva.cli._app import app
from kanerva.cli._output import OutputError, output
from kanerva.cli._tables import console

__all__: list[str] = []  # the command ``kanerva`` is the interface


# The exit code of a program whose pipe was closed, as a shell reports it: 128 + SIGPIPE.
CLOSED = 141


def main() -> None:
    """Run the command line. Bad input ends with one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # for letters that a terminal cannot show
    try:
        with warnings.catch_warnings(), output():
            warnings.showwarning = _print_warning  # type: ignore[assignment]
            app()
    except InputError as error:
        _print(str(error))
        sys.exit(2)
    except OutputError as error:
        cause = error.__cause__
        if isinstance(cause, BrokenPipeError):
            sys.exit(CLOSED)
        reason = str(getattr(cause, "strerror", cause)).lower()
        _print(f"the output could not be written ({reason}); direct it to another file.")
        sys.exit(2)


def _print_warning(message: Warning | str, *where: Any) -> None:
    """Print a warning as one sentence, without the line of code that raised it."""
    _print(f"warning: {message}")


def _print(text: str) -> None:
    """Print a message on the error stream, if that can be written."""
    with suppress(OSError):
        console(stderr=True).print(Text(f"kanerva: {text}"), soft_wrap=True)
