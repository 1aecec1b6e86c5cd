"""Codes of principal components: the directions along which the patterns vary most."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kanerva._core import checks, machine
from kanerva._core.errors import door, refuse
from kanerva._engine import threads
from kanerva.lab.codec._codec import Codec

__all__ = ["PCA"]

# Rows that are encoded or decoded at once, in float64.
BLOCK = 2**12


class PCA(Codec):
    r"""The coordinates of a pattern along the directions in which the fitted patterns vary most.

    .. math:: c(x) = V (x - \bar x), \quad x \approx \bar x + V^T c

    The rows of V are orthonormal: the right singular vectors of the patterns less their mean, from
    the largest singular value to the smallest. Of all linear codes of that length this one decodes
    the fitted patterns with the smallest squared error. The entry of the largest size in each row
    of V is positive, so that no sign is left to chance. Codes are computed in float64 and rounded
    to float32.

    Args:
        features: the number of components, >= 1, and at most the rank of the patterns less their
            mean.

    Raises:
        InputError: an argument out of range; in ``fit``, more components than that rank.

    Example:
        >>> import torch
        >>> from kanerva.lab import codec
        >>> x = torch.tensor([[3.0, 4.0, 1.0], [-3.0, -4.0, 1.0], [0.0, 0.0, 1.0]])
        >>> codec.PCA(features=1).fit(x).encode(x).flatten().tolist()
        [5.0, -5.0, 0.0]

    Source:
        Hotelling (1933), Analysis of a complex of statistical variables into principal components.
    """

    domain = "real"

    @door("PCA")
    def __init__(self, features: int = 32) -> None:
        self.features = checks.integer("features", features, 1, checks.LONGEST)
        super().__init__(features=self.features)
        self.name = f"pca:{self.features}"
        first = "first" if self.features == 1 else f"first {self.features:,}"
        components = "component" if self.features == 1 else "components"
        self.about = f"the {first} principal {components} of the patterns"

    @property
    def length(self) -> int | None:
        """The number of features of a code."""
        return self.features

    @property
    def parameters(self) -> int:
        """The number of fitted numbers: the components and the mean.

        Raises:
            InputError: the codec is not fitted yet.
        """
        self._ready()
        return (self.features + 1) * self.fitted["mean"].numel()

    def _fit(
        self, x: Float[Tensor, "m n"], mean: Float64[Tensor, "n"], labels: Tensor | None
    ) -> dict[str, Tensor]:
        m, n = x.shape
        # The patterns, their vectors on both sides, and as much again to compute them, in float64.
        least = min(m, n)
        machine.fit("x", 8 * (2 * m * n + 4 * least * (m + n)), f"{m:,} patterns of {n:,} numbers")
        with threads.using(1):
            _, sizes, directions = torch.linalg.svd(x.double() - mean, full_matrices=False)
        small = sizes[0] * max(m, n) * torch.finfo(torch.float64).eps
        rank = int((sizes > small).sum())
        if self.features > rank:
            must = f"at most {rank:,}, the rank of these {m:,} patterns of {n:,} numbers less their"
            do = "give fewer features, or more patterns that differ"
            refuse("features", must=f"{must} mean", got=f"{self.features:,}", do=do)
        kept = directions[: self.features]
        largest = kept.gather(1, kept.abs().argmax(1, keepdim=True))
        return {"components": (kept * largest.sign()).contiguous()}

    def _shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        return {"components": (self.features, n)}

    def _encode(self, x: Float[Tensor, "rows n"]) -> Float[Tensor, "rows code"]:
        mean, components = self.fitted["mean"], self.fitted["components"]
        found = x.new_empty(len(x), self.features)
        for part, out in zip(torch.split(x, BLOCK), torch.split(found, BLOCK), strict=True):
            out.copy_((part.double() - mean) @ components.T)
        return found

    def _decode(self, code: Float[Tensor, "rows code"]) -> Float[Tensor, "rows n"]:
        mean, components = self.fitted["mean"], self.fitted["components"]
        found = code.new_empty(len(code), len(mean))
        for part, out in zip(torch.split(code, BLOCK), torch.split(found, BLOCK), strict=True):
            out.copy_(mean + part.double() @ components)
        return found
