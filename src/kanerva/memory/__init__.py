"""The stores and their contract: what is written, read, recalled, explained and saved."""

from kanerva.memory._associative import Associative
from kanerva.memory._base import Memory
from kanerva.memory._connections import Clipped, Covariance
from kanerva.memory._explanation import Explanation
from kanerva.memory._linked import Linked
from kanerva.memory._links import Links
from kanerva.memory._load import load
from kanerva.memory._locations import Locations
from kanerva.memory._near import Nearest
from kanerva.memory._patterns import Patterns

__all__ = [
    "Associative",
    "Clipped",
    "Covariance",
    "Explanation",
    "Linked",
    "Links",
    "Locations",
    "Memory",
    "Nearest",
    "Patterns",
    "load",
]
