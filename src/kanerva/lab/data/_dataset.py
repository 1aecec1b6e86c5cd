"""A set of patterns as bits and as real numbers, made from the numbers of any source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva.lab.data._raw import Raw, colours, of_array, rng

__all__ = ["DataSet", "chosen", "prepared"]


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
    ) -> "DataSet":
        """Make a data set of an array, scaled and thresholded as a file of your own is by ``load``.

        Args:
            values: ``(m, n)``, or ``(m, ...)`` which is flattened to one row a pattern: finite real
                numbers as an array, a tensor or nested lists, at least 2 by 2.
            name: of the set.
            labels: ``(m,)`` integers >= 0, the class of each pattern; None for none.
            shape: ``(height, width)`` or ``(height, width, colours)`` of one pattern where it is a
                picture; ``()`` takes it from ``values`` of three or four dimensions.
            classes: the name of each class.
            ink: whether the highest value is ink on paper rather than light.

        Returns:
            a ``DataSet`` of float32 tensors with bits and real numbers.

        Raises:
            InputError: values that are not finite, differ nowhere or are too few, or labels or a
                shape that do not fit them.

        Example:
            >>> from kanerva.lab import data
            >>> stripes = data.DataSet.of([[0, 9, 0, 9], [9, 9, 0, 0]], name="stripes")
            >>> stripes.bits.tolist()
            [[-1.0, 1.0, -1.0, 1.0], [1.0, 1.0, -1.0, -1.0]]
        """
        raw = of_array(_array(values), str(name), _refuse_values)
        if shape:
            colours(shape, raw.values.shape[1])
        number = None if labels is None else _labels(labels, len(raw.values), len(classes))
        drawn = shape or raw.shape
        return prepared(replace(raw, shape=drawn, labels=number, classes=tuple(classes), ink=ink))


def prepared(
    raw: Raw,
    patterns: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    domain: str = "auto",
) -> DataSet:
    """Scale, threshold and choose the patterns of a source, as ``load`` describes."""
    low, high = float(raw.values.min()), float(raw.values.max())
    cut, words = _cut(raw, threshold, low, high)
    bits = torch.from_numpy(np.where(raw.values >= cut, np.float32(1), np.float32(-1)))
    if ((raw.values == low) | (raw.values == high)).all():
        real, note = bits, _two_values(low, high)
    elif domain == "bits":
        real, note = bits, f"-1/+1 only: +1 where the value is >= {words}"
    else:
        real, note = _scaled(raw, low, high)
        note += "" if domain == "real" else f"; bits: +1 where the value is >= {words}"
    labels = None if raw.labels is None else torch.from_numpy(raw.labels.astype(np.int64))
    whole = DataSet(
        raw.name, bits, real, labels, raw.classes, raw.shape, 0, 0, (*raw.notes, note), raw.ink
    )
    return chosen(whole, patterns, seed, domain)


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
    # Adding zero turns -0 into 0, which is the same number in other bytes.
    duplicates = len(seen) - len({row.tobytes() for row in (seen + 0.0).numpy()})
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


def _cut(
    raw: Raw, threshold: float | None, low: float, high: float
) -> tuple[float | Float64[np.ndarray, "patterns 1"], str]:
    """Choose the threshold of the bits, and the words for it."""
    if threshold is not None:
        threshold = checks.number("threshold", threshold)
        if not low < threshold <= high:
            must = f"> {low:g} and <= {high:g}, the range of {raw.name!r}"
            got = f"{threshold:g}, which makes all bits the same"
            refuse("threshold", must=must, got=got, do="give a value within the range")
        return threshold, f"{threshold:g}, as asked"
    if isinstance(raw.cut, np.ndarray):
        return raw.cut, raw.cut_words
    if raw.cut is not None:
        return raw.cut, f"{raw.cut:g}, {raw.cut_words}"
    median = float(np.partition(raw.values, raw.values.size // 2, axis=None)[raw.values.size // 2])
    if median > low:
        return median, f"{median:g}, the median of all values"
    above = float(raw.values[raw.values > low].min())
    return above, f"{above:g}, the lowest value but one (more than half are the lowest, {low:g})"


def _two_values(low: float, high: float) -> str:
    """Describe data of two values."""
    if (low, high) == (-1, 1):
        return "-1 and +1 only"
    return f"two values only: {low:g} stands as -1 and {high:g} as +1"


def _scaled(raw: Raw, low: float, high: float) -> tuple[Float[Tensor, "patterns n"], str]:
    """Scale to [-1, 1]."""
    low, high = raw.span or (low, high)
    # The largest number is divided out first, for the difference of two huge ones would overflow.
    largest = max(abs(low), abs(high))
    start, width = low / largest, high / largest - low / largest
    real = torch.from_numpy(2 * (raw.values / largest - start) / width - 1).to(torch.float32)
    if (low, high) == (-1, 1):
        return real, "real numbers: as they are"
    return real, f"real numbers: [{low:g}, {high:g}] scaled to [-1, 1]"


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
