"""Atomic writes of files, and error messages for what the operating system refuses."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kanerva._core import checks
from kanerva._core.errors import InputError, InputFileError, refuse

__all__ = ["atomic", "folder", "writing"]

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


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path, and move the file written there to ``path`` when the block succeeds.

    A reader sees the old file or the new one, never a part of one. The temporary file is in the
    same folder and has the same suffix. When the block fails, it is removed and ``path`` is
    unchanged. Where ``path`` is a symbolic link, its target is replaced and the link stays.

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
    temporary = target.parent / f".{target.stem[:40]}.{secrets.token_hex(4)}{target.suffix}"
    try:
        # Moving a file onto a device such as /dev/null would remove the device.
        if target.exists() and not target.is_file():
            got = f"{str(path)!r}, a folder or a device"
            refuse("path", must="a file", got=got, do="add a file name", error=InputFileError)
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
