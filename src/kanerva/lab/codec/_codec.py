"""What every code of data shares: the verbs, their checks, and the file."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva._core import archive, arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse

__all__ = ["Codec"]


class Codec(ABC):
    """A code of data: patterns become other vectors, in which a memory stores them, and back.

    A subclass writes ``_fit``, ``_encode`` and ``_decode`` on checked float32 rows, keeps what it
    fits in ``fitted``, and its arguments in ``arguments``. Damage is done to the data, never to
    the code.

    Attributes:
        domain: ``"bits"`` or ``"real"``, what the code consists of.
        name: as ``kanerva recall --codec`` writes it, such as ``"bits:2048"``.
        about: one line on what the code is.
        length: of one code; None before ``fit``.
        arguments: what the codec was built with.
        fitted: the tensors that ``fit`` made, by name, empty before: ``mean``, of the data,
            ``binary``, whether they are -1/+1, and those of the subclass.

    Example:
        >>> from kanerva.lab.codec import Codec
        >>> class Doubled(Codec):
        ...     domain, name, about, length = "real", "twice", "twice the data", None
        ...     def _fit(self, x, mean, labels):
        ...         return {}
        ...     def _encode(self, x):
        ...         return 2 * x
        ...     def _decode(self, code):
        ...         return code / 2
        >>> import torch
        >>> Doubled().fit(torch.tensor([[0.5], [1.0]])).encode(torch.tensor([0.25])).tolist()
        [0.5]
    """

    domain: str
    name: str
    about: str
    arguments: dict[str, Any]
    kinds: ClassVar[dict[str, type["Codec"]]] = {}

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.fitted: dict[str, Tensor] = {}
        self._progress: Callable[[int, int, float], None] | None = None

    def __init_subclass__(cls, **more: Any) -> None:
        """Make the class known to ``load``."""
        super().__init_subclass__(**more)
        Codec.kinds[cls.__name__] = cls

    @property
    @abstractmethod
    def length(self) -> int | None:
        """The length of one code; None before ``fit``."""

    @door("Codec.fit")
    def fit(
        self,
        x: Float[Tensor, "m n"],
        labels: Int64[Tensor, "m"] | None = None,
        *,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> "Codec":
        """Fit the codec to the patterns that will be stored, never to their damaged copies.

        Args:
            x: ``(m, n)`` floating and finite, at least two rows that differ; computed in float32.
            labels: ``(m,)`` int64, the class of each row, for codecs that use it.
            progress: of codecs that are trained, called after each epoch with the number of epochs
                done, that of all, and the loss.

        Returns:
            the codec itself.

        Raises:
            InputError: fewer than two rows, rows that are all equal, or labels of another number.
        """
        x = _floating("x", arrays.rows("x", x))
        if len(x) < 2 or bool((x == x[0]).all()):
            must, do = "two rows or more that differ", "give the patterns to store"
            refuse("x", x, must=must, do=do)
        if labels is not None:
            _labels(labels, len(x))
        checks.function("progress", progress, "give one of two numbers and a loss")
        x = arrays.finite("x", x.detach().float())
        mean = x.double().mean(0)
        self._progress = progress
        try:
            found = self._fit(x, mean, labels)
        finally:
            self._progress = None
        self.fitted = {"mean": mean, "binary": (x.abs() == 1).all(), **found}
        return self

    @door("Codec.encode")
    def encode(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch code"]:
        """Return the code of every row.

        Args:
            x: ``(..., n)`` floating and finite, of the length that was fitted.

        Returns:
            ``(..., k)`` float32; -1/+1 where ``domain`` is ``"bits"``. The code of a row does not
            depend on the other rows.

        Raises:
            InputError: the codec is not fitted, or the rows have another length, or their codes
                exceed float32.
        """
        rows = self._rows("x", x, self.fitted["mean"].shape[0] if self.fitted else 0)
        return _held("x", self._encode(rows)).reshape(*x.shape[:-1], -1)

    @door("Codec.decode")
    def decode(self, code: Float[Tensor, "*batch code"]) -> Float[Tensor, "*batch n"]:
        """Return the data that a code stands for.

        Args:
            code: ``(..., k)`` floating and finite, as ``encode`` or a memory returns it.

        Returns:
            ``(..., n)`` float32; -1/+1 where the fitted data are bits.

        Raises:
            InputError: the codec is not fitted, or the codes have another length, or what they
                stand for exceeds float32.
        """
        rows = self._rows("code", code, self.length or 0)
        decoded = _held("code", self._decode(rows).float())
        if self.fitted["binary"]:
            decoded = torch.where(decoded >= 0, 1.0, -1.0)
        return decoded.reshape(*code.shape[:-1], -1)

    @door("Codec.save")
    def save(self, path: str | Path) -> None:
        """Write the fitted codec to a file, which ``codec.load`` reads.

        Args:
            path: the file, written whole or not at all.

        Raises:
            InputError: the codec is not fitted.
            InputFileError: the file cannot be written.
        """
        path = checks.path(path)
        self._ready()
        config = {"codec": type(self).__name__, "arguments": self.arguments}
        archive.write(path, self.fitted, config)

    def _rows(self, name: str, x: Tensor, length: int) -> Float[Tensor, "rows n"]:
        """Check vectors of a fitted codec, and return them as float32 rows."""
        self._ready()
        x = _floating(name, arrays.vectors(name, x, length))
        return arrays.finite(name, x.detach().reshape(-1, length).float())

    def _ready(self) -> None:
        if not self.fitted:
            do = "call fit with the patterns first"
            refuse("codec", must="fitted", got="not fitted", do=do)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take what was fitted from the tensors of a file.

        Args:
            tensors: by name, as in ``fitted``.

        Raises:
            InputError: tensors of other names or shapes than ``fit`` makes.
        """
        n = tensors["mean"].numel() if "mean" in tensors else 0
        wanted = {"mean": (n,), "binary": ()} | self._shapes(n)
        got = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if got != wanted:
            refuse("tensors", must=f"of the shapes {wanted}", got=f"{got}", do="fit again")
        self.fitted = dict(tensors)

    def _shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor of ``_fit``, for data of length n."""
        return {}

    @abstractmethod
    def _fit(
        self, x: Float[Tensor, "m n"], mean: Float64[Tensor, "n"], labels: Tensor | None
    ) -> dict[str, Tensor]:
        """Return what is fitted, by name, besides ``mean`` and ``binary``."""

    @abstractmethod
    def _encode(self, x: Float[Tensor, "rows n"]) -> Float[Tensor, "rows code"]:
        """Encode checked rows."""

    @abstractmethod
    def _decode(self, code: Float[Tensor, "rows code"]) -> Tensor:
        """Decode checked rows; signs are taken where the data are bits."""


def _held(name: str, found: Tensor) -> Tensor:
    """Return what was computed if float32 holds it."""
    if not arrays.sound(found):
        must, do = "small enough for float32", "scale the numbers down"
        refuse(name, must=must, got="numbers whose result is infinite", do=do)
    return found


def _floating(name: str, value: Tensor) -> Tensor:
    """Return ``value`` if its numbers are floating and finite."""
    if not value.is_floating_point():
        must, do = "a floating tensor", f"convert it with {name}.to(torch.float32)"
        refuse(name, value, must=must, do=do, error=InputTypeError)
    return arrays.finite(name, value)


def _labels(labels: Any, count: int) -> None:
    """Refuse what is not one whole number a row."""
    must, do = f"an int64 tensor of shape ({count},)", "give one class a row, as torch.tensor"
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        refuse("labels", labels, must=must, do=do, error=InputTypeError)
    if tuple(labels.shape) != (count,):
        refuse("labels", labels, must=must, do=do)
