"""Hernandez 2024: precision and recall of one register, by its number of levels."""

from collections.abc import Iterator
from typing import Any

from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.hernandez2024._words import (
    DEFINED,
    NAMES,
    SEPARATE,
    SEPARATELY,
    Features,
    Folds,
    Levels,
    Sigma,
    Xi,
)
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["sizes"]

RAW, COMPONENTS = (2, 4, 8, 16, 32), (4, 8, 16, 32, 64)
# By levels: percent of the answers, percent of the cues, bits.
PRECISIONS = (96.4, 98.3, 98.4, 98.5, 98.6)
RECALLS = {"raw": (95.9, 97.0, 95.5, 91.9, 91.6), "pca": (86.0, 84.0, 85.0, 75.0, 50.0)}
ENTROPIES = {"raw": (0.58, 1.23, 1.78, 2.35, 2.39), "pca": (1.31, 2.34, 3.39, 4.39, 5.34)}
LEVELS = {"raw": RAW, "pca": COMPONENTS}
BARE = {"raw": 98.99, "pca": 99.05}


def _at(features: str, levels: int) -> Cell:
    return {"features": features, "levels": levels, "sigma": 0.1, "xi": 0, "folds": 10}


def _checks() -> Iterator[Check]:
    for levels, wanted in zip(RAW, PRECISIONS, strict=True):
        what, at = f"raw pixels, {levels} levels: precision, %", _at("raw", levels)
        yield Check(what, "precision", wanted, 2.0, SEPARATELY, at)
    for features, name in NAMES.items():
        for place, levels in enumerate(LEVELS[features]):
            at, start = _at(features, levels), f"{name}, {levels} levels"
            wanted = RECALLS[features][place]
            yield Check(f"{start}: recall, %", "recall", wanted, 2.0, SEPARATELY, at)
            wanted = ENTROPIES[features][place]
            yield Check(f"{start}: entropy, bits", "entropy", wanted, 0.02, SEPARATELY, at)
        at = {"features": features, "folds": 10}
        what = f"{name}: the classifier on the bare cue, %"
        yield Check(what, "bare", BARE[features], 0.5, SEPARATE, at)
        what = f"{name}, one level: cues accepted, %"
        yield Check(what, "accepted", 100.0, 0.0, DEFINED, {"features": features, "levels": 1})


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.hernandez2024 import _figures

    return _figures.sizes(rows)


@recipe(
    "eam.sizes",
    "A register of moderate entropy recalls best",
    "hernandez2024",
    "the experiment on the size of the register, on digits in place of its pictures",
    quick=[*grid(features="raw", levels=(1, *RAW)), *grid(features="pca", levels=(1, *COMPONENTS))],
    paper=grid(
        features=("raw", "pca"), levels=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512), seed=range(3)
    ),
    checks=_checks(),
    draw=_draw,
)
def sizes(
    features: Features,
    levels: Levels,
    sigma: Sigma = 0.1,
    xi: Xi = 0,
    folds: Folds = 10,
    seed: Seed = 0,
) -> Iterator[Row]:
    """Store digits of all classes in one register, and recall others, by the number of levels.

    For each fold 1,257 of the 1,797 digits train a support vector classifier, 359 are stored, and
    179 others are the cues. Numbers become levels between the smallest and the largest stored
    number of each column. ``accepted`` is the percentage of the cues that the register accepts.
    What is recalled for these is turned back into numbers and classified: ``precision`` is the
    percentage of the ``answers`` whose class is right, empty where there are none, and ``recall``
    that of all cues. ``entropy`` is that of the register in bits a column, ``stored`` the number of
    stored digits. ``bare`` is the percentage that the classifier gets right on the cues, without a
    memory.

    With one level the register accepts everything and holds nothing. Recall is highest at a
    moderate entropy, 96.9 % at 1.23 bits for raw pixels, and falls as more levels leave more cells
    empty: 91.6 % at 2.39 bits. Pixels have 17 values, so that more than 32 levels change nothing.
    The principal components are continuous: there it goes from 86.1 % at 1.31 bits to 49.6 % at
    5.34 bits and 0.3 % at 6.99 bits, and with 512 levels no cue is accepted. Precision hardly
    depends on the number of levels, since classes are told apart by the classifier and not by the
    register. The classifier alone is right on 99.0 % of the cues, so the memory adds no accuracy:
    what it adds is that it rejects.
    """
    from kanerva.lab.papers.hernandez2024 import _registers

    yield from _registers.measured(features, levels, folds, seed, sigma=sigma, xi=xi)
