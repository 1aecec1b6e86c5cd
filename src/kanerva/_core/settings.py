"""The settings of the library: memory budget and engine of a read, and a progress function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse

__all__ = ["settings"]

ENGINES = ("auto", "torch", "numpy", "numba", "triton")

Progress = Callable[[int, int], None]


# What ``settings.use`` changed in this thread or task.
_local: ContextVar[dict[str, Any]] = ContextVar("kanerva.settings", default={})  # noqa: B039


def _changed() -> dict[str, Any]:
    """Return what ``settings.use`` changed; nothing while torch traces a graph, which cannot."""
    from torch.compiler import is_compiling

    return {} if is_compiling() else _local.get()


class Settings:
    """The settings that every read and write uses; unknown names are refused.

    An assignment holds for the whole process. ``use`` holds for its ``with`` block, in its own
    thread or asynchronous task.

    * ``budget``: the bytes of temporary arrays that one read or write may allocate at a time; 256
      MiB by default. The queries are processed in blocks that fit. A block has at least one query,
      whose scores against all stored patterns may exceed the budget.
    * ``engine``: the implementation of reads and writes. ``"auto"`` is the fastest that is
      installed and supports the operation: ``numba``, else ``numpy``, on the CPU; ``triton`` or
      ``torch`` on a GPU. All engines give the same results.
    * ``progress``: a function that is called after each block of a read, such as of a memory over a
      file, with the number of rows read so far and the number of all rows; None by default.

    Example:
        >>> import kanerva
        >>> with kanerva.settings.use(budget=2**20):
        ...     kanerva.settings.budget
        1048576
        >>> kanerva.settings.budget
        268435456
    """

    __slots__ = ("_budget", "_engine", "_progress")

    def __init__(self) -> None:
        self._budget, self._engine = 256 * 2**20, "auto"
        self._progress: Progress | None = None

    def __repr__(self) -> str:
        return f"Settings(budget={self.budget}, engine={self.engine!r})"

    @property
    def budget(self) -> int:
        return _changed().get("budget", self._budget)

    @budget.setter
    @door("settings")
    def budget(self, value: int) -> None:
        do = "give the bytes that a read may use, such as 256 * 2**20"
        self._set("budget", checks.integer("budget", value, 1, None, do))

    @property
    def engine(self) -> str:
        return _changed().get("engine", self._engine)

    @engine.setter
    @door("settings")
    def engine(self, value: str) -> None:
        self._set("engine", checks.choice("engine", value, ENGINES))

    @property
    def progress(self) -> Progress | None:
        return _changed().get("progress", self._progress)

    @progress.setter
    @door("settings")
    def progress(self, value: Progress | None) -> None:
        if value is not None and not callable(value):
            do = "give a function of two numbers, rows read and all rows"
            refuse("progress", value, must="a function or None", do=do, error=InputTypeError)
        self._set("progress", value)

    def _set(self, name: str, value: Any) -> None:
        """Change a setting: within ``use`` where that changed it, else for the whole process."""
        local = _local.get()
        if name in local:
            local[name] = value
        else:
            setattr(self, f"_{name}", value)

    @contextmanager
    @door("settings.use")
    def use(self, **values: Any) -> Iterator["Settings"]:
        """Change settings within a ``with`` block, for its thread or asynchronous task alone.

        Args:
            **values: ``budget``, ``engine`` or ``progress``.

        Returns:
            a context manager that yields the settings.

        Raises:
            InputError: another name, or a value that is out of range.
        """
        for name in values:
            checks.choice("name", name, ("budget", "engine", "progress"))
        # The setting is known as local first, so that its setter changes it here.
        changed = {name: getattr(self, name) for name in values}
        token = _local.set(_local.get() | changed)
        try:
            for name, value in values.items():
                setattr(self, name, value)
            yield self
        finally:
            _local.reset(token)


settings = Settings()
