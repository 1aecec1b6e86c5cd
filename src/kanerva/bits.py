"""Vectors of -1/+1 bits: drawing, damaging, comparing and packing them.

In mathematics a bit is -1 or +1, so that a dot product counts agreements; in engines and files 64 of them share a word.
``pack`` and ``unpack`` are the only place where the one becomes the other.
"""

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse

__all__ = [
    "Packed",
    "fingerprint",
    "flip",
    "from_binary",
    "hamming",
    "majority",
    "pack",
    "random",
    "to_binary",
    "uniform",
    "unpack",
]

WORD = 64
# 2^64 over the golden ratio, as a signed integer: the stride of SplitMix64.
GOLDEN = -0x61C8864680B583EB


class Packed:
    """Many -1/+1 vectors, 64 bits to a word, that unpack a slice at a time: what stands for keys too many to unpack.

    Args:
        words: ``(m, ceil(bits / 64))`` int64, as ``pack`` makes them.
        bits: how many bits a row.

    Example:
        >>> from kanerva import bits
        >>> x = bits.random(1000, 100, seed=0)
        >>> packed = bits.Packed(bits.pack(x), 100)
        >>> packed.shape, packed.words.shape, bool((packed[10:20] == x[10:20]).all())
        (torch.Size([1000, 100]), torch.Size([1000, 2]), True)
    """

    @door
    def __init__(self, words: Int64[Tensor, "m words"], bits: int) -> None:
        self.bits = checks.integer("bits", bits, 1, checks.LONGEST)
        self.words = arrays.rows("words", words, dim=-(-self.bits // WORD))
        if words.dtype != torch.int64:
            refuse(
                "words", words, must="int64", do="make them with bits.pack", error=InputTypeError
            )
        if self.bits % WORD and not arrays.tracing() and (words[:, -1] >> self.bits % WORD).any():
            refuse(
                "words",
                must=f"0 beyond bit {self.bits} of each row",
                got="not: bits are set there",
                do="make them with bits.pack",
            )

    @classmethod
    def wrap(cls, words: Int64[Tensor, "m words"], bits: int) -> "Packed":
        """Take words that are known to be sound, without a look at them."""
        packed = cls.__new__(cls)
        packed.words, packed.bits = words, bits
        return packed

    @classmethod
    @door
    def random(cls, count: int, bits: int, *, seed: int | torch.Generator) -> "Packed":
        """Draw uniform rows without ever unpacking them."""
        count = checks.integer("count", count, 0, checks.LONGEST)
        bits = checks.integer("bits", bits, 1, checks.LONGEST)
        source = arrays.generator(seed)
        with checks.room("count", f"{count} rows of {bits} bits"):
            words = torch.empty(count, -(-bits // WORD), dtype=torch.int64)
        words.random_(-(2**63), None, generator=source)
        if bits % WORD:
            words[:, -1] &= 2 ** (bits % WORD) - 1
        return cls.wrap(words, bits)

    @property
    def shape(self) -> torch.Size:
        """``(m, bits)``, as if it were unpacked."""
        return torch.Size((self.words.shape[0], self.bits))

    def __len__(self) -> int:
        return self.words.shape[0]

    @door("Packed")
    def __getitem__(self, rows: slice) -> Float[Tensor, "rows bits"]:
        if not isinstance(rows, slice):
            do = "unpack one row i with packed[i : i + 1]"
            refuse("rows", rows, must="a slice", do=do, error=InputTypeError)
        return unpack(self.words[rows], self.bits)


@door("bits.random")
def random(
    count: int, bits: int, *, seed: int | torch.Generator, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "count bits"]:
    """Draw uniform -1/+1 vectors.

    Args:
        count: how many rows, >= 0.
        bits: how many bits a row, >= 1.
        seed: an integer >= 0 or a CPU generator.
        dtype: a floating dtype.

    Returns:
        ``(count, bits)`` of -1 and +1.

    Example:
        >>> from kanerva import bits
        >>> bits.random(2, 4, seed=0).shape
        torch.Size([2, 4])
    """
    count = checks.integer("count", count, 0, checks.LONGEST)
    width = checks.integer("bits", bits, 1, checks.LONGEST)
    source, dtype = arrays.generator(seed), arrays.floating(dtype)
    with checks.room("count", f"{count} rows of {width} bits"):
        return (
            torch.randint(0, 2, (count, width), generator=source, dtype=torch.int8).to(dtype) * 2
            - 1
        )


@door("bits.flip")
def flip(
    x: Float[Tensor, "*batch bits"], count: int, *, seed: int | torch.Generator
) -> Float[Tensor, "*batch bits"]:
    """Flip exactly ``count`` different bits of every row, chosen at random.

    Args:
        x: ``(..., bits)`` of -1 and +1.
        count: bits to flip, 0 to ``bits``.
        seed: an integer >= 0 or a CPU generator.

    Returns:
        a new tensor at Hamming distance ``count`` from ``x``, row by row.

    Example:
        >>> from kanerva import bits
        >>> x = bits.random(3, 64, seed=0)
        >>> bits.hamming(x, bits.flip(x, 6, seed=1)).tolist()
        [6, 6, 6]
    """
    arrays.bipolar("x", arrays.floats("x", x))
    count = checks.integer("count", count, 0, x.shape[-1])
    order = (
        torch.rand(x.shape, generator=arrays.generator(seed)).argsort(-1)[..., :count].to(x.device)
    )
    return x * torch.ones_like(x).scatter(-1, order, -1)


@door("bits.hamming")
def hamming(a: Shaped[Tensor, "*a bits"], b: Shaped[Tensor, "*b bits"]) -> Int64[Tensor, "*c"]:
    """Count the places in which two vectors differ; leading dimensions broadcast.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.hamming(torch.tensor([1.0, 1, -1]), torch.tensor([[1.0, -1, 1], [1, 1, -1]])).tolist()
        [2, 0]
    """
    arrays.vectors("b", b, arrays.vectors("a", a).shape[-1])
    if arrays.together(a.shape, b.shape) is None:
        do = "give both the same leading dimensions, or none to one"
        refuse(
            "b",
            must=f"of a shape that broadcasts with {tuple(a.shape)}",
            got=f"of shape {tuple(b.shape)}",
            do=do,
        )
    return (a != b).sum(-1)


@door("bits.majority")
def majority(
    x: Float[Tensor, "count bits"], *, seed: int | torch.Generator
) -> Float[Tensor, "bits"]:
    """Return the bit that most rows hold, column by column; even splits are settled by a fair coin.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.majority(torch.tensor([[1.0, -1], [1, 1], [-1, -1]]), seed=0).tolist()
        [1.0, -1.0]
    """
    arrays.bipolar("x", arrays.floats("x", arrays.rows("x", x)))
    votes = x.sum(0)
    coin = random(1, x.shape[-1], seed=seed, dtype=x.dtype)[0].to(x.device)
    return torch.where(votes == 0, coin, votes.sign())


@door("bits.from_binary")
def from_binary(
    x: Shaped[Tensor, "*shape"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*shape"]:
    """Turn 0/1 (or False/True) into -1/+1.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.from_binary(torch.tensor([0, 1, 1])).tolist()
        [-1.0, 1.0, 1.0]
    """
    arrays.dense("x", x, "a tensor of 0 and 1")
    if not ((x == 0) | (x == 1)).all():
        refuse(
            "x", x, must="0 or 1 everywhere", do="compare with a threshold first, such as x > 0.5"
        )
    return x.to(arrays.floating(dtype)) * 2 - 1


@door("bits.to_binary")
def to_binary(x: Float[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Turn -1/+1 into 0/1.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.to_binary(torch.tensor([-1.0, 1.0])).tolist()
        [0, 1]
    """
    return (arrays.bipolar("x", arrays.floats("x", x)) > 0).long()


@door("bits.pack")
def pack(x: Shaped[Tensor, "*batch bits"]) -> Int64[Tensor, "*batch words"]:
    """Pack -1/+1 bits 64 to a word; what the last word has over stays 0.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.pack(torch.tensor([1.0, 1, -1, 1])).tolist()
        [11]
    """
    return signs(arrays.bipolar("x", arrays.vectors("x", x)))


def signs(x: Shaped[Tensor, "*batch bits"]) -> Int64[Tensor, "*batch words"]:
    """Pack what is above zero, without a look at the rest."""
    width = x.shape[-1]
    words = -(-width // WORD)
    set_ = torch.nn.functional.pad((x > 0).to(torch.uint8), (0, words * WORD - width))
    place = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=x.device)
    octets = (set_.reshape(*x.shape[:-1], words * 8, 8) * place).sum(-1, dtype=torch.uint8)
    return octets.view(torch.int64)


@door("bits.unpack")
def unpack(
    words: Int64[Tensor, "*batch words"], bits: int, dtype: torch.dtype = torch.float32
) -> Shaped[Tensor, "*batch bits"]:
    """Undo ``pack``: give back -1/+1 of ``dtype``.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.unpack(torch.tensor([11]), 4).tolist()
        [1.0, 1.0, -1.0, 1.0]
    """
    _hashes("words", arrays.vectors("words", words))
    bits = checks.integer("bits", bits, 1, words.shape[-1] * WORD, "give the width that was packed")
    arrays.floating(dtype)
    # Eight bits at a time are looked up: there are 256 of them.
    octet = torch.arange(256, device=words.device)[:, None] >> torch.arange(8, device=words.device)
    table = ((octet & 1) * 2 - 1).to(dtype)
    return table[words.contiguous().view(torch.uint8).long()].flatten(-2)[..., :bits]


@door("bits.fingerprint")
def fingerprint(x: Shaped[Tensor, "*batch bits"], seed: int) -> Int64[Tensor, "*batch"]:
    """Hash every row to a 64-bit integer that depends on its bits and the seed alone.

    Random choices made from it (a tied bit, a number of shared neurons) are the same whenever the same vector comes
    back, whatever else is in the batch.

    Example:
        >>> from kanerva import bits
        >>> x = bits.random(2, 8, seed=0)
        >>> bool((bits.fingerprint(x, 1) == bits.fingerprint(x.flip(0), 1).flip(0)).all())
        True
    """
    arrays.vectors("x", x)
    seed = checks.integer("seed", seed, 0, 2**63 - 1)
    place = torch.arange(1, x.shape[-1] + 1, device=x.device)
    return mix(torch.where(x > 0, mix(place * GOLDEN + seed), 0).sum(-1))


def mix(x: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Scramble 64-bit integers one to one (the finaliser of SplitMix64; Steele, Lea and Flood 2014)."""
    x = (x ^ _shift(x, 30)) * -0x40A7B892E31B1A47
    x = (x ^ _shift(x, 27)) * -0x6B2FB644ECCEEE15
    return x ^ _shift(x, 31)


@door("bits.uniform")
def uniform(x: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Read hashes as float64 numbers in [0, 1).

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.uniform(torch.tensor([0, -1])).tolist()
        [0.0, 0.9999999999999999]
    """
    return _shift(_hashes("x", x), 11).to(torch.float64) * 2.0**-53


def _hashes(argument: str, x: Tensor) -> Tensor:
    """Refuse what is not int64."""
    if arrays.dense(argument, x, "an int64 tensor").dtype != torch.int64:
        refuse(argument, x, must="int64", do="give what bits.pack made", error=InputTypeError)
    return x


def _shift(x: Int64[Tensor, "*shape"], by: int) -> Int64[Tensor, "*shape"]:
    """Shift right, letting zeros in (torch's ``>>`` of int64 lets the sign in)."""
    return (x >> by) & (2 ** (64 - by) - 1)
