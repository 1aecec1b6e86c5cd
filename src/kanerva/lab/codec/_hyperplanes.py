"""Codes of random hyperplanes: each bit says on which side of one a pattern lies."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kanerva._core import arrays, checks, machine
from kanerva._core.errors import door, refuse
from kanerva.lab.codec._codec import Codec

__all__ = ["Hyperplanes"]

# Numbers in one block of codes.
BLOCK = 2**21
# A float32 sum whose size is within so many standard deviations of its rounding is computed again.
SURE = 8.0
# The ridge of the regression that decodes, as a share of the length of a code.
RIDGE = 1e-3


class Hyperplanes(Codec):
    r"""Bits that say on which side of random hyperplanes through the mean a pattern lies.

    .. math::

        c(x) = \mathrm{sign}\big((x - \bar x)\, W\big), \quad
        W = (\Sigma + w)^{-1/2} R, \quad R_{ij} \sim N(0, 1)

    Without whitening W is R. The share of differing bits of two codes is angle / pi on average,
    where the angle is that between both vectors less the mean; its standard deviation over R is
    sqrt(p (1 - p) / k) for p = angle / pi and k bits. Proof: only the part of a normal in the plane
    of both vectors counts, and its direction there is uniform. The two signs differ where the
    normal's perpendicular lies between the vectors, which is the share angle / pi of all
    directions.

    ``decode`` is a ridge regression from the codes of the fitted patterns to the patterns.

    Args:
        bits: k >= 1, the length of a code.
        whiten: w >= 0, in squared units of the data. Above 0, each principal direction of the data
            is divided by sqrt(variance + w), so that directions of small variance count more.
        seed: an integer >= 0, for R.

    Raises:
        InputError: an argument out of range; in ``fit``, codes that do not fit into memory.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> from kanerva.lab import codec
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [-2.0, -1.0]])  # of mean 0
        >>> code = codec.Hyperplanes(bits=4096, seed=1).fit(x).encode(x)
        >>> round(bits.hamming(code[0], code[1]).item() / 4096, 2)  # 45 of 180 degrees
        0.25

    Source:
        Charikar (2002), Similarity estimation techniques from rounding algorithms.
    """

    domain = "bits"

    @door("Hyperplanes")
    def __init__(self, bits: int = 2048, whiten: float = 0.0, seed: int = 0) -> None:
        self.bits = checks.integer("bits", bits, 1, checks.LONGEST)
        self.whiten = checks.number("whiten", whiten, 0.0)
        self.seed = checks.integer("seed", seed, 0)
        super().__init__(bits=self.bits, whiten=self.whiten, seed=self.seed)
        self.name = f"bits:{self.bits}" + (f":{self.whiten:g}" if self.whiten else "")
        whitened = f" of whitened data (w = {self.whiten:g})" if self.whiten else ""
        signs = "1 sign of a random projection"
        if self.bits > 1:
            signs = f"{self.bits:,} signs of random projections"
        self.about = f"{signs}{whitened}, seed {self.seed}"

    @property
    def length(self) -> int | None:
        """The number of bits of a code."""
        return self.bits

    def _fit(
        self, x: Float[Tensor, "m n"], mean: Float64[Tensor, "n"], labels: Tensor | None
    ) -> dict[str, Tensor]:
        m, n = x.shape
        # Numbers of W, of the codes, and, in float64, of the regression.
        needed = 4 * (n + 2 * m) * self.bits + 8 * (2 * min(m, self.bits) ** 2 + n * self.bits)
        machine.fit("bits", needed, f"{self.bits:,} for {m:,} patterns")
        normals = torch.randn(n, self.bits, generator=arrays.generator(self.seed))
        if self.whiten:
            normals = (_root(x - mean, self.whiten) @ normals.double()).float()
        normals = normals.T.contiguous()
        if not bool(normals.isfinite().all()):
            do = "give one of the size of the variances of the data"
            refuse("whiten", self.whiten, must="such that W is finite in float32", do=do)
        code = _signs(x, mean, normals)
        centre = code.double().mean(0)
        map_ = _ridge(code, centre, x - mean, RIDGE * self.bits)
        return {"normals": normals, "centre": centre, "map": map_}

    def _shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        return {"normals": (self.bits, n), "centre": (self.bits,), "map": (self.bits, n)}

    def _encode(self, x: Float[Tensor, "rows n"]) -> Float[Tensor, "rows code"]:
        return _signs(x, self.fitted["mean"], self.fitted["normals"])

    def _decode(self, code: Float[Tensor, "rows code"]) -> Float64[Tensor, "rows n"]:
        return self.fitted["mean"] + (code.double() - self.fitted["centre"]) @ self.fitted["map"]


def _signs(
    x: Float[Tensor, "rows n"], mean: Float64[Tensor, "n"], normals: Float[Tensor, "code n"]
) -> Float[Tensor, "rows code"]:
    """Return on which side of each hyperplane the rows lie, in blocks."""
    k, n = normals.shape
    mean = mean.float()
    code = x.new_empty(len(x), k)
    rows = max(1, BLOCK // k)
    sizes = x.new_empty(min(rows, len(x)), k)
    # The standard deviation of the rounding of a sum of n products, at most; see Higham and
    # Mary (2019), A new approach to probabilistic rounding error analysis.
    unit = SURE * math.sqrt(n) * torch.finfo(x.dtype).eps / 2 * normals.norm(dim=1).max()
    for start in range(0, len(x), rows):
        part = x[start : start + rows] - mean
        out = code[start : start + rows]
        torch.mm(part, normals.T, out=out)
        size = torch.abs(out, out=sizes[: len(part)])
        doubtful = (size <= unit * part.norm(dim=-1, keepdim=True)).nonzero()
        out.sign_()  # a zero is doubtful
        if len(doubtful):
            out[*doubtful.T] = _again(part, normals, doubtful)
    return code


def _again(
    part: Float[Tensor, "rows n"], normals: Float[Tensor, "code n"], places: Tensor
) -> Float[Tensor, "places"]:
    """Compute the signs of single sums in float64, each in the same order whatever the batch."""
    signs = []
    for some in torch.split(places, max(1, BLOCK // part.shape[1])):
        row, column = some.T
        sums = (part[row].double() * normals[column].double()).sum(-1)
        signs.append(torch.where(sums >= 0, 1.0, -1.0))
    return torch.cat(signs).to(part.dtype)


def _root(centred: Float64[Tensor, "m n"], whiten: float) -> Float64[Tensor, "n n"]:
    """Return the inverse square root of the covariance plus ``whiten`` on its diagonal."""
    variance, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
    return (directions / (variance.clamp_min(0) + whiten).sqrt()) @ directions.T


def _ridge(
    code: Float[Tensor, "m code"],
    centre: Float64[Tensor, "code"],
    data: Float64[Tensor, "m n"],
    ridge: float,
) -> Float64[Tensor, "code n"]:
    """Fit a ridge regression from centred codes to centred data, in the smaller of both spaces."""
    m, k = code.shape
    centred = code.double() - centre
    if m <= k:
        gram = centred @ centred.T
        return centred.T @ torch.linalg.solve(gram + ridge * torch.eye(m).to(gram), data)
    gram = centred.T @ centred
    return torch.linalg.solve(gram + ridge * torch.eye(k).to(gram), centred.T @ data)
