r"""Learned projections that turn correlated patterns into keys that are closer to random ones.

Images are correlated, while the theory of sparse distributed memory assumes random keys. A matrix W
gives every image x a key of length one,

.. math:: k(x) = \frac{W x}{|W x|},

and is trained so that one read with the key of a damaged image returns the undamaged one (Bricken
and Pehlevan 2021). On the digits of scikit-learn the mean cosine of different keys falls to about
0, as for random keys; the spread of the cosines stays larger.
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

NO_DIRECTION = "drop them: they have no direction"


class Projection(nn.Module):
    r"""Maps images to keys of length one by a matrix that starts as normal random numbers.

    .. math:: k(x) = \frac{W x}{|W x|}, \quad W_{ij} \sim N(0, 1) \text{ before training}

    Args:
        dim_in: n >= 1, length of an image.
        dim_out: d >= 1, length of a key.
        seed: an integer >= 0 or a CPU generator, for W.

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
        needed = 8 * self.dim_in * self.dim_out  # as many again while they are drawn
        with checks.room("dim_in", f"a matrix of {dim_out} by {dim_in}", needed):
            self.weight = nn.Parameter(torch.empty(self.dim_out, self.dim_in))
            self.reset(source)

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "Projection":
        """Draw W again.

        Args:
            seed: an integer >= 0 or a CPU generator.

        Returns:
            the module itself.

        Example:
            >>> from kanerva.nn.projection import Projection
            >>> one, other = Projection(8, 4, seed=1), Projection(8, 4, seed=0).reset(1)
            >>> (one.weight == other.weight).all().item()
            True
        """
        self.weight.copy_(arrays.draw(torch.randn, self.weight, arrays.generator(seed)))
        return self

    @door("Projection")
    def forward(self, x: Float[Tensor, "*batch dim_in"]) -> Float[Tensor, "*batch dim_out"]:
        """Return the keys ``(..., dim_out)`` of images ``(..., dim_in)``.

        Both have the dtype of W. The key of an image of zeros is zero.
        """
        arrays.vectors("x", x, self.dim_in, self.weight.dtype)
        return _unit("x", x @ self.weight.T)

    def extra_repr(self) -> str:
        """Return the dimensions."""
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
    r"""Train a projection, in place, so that one read restores a damaged image.

    .. math:: L = \Big| x - \sum_j w_j x_j \Big|^2, \quad
        w = \mathrm{softmax}\big(\beta\, k(\tilde x) \cdot k(x_j)\big)

    The x_j are the images of the batch, x is one of them, and x~ is x tilted by a number of flips
    drawn uniformly from ``flips``. A batch as large as the set stores all images at once. Adam
    takes one step a batch.

    Args:
        projection: changed in place.
        images: ``(m, n)``, two rows or more, none of them all zeros, in the dtype of the
            projection.
        beta: > 0, inverse temperature, such as ``theory.beta.fit`` gives for a radius in
            ``dim_out`` bits.
        flips: the smallest and the largest damage, 0 to n: flipping so many of n bits would change
            the cosine by as much.
        epochs: >= 1, passes over the images.
        batch: >= 2, the largest number of images in a batch.
        rate: > 0 to 1, step size of Adam, about how far a step moves each entry of W.
        seed: an integer >= 0 or a CPU generator, for the order and the damage.

    Returns:
        ``(epochs,)`` float64: in each epoch, the mean of L over the images.

    Raises:
        InputError: an argument out of range, or images whose squares overflow.

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
        Bricken and Pehlevan (2021), learned projections: Adam at 0.005, ten epochs, batches of 128,
        10 to 100 of 784 bits.
    """
    _check_training(projection, images)
    low, high = _check_range(flips, projection.dim_in)
    beta = checks.number("beta", beta, 0.0, open_low=True)
    epochs = checks.integer("epochs", epochs, 1, checks.LONGEST)
    batch = checks.integer("batch", batch, 2, checks.LONGEST)
    rate = checks.number("rate", rate, 0.0, 1.0, open_low=True)
    source = arrays.generator(seed)
    adam = torch.optim.Adam(projection.parameters(), lr=rate)
    count, losses = len(images), []
    for _ in range(epochs):
        total = 0.0
        # The batches have nearly the same size: alone in a batch, an image has a loss of zero.
        order = torch.randperm(count, generator=source)
        for places in order.tensor_split(math.ceil(count / batch)):
            stored = images[places.to(images.device)]
            damage = low + (high - low) * torch.rand(len(stored), generator=source)
            damaged = tilt(stored, damage, seed=source)
            with torch.enable_grad():
                recalled = read(projection(damaged), projection(stored), stored, dot, Softmax(beta))
                loss = (recalled - stored).square().sum(-1).mean()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            total += loss.item() * len(stored)
        losses.append(total / count)
    return torch.tensor(losses, dtype=torch.float64)


@door("projection.tilt")
def tilt(
    x: Float[Tensor, "*batch n"],
    flips: float | Shaped[Tensor, "*_flips"],
    *,
    seed: int | torch.Generator,
) -> Float[Tensor, "*batch n"]:
    r"""Rotate every vector in a random direction, by the angle that a number of flipped bits gives.

    .. math:: \tilde x = |x| \left( c\, \hat x + \sqrt{1 - c^2}\, u \right), \quad
        c = 1 - \frac{2 f}{n}

    A vector of n bits with f of them flipped has cosine c to the original. Here u is drawn
    uniformly from the directions orthogonal to x and has length one, so the cosine is c for every
    vector, and its length stays the same.

    Args:
        x: ``(..., n)``, floating, n >= 2, no vector all zeros.
        flips: f, from 0, which changes nothing, to n, which gives -x; fractions are allowed. One
            number for all vectors, or a tensor that broadcasts to ``(...)``.
        seed: an integer >= 0 or a CPU generator.

    Returns:
        a new tensor with the shape, dtype and device of ``x``.

    Raises:
        InputError: a vector of zeros, which has no direction.

    Example:
        >>> import torch
        >>> from kanerva.nn import projection
        >>> x = torch.ones(64)
        >>> tilted = projection.tilt(x, 8, seed=0)
        >>> round(torch.cosine_similarity(x, tilted, dim=0).item(), 5)  # 1 - 2 * 8 / 64
        0.75
    """
    width = arrays.floats("x", x).shape[-1]
    if width < 2:
        refuse("x", x, must="of two coordinates or more", do="a number has no angle: use a vector")
    share = _checked_flips(flips, x) / width
    # A new stream: with the generator itself, noise drawn by the seed of x would be parallel to x.
    start = torch.randint(2**63 - 1, (), generator=arrays.generator(seed))
    source = torch.Generator().manual_seed(int(start))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    if not arrays.tracing() and not (length > 0).all():
        arrays.finite("x", x)
        refuse("x", x, must="without vectors of zeros", do=NO_DIRECTION)
    along = _unit("x", wide)
    noise = torch.randn(x.shape, generator=source).to(wide)
    across = _unit("x", noise - (noise * along).sum(-1, keepdim=True) * along)
    tilted = length * ((1 - 2 * share) * along + 2 * (share * (1 - share)).sqrt() * across)
    return arrays.finite("x", tilted.to(x.dtype))


class Cosines(NamedTuple):
    """The distribution of the cosines between the keys of a memory.

    Attributes:
        mean: mean cosine of all pairs of different keys.
        deviation: standard deviation of these cosines.
        random: standard deviation for random directions, 1 / sqrt(d); their mean is 0.
    """

    mean: float
    deviation: float
    random: float


@door("projection.cosines")
def cosines(keys: Float[Tensor, "m d"]) -> Cosines:
    r"""Return mean and standard deviation of the cosines of all pairs of different keys.

    .. math:: \bar c = \frac{|\sum_i \hat k_i|^2 - m}{m (m - 1)}, \quad
        \overline{c^2} = \frac{|\sum_i \hat k_i \hat k_i^T|^2 - m}{m (m - 1)}

    The two sums replace the sums over all pairs, which are never built.

    Args:
        keys: ``(m, d)``, floating, two rows or more, none all zeros.

    Returns:
        the mean, the standard deviation, and the standard deviation for random directions.

    Raises:
        InputError: fewer than two keys, or a key of zeros.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.nn import projection
        >>> ink = data.load("digits").real / 2 + 0.5
        >>> projection.cosines(ink).mean > 0.6  # images of digits are strongly correlated
        True
    """
    count, width = arrays.rows("keys", arrays.floats("keys", keys)).shape
    if count < 2:
        refuse("keys", keys, must="two rows or more", do="one key makes no pair")
    unit = _unit("keys", keys.detach().double())
    if not (unit != 0).any(-1).all():
        refuse("keys", keys, must="without rows of zeros", do=NO_DIRECTION)
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
        do = "scale it down, or take torch.float64"
        refuse(argument, got="too large: a length overflows", must=must, do=do)
    return rows / torch.where(length > 0, length, 1.0)


def _checked_flips(flips: float | Tensor, x: Tensor) -> Tensor:
    """Return the checked flips of each vector, with a last dimension of one."""
    width, batch = x.shape[-1], tuple(x.shape[:-1])
    if not isinstance(flips, Tensor):
        flips = torch.tensor(checks.number("flips", flips, 0.0, width), dtype=torch.float64)
    arrays.dense("flips", flips, "a number or a tensor of them")
    if arrays.together(flips.shape, batch) != batch:
        must = f"one number, or a tensor that broadcasts to {batch}"
        got = f"of shape {tuple(flips.shape)}"
        refuse("flips", got=got, must=must, do="give one for each vector")
    if not arrays.tracing() and not ((flips >= 0) & (flips <= width)).all():
        refuse("flips", flips, must=f"from 0 to {width}", do="give numbers within the range")
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return flips.to(x.device, dtype).unsqueeze(-1)


def _check_training(projection: Projection, images: Tensor) -> None:
    """Refuse a projection or images that cannot be trained with."""
    if not isinstance(projection, Projection):
        do = "make one with Projection(dim_in, dim_out)"
        refuse("projection", projection, must="a Projection", do=do, error=InputTypeError)
    arrays.rows("images", images, dim=projection.dim_in)
    arrays.finite("images", arrays.vectors("images", images, dtype=projection.weight.dtype))
    if len(images) < 2:
        refuse("images", images, must="two rows or more", do="give images to be distinguished")
    if not (images != 0).any(-1).all():
        refuse("images", images, must="without rows of zeros", do=NO_DIRECTION)
    # An upper bound of the squares of keys and errors.
    weight = projection.weight.detach()
    if not arrays.sound(4 * images.square().sum() * weight.square().sum().clamp_min(1)):
        must = f"small enough that their squares stay within {images.dtype}"
        refuse("images", images, must=must, do="scale them to 0 to 1")


def _check_range(flips: tuple[float, float], dim: int) -> tuple[float, float]:
    """Return the checked smallest and largest damage."""
    if not isinstance(flips, tuple | list) or len(flips) != 2:
        must = "two numbers, the smallest and the largest"
        refuse("flips", flips, must=must, do="write flips=(1, 8)", error=InputTypeError)
    low = checks.number("flips", flips[0], 0.0, dim)
    return low, checks.number("flips", flips[1], low, dim)
