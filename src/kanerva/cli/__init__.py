"""The command line, one file a command. Each command calls the library and prints the result."""

import io
import sys
import warnings
from typing import Any

from rich.console import Console
from rich.text import Text

from kanerva._core.errors import InputError
from kanerva.cli import bench, probe, recall, recipes, theory  # noqa: F401  # adds the commands
from kanerva.cli._app import app

__all__: list[str] = []  # the command ``kanerva`` is the interface


def main() -> None:
    """Run the command line. Bad input ends with one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # for letters that a terminal cannot show
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning  # type: ignore[assignment]
            app()
    except InputError as error:
        _print(str(error))
        sys.exit(2)


def _print_warning(message: Warning | str, *where: Any) -> None:
    """Print a warning as one sentence, without the line of code that raised it."""
    _print(f"warning: {message}")


def _print(text: str) -> None:
    """Print a message on the error stream."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"kanerva: {text}"))
