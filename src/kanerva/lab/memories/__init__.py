"""The memories that a comparison can use: how each is built, with which parameters, and why.

``ENTRIES`` holds those of this library. ``find`` adds those from outside: entry points of the group
``kanerva.memories``, and ``module:NAME``. Importing this package does not import torch.
"""

from kanerva.lab.memories._entry import Entry, Facts, Number, Parameter, measure
from kanerva.lab.memories._find import (
    GROUP,
    build,
    choose,
    find,
    named_errors,
    names,
    prepare,
    spared,
)
from kanerva.lab.memories._models import ENTRIES, table

__all__ = [
    "ENTRIES",
    "GROUP",
    "Entry",
    "Facts",
    "Number",
    "Parameter",
    "named_errors",
    "build",
    "choose",
    "find",
    "measure",
    "names",
    "prepare",
    "spared",
    "table",
]
