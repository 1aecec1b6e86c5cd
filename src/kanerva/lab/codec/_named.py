"""A codec by the text that ``kanerva recall --codec`` takes."""

from kanerva._core.errors import InputError, door, refuse
from kanerva.lab.codec._codec import Codec
from kanerva.lab.codec._hyperplanes import Hyperplanes
from kanerva.lab.codec._plain import Plain

__all__ = ["named"]

MUST = "none, or bits:LENGTH or bits:LENGTH:WHITENING"


@door("codec.named")
def named(text: str, seed: int = 0) -> Codec:
    """Return the codec that a text names.

    Args:
        text: ``"none"``; ``"bits:2048"`` for ``Hyperplanes`` of 2,048 bits; ``"bits:2048:0.1"`` for
            those of data that are whitened with w = 0.1.
        seed: an integer >= 0, for codecs that draw random numbers.

    Returns:
        a codec that is not fitted.

    Raises:
        InputError: another text, or numbers out of range.

    Example:
        >>> from kanerva.lab import codec
        >>> codec.named("bits:512:0.1").about
        '512 signs of random projections of whitened data (w = 0.1), seed 0'
    """
    if not isinstance(text, str):
        refuse("codec", text, must=MUST, do="write 'bits:2048'")
    kind, *numbers = text.split(":")
    if kind == "none" and not numbers:
        return Plain()
    try:
        if kind == "bits" and len(numbers) in (1, 2):
            whiten = float(numbers[1]) if len(numbers) == 2 else 0.0
            return Hyperplanes(int(numbers[0]), whiten, seed)
    except InputError as error:
        got = f"{text!r}, in which {error.argument} is {error.got}"
        refuse("codec", must=f"{MUST}, with {error.argument} {error.must}", got=got, do=error.do)
    except ValueError:
        pass
    refuse("codec", must=MUST, got=repr(text), do="write --codec bits:2048")
