"""A folder that one process at a time writes to."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kanerva._core import files
from kanerva._core.errors import InputFileError, refuse

__all__ = ["locked"]


@contextmanager
def locked(folder: Path | None, *, tidy: bool = False) -> Iterator[Path | None]:
    """Make a folder and lock it against other runs; the lock ends with the process.

    Args:
        folder: the folder; None locks nothing.
        tidy: whether a folder that was made here is removed again where nothing was written in it.

    Returns:
        a context manager that yields the folder.

    Raises:
        InputFileError: the folder cannot be written, or another run is at work in it.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as home, locked(pathlib.Path(home, "a")) as folder:
        ...     folder.is_dir()
        True
    """
    if folder is None:
        yield None
        return
    made = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        files.folder(folder)
        with files.writing(folder), tempfile.TemporaryFile(dir=folder):
            pass
        with _alone(folder):
            yield folder
    finally:
        with suppress(OSError):  # not empty
            for each in made if tidy else ():
                each.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            must, do = "a folder of its own", "wait for it to end, or choose another --out"
            got = f"{str(folder)!r}, where another run is at work"
            refuse("out", must=must, got=got, do=do, error=InputFileError)
        except OSError:  # a file system without such locks
            pass
        yield
    finally:
        os.close(place)
