"""The sets that are too large to ship: scikit-learn downloads them from OpenML, and keeps them."""

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import NoReturn
from urllib.error import URLError

import numpy as np
from jaxtyping import Float64, Int64

from kanerva._core.errors import InputFileError, refuse
from kanerva.lab.data._raw import Raw, extra, medians

__all__ = ["cifar10", "fashion", "mnist"]

# Seconds for which a server may be silent; a transfer that goes on may take as long as it needs.
PATIENCE = 10.0
# Errors of the network; a cache that cannot be written raises other kinds of OSError.
NETWORK = (URLError, TimeoutError, ConnectionError, HTTPException)
# Thousandths of red, green and blue: the luma of ITU-R BT.601, which Pillow uses. In whole numbers
# equal colours are equally grey.
LUMA = (299, 587, 114)
CLOTHES = (
    "T-shirt or top",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def mnist() -> Raw:
    """Return scans of handwritten digits (LeCun, Bottou, Bengio and Haffner 1998).

    Those of the training set come first.
    """
    return _inked("mnist", "mnist_784", tuple("0123456789"), "handwritten digits")


def fashion() -> Raw:
    """Return pictures of clothes (Xiao, Rasul and Vollgraf 2017).

    Those of the training set come first. As the published numbers are negated, the highest value
    is the darkest cloth, and the background is 0.
    """
    return _inked("fashion", "Fashion-MNIST", CLOTHES, "pictures of clothes")


def _inked(name: str, known: str, classes: tuple[str, ...], what: str) -> Raw:
    """Return a set of pictures of 28x28 pixels that are dark on light."""
    values, labels = _fetch(name, known, 28 * 28)
    about = f"{what} of 28x28 pixels, ink from 0 to 255 (OpenML: {known})"
    return Raw(
        name,
        values,
        shape=(28, 28),
        labels=labels,
        classes=classes,
        span=(0.0, 255.0),
        cut=127.5,
        cut_words="half of full ink",
        notes=(f"{len(values):,} {about}",),
        ink=True,
    )


def cifar10(colour: bool = False) -> Raw:
    """Return photographs of ten kinds of things (Krizhevsky 2009), made grey unless asked."""
    planes, labels = _fetch("cifar10", "CIFAR_10", 3 * 32 * 32)
    if colour:
        # The source has all red values of a picture first, then the green and the blue ones.
        values = planes.reshape(-1, 3, 32 * 32).swapaxes(1, 2).reshape(planes.shape)
        how = "in red, green and blue"
    else:
        red, green, blue = (
            weight * planes[:, 1024 * i : 1024 * (i + 1)] for i, weight in enumerate(LUMA)
        )
        values = (red + green + blue) / 1000
        how = "made grey as 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601)"
    return Raw(
        "cifar10",
        values,
        shape=(32, 32, 3) if colour else (32, 32),
        labels=labels,
        classes=THINGS,
        span=(0.0, 255.0),
        cut=medians(values),
        cut_words="the median of its picture",
        notes=(f"{len(values):,} photographs of 32x32 pixels, {how} (OpenML: CIFAR_10)",),
    )


def _fetch(
    name: str, known: str, width: int
) -> tuple[Float64[np.ndarray, "patterns n"], Int64[np.ndarray, "patterns"]]:
    """Return pictures and labels from scikit-learn's cache; missing ones are downloaded first."""
    datasets = extra("sklearn.datasets", "scikit-learn", f"'{name}'")
    try:
        with _patience(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of retries; their result is reported below
            # This parser needs no further package. It takes 20 s for mnist, and for cifar10 over a
            # minute and about 5 GB.
            bunch = datasets.fetch_openml(
                known, version=1, as_frame=False, parser="liac-arff", n_retries=1, delay=0.1
            )
        values, labels = bunch.data.astype(np.float64, copy=False), bunch.target.astype(np.int64)
        shades = values.min() >= 0 and values.max() <= 255
        classes = labels.min() >= 0 and labels.max() <= 9
        if values.shape[1:] != (width,) or len(values) < 2 or not (shades and classes):
            expected = f"pictures of {width} numbers from 0 to 255 in ten classes"
            raise ValueError(f"these are not {expected}")
    except Exception as error:  # on a broken file or answer a parser may raise any
        _refuse(name, error)
    return values, labels


def _refuse(name: str, error: Exception) -> NoReturn:
    """Report that OpenML cannot be reached, or that its answer cannot be used."""
    words = (str(error).splitlines() or [""])[0].removeprefix("<urlopen error ")
    reason = f"{type(error).__name__}: {words[:160].rstrip('.> ')}"
    if isinstance(error, NETWORK):
        must = "a set that is at hand or can be downloaded"
        got = f"'{name}', and OpenML could not be reached ({reason})"
        do = "check the connection, use 'digits', or give the path of a .npz file with the data"
    else:
        home = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")
        must = "a set that can be downloaded, kept and read"
        got = f"'{name}', which could not be ({reason})"
        do = (
            f"load it again after deleting the folder '{home}/openml', or keep the data elsewhere "
            "by setting SCIKIT_LEARN_DATA"
        )
    refuse("source", must=must, got=got, do=do, error=InputFileError)


@contextmanager
def _patience() -> Iterator[None]:
    """Give up on a silent server.

    The default of all new sockets is the only way to set a timeout on the requests of urllib from
    outside.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
