"""The memory at hand: what this process can still use before the system kills it."""

from collections.abc import Iterator
from pathlib import Path

from kanerva._core.errors import InputError, refuse

__all__ = ["available_bytes", "fit", "size"]

# Where Linux lists the control groups of this process, and where it mounts them.
GROUPS, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# Limit, use, and the part of the use that the kernel gives back when it is needed: files in the
# page cache that were not read lately. The first line is version 2 of control groups.
FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def available_bytes() -> int:
    """Return how many bytes this process can still allocate.

    It is the least of the memory that the system has available and, for each control group that
    holds the process (a container, a job of a scheduler), its limit minus its use.

    Returns:
        bytes, >= 0.

    Example:
        >>> available_bytes() > 2**20
        True
    """
    import psutil

    return max(0, min([psutil.virtual_memory().available, *_left(GROUPS, MOUNT)]))


def fit(
    argument: str,
    needed: int | float,
    got: str,
    do: str = "ask for less",
    error: type[InputError] = InputError,
) -> None:
    """Refuse an argument for which more bytes are needed than there are at hand.

    Args:
        argument: its name.
        needed: bytes.
        got: what it was, in words.
        do: what the caller can do.
        error: the class of the error.

    Raises:
        InputError: ``needed`` exceeds ``available_bytes()``.

    Example:
        >>> fit("locations", 2**20, "4096")
    """
    free = available_bytes()
    if needed > free:
        must = f"small enough for the memory at hand, {size(free)}"
        refuse(argument, must=must, got=f"{got}, which needs {size(needed)}", do=do, error=error)


def size(count: int | float) -> str:
    """Write a number of bytes in the largest binary unit that it reaches.

    Example:
        >>> size(2**31), size(1536), size(7)
        ('2.0 GiB', '1.5 KiB', '7 bytes')
    """
    if count < 1024:
        return f"{count:.0f} byte" + ("" if count == 1 else "s")
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1023.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:,.1f} TiB"


def _left(groups: Path, mount: Path) -> Iterator[int]:
    """Yield what each control group with a limit leaves; nothing where there are none.

    A group is limited by those that hold it, too. Where a container sees only its own part of the
    tree, the listed folder is not there, and the limit lies in one of the folders above it.
    """
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # not Linux
        return
    for line in lines:
        _, names, path = (*line.split(":", 2), "", "")[:3]
        for name in {"", "memory"} & set(names.split(",")):
            home = mount / name
            inside = home / path.lstrip("/")
            for folder in (inside, *inside.parents):
                if folder.is_relative_to(home):
                    yield from _free(folder, *FILES[name])


def _free(folder: Path, limit: str, use: str, given_back: str) -> Iterator[int]:
    """Yield the limit of one control group minus its use, where it has a limit."""
    try:
        most, used = (int((folder / name).read_text(encoding="utf-8")) for name in (limit, use))
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        cached = [int(line.split()[1]) for line in lines if line.startswith(f"{given_back} ")]
    except (OSError, ValueError, IndexError):  # no such group, or the limit "max"
        return
    yield most - max(0, used - sum(cached))
