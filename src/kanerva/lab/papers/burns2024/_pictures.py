"""Frames and pictures as patterns, in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva._core import checks
from kanerva.lab import data
from kanerva.lab.data._raw import extra, refuse_file

__all__ = ["centred", "clip", "pictures", "uniform", "wave"]

Patterns = Float64[Tensor, "patterns n"]
CLIP = "no_time_for_that_tiny.gif"


def centred(patterns: Patterns) -> Patterns:
    """Subtract the mean pattern, and scale each pattern to length one."""
    return torch.nn.functional.normalize(patterns - patterns.mean(0), dim=-1)


def clip() -> Patterns:
    """Return the 24 frames of a clip that is packaged with scikit-image, divided by 255."""
    home = extra("skimage.data", "scikit-image", "'gif'").__file__
    pillow = extra("PIL.Image", "Pillow", "'gif'")
    path = Path(home).parent / CLIP
    if not path.is_file():
        do = "install scikit-image anew, or choose data=smooth"
        refuse_file(path, "a clip packaged with scikit-image", "which is missing", do)
    with pillow.open(path) as opened:
        frames = [_frame(opened, place) for place in range(opened.n_frames)]
    return torch.from_numpy(np.stack(frames)) / 255


def _frame(opened: Any, place: int) -> np.ndarray:
    opened.seek(place)
    return np.asarray(opened.convert("RGB"), dtype=np.float64).reshape(-1)


def wave(count: int, size: int, seed: int) -> Patterns:
    """Return frames of white noise that a Gaussian smooths along a closed time, from 0 to 1.

    The standard deviation is two frames.
    """
    from scipy.ndimage import gaussian_filter1d

    noise = np.random.default_rng(seed).standard_normal((count, size))
    found = gaussian_filter1d(noise, 2, axis=0, mode="wrap")
    return torch.from_numpy((found - found.min()) / (found.max() - found.min()))


def uniform(count: int, size: int, seed: int) -> Patterns:
    """Return patterns of independent numbers, uniform from 0 to 1."""
    with checks.room("patterns", f"{count:,} of {size:,} numbers", 64 * count * size):
        return torch.from_numpy(np.random.default_rng(seed).random((count, size)))


def pictures(source: str, count: int | None = None) -> Patterns:
    """Return the first pictures of a set, from 0 to 1."""
    return (data.load(source, domain="real").real[:count].double() + 1) / 2
