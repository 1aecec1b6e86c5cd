"""The named sets: pictures that come with scikit-learn and scikit-image, letters drawn here, random numbers, and downloads."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva.lab.data import _openml
from kanerva.lab.data._raw import Raw, extra, medians, rng

__all__ = ["CHOICE", "DOWNLOADED", "SETS", "named"]

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ART = """
..####.. ######.. ..#####. ######.. ######## ######## ..#####. ##....## .######. ..###### ##....## ##...... ##....##
.##..##. ##...##. .##...## ##...##. ##...... ##...... .##...## ##....## ...##... .....##. ##...##. ##...... ###..###
##....## ##...##. ##...... ##....## ##...... ##...... ##...... ##....## ...##... .....##. ##..##.. ##...... ########
##....## ######.. ##...... ##....## ######.. ######.. ##...... ######## ...##... .....##. #####... ##...... ##.##.##
######## ##...##. ##...... ##....## ##...... ##...... ##..#### ##....## ...##... .....##. ##.##... ##...... ##....##
##....## ##....## ##...... ##....## ##...... ##...... ##....## ##....## ...##... ##...##. ##..##.. ##...... ##....##
##....## ##...##. .##...## ##...##. ##...... ##...... .##...## ##....## ...##... ##...##. ##...##. ##...... ##....##
##....## ######.. ..#####. ######.. ######## ##...... ..#####. ##....## .######. .#####.. ##....## ######## ##....##

##....## ..####.. ######.. ..####.. ######.. .######. ######## ##....## ##....## ##....## ##....## ##....## ########
###...## .##..##. ##...##. .##..##. ##...##. ##....## ...##... ##....## ##....## ##....## .##..##. .##..##. .....##.
####..## ##....## ##....## ##....## ##....## ##...... ...##... ##....## ##....## ##....## ..####.. ..####.. ....##..
##.##.## ##....## ##...##. ##....## ##...##. .######. ...##... ##....## .##..##. ##....## ...##... ...##... ...##...
##..#### ##....## ######.. ##....## ######.. ......## ...##... ##....## .##..##. ##.##.## ...##... ...##... ..##....
##...### ##....## ##...... ##.##.## ##.##... ......## ...##... ##....## ..####.. ######## ..####.. ...##... .##.....
##....## .##..##. ##...... .##..##. ##..##.. ##....## ...##... .##..##. ..####.. ###..### .##..##. ...##... ##......
##....## ..####.. ##...... ..###.## ##...##. .######. ...##... ..####.. ...##... ##....## ##....## ...##... ########
"""
CROP = 32
TEXTURES = ("brick", "grass", "gravel")
RANDOM_PATTERNS, RANDOM_BITS = 100, 256


def named(name: str, patterns: int | None, seed: int) -> Raw:
    """Return a set by its name; ``patterns`` and ``seed`` say what to draw for ``random`` and mean nothing to the rest."""
    return _random(patterns, seed) if name == "random" else (FIXED | FETCHED)[name]()


def _digits() -> Raw:
    """Scans of handwritten digits (Alpaydin and Kaynak 1998; the test set of the UCI collection)."""
    bunch = extra("sklearn.datasets", "scikit-learn", "'digits'").load_digits()
    values, labels = bunch.data.astype(np.float64), bunch.target.astype(np.int64)
    notes = ("1,797 handwritten digits of 8x8 cells, ink from 0 to 16 (scikit-learn)",)
    return Raw(
        "digits",
        values,
        (8, 8),
        labels,
        tuple("0123456789"),
        (0.0, 16.0),
        8.0,
        "half the ink of a full cell",
        notes,
    )


def _faces() -> Raw:
    """The first half of scikit-image's ``lfw_subset``; the second half shows no faces."""
    pictures = extra("skimage.data", "scikit-image", "'faces'").lfw_subset()
    values = pictures[:100].reshape(100, -1).astype(np.float64)
    notes = ("100 grey faces of 25x25 pixels, cut from Labeled Faces in the Wild (scikit-image)",)
    return Raw(
        "faces",
        values,
        (25, 25),
        None,
        (),
        (0.0, 1.0),
        medians(values),
        "the median of its picture",
        notes,
    )


def _textures() -> Raw:
    source = extra("skimage.data", "scikit-image", "'textures'")
    crops = [_crops(getattr(source, name)().astype(np.float64)) for name in TEXTURES]
    values, labels = (
        np.concatenate(crops),
        np.repeat(np.arange(len(TEXTURES)), [len(part) for part in crops]),
    )
    notes = (
        f"{len(values)} grey crops of {CROP}x{CROP} pixels, side by side, of brick, grass and gravel (scikit-image)",
    )
    cut = medians(values)
    return Raw(
        "textures",
        values,
        (CROP, CROP),
        labels,
        TEXTURES,
        (0.0, 255.0),
        cut,
        "the median of its picture",
        notes,
    )


def _letters() -> Raw:
    bands = [[line.split() for line in band.splitlines()] for band in ART.strip().split("\n\n")]
    rows = [
        "".join(line[place] for line in band) for band in bands for place in range(len(band[0]))
    ]
    values = np.array([[1.0 if cell == "#" else -1.0 for cell in row] for row in rows])
    return Raw(
        "letters",
        values,
        (8, 8),
        np.arange(26),
        tuple(ALPHABET),
        notes=("26 capital letters drawn on 8x8 cells",),
    )


def _random(patterns: int | None, seed: int) -> Raw:
    count = RANDOM_PATTERNS if patterns is None else checks.integer("patterns", patterns, 2, 2**20)
    values = rng(seed, "random").uniform(-1.0, 1.0, (count, RANDOM_BITS))
    notes = (
        f"{count} patterns of {RANDOM_BITS} independent numbers, uniform from -1 to 1, drawn with seed {seed}",
    )
    return Raw(
        "random", values, span=(-1.0, 1.0), cut=0.0, cut_words="the middle: fair bits", notes=notes
    )


def _crops(picture: Float64[np.ndarray, "height width"]) -> Float64[np.ndarray, "crops pixels"]:
    """Cut a picture into squares that do not overlap, in reading order; what is left at the edges is dropped."""
    down, across = (side // CROP for side in picture.shape)
    grid = picture[: down * CROP, : across * CROP].reshape(down, CROP, across, CROP)
    return grid.swapaxes(1, 2).reshape(down * across, CROP * CROP)


FIXED: dict[str, Callable[[], Raw]] = {
    "digits": _digits,
    "faces": _faces,
    "textures": _textures,
    "letters": _letters,
}
FETCHED: dict[str, Callable[[], Raw]] = {"mnist": _openml.mnist, "cifar10": _openml.cifar10}
SETS, DOWNLOADED = (*FIXED, "random"), tuple(FETCHED)
CHOICE = f"{', '.join(SETS)} (or, downloaded: {', '.join(DOWNLOADED)})"
