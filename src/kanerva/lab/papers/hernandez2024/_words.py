"""Parameters, names and sources that several recipes on entropic memories share."""

from typing import Annotated

from kanerva.lab.papers._common import LAW, SEPARATE
from kanerva.lab.recipe import Row

__all__ = [
    "CLASSIFIER",
    "DEFINED",
    "FEATURES",
    "LAW",
    "NAMES",
    "SEPARATE",
    "SEPARATELY",
    "Features",
    "Folds",
    "Levels",
    "Sigma",
    "Xi",
    "finest",
]

Features = Annotated[str, "raw for 64 pixels from 0 to 16, pca for 32 principal components"]
Levels = Annotated[int, "number m of levels, the rows of the register"]
Folds = Annotated[int, "number of folds of the ten, from the first on"]
Sigma = Annotated[float, "spread sigma of a recall, as a share of the levels: s = sigma m levels"]
Xi = Annotated[int, "number xi of columns of an accepted cue that may mismatch"]

FEATURES = ("raw", "pca")
NAMES = {"raw": "raw pixels", "pca": "32 principal components"}
CLASSIFIER = "classifier alone"

# Where an expected number comes from.
DEFINED = "by definition"
SEPARATELY = "measured with two separate codes"


def finest(rows: list[Row]) -> list[Row]:
    """Return the rows with the largest number of levels, which a figure shows.

    Example:
        >>> finest([{"levels": 4}, {"levels": 16}])
        [{'levels': 16}]
    """
    most = max(row["levels"] for row in rows)
    return [row for row in rows if row["levels"] == most]
