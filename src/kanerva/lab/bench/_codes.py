"""Codes of data: the signs of random projections beside the matrix product that they need."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from kanerva.lab import codec
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case, Route
from kanerva.lab.bench._sizes import Sizes

__all__ = ["PRODUCT", "encode"]

PRODUCT = "torch, X W"
# The rows that the codec is fitted to, and those whose codes are checked.
FITTED, CHECKED = 256, 64
# The share of bits that may differ: sums near 0, whose sign float32 does not hold.
ALLOWED = 1e-3


def encode(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Encode rows of real numbers as bits."""
    count, dim, length = sizes.codes
    x = torch.randn(count, dim, generator=torch.Generator().manual_seed(0))
    coder = codec.Hyperplanes(length).fit(x[:FITTED])
    mean, normals = coder.fitted["mean"].float(), coder.fitted["normals"].T.contiguous()
    sums = (x[:CHECKED].double() - mean.double()) @ normals.double()

    def wrong(signs: Tensor) -> float:
        return (signs != sums.sign()).double().mean().item()

    # The product leaves the mean out, which is one subtraction a row.
    shift = mean @ normals
    routes = [
        Route("kanerva", partial(coder.encode, x), lambda: wrong(coder.encode(x[:CHECKED])), True),
        Route(
            PRODUCT,
            partial(torch.mm, x, normals),
            lambda: wrong((x[:CHECKED] @ normals - shift).sign()),
        ),
    ]
    setting = {"n": dim, "k": length, "rows": count}
    yield Case("encode", setting, routes, ALLOWED, limits.scoring(count, length, dim))
