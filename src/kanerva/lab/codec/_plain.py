"""No code: the data as they are."""

from jaxtyping import Float, Float64
from torch import Tensor

from kanerva.lab.codec._codec import Codec

__all__ = ["Plain"]


class Plain(Codec):
    """The data as they are, so that a comparison has one way for data with and without a code.

    .. math:: c(x) = x

    Example:
        >>> from kanerva import bits
        >>> from kanerva.lab import codec
        >>> x = bits.random(3, 8, seed=0)
        >>> bool((codec.Plain().fit(x).encode(x) == x).all())
        True
    """

    name = "none"
    about = "the data as they are"

    def __init__(self) -> None:
        super().__init__()

    @property
    def domain(self) -> str:  # type: ignore[override]
        """``"bits"`` where the fitted data are -1/+1, otherwise ``"real"``."""
        return "bits" if self.fitted and self.fitted["binary"] else "real"

    @property
    def length(self) -> int | None:
        """The length of the data."""
        return self.fitted["mean"].shape[0] if self.fitted else None

    def _fit(
        self, x: Float[Tensor, "m n"], mean: Float64[Tensor, "n"], labels: Tensor | None
    ) -> dict[str, Tensor]:
        return {}

    def _encode(self, x: Float[Tensor, "rows n"]) -> Float[Tensor, "rows n"]:
        return x

    def _decode(self, code: Float[Tensor, "rows n"]) -> Tensor:
        return code
