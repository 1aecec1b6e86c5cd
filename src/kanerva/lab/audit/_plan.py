"""How samples are audited: thresholds, seed, and the share of copies that is too many."""

from dataclasses import dataclass

from kanerva._core import checks
from kanerva._core.errors import door

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """How to audit samples.

    * ``memorised``: the distance >= 0 to a training row within which a sample is a copy, in the
      unit of the distances; None for a quarter of the median distance between neighbours of the
      training rows.
    * ``spurious``: the distance >= 0 to another sample within which a sample that is no copy is a
      repeat; None for a tenth of that median.
    * ``seed``: of the intervals, an integer >= 0.
    * ``fail_above``: the largest share of copies that passes, from 0 to 1; None for any.

    Raises:
        InputError: a number out of range.

    Example:
        >>> from kanerva.lab.audit import Plan
        >>> Plan(fail_above=0.01).memorised is None
        True
    """

    memorised: float | None = None
    spurious: float | None = None
    seed: int = 0
    fail_above: float | None = None

    @door("audit")
    def __post_init__(self) -> None:
        for name in ("memorised", "spurious"):
            if getattr(self, name) is not None:
                do = "give a distance in the unit of the rows, or leave it out"
                checks.keep(self, **{name: checks.number(name, getattr(self, name), 0, do=do)})
        checks.integer("seed", self.seed, 0)
        if self.fail_above is not None:
            do = "give a share such as 0.01"
            checks.keep(self, fail_above=checks.number("fail_above", self.fail_above, 0, 1, do=do))
