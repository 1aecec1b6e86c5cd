"""Parameters and sources that several recipes share, and how tables of published numbers are read.

Modules with recipes do not import torch, so that listing and citing recipes is fast. Functions on
tensors stand in private modules beside them, which a recipe imports when it runs.
"""

from typing import Annotated, Any

__all__ = [
    "CODE",
    "COMPUTED",
    "IDENTITY",
    "INTEGERS",
    "LAW",
    "PLOT",
    "SEPARATE",
    "Bits",
    "Locations",
    "Patterns",
    "Radius",
    "Seed",
    "table",
]

Bits = Annotated[int, "dimension n of the space, in bits"]
Radius = Annotated[int, "radius of the circles, in bits"]
Locations = Annotated[int, "number of hard locations"]
Patterns = Annotated[int, "number of stored patterns"]
Seed = Annotated[int, "seed of all random draws"]

# Where an expected number comes from, unless a publication prints it.
COMPUTED = "computed independently"
INTEGERS = "computed from exact integers"
CODE = "authors' code, stored output"
PLOT = "authors' code, stored plot"
IDENTITY = "identity"
LAW = "law of the method"
SEPARATE = "measured with separate code"


def table(text: str) -> list[dict[str, Any]]:
    """Read a table: a line of column names, then a line for each row.

    Example:
        >>> table('''
        ... name  radius  beta
        ... kl    11      15.9225
        ... ''')
        [{'name': 'kl', 'radius': 11, 'beta': 15.9225}]
    """
    head, *lines = (line.split() for line in text.strip().splitlines())
    return [dict(zip(head, map(_value, line), strict=True)) for line in lines]


def _value(word: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
