"""The sets that are too large to ship: scikit-learn fetches them from OpenML when they are asked for, and keeps them."""

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

__all__ = ["cifar10", "mnist"]

# Seconds for which a server may be silent; a fetch that goes on may take as long as it needs.
PATIENCE = 10.0
# A cache that cannot be written is an OSError as well: of those only these are the network's.
NETWORK = (URLError, TimeoutError, ConnectionError, HTTPException)
# Thousandths of red, green and blue: the luma of ITU-R BT.601, and Pillow's. In whole numbers equal colours are equally grey.
LUMA = (299, 587, 114)
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def mnist() -> Raw:
    """Scans of handwritten digits (LeCun, Bottou, Bengio and Haffner 1998), those for training first."""
    values, labels = _fetch("mnist", "mnist_784", 28 * 28)
    notes = (
        f"{len(values):,} handwritten digits of 28x28 pixels, ink from 0 to 255 (OpenML: mnist_784)",
    )
    return Raw(
        "mnist",
        values,
        (28, 28),
        labels,
        tuple("0123456789"),
        (0.0, 255.0),
        127.5,
        "half of full ink",
        notes,
    )


def cifar10() -> Raw:
    """Photographs of ten kinds of things (Krizhevsky 2009), made grey."""
    colours, labels = _fetch("cifar10", "CIFAR_10", 3 * 32 * 32)
    red, green, blue = (
        weight * colours[:, 1024 * i : 1024 * (i + 1)] for i, weight in enumerate(LUMA)
    )
    values = (red + green + blue) / 1000
    grey = "made grey as 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601)"
    notes = (f"{len(values):,} photographs of 32x32 pixels, {grey} (OpenML: CIFAR_10)",)
    return Raw(
        "cifar10",
        values,
        (32, 32),
        labels,
        THINGS,
        (0.0, 255.0),
        medians(values),
        "the median of its picture",
        notes,
    )


def _fetch(
    name: str, known: str, width: int
) -> tuple[Float64[np.ndarray, "patterns n"], Int64[np.ndarray, "patterns"]]:
    """Return pictures and labels from scikit-learn's cache; what is not there is downloaded first."""
    datasets = extra("sklearn.datasets", "scikit-learn", f"'{name}'")
    try:
        with _patience(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of retries: what came of them is said below
            # This parser takes its time (20 s for mnist, over a minute and some 5 GB for cifar10), but needs no package besides.
            bunch = datasets.fetch_openml(
                known, version=1, as_frame=False, parser="liac-arff", n_retries=1, delay=0.1
            )
        values, labels = bunch.data.astype(np.float64, copy=False), bunch.target.astype(np.int64)
        within = (
            values.min() >= 0 and values.max() <= 255 and labels.min() >= 0 and labels.max() <= 9
        )
        if values.shape[1:] != (width,) or len(values) < 2 or not within:
            raise ValueError(
                f"these are not pictures of {width} numbers from 0 to 255 in ten classes"
            )
    except Exception as error:  # on a spoilt file or answer a parser may raise any
        _refuse(name, error)
    return values, labels


def _refuse(name: str, error: Exception) -> NoReturn:
    """Say why a set could not be had: there is no way to OpenML, or what came from there is of no use."""
    words = (str(error).splitlines() or [""])[0].removeprefix("<urlopen error ")
    reason = f"{type(error).__name__}: {words[:160].rstrip('.> ')}"
    if isinstance(error, NETWORK):
        must, got = (
            "a set that is at hand or can be downloaded",
            f"'{name}', and OpenML could not be reached ({reason})",
        )
        do = (
            "check the connection, use 'digits', or put the data into a .npz file and give its path"
        )
    else:
        must, got = (
            "a set that can be downloaded, kept and read",
            f"'{name}', which could not be ({reason})",
        )
        home = os.environ.get("SCIKIT_LEARN_DATA", "~/scikit_learn_data")
        do = f"ask again after deleting the folder '{home}/openml', or keep the data elsewhere by setting SCIKIT_LEARN_DATA"
    refuse("source", must=must, got=got, do=do, error=InputFileError)


@contextmanager
def _patience() -> Iterator[None]:
    """Give up on a silent server: urllib has no other way to say so from outside than the default of all new sockets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
