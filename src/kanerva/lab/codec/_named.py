"""A codec by the text that ``kanerva recall --codec`` takes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputError, InputFileError, door, refuse
from kanerva.lab.codec._autoencoder import Autoencoder
from kanerva.lab.codec._codec import Codec
from kanerva.lab.codec._files import load
from kanerva.lab.codec._hyperplanes import Hyperplanes
from kanerva.lab.codec._pca import PCA
from kanerva.lab.codec._plain import Plain

__all__ = ["named"]

MUST = (
    "none, or bits:LENGTH[:WHITENING], pca:FEATURES, ae:FEATURES[:LAYOUT], or a file that kanerva "
    "codec wrote"
)
DO = "write --codec bits:2048"


@door("codec.named")
def named(text: str, seed: int = 0, shape: Sequence[int] = ()) -> Codec:
    """Return the codec that a text names.

    Args:
        text: ``"none"``; ``"bits:2048"`` for ``Hyperplanes`` of 2,048 bits; ``"bits:2048:0.1"`` for
            those of data that are whitened with w = 0.1; ``"pca:32"`` for ``PCA`` of 32 features;
            ``"ae:64"`` for an ``Autoencoder`` of 64, ``"ae:1024:paper"`` for one of the layout
            ``"paper"``; or the path of a file that ``save`` or ``kanerva codec`` wrote.
        seed: an integer >= 0, for codecs that draw random numbers.
        shape: of the data, ``(height, width)`` or ``(height, width, colours)`` of pictures, for
            autoencoders; ``()`` for vectors.

    Returns:
        a codec that is not fitted; that of a file is, and is named like the file.

    Raises:
        InputError: another text, or numbers out of range.
        InputFileError: a file that is no codec.

    Example:
        >>> from kanerva.lab import codec
        >>> codec.named("bits:512:0.1").about
        '512 signs of random projections of whitened data (w = 0.1), seed 0'
        >>> codec.named("ae:64", shape=(8, 8)).about
        '64 learned features of an autoencoder, layout small, 30 epochs, seed 0'
    """
    if not isinstance(text, str):
        refuse("codec", text, must=MUST, do="write 'bits:2048'")
    kind, *parts = text.split(":")
    if kind == "none" and not parts:
        return Plain()
    if kind not in KINDS:
        return _filed(text)
    make, most = KINDS[kind]
    try:
        if 1 <= len(parts) <= most:
            return make(parts, seed, checks.several("shape", shape, "a tuple of sizes"))
    except InputError as error:
        if error.argument in ("seed", "shape"):
            raise
        got = f"{text!r}, in which {error.argument} is {error.got}"
        refuse("codec", must=f"{MUST}, with {error.argument} {error.must}", got=got, do=error.do)
    except ValueError:
        pass
    refuse("codec", must=MUST, got=repr(text), do=DO)


def _bits(parts: list[str], seed: int, shape: tuple[Any, ...]) -> Codec:
    return Hyperplanes(int(parts[0]), float(parts[1]) if len(parts) == 2 else 0.0, seed)


def _pca(parts: list[str], seed: int, shape: tuple[Any, ...]) -> Codec:
    return PCA(int(parts[0]))


def _ae(parts: list[str], seed: int, shape: tuple[Any, ...]) -> Codec:
    return Autoencoder(shape, int(parts[0]), parts[1] if len(parts) == 2 else "small", seed=seed)


# What makes a codec of the parts after its kind, and how many parts there are at most.
KINDS: dict[str, tuple[Callable[[list[str], int, tuple[Any, ...]], Codec], int]] = {
    "bits": (_bits, 2),
    "pca": (_pca, 1),
    "ae": (_ae, 2),
}


def _filed(text: str) -> Codec:
    """Return the codec of a file, named like the file."""
    path = checks.path(text, "codec", MUST)
    try:
        there = path.exists()
    except OSError:  # a name that is too long
        there = False
    if not there:
        refuse("codec", must=MUST, got=f"{text!r}, and no such file is there", do=DO)
    try:
        found = load(path)
    except InputFileError as error:
        got, do = f"{text!r}, which is {error.got}", "write one with kanerva codec"
        refuse("codec", must=MUST, got=got, do=do, error=InputFileError)
    found.name = Path(text).name
    found.about += f", of the file {found.name}"
    return found
