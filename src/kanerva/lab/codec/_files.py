"""Read a codec from its file."""

from pathlib import Path

from kanerva._core import archive, checks
from kanerva._core.errors import InputError, InputFileError, door, refuse
from kanerva.lab.codec._codec import Codec

__all__ = ["load"]


@door("codec.load")
def load(path: str | Path) -> Codec:
    """Read a codec that ``save`` wrote.

    Args:
        path: the file.

    Returns:
        the fitted codec.

    Raises:
        InputFileError: no such file, or one that is damaged or is not of a codec.

    Example:
        >>> import pathlib, tempfile
        >>> from kanerva import bits
        >>> from kanerva.lab import codec
        >>> x = bits.random(9, 16, seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     codec.Hyperplanes(64).fit(x).save(pathlib.Path(folder, "code.safetensors"))
        ...     same = codec.load(pathlib.Path(folder, "code.safetensors"))
        >>> bool((same.decode(same.encode(x)) == x).all())
        True
    """
    tensors, header = archive.read(checks.path(path), "codec")
    name, given = header.get("codec"), header.get("arguments")
    if not isinstance(name, str) or name not in Codec.kinds or not isinstance(given, dict):
        must = f"the file of one of the codecs {', '.join(Codec.kinds)}"
        do = "give a file that codec.save wrote"
        refuse("path", must=must, got=f"of {name!r}", do=do, error=InputFileError)
    try:
        found = Codec.kinds[name](**given)
        found.restore(tensors)
    except (InputError, TypeError) as error:
        got, do = f"damaged ({' '.join(str(error).split())[:120]})", "save the codec again"
        refuse("path", must="the file of a codec", got=got, do=do, error=InputFileError)
    return found
