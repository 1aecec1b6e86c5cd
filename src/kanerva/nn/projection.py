r"""Learn a projection that makes correlated patterns fit for a memory of random ones.

Pictures resemble each other, and theory speaks of keys that do not. A matrix W gives every picture x a key of length one,

.. math:: k(x) = \frac{W x}{|W x|},

and is trained so that one read with the key of a damaged picture gives back the whole one (Bricken and Pehlevan 2021). Of
scikit-learn's digits the cosines of different keys then have a mean near 0, as random keys have; they still spread wider.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.functional import read
from kanerva.separation import Softmax
from kanerva.similarity import dot

__all__ = ["Cosines", "Projection", "cosines", "fit", "tilt"]


class Projection(nn.Module):
    r"""Maps pictures to keys of length one by a matrix that starts as normal random numbers.

    .. math:: k(x) = \frac{W x}{|W x|}, \quad W_{ij} \sim N(0, 1) \text{ before training}

    Args:
        dim_in: n >= 1, numbers in a picture.
        dim_out: d >= 1, numbers in a key.
        seed: an integer >= 0 or a CPU generator, of W.

    Attributes:
        weight: W, ``(dim_out, dim_in)`` float32, trained.

    Example:
        >>> import torch
        >>> from kanerva.nn.projection import Projection
        >>> keys = Projection(784, 64, seed=0)(torch.eye(3, 784))
        >>> keys.shape, round(keys.square().sum().item(), 4)
        (torch.Size([3, 64]), 3.0)

    Source:
        Bricken and Pehlevan (2021), learned projections of MNIST and CIFAR10.
    """

    @door
    def __init__(self, dim_in: int, dim_out: int, seed: int | torch.Generator = 0) -> None:
        super().__init__()
        self.dim_in = checks.integer("dim_in", dim_in, 1, checks.LONGEST)
        self.dim_out = checks.integer("dim_out", dim_out, 1, checks.LONGEST)
        source = arrays.generator(seed)
        with checks.room("dim_in", f"a matrix of {dim_out} by {dim_in}"):
            self.weight = nn.Parameter(torch.randn(self.dim_out, self.dim_in, generator=source))

    @door("Projection")
    def forward(self, x: Float[Tensor, "*batch dim_in"]) -> Float[Tensor, "*batch dim_out"]:
        """Return the key of every picture ``(..., dim_in)``, which has the dtype of W; a picture of zeros has a key of zeros."""
        arrays.vectors("x", x, self.dim_in, self.weight.dtype)
        return _unit("x", x @ self.weight.T)

    def extra_repr(self) -> str:
        """Name the dimensions."""
        return f"dim_in={self.dim_in}, dim_out={self.dim_out}"


@door("projection.fit")
def fit(
    projection: Projection,
    images: Float[Tensor, "m n"],
    beta: float,
    flips: tuple[float, float],
    *,
    epochs: int = 10,
    batch: int = 128,
    rate: float = 0.005,
    seed: int | torch.Generator = 0,
) -> Float64[Tensor, "epochs"]:
    r"""Train a projection, in place, so that one read repairs a damaged picture.

    .. math:: L = \Big| x - \sum_j w_j x_j \Big|^2, \quad w = \mathrm{softmax}\big(\beta\, k(\tilde x) \cdot k(x_j)\big)

    The x_j are the pictures of the batch, x one of them, and x~ is x tilted by as much as some flipped bits, drawn evenly
    from ``flips``. A batch as large as the set makes all pictures the memory. Adam takes one step a batch.

    Args:
        projection: changed in place.
        images: ``(m, n)`` pictures, two or more, none of them all zeros, in the dtype of the projection.
        beta: > 0, inverse temperature, such as ``theory.beta.fit`` gives for a radius among ``dim_out`` bits.
        flips: the least and the most damage, 0 to n: what it does to the cosine, so many flipped of n bits would do.
        epochs: >= 1, passes over the pictures.
        batch: >= 2, most pictures that are a memory at a time.
        rate: > 0 to 1, of Adam: about how far a step moves each entry of W.
        seed: an integer >= 0 or a CPU generator, of the order and the damage.

    Returns:
        ``(epochs,)`` float64: the mean of L over the pictures, while they were trained on.

    Raises:
        InputError: an argument out of range, or pictures whose squares overflow.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.nn import projection
        >>> from kanerva import theory
        >>> ink = data.load("digits").real / 2 + 0.5
        >>> trained = projection.Projection(64, 64, seed=0)
        >>> losses = projection.fit(trained, ink, theory.beta.fit(64, 11).beta, flips=(1, 8))
        >>> bool(losses[-1] < losses[0] / 2)
        True

    Source:
        Bricken and Pehlevan (2021), learned projections: Adam at 0.005, ten epochs, batches of 128, 10 to 100 of 784 bits.
    """
    low, high = _checked(projection, images, flips)
    beta = checks.number("beta", beta, 0.0, open_low=True)
    epochs = checks.integer("epochs", epochs, 1, checks.LONGEST)
    batch = checks.integer("batch", batch, 2, checks.LONGEST)
    rate = checks.number("rate", rate, 0.0, 1.0, open_low=True)
    source = arrays.generator(seed)
    adam = torch.optim.Adam(projection.parameters(), lr=rate)
    count, losses = len(images), []
    for _ in range(epochs):
        total = 0.0
        # Batches of nearly one size: a last one of a single picture would have nothing to be mistaken for.
        for places in torch.randperm(count, generator=source).tensor_split(
            math.ceil(count / batch)
        ):
            memory = images[places.to(images.device)]
            damaged = tilt(
                memory, low + (high - low) * torch.rand(len(memory), generator=source), seed=source
            )
            with torch.enable_grad():
                recalled = read(projection(damaged), projection(memory), memory, dot, Softmax(beta))
                loss = (recalled - memory).square().sum(-1).mean()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            total += loss.item() * len(memory)
        losses.append(total / count)
    return torch.tensor(losses, dtype=torch.float64)


@door("projection.tilt")
def tilt(
    x: Float[Tensor, "*batch n"],
    flips: float | Shaped[Tensor, "*_flips"],
    *,
    seed: int | torch.Generator,
) -> Float[Tensor, "*batch n"]:
    r"""Turn every vector away from itself, in a random direction, by as much as so many flipped bits would.

    .. math:: \tilde x = |x| \left( c\, \hat x + \sqrt{1 - c^2}\, u \right), \quad c = 1 - \frac{2 f}{n}

    A vector of n bits with f of them flipped is at cosine c to what it was. Here u has length one and any direction at right
    angles to x alike, so the cosine is c for every vector, and its length stays.

    Args:
        x: ``(..., n)``, floating, n >= 2, no vector all zeros.
        flips: f from 0, which leaves x as it is, to n, which turns it round; fractions are allowed; one for all, or a tensor
            that broadcasts to ``(...)``.
        seed: an integer >= 0 or a CPU generator.

    Returns:
        a new tensor with the shape, dtype and device of ``x``.

    Raises:
        InputError: a vector of zeros has no direction.

    Example:
        >>> import torch
        >>> from kanerva.nn import projection
        >>> x = torch.ones(64)
        >>> round(torch.cosine_similarity(x, projection.tilt(x, 8, seed=0), dim=0).item(), 5)  # 1 - 2 * 8 / 64
        0.75
    """
    width = arrays.floats("x", x).shape[-1]
    if width < 2:
        refuse("x", x, must="of two coordinates or more", do="a number has no angle: use a vector")
    share = _flips(flips, x) / width
    # A stream of its own: numbers drawn as those of x were, with the same seed, would point along x.
    start = torch.randint(2**63 - 1, (), generator=arrays.generator(seed))
    source = torch.Generator().manual_seed(int(start))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    if not arrays.tracing() and not (length > 0).all():
        arrays.finite("x", x)
        refuse("x", x, must="without vectors of zeros", do="drop them: they have no direction")
    along = _unit("x", wide)
    noise = torch.randn(x.shape, generator=source).to(wide)
    across = _unit("x", noise - (noise * along).sum(-1, keepdim=True) * along)
    tilted = length * ((1 - 2 * share) * along + 2 * (share * (1 - share)).sqrt() * across)
    return arrays.finite("x", tilted.to(x.dtype))


class Cosines(NamedTuple):
    """How alike the keys of a memory are.

    Attributes:
        mean: of the cosines of all pairs of different keys.
        deviation: their standard deviation.
        random: that of random directions, 1 / sqrt(d); their mean is 0.
    """

    mean: float
    deviation: float
    random: float


@door("projection.cosines")
def cosines(keys: Float[Tensor, "m d"]) -> Cosines:
    r"""Say how alike keys are, beside random ones.

    .. math:: \bar c = \frac{|\sum_i \hat k_i|^2 - m}{m (m - 1)}, \quad
        \overline{c^2} = \frac{|\sum_i \hat k_i \hat k_i^T|^2 - m}{m (m - 1)}

    The two sums stand for all pairs, which are never built.

    Args:
        keys: ``(m, d)``, floating, two or more, none all zeros.

    Returns:
        mean and standard deviation, and the deviation of random directions.

    Raises:
        InputError: fewer than two keys, or one of zeros.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.nn import projection
        >>> ink = data.load("digits").real / 2 + 0.5
        >>> projection.cosines(ink).mean > 0.6  # pictures of digits are much alike
        True
    """
    count, width = arrays.rows("keys", arrays.floats("keys", keys)).shape
    if count < 2:
        refuse("keys", keys, must="two rows or more", do="one key makes no pair")
    unit = _unit("keys", keys.detach().double())
    if not (unit != 0).any(-1).all():
        refuse("keys", keys, must="without rows of zeros", do="drop them: they have no direction")
    pairs = count * (count - 1)
    mean = (unit.sum(0).square().sum().item() - count) / pairs
    square = ((unit.T @ unit).square().sum().item() - count) / pairs
    return Cosines(mean, math.sqrt(max(0.0, square - mean * mean)), 1 / math.sqrt(width))


def _unit(argument: str, rows: Tensor) -> Tensor:
    """Scale rows to length one; zeros stay zeros."""
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    if not arrays.sound(length):
        arrays.finite(argument, rows)
        must = f"small enough that lengths stay within {rows.dtype}"
        refuse(
            argument,
            must=must,
            got="too large: a length overflows",
            do="scale it down, or take torch.float64",
        )
    return rows / torch.where(length > 0, length, 1.0)


def _flips(flips: float | Tensor, x: Tensor) -> Tensor:
    """Check how far to tilt; return a number for each vector, with a dimension to multiply it by."""
    width = x.shape[-1]
    if not isinstance(flips, Tensor):
        flips = torch.tensor(checks.number("flips", flips, 0.0, width), dtype=torch.float64)
    arrays.dense("flips", flips, "a number or a tensor of them")
    if arrays.together(flips.shape, x.shape[:-1]) != tuple(x.shape[:-1]):
        must, do = (
            f"one number, or a tensor that broadcasts to {tuple(x.shape[:-1])}",
            "give one for each vector",
        )
        refuse("flips", must=must, got=f"of shape {tuple(flips.shape)}", do=do)
    if not arrays.tracing() and not ((flips >= 0) & (flips <= width)).all():
        refuse("flips", flips, must=f"from 0 to {width}", do="give numbers within the range")
    return flips.to(
        x.device, torch.float64 if x.dtype == torch.float64 else torch.float32
    ).unsqueeze(-1)


def _checked(
    projection: Projection, images: Tensor, flips: tuple[float, float]
) -> tuple[float, float]:
    """Check what is to be trained and on what; return the least and the most damage."""
    if not isinstance(projection, Projection):
        do = "make one with Projection(dim_in, dim_out)"
        refuse("projection", projection, must="a Projection", do=do, error=InputTypeError)
    arrays.rows("images", images, dim=projection.dim_in)
    arrays.finite("images", arrays.vectors("images", images, dtype=projection.weight.dtype))
    if len(images) < 2:
        refuse("images", images, must="two rows or more", do="give pictures to tell apart")
    if not (images != 0).any(-1).all():
        refuse(
            "images", images, must="without rows of zeros", do="drop them: they have no direction"
        )
    # A bound on what the squares of keys and errors can be.
    if not arrays.sound(
        4 * images.square().sum() * projection.weight.detach().square().sum().clamp_min(1)
    ):
        must = f"small enough that their squares stay within {images.dtype}"
        refuse("images", images, must=must, do="scale them to 0 to 1")
    if not isinstance(flips, tuple | list) or len(flips) != 2:
        do = "write flips=(1, 8)"
        refuse("flips", flips, must="two numbers, least and most", do=do, error=InputTypeError)
    low = checks.number("flips", flips[0], 0.0, projection.dim_in)
    return low, checks.number("flips", flips[1], low, projection.dim_in)
