"""Feed the memories: named sets, your own files, the damage done to cues, and sentences to embed.

``load`` gives every set as -1/+1 bits and as real numbers, so that all memories can be asked about the same patterns.
``damage`` spoils a copy of them. ``sentences`` are for language models to embed. ``SETS`` names the sets and ``KINDS`` the
kinds of damage. Nothing is unpickled, and only the sets named in ``DOWNLOADED`` are downloaded, once, when they are asked for.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.data import _damage, _sets
from kanerva.lab.data._damage import damage
from kanerva.lab.data._files import read
from kanerva.lab.data._raw import Raw, rng
from kanerva.lab.data._texts import sentences

__all__ = ["DataSet", "damage", "load", "sentences"]

SETS = _sets.SETS
DOWNLOADED = _sets.DOWNLOADED
KINDS = _damage.KINDS
DOMAINS = ("auto", "bits", "real")


@dataclass(frozen=True, eq=False)
class DataSet:
    """Patterns ready to be stored, and what was done to make them so.

    * ``name``: of the set or file.
    * ``bits``: ``(m, n)`` of -1 and +1, or None where only real numbers were asked for.
    * ``real``: ``(m, n)`` in [-1, 1]; the bits themselves where the data are binary.
    * ``labels``, ``classes``: the class of each pattern as a number, and the names of the classes, where there are any.
    * ``shape``: of one pattern where it is a picture, ``(height, width)`` or ``(height, width, 3)``; otherwise ``()``.
    * ``duplicates``: patterns whose bits equal those of an earlier one (without bits, whose numbers do).
    * ``constant``: coordinates whose bit (without bits, whose number) is the same in all patterns.
    * ``notes``: in words, what the data are and how they were scaled, cut and chosen.

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


@door("data.load")
def load(
    source: str | Path,
    *,
    patterns: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    domain: str = "auto",
) -> DataSet:
    """Load a named set or your own file as bits and as real numbers.

    Real numbers: real = (2 value - low - high) / (high - low), with the limits that the notes name: those of the unit
    for the named sets, the least and the greatest value of the whole source for your own.
    Bits: +1 where value >= threshold, else -1. Data of two values only are bits already: -1 for the lower, +1 for the
    higher, and the real numbers are the same.

    Args:
        source: one of ``SETS``; one of ``DOWNLOADED``, which scikit-learn fetches from OpenML the first time and keeps in its
            data home, ~/scikit_learn_data unless SCIKIT_LEARN_DATA is set; or the path of a ``.npy``, ``.npz`` (one array, or
            ``"file.npz:name"``), ``.csv`` (numbers, with or without a header), ``.safetensors`` (one tensor of two dimensions
            or more, or ``"file.safetensors:name"``) or a folder of pictures, or of one folder of pictures a class. The first
            dimension counts the patterns. A ``Path`` is never taken for the name of a set.
        patterns: keep this many, >= 2, chosen at random without replacement after scaling and cutting, in their old order;
            ``random`` draws this many (100 unless told). None keeps all.
        seed: an integer >= 0, for the choice of patterns and for ``random``.
        threshold: of the bits, in the unit of the source. Unless given it is 8 of 16 for ``digits``, 127.5 of 255 for
            ``mnist``, the median of each picture for ``faces``, ``textures`` and ``cifar10`` (which is made grey), 0 for
            ``random``, and for your own data the median of all values (the lowest value but one where the median is the
            lowest).
        domain: ``"auto"`` gives both versions; ``"bits"`` gives the bits as the real numbers too, so that all memories see the
            same vectors; ``"real"`` gives no bits.

    Returns:
        a ``DataSet`` of float32 tensors.

    Raises:
        InputFileError: if OpenML cannot be reached, or a file is missing, broken, or holds something else than finite real
            numbers, at least 2 by 2.
        InputError: if an argument is out of range or a package is missing.

    Example:
        >>> from kanerva.lab import data
        >>> letters = data.load("letters")
        >>> letters.bits.shape, letters.shape, letters.classes[25], letters.duplicates
        (torch.Size([26, 64]), (8, 8), 'Z', 0)
    """
    checks.choice("domain", domain, DOMAINS)
    seed = checks.integer("seed", seed, 0)
    if patterns is not None:
        patterns = checks.integer(
            "patterns",
            patterns,
            2,
            do="keep two patterns at least, so that one can be taken for the other",
        )
    if threshold is not None and domain == "real":
        refuse(
            "threshold",
            must="None where domain is 'real'",
            got=f"{threshold}",
            do="leave it out, or ask for domain='auto'",
        )
    raw = (
        _sets.named(source, patterns, seed)
        if isinstance(source, str) and source in (*SETS, *DOWNLOADED)
        else read(source)
    )
    low, high = float(raw.values.min()), float(raw.values.max())
    cut, words = _cut(raw, threshold, low, high)
    bits = torch.from_numpy(np.where(raw.values >= cut, np.float32(1), np.float32(-1)))
    if ((raw.values == low) | (raw.values == high)).all():
        real, note = (
            bits,
            "-1 and +1 only"
            if (low, high) == (-1, 1)
            else f"two values only: {low:g} stands as -1 and {high:g} as +1",
        )
    elif domain == "bits":
        real, note = bits, f"-1/+1 only: +1 where the value is >= {words}"
    else:
        real, note = _scaled(raw, low, high)
        note += "" if domain == "real" else f"; bits: +1 where the value is >= {words}"
    keep = _kept(len(real), patterns, seed)
    chosen = (
        (f"{len(keep)} of {len(real)} patterns kept, chosen at random with seed {seed}",)
        if len(keep) < len(real)
        else ()
    )
    return _dataset(
        raw, None if domain == "real" else bits[keep], real[keep], keep, (*raw.notes, note, *chosen)
    )


def _dataset(
    raw: Raw, bits: Tensor | None, real: Tensor, keep: Int64[Tensor, "kept"], notes: tuple[str, ...]
) -> DataSet:
    """Count what is told apart, and put the set together."""
    labels = None if raw.labels is None else torch.from_numpy(raw.labels.astype(np.int64))[keep]
    seen = real if bits is None else bits
    # Adding zero turns -0 into 0, which are the same number in other bytes.
    duplicates = len(seen) - len({row.tobytes() for row in (seen + 0.0).numpy()})
    constant = int((seen == seen[0]).all(0).sum())
    return DataSet(
        raw.name, bits, real, labels, raw.classes, raw.shape, duplicates, constant, notes
    )


def _cut(
    raw: Raw, threshold: float | None, low: float, high: float
) -> tuple[float | Float64[np.ndarray, "patterns 1"], str]:
    """Choose the threshold of the bits, and the words for it."""
    if threshold is not None:
        threshold = checks.number("threshold", threshold)
        if not low < threshold <= high:
            must = f"> {low:g} and <= {high:g}, the range of {raw.name!r}"
            refuse(
                "threshold",
                must=must,
                got=f"{threshold:g}, which makes all bits the same",
                do="give a value within the range",
            )
        return threshold, f"{threshold:g}, as asked"
    if raw.cut is not None:
        return raw.cut, raw.cut_words if isinstance(
            raw.cut, np.ndarray
        ) else f"{raw.cut:g}, {raw.cut_words}"
    median = float(np.partition(raw.values, raw.values.size // 2, axis=None)[raw.values.size // 2])
    if median > low:
        return median, f"{median:g}, the median of all values"
    above = float(raw.values[raw.values > low].min())
    return above, f"{above:g}, the lowest value but one (more than half are the lowest, {low:g})"


def _scaled(raw: Raw, low: float, high: float) -> tuple[Float[Tensor, "patterns n"], str]:
    """Scale to [-1, 1]. The largest number is divided out first: a difference of huge ones would overflow."""
    low, high = raw.span or (low, high)
    largest = max(abs(low), abs(high))
    start, width = low / largest, high / largest - low / largest
    real = torch.from_numpy(2 * (raw.values / largest - start) / width - 1).to(torch.float32)
    return real, "real numbers: as they are" if (low, high) == (
        -1,
        1,
    ) else f"real numbers: [{low:g}, {high:g}] scaled to [-1, 1]"


def _kept(count: int, patterns: int | None, seed: int) -> Int64[Tensor, "kept"]:
    """Choose which patterns to keep; under one seed a larger choice holds a smaller one."""
    if patterns is None or patterns == count:
        return torch.arange(count)
    patterns = checks.integer(
        "patterns", patterns, 2, count, f"keep at most the {count} patterns that are there"
    )
    return torch.from_numpy(np.sort(rng(seed, "patterns").permutation(count)[:patterns]))
