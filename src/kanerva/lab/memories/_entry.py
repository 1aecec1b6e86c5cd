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
# So many patterns at most are compared with all others to measure how far the data are apart.
COMPARED = 1000


class Facts(NamedTuple):
    """What the parameters are chosen from: how many patterns, how long, how far apart.

    Attributes:
        patterns: m, the number of patterns to store.
        dim: n, the length of a pattern.
        gap: the median over patterns x of x.x - max x.y over the other patterns y, in units of the
            dot product.
    """

    patterns: int
    dim: int
    gap: float


class Parameter(NamedTuple):
    """One parameter of a memory, and the reason for its value.

    Attributes:
        name: the keyword of the constructor.
        value: its value.
        why: the reason, in words.
    """

    name: str
    value: Number
    why: str


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
    origin: str = field(default="", kw_only=True)

    @door
    def __post_init__(self) -> None:
        if not isinstance(self.title, str) or not self.title.strip():
            refuse("title", self.title, must="a few words", do="name the memory")
        for name in ("pick", "build", "fill"):
            function = getattr(self, name)
            if not (callable(function) or (name == "fill" and function is None)):
                must = "a function" if name != "fill" else "a function, or None"
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
    dots = x[rows] @ x.T
    own = dots.gather(1, rows[:, None])
    # The pattern itself and its duplicates are not neighbours.
    apart = x[rows].square().sum(-1)[:, None] - 2 * dots + x.square().sum(-1)
    others = dots.masked_fill(apart <= 1e-6 * own.abs(), -math.inf)
    gaps = (own - others.amax(1, keepdim=True)).flatten()
    gaps = gaps[gaps.isfinite() & (gaps > 0)]
    gap = float(gaps.median()) if len(gaps) else float(own.abs().mean()) or 1.0
    return Facts(len(x), x.shape[1], gap)
