"""Read a folder of pictures as patterns of one size."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from kanerva.lab.data._raw import Raw, extra, failing, own, refuse_file

__all__ = ["read_folder"]

COMMON = (".png", ".jpg", ".jpeg")
SUFFIXES = (*COMMON, ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm")
SIDE = 32  # pixels: 1,024 numbers a pattern at most
DO = f"put pictures ({', '.join(COMMON)} ...) in it, or one folder of them a class"


def read_folder(path: Path) -> Raw:
    """Read the pictures of a folder, or of one folder a class in it, sorted by their names."""
    with failing(path, "a folder that can be listed", "check its permissions"):
        alone, groups = _pictures(path), _groups(path)
    if alone and groups:
        must = "a folder of pictures, or of one folder a class"
        got = f"which holds {len(alone)} pictures beside {len(groups)} folders of them"
        refuse_file(path, must, got, "move the pictures into a folder of their class")
    files = alone or [file for group in groups.values() for file in group]
    if len(files) < 2:
        got = f"in which there {'is one' if files else 'are none'}"
        refuse_file(path, "a folder of two pictures or more", got, DO)
    pictures = _same_size([_grey(file) for file in files])
    size = f"{pictures.shape[1]}x{pictures.shape[2]} pixels (height x width)"
    note = f"{len(pictures)} pictures made grey and shrunk to {size}"
    labels = None
    if groups:
        labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups.values()])
    return replace(own(path, pictures, notes=(note,)), labels=labels, classes=tuple(groups))


def _groups(path: Path) -> dict[str, list[Path]]:
    """List the pictures in each folder of a folder; hidden and empty folders are left out."""
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    groups = {folder.name: _pictures(folder) for folder in folders if folder.name[:1] != "."}
    return {name: files for name, files in groups.items() if files}


def _pictures(folder: Path) -> list[Path]:
    """List the pictures in a folder by name, leaving hidden files out."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and file.name[0] != "." and file.is_file()
    )


def _grey(path: Path) -> Any:
    """Open a picture as grey levels from 0 to 255, upright, on white, no larger than ``SIDE``."""
    what = f"'{path.parent}', a folder of pictures"
    pillow, ops = extra("PIL.Image", "Pillow", what), extra("PIL.ImageOps", "Pillow", what)
    must, do = "a picture that Pillow can open", "remove the file or save the picture again"
    with failing(path, must, do):
        warnings.simplefilter("error", pillow.DecompressionBombWarning)
        with pillow.open(path) as opened:
            picture = ops.exif_transpose(opened)
        if picture.mode in ("I", "F"):
            must, got = "a picture of 8 or 16 bits a channel", f"whose mode is {picture.mode!r}"
            refuse_file(path, must, got, "save it as a PNG file")
        if picture.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
            picture = pillow.fromarray((np.asarray(picture) / 257).astype(np.float32))
        else:
            picture = picture.convert("RGBA")
            white = pillow.new("RGBA", picture.size, "white")
            picture = pillow.alpha_composite(white, picture).convert("L")
        picture.thumbnail((SIDE, SIDE), pillow.Resampling.BOX)
    return picture


def _same_size(pictures: list[Any]) -> Float64[np.ndarray, "pictures height width"]:
    """Shrink all pictures to the least width and height among them."""
    size = min(picture.width for picture in pictures), min(picture.height for picture in pictures)
    box = extra("PIL.Image", "Pillow", "a folder of pictures").Resampling.BOX
    shrunk = [np.asarray(picture.resize(size, box), dtype=np.float64) for picture in pictures]
    return np.stack(shrunk)
