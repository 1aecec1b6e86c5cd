"""The settings of the library: how much memory a read may use, which engine works on it, and who is told how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse

__all__ = ["settings"]

ENGINES = ("auto", "torch", "numpy", "numba", "triton")


Progress = Callable[[int, int], None]


class Settings:
    """What every read obeys. Unknown names are refused, so a typing error cannot pass unnoticed.

    * ``budget``: bytes of temporary arrays that one read or write may build at a time, 256 MiB unless set. Work is cut
      into rows of queries that fit; a single query against everything stored is the least that is ever built.
    * ``engine``: what does the work: ``"auto"`` takes the fastest that is installed and fits (``numba``, else ``numpy``, on
      the CPU; ``triton`` or ``torch`` on a GPU). No engine changes a result.
    * ``progress``: called with the rows that were read and the rows there are after each block of a read, such as of a memory
      that lies in a file; None, unless set.

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
        return f"Settings(budget={self._budget}, engine={self._engine!r})"

    @property
    def budget(self) -> int:
        return self._budget

    @budget.setter
    @door("settings")
    def budget(self, value: int) -> None:
        self._budget = checks.integer(
            "budget", value, 1, None, "give the bytes that a read may use, such as 256 * 2**20"
        )

    @property
    def engine(self) -> str:
        return self._engine

    @engine.setter
    @door("settings")
    def engine(self, value: str) -> None:
        self._engine = checks.choice("engine", value, ENGINES)

    @property
    def progress(self) -> Progress | None:
        return self._progress

    @progress.setter
    @door("settings")
    def progress(self, value: Progress | None) -> None:
        if value is not None and not callable(value):
            do = "give a function of two numbers, done and in all"
            refuse("progress", value, must="a function or None", do=do, error=InputTypeError)
        self._progress = value

    @contextmanager
    @door("settings.use")
    def use(self, **values: Any) -> Iterator["Settings"]:
        """Set some of the settings for the length of a ``with`` block."""
        for name in values:
            checks.choice("name", name, ("budget", "engine", "progress"))
        before = {name: getattr(self, name) for name in values}
        try:
            for name, value in values.items():
                setattr(self, name, value)
            yield self
        finally:
            for name, value in before.items():
                setattr(self, name, value)


settings = Settings()
