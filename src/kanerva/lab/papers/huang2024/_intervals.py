"""Mean differences of paired measurements, with intervals of confidence."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from kanerva._core import checks
from kanerva._core.errors import refuse

__all__ = ["Interval", "paired"]

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean and the ends of its interval of confidence.

    Attributes:
        mean: of the differences.
        low: lower end.
        high: upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def shows(self) -> int:
        """The sign of the difference: 1 or -1, or 0 where the interval contains zero."""
        return (self.low > 0) - (self.high < 0)


def paired(one: Sequence[float], other: Sequence[float], level: float = LEVEL) -> Interval:
    r"""Return the mean of ``one - other`` with its interval of confidence, by Student's t.

    .. math:: \bar d \pm t_{n - 1} s / \sqrt n, \quad d_i = a_i - b_i

    The differences of the n pairs are taken as independent draws of one normal distribution.

    Args:
        one: a, two or more finite numbers, such as accuracies, one for each seed.
        other: b, as many, of the same seeds in the same order.
        level: probability that the interval covers the mean, above 0 and below 1.

    Returns:
        the mean and both ends.

    Raises:
        InputError: fewer than two pairs, unequal numbers of them, or a number that is not finite.

    Example:
        >>> from kanerva.lab.papers.huang2024._intervals import paired
        >>> found = paired([0.98, 0.97, 0.99], [0.97, 0.97, 0.97])
        >>> [round(end, 4) for end in found], found.shows
        ([0.01, -0.0148, 0.0348], 0)

    Source: Student 1908.
    """
    from scipy.stats import t

    level = checks.number("level", level, 0, 1, open_low=True)
    if level == 1:
        refuse("level", level, must="below 1", do="give 0.95")
    if len(one) != len(other) or len(one) < 2:
        must, got = "two or more numbers in pairs", f"{len(one)} and {len(other)} numbers"
        refuse("one and other", got=got, must=must, do="give a number for every seed to both")
    pairs = zip(one, other, strict=True)
    apart = [checks.number("one", a) - checks.number("other", b) for a, b in pairs]
    mean, count = statistics.fmean(apart), len(apart)
    reach = float(t.ppf((1 + level) / 2, count - 1)) * statistics.stdev(apart) / math.sqrt(count)
    return Interval(mean, mean - reach, mean + reach)
