"""What a comparison compares: memories, damage and its levels, seeds and cues."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.lab import codec
from kanerva.lab.data import KINDS
from kanerva.lab.memories import Entry, Facts, Number, find

__all__ = ["Plan"]

LEVELS = {
    "gaussian": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5),
    "flip": (0.0, 0.05, 0.1, 0.2, 0.3),
}
# Codes of bits, unless given, and of real numbers.
CODECS = {"bits": ("none", "bits:2048"), "real": ("none",)}
# The damage of the curves of capacity where no level damages anything.
DAMAGED = 0.1
WORDS = {"bits": "bits", "real": "real numbers"}


@dataclass(frozen=True)
class Plan:
    """What to compare, and with how much damage.

    * ``memories``: names as ``kanerva.lab.memories.find`` takes them; empty for all memories that
      store the domain and suit the data.
    * ``kind``: of damage: ``"flip"``, ``"occlude"``, ``"gaussian"`` or ``"mask"``.
    * ``levels``: of damage, as ``kanerva.lab.data.damage`` takes them; empty for a sweep that suits
      the kind.
    * ``seeds``: the number of repetitions, each with other cues and other damage.
    * ``cues``: the number of patterns that are damaged and recalled for each level and seed.
    * ``steps``: the largest number of reads in a recall.
    * ``given``: parameters to take instead of those chosen by theory, such as
      ``{"sdm.radius": 24}``.
    * ``seed``: the first seed, an integer >= 0.
    * ``domain``: ``"bits"`` or ``"real"``, of the data.
    * ``codecs``: codes in which the data are stored, as ``kanerva.lab.codec.named`` takes them, and
      paths of files of codecs; empty for the data as they are and, of bits, also for a code of
      2,048 bits.
    * ``tune``: whether the parameters of each memory that can be fitted to the data are.
    * ``capacity``: whether it is measured how many patterns each memory holds.
    * ``level``: the damage at which memories are tuned and their capacity is measured; None for the
      middle one of ``levels``.
    * ``share``: of the cues that must be recalled for a memory to hold its patterns, above 0 and up
      to 1.

    Raises:
        InputError: an unknown memory or codec, a memory that stores none of the codes, or a number
            out of range.

    Example:
        >>> from kanerva.lab.recall import Plan
        >>> Plan(kind="mask").sweep()
        (0.0, 0.05, 0.1, 0.2, 0.3)
    """

    memories: tuple[str, ...] = ()
    kind: str = "flip"
    levels: tuple[float, ...] = ()
    seeds: int = 3
    cues: int = 100
    steps: int = 20
    given: Mapping[str, Number] = field(default_factory=dict)
    seed: int = 0
    domain: str = "bits"
    codecs: tuple[str, ...] = ()
    tune: bool = False
    capacity: bool = True
    level: float | None = None
    share: float = 0.95

    @door("recall")
    def __post_init__(self) -> None:
        checks.choice("domain", self.domain, ("bits", "real"))
        checks.choice("kind", self.kind, KINDS)
        memories = checks.several("memories", self.memories, "a sequence of names of memories")
        levels = checks.several("levels", self.levels, "a sequence of numbers")
        for name in memories:
            if not isinstance(name, str):
                must, do = "names of memories", "name them, such as 'sdm'"
                refuse("memories", name, must=must, do=do, error=InputTypeError)
        if not isinstance(self.given, Mapping) or not all(
            isinstance(key, str) for key in self.given
        ):
            must, do = "a dict from MEMORY.PARAMETER to numbers", "write {'sdm.radius': 24}"
            refuse("given", self.given, must=must, do=do, error=InputTypeError)
        codecs = checks.several("codecs", self.codecs, "a sequence of names of codecs")
        codes = _codes(codecs or CODECS[self.domain])
        checks.keep(self, memories=memories, levels=levels, codecs=tuple(codes))
        for name in ("tune", "capacity"):
            checks.flag(name, getattr(self, name))
        checks.number("share", self.share, 0, 1, open_low=True)
        for name, low in (("seeds", 1), ("cues", 1), ("steps", 1), ("seed", 0)):
            checks.integer(name, getattr(self, name), low)
        # A share of the coordinates, or the standard deviation of noise.
        most = math.inf if self.kind == "gaussian" else 1.0
        for level in self.levels:
            checks.number("levels", level, 0, most)
        if self.level is not None:
            checks.number("capacity_level", self.level, 0, most)
        domains = {codes[text] for text in codes if text != "none"}
        domains |= {self.domain} if "none" in codes else set()
        for name, entry in self.entries.items() if memories else ():
            if not domains & set(entry.domains):
                other = entry.domains[0]
                must = f"one that stores {WORDS[self.domain]}"
                got, do = f"{name!r}, which stores {WORDS[other]}", f"use --domain {other}"
                refuse("memory", must=must, got=got, do=do)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The memories that can take part, by name."""
        return find(self.memories)

    def suited(self, facts: Facts, domain: str) -> dict[str, Entry]:
        """Return the memories that store a code, and suit it or were named by the user."""
        named = self.needed()
        return {
            name: entry
            for name, entry in self.entries.items()
            if domain in entry.domains
            and (name in named or entry.suits is None or entry.suits(facts))
        }

    def needed(self) -> set[str]:
        """Return the names of the memories that were asked for; others may be left out."""
        return set(
            self.entries if self.memories else (key.rpartition(".")[0] for key in self.given)
        )

    def sweep(self) -> tuple[float, ...]:
        """Return the levels of damage, rising, each once."""
        return tuple(sorted(set(self.levels or LEVELS.get(self.kind, LEVELS["flip"]))))

    def measured(self) -> float:
        """Return the damage at which memories are tuned and their capacity is measured."""
        if self.level is not None:
            return self.level
        levels = self.sweep()
        return levels[len(levels) // 2] or DAMAGED


def _codes(texts: Sequence[str]) -> dict[str, str]:
    """Return the domain of each code, by the text that names it; each code once."""
    names: dict[str, str] = {}
    domains: dict[str, str] = {}
    for text in texts:
        found = codec.named(text)
        one = text if found.fitted else found.name
        if names.setdefault(found.name, one) != one:
            got = f"{names[found.name]!r} and {text!r}"
            must, do = "files of different names, which the report shows", "rename one of them"
            refuse("codecs", must=must, got=got, do=do)
        domains[one] = found.domain
    return domains
