"""The command line: thin faces over what the library does, a file for each."""

import io
import sys

from rich.console import Console
from rich.text import Text

from kanerva._core.errors import InputError
from kanerva.cli import bench, probe, recall, recipes, theory  # noqa: F401  # importing a command adds it
from kanerva.cli._app import app

__all__: list[str] = []  # what there is to call is the command


def main() -> None:
    """Run the command line; bad input ends with its sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where a terminal cannot show a letter
    try:
        app()
    except InputError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"kanerva: {error}"))
        sys.exit(2)
