"""Atomic writes of files, and error messages for what the operating system refuses."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

from kanerva._core import checks
from kanerva._core.errors import InputError, InputFileError, refuse

__all__ = ["atomic", "folder", "readable", "writing"]

REMEDIES = {
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "name a path whose folders are folders",
    errno.EACCES: "choose a place that you may write to",
    errno.EPERM: "choose a place that you may write to",
    errno.EROFS: "choose a place that you may write to",
    errno.ENOSPC: "make room on the disk or write elsewhere",
    errno.EDQUOT: "make room in your quota or write elsewhere",
    errno.EFBIG: "raise the limit on the size of files or write elsewhere",
    errno.ENAMETOOLONG: "choose a shorter name",
}

# The names of temporary files have a mark of their own, so that no other file is taken for one.
MARK = re.compile(r"\..*\.[0-9a-f]{8}\.kanerva(\.[^.]*)?")


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path, and move the file written there to ``path`` when the block succeeds.

    A reader sees the old file or the new one, never a part of one. The temporary file is in the
    same folder and has the same suffix. When the block fails, it is removed and ``path`` is
    unchanged. Where ``path`` is a symbolic link, its target is replaced and the link stays.

    The temporary file is locked until the block ends. A process that was killed leaves one that is
    not: the next call for any file of the same folder removes it.

    Args:
        path: the file to write; its folder must exist.

    Returns:
        a context manager that yields the temporary ``Path``.

    Raises:
        InputFileError: if ``path`` is a folder or a device, or if the operating system refuses.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic(pathlib.Path(folder, "a.txt")) as temporary:
        ...         written = temporary.write_text("whole")
        ...     [file.name for file in pathlib.Path(folder).iterdir()]
        ['a.txt']
    """
    target = Path(os.path.realpath(path))
    name = f".{target.stem[:40]}.{secrets.token_hex(4)}.kanerva{target.suffix}"
    temporary = target.parent / name
    try:
        # Moving a file onto a device such as /dev/null would remove the device.
        if target.exists() and not target.is_file():
            got = f"{str(path)!r}, a folder or a device"
            refuse("path", must="a file", got=got, do="add a file name", error=InputFileError)
        _sweep(target.parent)
        with _held(temporary):
            yield temporary
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            os.replace(temporary, target)
    except InputFileError:
        raise
    except OSError as error:
        do = REMEDIES.get(error.errno or 0, "check the path and the disk")
        got = f"{str(path)!r} ({(error.strerror or type(error).__name__).lower()})"
        refuse("path", must="a file that can be written", got=got, do=do, error=InputFileError)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Yield a name of a file that any library can open: another, where its own is not UTF-8.

    Args:
        path: the file to read.

    Returns:
        a context manager that yields a ``Path``.

    Raises:
        OSError: if the operating system refuses.

    Example:
        >>> import pathlib
        >>> with readable(pathlib.Path("a.txt")) as path:
        ...     path.name
        'a.txt'
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with path.open("rb") as file:
            yield Path(f"/dev/fd/{file.fileno()}")
    else:
        yield path


def folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder, with its parents, if it does not exist.

    Args:
        path: the folder.

    Returns:
        its ``Path``.

    Raises:
        InputFileError: if the operating system refuses.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     folder(pathlib.Path(home, "a", "b")).is_dir()
        True
    """
    home = checks.path(path, "out", "the name of a folder")
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
    return home


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Convert the errors of the operating system within the block to errors of argument ``out``.

    Args:
        path: the folder.

    Returns:
        a context manager.

    Raises:
        InputFileError: if the operating system refuses.

    Example:
        >>> with writing("runs"):
        ...     pass
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        got = f"{str(path)!r} ({(error.strerror or type(error).__name__).lower()})"
        do = REMEDIES.get(error.errno or 0, "choose a folder that can be made")
        refuse("out", must="a folder that can be written", got=got, do=do, error=InputFileError)


@contextmanager
def _held(temporary: Path) -> Iterator[None]:
    """Make a temporary file, and lock it within the block, where the system has such locks."""
    if not fcntl:
        yield
        return
    place = _locked(temporary)
    try:
        yield
    finally:
        os.close(place)


def _locked(temporary: Path) -> int:
    """Make a file and lock it; again, where another process swept it before it was locked."""
    while True:
        place = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # a file system without locks, where nothing is swept
            fcntl.flock(place, fcntl.LOCK_EX)
        if os.fstat(place).st_nlink:
            return place
        os.close(place)


def _sweep(folder: Path) -> None:
    """Remove the temporary files of a folder that no process holds."""
    names: list[str] = []
    with suppress(OSError):  # no such folder, which the write itself reports
        names = os.listdir(folder) if fcntl else []
    for name in filter(MARK.fullmatch, names):
        with suppress(OSError):  # held, or gone
            place = os.open(folder / name, os.O_RDWR)
            try:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(folder / name)
            finally:
                os.close(place)
