"""Load a data set by its name, from a file, or from a function outside this library."""

from pathlib import Path
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.lab import plugins
from kanerva.lab.data._dataset import DataSet, chosen, prepared
from kanerva.lab.data._files import NAMED, read
from kanerva.lab.data._sets import DOWNLOADED, GROUP, SETS, named

__all__ = ["load"]

DOMAINS = ("auto", "bits", "real")


@door("data.load")
def load(
    source: str | Path,
    *,
    patterns: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    domain: str = "auto",
) -> DataSet:
    """Load a named set, a file, or the result of your own function, as bits and as real numbers.

    Real numbers: real = (2 value - low - high) / (high - low), with the limits that the notes name:
    those of the unit for the named sets, the least and the greatest value of the whole source for
    your own.
    Bits: +1 where value >= threshold, else -1. Data of two values only are bits already: -1 for the
    lower, +1 for the higher, and the real numbers are the same.

    Args:
        source: one of ``SETS``; one of ``DOWNLOADED``, which scikit-learn fetches from OpenML the
            first time and keeps in its data home, ~/scikit_learn_data unless SCIKIT_LEARN_DATA is
            set; the name of an entry point of the group ``kanerva.data``, or ``module:NAME``, of a
            function without arguments that returns a ``DataSet``; or the path of a ``.npy``,
            ``.npz`` (one array, or ``"file.npz:name"``), ``.csv`` (numbers, with or without a
            header), ``.safetensors`` (one tensor of two dimensions or more, or
            ``"file.safetensors:name"``) or a folder of pictures, or of one folder of pictures a
            class. The first dimension counts the patterns. A ``Path`` is never taken for a name.
        patterns: keep this many, >= 2, chosen at random without replacement after scaling and
            thresholding, in their old order; ``random`` draws this many (100 unless given). None
            keeps all.
        seed: an integer >= 0, for the choice of patterns and for ``random``.
        threshold: of the bits, in the unit of the source. Unless given it is 8 of 16 for
            ``digits``, 127.5 of 255 for ``mnist``, the median of each picture for ``faces``,
            ``textures`` and ``cifar10`` (which is made grey), 0 for ``random``, and for your own
            data the median of all values (the lowest value but one where the median is the
            lowest). It cannot be given for the result of a function.
        domain: ``"auto"`` returns both versions; ``"bits"`` returns the bits as the real numbers
            too, so that all memories store the same vectors; ``"real"`` returns no bits.

    Returns:
        a ``DataSet`` of float32 tensors.

    Raises:
        InputFileError: OpenML cannot be reached, or a file is missing, broken, or holds something
            else than finite real numbers, at least 2 by 2.
        InputError: an argument is out of range, a package is missing, or a function fails or
            returns something else than a ``DataSet``.

    Example:
        >>> from kanerva.lab import data
        >>> letters = data.load("letters")
        >>> letters.bits.shape, letters.shape, letters.classes[25], letters.duplicates
        (torch.Size([26, 64]), (8, 8), 'Z', 0)
    """
    checks.choice("domain", domain, DOMAINS)
    seed = checks.integer("seed", seed, 0)
    if patterns is not None:
        do = "keep two patterns at least, so that one can be taken for the other"
        patterns = checks.integer("patterns", patterns, 2, do=do)
    if threshold is not None and domain == "real":
        do = "leave it out, or choose domain='auto'"
        refuse("threshold", must="None where domain is 'real'", got=f"{threshold}", do=do)
    made = _outside(source) if isinstance(source, str) else None
    if made is not None:
        return _limited(made, patterns, seed, threshold, domain)
    if isinstance(source, str) and source in (*SETS, *DOWNLOADED):
        return prepared(named(source, patterns, seed), patterns, seed, threshold, domain)
    return prepared(read(source), patterns, seed, threshold, domain)


def _outside(source: str) -> DataSet | None:
    """Return the data of an entry point or of ``module:NAME``; None where the source is neither."""
    points = plugins.entry_points(GROUP, taken=(*SETS, *DOWNLOADED))
    if source in points:
        loaded = plugins.load_all({source: points[source]}, lambda name, value: value)
        return _called(source, loaded[source]) if loaded else None
    home = Path(source.partition(":")[0])
    if not plugins.is_location(source) or home.suffix in NAMED or Path(source).exists():
        return None
    return _called(source, plugins.load("source", source))


def _called(name: str, function: Any) -> DataSet:
    """Call a function from outside, and check that it returns a data set."""
    must, do = "a function that returns a DataSet", "return DataSet.of(values, name=...)"
    if not callable(function):
        got = f"{name!r}, which is of type {type(function).__name__}"
        refuse("source", must=must, got=got, do=do, error=InputTypeError)
    found = plugins.call("source", name, function)
    if not isinstance(found, DataSet):
        got = f"{name!r}, which returns {describe(found)}"
        refuse("source", must=must, got=got, do=do, error=InputTypeError)
    return found


def _limited(
    made: DataSet, patterns: int | None, seed: int, threshold: float | None, domain: str
) -> DataSet:
    """Choose patterns and domain of data that a function made."""
    if threshold is not None:
        must, do = "None for the data of a function", "choose the bits in the function"
        refuse("threshold", must=must, got=f"{threshold:g}", do=do)
    if domain == "bits" and made.bits is None:
        got = "'bits', of data without bits"
        refuse("domain", must="'real' or 'auto'", got=got, do="use domain='real'")
    return chosen(made, patterns, seed, domain)
