"""What a comparison needs of a memory, and the facts from which its parameters are chosen."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from kanerva._core.errors import door, refuse
from kanerva.lab.citations import SOURCES, is_bibtex

if TYPE_CHECKING:
    import torch

__all__ = ["DOMAINS", "Chosen", "Entry", "Facts", "Number", "Parameter", "measure"]

Number = int | float | str | bool | None
DOMAINS = ("bits", "real")
# Bits are unbalanced where at most this share of them, or all but this share, is +1.
SPARSE = 0.25
# So many patterns at most are compared with all others to measure how far the data are apart.
COMPARED = 1000
CLOSEST = 0.01


class Facts(NamedTuple):
    """What the parameters are chosen from: how many patterns, how long, how far apart.

    Attributes:
        patterns: m, the number of patterns to store.
        dim: n, the length of a pattern.
        gap: the median over patterns of half the squared distance to the nearest other, in units of
            the similarity ``closeness``; for patterns of one length, in units of the dot product.
        closest: the same at the closest hundredth of the patterns.
        angle: 1 - cosine to the nearest other in direction, at the closest hundredth, too.
        binary: whether the patterns are -1/+1, and so of one length.
        activity: f, the share of +1 among all bits; of real numbers the share above zero.
        ones: k, the number of +1 in every pattern; None where it differs.
        spread: the standard deviation of all numbers around 0; 1 for bits.
    """

    patterns: int
    dim: int
    gap: float
    closest: float = 1.0
    angle: float = 1.0
    binary: bool = True
    activity: float = 0.5
    ones: int | None = None
    spread: float = 1.0

    @property
    def unbalanced(self) -> bool:
        """Whether far fewer bits are of one kind than of the other."""
        return self.binary and min(self.activity, 1 - self.activity) <= SPARSE


class Parameter(NamedTuple):
    """One parameter of a memory, the reason for its value, and the values it can have.

    Attributes:
        name: the keyword of the constructor.
        value: its value.
        why: the reason, in words.
        low, high: the range of a number; a whole number where ``value`` is one. None where it has
            no range.
        scale: ``"linear"`` or ``"log"``, along which the range is divided.
        choices: the values of a parameter that is no number.
        tuned: whether the value can be fitted to the data, over ``low`` to ``high`` or over
            ``choices``.
    """

    name: str
    value: Number
    why: str
    low: float | None = None
    high: float | None = None
    scale: str = "linear"
    choices: tuple[Number, ...] = ()
    tuned: bool = False


Chosen = Mapping[str, list[Parameter]]


@dataclass(frozen=True)
class Entry:
    """A memory that can take part in a comparison.

    * ``title``: its name in tables and figures.
    * ``domains``: what it can store, ``"bits"``, ``"real"`` or both.
    * ``cite``: keys of ``kanerva.lab.citations.SOURCES``, or BibTeX entries as text.
    * ``pick``: a function of the facts and of the parameters chosen for earlier entries (under
      ``"given"`` those that the user gives), which returns the parameters of this memory.
    * ``build``: the constructor, called with the length of a pattern and, as keywords, the
      parameters.
    * ``fill``: a function of the memory and the data, which stores ``data.real`` where ``write``
      alone does not, as for linked or fitted rows; ``data.labels`` are their classes. None calls
      ``memory.write``.
    * ``suits``: a function of the facts: whether the memory takes part where nobody names it; None
      for always.
    * ``theory``: a function of the facts and of the parameters by name: how many random patterns of
      that length theory says the memory stores, or None; None where there is no formula.
    * ``origin``: ``module:NAME`` of an entry from outside the library, for errors; ``find`` sets
      it.

    Raises:
        InputError: an unknown domain or source, or a field of the wrong type.

    Example:
        >>> from kanerva.lab.memories import ENTRIES, Facts
        >>> entry = ENTRIES["dense"]
        >>> [(chosen.name, chosen.value) for chosen in entry.pick(Facts(1797, 64, 10.0), {})]
        [('order', 4)]
    """

    title: str
    domains: tuple[str, ...]
    cite: tuple[str, ...]
    pick: Callable[[Facts, Chosen], list[Parameter]]
    build: Callable[..., Any]
    fill: Callable[[Any, Any], object] | None = None
    suits: Callable[[Facts], bool] | None = field(default=None, kw_only=True)
    theory: Callable[[Facts, Mapping[str, Any]], float | None] | None = field(
        default=None, kw_only=True
    )
    origin: str = field(default="", kw_only=True)

    @door
    def __post_init__(self) -> None:
        if not isinstance(self.title, str) or not self.title.strip():
            refuse("title", self.title, must="a few words", do="name the memory")
        for name in ("pick", "build", "fill", "suits", "theory"):
            function, free = getattr(self, name), name not in ("pick", "build")
            if not (callable(function) or (free and function is None)):
                must = "a function, or None" if free else "a function"
                refuse(name, function, must=must, do="see the fields of Entry")
        if not self.domains or not set(self.domains) <= set(DOMAINS):
            must = 'a tuple of "bits", "real" or both'
            refuse("domains", self.domains, must=must, do="name what the memory stores")
        for source in self.cite:
            if source not in SOURCES and not is_bibtex(source):
                must = "keys of kanerva.lab.citations.SOURCES, or BibTeX entries as text"
                refuse("cite", source, must=must, do="write a BibTeX entry")


def measure(x: "torch.Tensor", seed: int = 0) -> Facts:
    """Measure what the parameters are chosen from.

    Args:
        x: ``(m, n)`` the patterns, floating.
        seed: an integer >= 0: which patterns are compared where there are more than 1000.

    Returns:
        the facts.

    Example:
        >>> import torch
        >>> from kanerva.lab.memories import measure
        >>> measure(2 * torch.eye(3)).gap
        4.0
    """
    import torch

    draw = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(x), generator=draw)[:COMPARED]
    squares = x.square().sum(-1)
    own, dots = squares[rows, None], x[rows] @ x.T
    apart = (own - 2 * dots + squares) / 2
    # The pattern itself and its duplicates are not neighbours.
    others = apart.masked_fill(apart <= 5e-7 * own, math.inf)
    some = float(own.mean()) or 1.0
    turned = 1 - dots / (own * squares).sqrt().clamp_min(1e-30)
    angle = _apart(turned.masked_fill(turned <= 1e-6, math.inf), CLOSEST) or 1.0
    gap, closest = _apart(others, 0.5) or some, _apart(others, CLOSEST) or some
    counts = (x > 0).sum(-1)
    ones = int(counts[0]) if bool((counts == counts[0]).all()) else None
    share, binary = float(counts.double().mean()) / x.shape[1], bool((x.abs() == 1).all())
    spread = float(squares.double().mean() / x.shape[1]) ** 0.5
    return Facts(len(x), x.shape[1], gap, closest, angle, binary, share, ones, spread)


def _apart(apart: "torch.Tensor", share: float) -> float | None:
    """Return a quantile over rows of the least entry, without the infinite ones."""
    least = apart.amin(1)
    least = least[least.isfinite()].sort().values
    return float(least[int(share * (len(least) - 1))]) if len(least) else None
