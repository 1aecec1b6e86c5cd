"""Vectors of -1/+1 bits: random ones, flips, distances, records of them, and packed storage.

Formulas use bits of -1 or +1, so that a dot product counts agreements. Engines and files store 64
bits in one integer word. ``pack`` and ``unpack`` convert between the two. ``bind``, ``bundle`` and
``permute`` compute with whole vectors: a record of roles and fillers, or a sequence, is one vector
again (a vector symbolic architecture).
"""

import math

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse

__all__ = [
    "Packed",
    "bind",
    "bundle",
    "fingerprint",
    "flip",
    "from_binary",
    "hamming",
    "majority",
    "pack",
    "permute",
    "random",
    "to_binary",
    "uniform",
    "unpack",
]

WORD = 64
# 2^64 divided by the golden ratio, as a signed integer: the increment of SplitMix64.
GOLDEN = -0x61C8864680B583EB


class Packed:
    """Rows of -1/+1 bits, stored 64 to a word, that are unpacked one slice at a time.

    It takes the place of a tensor of keys that would not fit into memory.

    Args:
        words: ``(m, ceil(bits / 64))`` int64, as returned by ``pack``.
        bits: number of bits in a row.

    Raises:
        InputError: words of another dtype or width, or bits set beyond the last one.

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
        self.words = arrays.rows("words", words, dim=-(-self.bits // WORD), advised=torch.int64)
        do = "make them with bits.pack"
        if words.dtype != torch.int64:
            refuse("words", words, must="int64", do=do, error=InputTypeError)
        if self.bits % WORD and not arrays.tracing() and (words[:, -1] >> self.bits % WORD).any():
            must = f"0 beyond bit {self.bits} of each row"
            refuse("words", must=must, got="not: bits are set there", do=do)

    @classmethod
    def wrap(cls, words: Int64[Tensor, "m words"], bits: int) -> "Packed":
        """Return packed rows over words that are known to be valid; nothing is checked."""
        packed = cls.__new__(cls)
        packed.words, packed.bits = words, bits
        return packed

    @classmethod
    @door
    def random(cls, count: int, bits: int, *, seed: int | torch.Generator) -> "Packed":
        """Draw uniform rows in packed form.

        Args:
            count: number of rows, >= 0.
            bits: number of bits in a row, >= 1.
            seed: an integer >= 0 or a CPU generator.

        Returns:
            ``count`` packed rows.
        """
        count = checks.integer("count", count, 0, checks.LONGEST)
        bits = checks.integer("bits", bits, 1, checks.LONGEST)
        source = arrays.generator(seed)
        width = -(-bits // WORD)
        with checks.room("count", f"{count} rows of {bits} bits", 8 * count * width):
            words = torch.empty(count, width, dtype=torch.int64)
        words.random_(-(2**63), None, generator=source)
        if bits % WORD:
            words[:, -1] &= 2 ** (bits % WORD) - 1
        return cls.wrap(words, bits)

    @property
    def shape(self) -> torch.Size:
        """``(m, bits)``, the shape of the unpacked rows."""
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
        count: number of rows, >= 0.
        bits: number of bits in a row, >= 1.
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
    needed = (1 + dtype.itemsize) * count * width
    with checks.room("count", f"{count} rows of {width} bits", needed):
        binary = torch.randint(0, 2, (count, width), generator=source, dtype=torch.int8)
        return binary.to(dtype).mul_(2).sub_(1)


@door("bits.flip")
def flip(
    x: Float[Tensor, "*batch bits"], count: int, *, seed: int | torch.Generator
) -> Float[Tensor, "*batch bits"]:
    """Flip exactly ``count`` different bits of every row, chosen at random.

    Args:
        x: ``(..., bits)`` of -1 and +1.
        count: number of bits to flip, 0 to ``bits``.
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
    count, source = checks.integer("count", count, 0, x.shape[-1]), arrays.generator(seed)
    with checks.room("x", f"of shape {tuple(x.shape)}", (16 + 2 * x.itemsize) * x.numel()):
        order = torch.rand(x.shape, generator=source).argsort(-1)
        return x * torch.ones_like(x).scatter(-1, order[..., :count].to(x.device), -1)


@door("bits.hamming")
def hamming(a: Shaped[Tensor, "*a bits"], b: Shaped[Tensor, "*b bits"]) -> Int64[Tensor, "*c"]:
    """Return the Hamming distance: the number of coordinates in which two vectors differ.

    Args:
        a: ``(..., bits)`` of -1/+1, or of 0/1.
        b: ``(..., bits)`` likewise; the leading dimensions of both broadcast.

    Returns:
        ``(...)`` int64.

    Raises:
        InputError: other numbers, whose distance would be no number of bits.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> x = torch.tensor([[1.0, -1, 1], [1, 1, -1]])
        >>> bits.hamming(torch.tensor([1.0, 1, -1]), x).tolist()
        [2, 0]
    """
    arrays.vectors("b", b, arrays.vectors("a", a).shape[-1])
    _broadcast(a, b)
    for name, x in (("a", a), ("b", b)):
        # A read may hold zeros beside -1/+1, where nothing is stored within reach.
        if not arrays.tracing() and not ((x == 0) | (x == 1) | (x == -1)).all():
            refuse(name, x, must="bits, -1/+1 or 0/1", do="take the signs first, with x.sign()")
    return (a != b).sum(-1)


@door("bits.majority")
def majority(
    x: Float[Tensor, "count bits"], *, seed: int | torch.Generator
) -> Float[Tensor, "bits"]:
    """Return the most frequent bit of every column; ties are broken at random.

    Args:
        x: ``(count, bits)`` of -1 and +1.
        seed: an integer >= 0 or a CPU generator, for the ties.

    Returns:
        ``(bits,)`` of -1 and +1.

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


@door("bits.bind")
def bind(a: Float[Tensor, "*a bits"], b: Float[Tensor, "*b bits"]) -> Float[Tensor, "*batch bits"]:
    r"""Bind two vectors, such as a role and its filler, to one that is unlike both.

    .. math:: y_j = a_j\, b_j

    Binding with the same vector again undoes it: ``bind(a, bind(a, b))`` is ``b``. In bits of 0/1
    it is the exclusive or, and it keeps distances: those of ``bind(a, b)`` and ``bind(a, c)`` are
    those of ``b`` and ``c``.

    Args:
        a: ``(..., bits)`` of -1 and +1.
        b: ``(..., bits)`` likewise, in the dtype of ``a``; the leading dimensions of both
            broadcast.

    Returns:
        ``(..., bits)`` of -1 and +1.

    Raises:
        InputError: other numbers, dtypes that differ, or shapes that do not fit.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> colour, red = bits.random(2, 1000, seed=0)
        >>> pair = bits.bind(colour, red)
        >>> torch.equal(bits.bind(colour, pair), red), bits.hamming(pair, red).item()
        (True, 496)

    Source: Kanerva 2009, the multiplication of vectors.
    """
    arrays.bipolar("a", arrays.floats("a", a))
    arrays.bipolar("b", arrays.floats("b", b, a.shape[-1]))
    if (b.dtype, b.device) != (a.dtype, a.device):
        must, do = f"{a.dtype} on {a.device}, as a is", "convert it with b.to(a)"
        refuse("b", got=f"{b.dtype} on {b.device}", must=must, do=do, error=InputTypeError)
    shape = _broadcast(a, b)
    with checks.room("b", f"of shape {tuple(b.shape)}", a.itemsize * math.prod(shape)):
        return a * b


def _broadcast(a: Tensor, b: Tensor) -> tuple[int, ...]:
    """Return the shape to which two vectors, or batches of them, broadcast; refuse others."""
    shape = arrays.together(a.shape, b.shape)
    if shape is None:
        must = f"of a shape that broadcasts with {tuple(a.shape)}"
        do = "give both the same leading dimensions, or none to one"
        refuse("b", must=must, got=f"of shape {tuple(b.shape)}", do=do)
    return shape


@door("bits.bundle")
def bundle(
    x: Float[Tensor, "*batch count bits"], *, seed: int | None = None
) -> Float[Tensor, "*batch bits"]:
    r"""Bundle vectors to one that is like each of them: the majority of each bit.

    .. math:: y_j = \text{sign} \sum_i x_{ij}

    A tied bit, which only an even number of vectors has, is drawn by a hash of the sums of all
    bits, of its place and of the seed (``fingerprint``). So the result depends neither on the order
    of the vectors nor on the other bundles of the batch, and different bundles have different ties.

    Args:
        x: ``(..., count, bits)`` of -1 and +1, ``count`` >= 1.
        seed: 0 to 2^63 - 1, for the ties; an odd number of vectors, which has none, needs no seed.

    Returns:
        ``(..., bits)`` of -1 and +1.

    Raises:
        InputError: other numbers, no vector, or an even number of them without a seed.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> roles, fillers = bits.random(9, 1000, seed=0), bits.random(9, 1000, seed=1)
        >>> record = bits.bundle(bits.bind(roles, fillers), seed=0)
        >>> found = bits.hamming(bits.bind(record, roles[3]), fillers)
        >>> found.argmin().item(), found.min().item()  # a filler is found by its role
        (3, 367)

    Source: Kanerva 2009, the addition of vectors; the rule for ties is this library's.
    """
    arrays.bipolar("x", arrays.floats("x", x))
    if x.ndim < 2 or not x.shape[-2]:
        must, do = "of shape (..., count, bits) with one vector or more", "stack them as rows"
        refuse("x", x, must=must, do=do)
    odd = x.shape[-2] % 2 == 1
    if seed is None and not odd:
        must = f"an integer >= 0 for {x.shape[-2]} vectors, an even number that can tie"
        refuse("seed", None, must=must, do="give one, such as seed=0", error=InputTypeError)
    seed = checks.integer("seed", 0 if seed is None else seed, 0, 2**63 - 1)
    wide = torch.promote_types(x.dtype, torch.float32)  # sums of half precision would be rounded
    votes = x.sum(-2, dtype=wide)
    if odd and not arrays.tracing():
        return votes.sign().to(x.dtype)
    place = mix(torch.arange(1, x.shape[-1] + 1, device=x.device))
    coin = torch.where(mix(fingerprint(votes, seed).unsqueeze(-1) + place) < 0, -1.0, 1.0)
    return torch.where(votes == 0, coin.to(wide), votes.sign()).to(x.dtype)


@door("bits.permute")
def permute(x: Float[Tensor, "*batch bits"], times: int = 1) -> Float[Tensor, "*batch bits"]:
    r"""Rotate the bits of vectors: a vector that is unlike them, and can be rotated back.

    .. math:: y_j = x_{(j - t) \bmod n}

    A rotation keeps distances, and it may be taken inside ``bind`` and ``bundle``. It marks places:
    the sequence a, b, c is the bundle of a, of b rotated once, and of c rotated twice.

    Args:
        x: ``(..., bits)`` of -1 and +1.
        times: t, by how many places; negative to rotate back.

    Returns:
        ``(..., bits)`` of -1 and +1.

    Raises:
        InputError: other numbers.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.permute(torch.tensor([1.0, -1, -1, -1])).tolist()
        [-1.0, 1.0, -1.0, -1.0]
        >>> letters = bits.random(3, 1000, seed=0)
        >>> word = bits.bundle(torch.stack([bits.permute(letters[t], t) for t in range(3)]), seed=0)
        >>> bits.hamming(bits.permute(word, -2), letters).argmin().item()  # the last letter
        2

    Source: Kanerva 2009, the permutation of coordinates, of which a rotation is one.
    """
    arrays.bipolar("x", arrays.floats("x", x))
    times = checks.integer("times", times, -checks.LONGEST, checks.LONGEST)
    return x.roll(times, -1)


@door("bits.from_binary")
def from_binary(
    x: Shaped[Tensor, "*shape"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*shape"]:
    """Convert 0/1, or False/True, to -1/+1.

    Args:
        x: a tensor of 0 and 1 of any shape.
        dtype: a floating dtype, of the result.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.from_binary(torch.tensor([0, 1, 1])).tolist()
        [-1.0, 1.0, 1.0]
    """
    arrays.dense("x", x, "a tensor of 0 and 1")
    if not ((x == 0) | (x == 1)).all():
        do = "compare with a threshold first, such as x > 0.5"
        refuse("x", x, must="0 or 1 everywhere", do=do)
    return x.to(arrays.floating(dtype)) * 2 - 1


@door("bits.to_binary")
def to_binary(x: Float[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Convert -1/+1 to 0/1, of int64.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.to_binary(torch.tensor([-1.0, 1.0])).tolist()
        [0, 1]
    """
    return (arrays.bipolar("x", arrays.floats("x", x)) > 0).long()


@door("bits.pack")
def pack(x: Shaped[Tensor, "*batch bits"]) -> Int64[Tensor, "*batch words"]:
    """Pack -1/+1 bits, 64 to a word; the unused bits of the last word are 0.

    Args:
        x: ``(..., bits)`` of -1 and +1.

    Returns:
        ``(..., ceil(bits / 64))`` int64; bit i of a word is set where the coordinate is +1.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.pack(torch.tensor([1.0, 1, -1, 1])).tolist()
        [11]
    """
    return signs(arrays.bipolar("x", arrays.vectors("x", x)))


def signs(x: Shaped[Tensor, "*batch bits"]) -> Int64[Tensor, "*batch words"]:
    """Pack the signs of any numbers: a bit is set where the number is above zero."""
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
    """Convert packed words back to -1/+1: the inverse of ``pack``.

    Args:
        words: ``(..., ceil(bits / 64))`` int64.
        bits: number of bits in a row, as it was before ``pack``.
        dtype: a floating dtype, of the result.

    Returns:
        ``(..., bits)`` of -1 and +1.

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.unpack(torch.tensor([11]), 4).tolist()
        [1.0, 1.0, -1.0, 1.0]
    """
    arrays.vectors("words", _hashes("words", words))
    bits = checks.integer("bits", bits, 1, words.shape[-1] * WORD, "give the width that was packed")
    arrays.floating(dtype)
    if arrays.tracing():
        return _looked_up(words, bits, dtype)
    needed = words.numel() * WORD * (1 + dtype.itemsize)
    with checks.room("words", f"of shape {tuple(words.shape)}", needed):
        return _looked_up(words, bits, dtype)


def _looked_up(words: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
    """Unpack words by a table of the 256 octets, eight bits at a time."""
    octet = torch.arange(256, device=words.device)[:, None] >> torch.arange(8, device=words.device)
    table = ((octet & 1) * 2 - 1).to(dtype)
    return table[words.contiguous().view(torch.uint8).long()].flatten(-2)[..., :bits]


@door("bits.fingerprint")
def fingerprint(x: Shaped[Tensor, "*batch bits"], seed: int) -> Int64[Tensor, "*batch"]:
    r"""Hash every row to a 64-bit integer that depends only on its numbers and the seed.

    Random choices made from the hash, such as the value of a tied bit, are the same for the same
    vector in every batch. The hash adds up one random word for each coordinate, and mixes the sum:

    .. math:: h(x) = \text{mix}\Bigl(\sum_j r_j(x_j)\Bigr), \quad
        r_j(+1) = \text{mix}(j\,c + \text{seed}), \; r_j(-1) = 0

    Any other number is hashed with its bits in float64, so that equal numbers of different dtypes,
    and 0 and -0, hash alike.

    Args:
        x: ``(..., bits)`` of bits, or of any other numbers.
        seed: 0 to 2^63 - 1.

    Returns:
        ``(...)`` int64.

    Example:
        >>> from kanerva import bits
        >>> x = bits.random(2, 8, seed=0)
        >>> bool((bits.fingerprint(x, 1) == bits.fingerprint(x.flip(0), 1).flip(0)).all())
        True
        >>> bool((bits.fingerprint(x, 1) == bits.fingerprint(2 * x, 1)).any())
        False
    """
    arrays.vectors("x", x)
    seed = checks.integer("seed", seed, 0, 2**63 - 1)
    place = mix(torch.arange(1, x.shape[-1] + 1, device=x.device) * GOLDEN + seed)
    words = torch.where(x > 0, place, 0)
    other = x.abs() != 1 if x.dtype != torch.bool else ~x
    if arrays.tracing() or bool(other.any()):
        shape = (x.detach().to(torch.float64) + 0.0).view(torch.int64)  # -0 becomes 0
        words = torch.where(other, mix(place ^ mix(shape)), words)
    return mix(words.sum(-1))


def mix(x: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Permute 64-bit integers by the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ _shift(x, 30)) * -0x40A7B892E31B1A47
    x = (x ^ _shift(x, 27)) * -0x6B2FB644ECCEEE15
    return x ^ _shift(x, 31)


@door("bits.uniform")
def uniform(x: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Convert 64-bit hashes to float64 numbers in [0, 1).

    Example:
        >>> import torch
        >>> from kanerva import bits
        >>> bits.uniform(torch.tensor([0, -1])).tolist()
        [0.0, 0.9999999999999999]
    """
    return _shift(_hashes("x", x), 11).to(torch.float64) * 2.0**-53


def _hashes(argument: str, x: Tensor) -> Tensor:
    """Refuse a tensor that is not int64."""
    if arrays.dense(argument, x, "an int64 tensor", torch.int64).dtype != torch.int64:
        do = "give the result of bits.pack"
        refuse(argument, x, must="int64", do=do, error=InputTypeError)
    return x


def _shift(x: Int64[Tensor, "*shape"], by: int) -> Int64[Tensor, "*shape"]:
    """Shift right and fill with zeros; torch's ``>>`` of int64 fills with the sign."""
    return (x >> by) & (2 ** (64 - by) - 1)
