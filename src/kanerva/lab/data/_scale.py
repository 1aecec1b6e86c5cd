"""Scale the numbers of a source to [-1, 1], and choose the threshold of its bits."""

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import refuse
from kanerva.lab.data._raw import Raw

__all__ = ["cut", "scaled"]


def cut(
    raw: Raw, threshold: float | None, low: float, high: float
) -> tuple[float | Float64[np.ndarray, "#patterns #n"], str]:
    """Choose the threshold of the bits, and the words for it."""
    if threshold is not None:
        threshold = checks.number("threshold", threshold)
        if not low < threshold <= high:
            must = f"> {low:g} and <= {high:g}, the range of {raw.name!r}"
            got = f"{threshold:g}, which makes all bits the same"
            refuse("threshold", must=must, got=got, do="give a value within the range")
        return threshold, f"{threshold:g}, as asked"
    if raw.columns:
        return _halves(raw.values), "the median of its column"
    if isinstance(raw.cut, np.ndarray):
        return raw.cut, raw.cut_words
    if raw.cut is not None:
        return raw.cut, f"{raw.cut:g}, {raw.cut_words}"
    median = float(np.partition(raw.values, raw.values.size // 2, axis=None)[raw.values.size // 2])
    if median > low:
        return median, f"{median:g}, the median of all values"
    above = float(raw.values[raw.values > low].min())
    return above, f"{above:g}, the lowest value but one (more than half are the lowest, {low:g})"


def scaled(raw: Raw, low: float, high: float) -> tuple[Float[Tensor, "patterns n"], str]:
    """Scale to [-1, 1], each column by itself where they are measurements."""
    if raw.columns:
        return _by_columns(raw.values), "real numbers: each column scaled to [-1, 1]"
    low, high = raw.span or (low, high)
    # The largest number is divided out first, for the difference of two huge ones would overflow.
    largest = max(abs(low), abs(high))
    start, width = low / largest, high / largest - low / largest
    real = torch.from_numpy(2 * (raw.values / largest - start) / width - 1).to(torch.float32)
    if (low, high) == (-1, 1):
        return real, "real numbers: as they are"
    return real, f"real numbers: [{low:g}, {high:g}] scaled to [-1, 1]"


def _halves(values: Float64[np.ndarray, "patterns n"]) -> Float64[np.ndarray, "1 n"]:
    """Return, for each column, the value that halves it best: its upper median, or the next above.

    Where many values equal the median they are all on one side of any threshold.
    """
    median = np.partition(values, len(values) // 2, axis=0)[len(values) // 2][None]
    above = np.where(values > median, values, np.inf).min(0, keepdims=True)
    off = [np.abs((values >= bound).mean(0, keepdims=True) - 0.5) for bound in (median, above)]
    return np.where((off[1] < off[0]) & np.isfinite(above), above, median)


def _by_columns(values: Float64[np.ndarray, "patterns n"]) -> Float[Tensor, "patterns n"]:
    """Scale each column to [-1, 1]; one that is constant becomes 0."""
    low, high = values.min(0), values.max(0)
    # As in ``scaled``, the largest number is divided out first.
    largest = np.maximum(np.abs(low), np.abs(high))
    largest[largest == 0] = 1
    start, width = low / largest, high / largest - low / largest
    real = 2 * (values / largest - start) / np.where(width > 0, width, 1) - 1
    return torch.from_numpy(np.where(width > 0, real, 0.0)).to(torch.float32)
