"""The output of a command, whose own failures are told apart from other errors."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["OutputError", "output"]


class OutputError(Exception):
    """What was printed could not be written; it is no OSError, which typer and rich would catch."""


class Output:
    """A text stream that raises ``OutputError`` where the operating system refuses a write."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write some text."""
        try:
            return self.stream.write(text)
        except OSError as error:
            raise OutputError from error

    def flush(self) -> None:
        """Write what is kept in memory."""
        try:
            self.stream.flush()
        except OSError as error:
            raise OutputError from error

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the stream itself."""
        return getattr(self.stream, name)


@contextmanager
def output() -> Iterator[None]:
    """Watch the standard output inside the block, and flush it at the end.

    Raises:
        OutputError: a write failed; later ones are discarded, so that Python can end.
    """
    stream = sys.stdout
    sys.stdout = watched = Output(stream)
    try:
        try:
            yield
        finally:
            watched.flush()
    except OutputError:
        with suppress(OSError, ValueError):  # of a stream without a file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise
    finally:
        sys.stdout = stream
