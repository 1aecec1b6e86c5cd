"""What is evaluated: memories, the share of the rows that is held out, samples and seed."""

import math
from dataclasses import dataclass

from kanerva._core import checks
from kanerva._core.errors import door, refuse

__all__ = ["MEMORIES", "Plan"]

# The memories by name, with their titles in tables.
MEMORIES = {
    "gaussian": "Gaussian",
    "epanechnikov": "Epanechnikov",
    "laplace": "Laplace",
    "crp": "CRP mixture",
    "elbo": "ELBO mixture",
}
# The fewest rows that a memory is fitted to, and the fewest that are held out: a standard error
# needs two.
KEPT, HELD = 4, 2
# Samples of one memory at most: they are written as text.
MOST = 100_000


@dataclass(frozen=True)
class Plan:
    """What to evaluate.

    * ``memories``: names of ``MEMORIES``; empty for all. ``"gaussian"``, ``"epanechnikov"`` and
      ``"laplace"`` have a kernel of that shape around every row. ``"crp"`` is a mixture that
      creates its memories; ``"elbo"`` is one of as many memories, which share every row.
    * ``hold``: the share of the rows that is held out, above 0 and below 1.
    * ``bandwidth``: of every memory, in the unit of the densities; None for one that is chosen from
      the kept rows.
    * ``samples``: how many rows are drawn from each memory, from 0 to 100,000.
    * ``seed``: of the split, of the mixtures and of the samples, an integer >= 0.

    Raises:
        InputError: an unknown memory, or a number out of range.

    Example:
        >>> from kanerva.lab.density import Plan
        >>> Plan(hold=0.25).split(10)
        3
    """

    memories: tuple[str, ...] = ()
    hold: float = 0.2
    bandwidth: float | None = None
    samples: int = 16
    seed: int = 0

    @door("density")
    def __post_init__(self) -> None:
        names = checks.several("memories", self.memories, "a sequence of names of memories")
        for name in names:
            checks.choice("memory", name, tuple(MEMORIES))
        names = tuple(name for name in MEMORIES if name in names or not names)
        hold = checks.number("hold", self.hold, 0, 1, open_low=True, do="give a share such as 0.2")
        checks.integer("samples", self.samples, 0, MOST)
        checks.integer("seed", self.seed, 0)
        if self.bandwidth is not None:
            do = "give a number in the unit of the densities, or leave it out"
            checks.number("bandwidth", self.bandwidth, 0, open_low=True, do=do)
        checks.keep(self, memories=names, hold=hold)

    @door("density")
    def split(self, rows: int) -> int:
        """Return how many of so many rows are held out.

        Args:
            rows: of the data.

        Raises:
            InputError: too few rows would be kept or held out.
        """
        held = math.ceil(self.hold * rows)
        if held < HELD or rows - held < KEPT:
            must = f"a share that keeps {KEPT} rows or more and holds out {HELD} or more"
            got = f"{self.hold:g} of {rows:,} rows, which holds out {held:,}"
            refuse("hold", got=got, must=must, do="choose another share, or give more rows")
        return held
