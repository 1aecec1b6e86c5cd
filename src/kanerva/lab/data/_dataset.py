"""A set of patterns as bits and as real numbers, made from the numbers of any source."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, describe, door, refuse, warn
from kanerva.lab.data._raw import Raw, colours, of_array, rng
from kanerva.lab.data._scale import cut, scaled

__all__ = ["SCALES", "DataSet", "chosen", "prepared", "warn_of_lost"]

SCALES = ("auto", "whole", "columns")


@dataclass(frozen=True, eq=False)
class DataSet:
    """Patterns ready to be stored, and a description of how they were made.

    * ``name``: of the set or file.
    * ``bits``: ``(m, n)`` float32 of -1 and +1, or None where only real numbers were loaded.
    * ``real``: ``(m, n)`` float32 in [-1, 1]; the bits themselves where the data are binary.
    * ``labels``, ``classes``: the class of each pattern as a number, and the names of the classes,
      where there are any.
    * ``shape``: of one pattern where it is a picture, ``(height, width)`` or
      ``(height, width, 3)``; otherwise ``()``.
    * ``duplicates``: the number of patterns whose bits equal those of an earlier one (without bits,
      whose numbers do).
    * ``constant``: the number of coordinates whose bit (without bits, whose number) is the same in
      all patterns.
    * ``notes``: sentences on what the data are and how they were scaled, thresholded and chosen.
    * ``ink``: whether +1 is ink on paper rather than light, so that pictures of it are drawn dark.
    * ``lost``: the number of patterns that differ from all earlier ones in the source, and whose
      bits do not (without bits, whose numbers do not).

    Example:
        >>> from kanerva.lab import data
        >>> digits = data.load("digits", patterns=100)
        >>> digits.shape, len(digits.classes), digits.notes[2]
        ((8, 8), 10, '100 of 1797 patterns kept, chosen at random with seed 0')
    """

    name: str
    bits: Float[Tensor, "patterns n"] | None
    real: Float[Tensor, "patterns n"]
    labels: Int64[Tensor, "patterns"] | None
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    duplicates: int
    constant: int
    notes: tuple[str, ...]
    ink: bool = False
    lost: int = 0

    @door("DataSet")
    def __post_init__(self) -> None:
        """Refuse tensors that are no patterns, or that do not fit each other."""
        real = arrays.finite("real", arrays.rows("real", self.real))
        if len(real) < 2:
            must, do = "two patterns or more", "give more, or build the set with DataSet.of"
            refuse("real", real, must=must, do=do)
        if self.bits is not None:
            arrays.bipolar("bits", arrays.rows("bits", self.bits, *real.shape))
        if self.labels is not None:
            _labels(self.labels, len(real), len(self.classes))

    @classmethod
    @door("DataSet.of")
    def of(
        cls,
        values: Any,
        *,
        name: str,
        labels: Any = None,
        shape: tuple[int, ...] = (),
        classes: Sequence[str] = (),
        ink: bool = False,
        scale: str = "auto",
    ) -> "DataSet":
        """Make a data set of an array, scaled and thresholded as a ``.npy`` file is by ``load``.

        Args:
            values: ``(m, n)``, or ``(m, ...)`` which is flattened to one row a pattern: finite real
                numbers as an array, a tensor or nested lists, at least 2 by 2.
            name: of the set.
            labels: ``(m,)`` integers >= 0, the class of each pattern; None for none.
            shape: ``(height, width)`` or ``(height, width, colours)`` of one pattern where it is a
                picture; ``()`` takes it from ``values`` of three or four dimensions.
            classes: the name of each class.
            ink: whether the highest value is ink on paper rather than light.
            scale: ``"columns"`` scales and thresholds each column by itself, as measurements in
                units of their own need; ``"auto"`` and ``"whole"`` take one scale, as pictures do.

        Returns:
            a ``DataSet`` of float32 tensors with bits and real numbers.

        Raises:
            InputError: values that are not finite, differ nowhere or are too few, or labels or a
                shape that do not fit them.

        Warns:
            UserWarning: distinct patterns became equal as bits.

        Example:
            >>> from kanerva.lab import data
            >>> stripes = data.DataSet.of([[0, 9, 0, 9], [9, 9, 0, 0]], name="stripes")
            >>> stripes.bits.tolist()
            [[-1.0, 1.0, -1.0, 1.0], [1.0, 1.0, -1.0, -1.0]]
        """
        checks.choice("scale", scale, SCALES)
        checks.instance("name", name, str, "give a word", "a text")
        sizes = checks.several("shape", shape, "a tuple of sizes")
        shape = tuple(checks.integer("shape", each, 1, checks.LONGEST) for each in sizes)
        classes = checks.several("classes", classes, "a sequence of names")
        checks.flag("ink", ink)
        raw = of_array(_array(values), name, _refuse_values)
        if shape:
            colours(shape, raw.values.shape[1])
        number = None if labels is None else _labels(labels, len(raw.values), len(classes))
        drawn, columns = shape or raw.shape, scale == "columns"
        if columns and drawn:
            must, do = "'auto' or 'whole' for pictures", "leave it out: pictures keep one scale"
            refuse("scale", must=must, got="'columns'", do=do)
        raw = replace(raw, labels=number, classes=tuple(classes))
        found = prepared(replace(raw, shape=drawn, ink=ink, columns=columns))
        warn_of_lost(found)
        return found


def prepared(
    raw: Raw,
    patterns: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    domain: str = "auto",
) -> DataSet:
    """Scale, threshold and choose the patterns of a source, as ``load`` describes."""
    low, high = float(raw.values.min()), float(raw.values.max())
    bound, words = cut(raw, threshold, low, high)
    bits = torch.from_numpy(np.where(raw.values >= bound, np.float32(1), np.float32(-1)))
    if ((raw.values == low) | (raw.values == high)).all():
        real, note = bits, _two_values(low, high)
    elif domain == "bits":
        real, note = bits, f"-1/+1 only: +1 where the value is >= {words}"
    else:
        real, note = scaled(raw, low, high)
        note += "" if domain == "real" else f"; bits: +1 where the value is >= {words}"
    labels = None if raw.labels is None else torch.from_numpy(raw.labels.astype(np.int64))
    whole = DataSet(
        raw.name, bits, real, labels, raw.classes, raw.shape, 0, 0, (*raw.notes, note), raw.ink
    )
    found = chosen(whole, patterns, seed, domain)
    kept = raw.values
    if len(found.real) < len(kept):
        kept = kept[_kept(len(kept), patterns, seed).numpy()]
    distinct = _distinct(kept)
    lost = max(0, distinct - (len(kept) - found.duplicates))
    notes = (*found.notes, _lost(raw, found, distinct, lost)) if lost else found.notes
    return replace(found, notes=notes, lost=lost)


def _lost(raw: Raw, found: DataSet, distinct: int, lost: int) -> str:
    """Describe how many patterns became equal to another one, and what would keep them apart."""
    what = "numbers of 32 bits" if found.bits is None else "bits"
    note = f"{lost} of {distinct} distinct patterns became equal to another one as {what}"
    if found.bits is None:
        return note
    one = raw.span is None and raw.cut is None and not (raw.shape or raw.columns)
    columns = ", and the scale 'columns' thresholds each column by itself" if one else ""
    return f"{note}; the domain 'real' stores the numbers{columns}"


def warn_of_lost(found: DataSet) -> None:
    """Warn of patterns of one's own that became equal to another one."""
    if found.lost:
        warn(f"{found.name}: {found.notes[-1]}")


def _distinct(rows: np.ndarray) -> int:
    """Count the distinct rows, by digests that take less memory than the rows."""
    # Adding zero turns -0 into 0, which is the same number in other bytes.
    return len({hashlib.blake2b(row + 0.0, digest_size=16).digest() for row in rows})


def chosen(whole: DataSet, patterns: int | None, seed: int, domain: str) -> DataSet:
    """Keep some patterns of a set, in one domain or in both, and count duplicates and constants."""
    keep = _kept(len(whole.real), patterns, seed)
    notes = whole.notes
    if len(keep) < len(whole.real):
        kept = f"{len(keep)} of {len(whole.real)} patterns kept"
        notes += (f"{kept}, chosen at random with seed {seed}",)
    bits = None if whole.bits is None or domain == "real" else whole.bits[keep]
    real = bits if domain == "bits" and bits is not None else whole.real[keep]
    labels = None if whole.labels is None else whole.labels[keep]
    seen = real if bits is None else bits
    duplicates = len(seen) - _distinct(seen.numpy())
    constant = int((seen == seen[0]).all(0).sum())
    return replace(
        whole,
        bits=bits,
        real=real,
        labels=labels,
        duplicates=duplicates,
        constant=constant,
        notes=notes,
    )


def _two_values(low: float, high: float) -> str:
    """Describe data of two values."""
    if (low, high) == (-1, 1):
        return "-1 and +1 only"
    return f"two values only: {low:g} stands as -1 and {high:g} as +1"


def _kept(count: int, patterns: int | None, seed: int) -> Int64[Tensor, "kept"]:
    """Choose which patterns to keep; under one seed a larger choice holds a smaller one."""
    if patterns is None or patterns == count:
        return torch.arange(count)
    do = f"keep at most the {count} patterns that are there"
    patterns = checks.integer("patterns", patterns, 2, count, do)
    return torch.from_numpy(np.sort(rng(seed, "patterns").permutation(count)[:patterns]))


def _refuse_values(must: str, got: str, do: str) -> Any:
    refuse("values", must=must, got=f"an array {got}", do=do)


def _array(values: Any) -> np.ndarray:
    """Return the numbers of an array, a tensor or nested lists."""
    must, do = "an array of real numbers, one pattern a row", "give a NumPy array or a tensor"
    if isinstance(values, Tensor):
        if values.is_complex():
            refuse("values", values, must=must, do=do, error=InputTypeError)
        return values.detach().double().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        refuse("values", values, must=must, do=do)
    if array.dtype.kind not in "biuf":
        refuse("values", values, must=must, do=do, error=InputTypeError)
    return array


def _labels(labels: Any, count: int, classes: int) -> Int64[np.ndarray, "patterns"]:
    """Check the class of each pattern."""
    numbers = labels.cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    must, do = f"{count} integers >= 0, one for each pattern", "number the classes from 0"
    if numbers.dtype.kind not in "iu" or numbers.shape != (count,) or numbers.min() < 0:
        got = describe(labels if isinstance(labels, Tensor) else numbers)
        refuse("labels", must=must, got=got, do=do)
    if classes and numbers.max() >= classes:
        must, got = f"below {classes}, the number of classes", f"{numbers.max()}"
        refuse("labels", must=must, got=got, do="name every class")
    return numbers.astype(np.int64)
