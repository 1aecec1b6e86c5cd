"""Read a folder of pictures as patterns of one shape."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kanerva.lab.data._raw import Raw, Reading, extra, failing, own, refuse_file

__all__ = ["read_folder"]

COMMON = (".png", ".jpg", ".jpeg")
SUFFIXES = (*COMMON, ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm")
Size = tuple[int, int]
Pixels = Float64[np.ndarray, "_ _ *rgb"]
SIDE = 32  # pixels: 1,024 numbers a pattern at most
DO = f"put pictures ({', '.join(COMMON)} ...) in it, or one folder of them a class"


def read_folder(path: Path, reading: Reading) -> Raw:
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
    opened = [_opened(file, reading.colour) for file in files]
    pictures = [picture for picture, _ in opened]
    cropped = ""
    if len({picture.shape for picture in pictures}) > 1:
        names = [str(file.relative_to(path)) for file in files]
        sizes = dict(zip(names, [size for _, size in opened], strict=True))
        if not reading.crop:
            _refuse_shapes(path, sizes)
        pictures, cropped = _cropped(pictures, names)
    side = f"{pictures[0].shape[0]}x{pictures[0].shape[1]} pixels (height x width)"
    how = "in red, green and blue, shrunk" if reading.colour else "made grey and shrunk"
    note = f"{len(pictures)} pictures {how} to {side}{cropped}"
    labels = None
    if groups:
        labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups.values()])
    return replace(
        own(path, np.stack(pictures), notes=(note,)), labels=labels, classes=tuple(groups)
    )


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


def _opened(path: Path, colour: bool) -> tuple[Pixels, Size]:
    """Open a picture as levels from 0 to 255, upright, on white, no larger than ``SIDE``.

    The levels are grey, or with ``colour`` red, green and blue. Return the former height and width,
    too.
    """
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
            picture = pillow.alpha_composite(white, picture).convert("RGB" if colour else "L")
        size = (picture.height, picture.width)
        picture.thumbnail((SIDE, SIDE), pillow.Resampling.BOX)
    pixels = np.asarray(picture, dtype=np.float64)
    if colour and pixels.ndim == 2:  # of 16 bits
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return pixels, size


def _refuse_shapes(path: Path, sizes: Mapping[str, Size]) -> None:
    """Refuse pictures of unlike shape, and name the rarest size and one picture of it."""
    counts = Counter(sizes.values())
    common, rare = counts.most_common(1)[0][0], counts.most_common()[-1][0]
    odd = next(name for name, size in reversed(list(sizes.items())) if size == rare)
    got = f"which holds {counts[common]} of {_size(common)} pixels and {len(counts) - 1} other "
    got += f"size{'s' if len(counts) > 2 else ''}, such as {_size(rare)} of {odd!r}"
    do = "remove or resize the odd ones, or cut all to a common middle with --crop"
    refuse_file(path, "a folder of pictures of one shape", got, do)


def _cropped(pictures: Sequence[Pixels], names: Sequence[str]) -> tuple[list[Pixels], str]:
    """Keep the middle of every picture, as high and as wide as the least; say which that was."""
    least = [
        min(range(len(pictures)), key=lambda one: pictures[one].shape[axis]) for axis in (0, 1)
    ]
    high, wide = (pictures[one].shape[axis] for axis, one in enumerate(least))
    kept = []
    for picture in pictures:
        top, left = (picture.shape[0] - high) // 2, (picture.shape[1] - wide) // 2
        kept.append(picture[top : top + high, left : left + wide])
    why = f"the height of {names[least[0]]!r} and the width of {names[least[1]]!r}"
    return kept, f", cut to the middle: {why}"


def _size(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
