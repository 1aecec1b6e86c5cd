"""Read by a normalised rule through torch's flexible attention, which on a GPU builds no scores.

Flexible attention is the softmax of any function of the products q . k, compiled into its kernel,
and a normalised rule is the softmax of its log-weights. The log-weights of most rules are a line of
arithmetic. Those of ``Circle`` and ``Cap`` are a short Chebyshev series; where the series of a
circle would be long, its exact table is used. On the CPU torch builds the scores all the same; only
tests read there.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputError, door, refuse
from kanerva._core.settings import settings
from kanerva._engine.scores import learns
from kanerva.separation import (
    Cap,
    Circle,
    Compact,
    Exponential,
    Normalised,
    Power,
    Separation,
    Softmax,
    Step,
)
from kanerva.similarity import Similarity, agreement, closeness, cosine, dot

# Largest error of the log-weights in a read: one rounding of float32 for logarithms of about ten.
TOLERANCE = 1e-6
# Degree from which the table is used instead of a series, and the largest number of terms that is
# tried.
SHORT, LONG = 16, 64
# Places at which a series is fitted, at most, and angles at which the series of a cap is checked.
NODES, PLACES = 512, 4096
# Longest query and value that a fused kernel holds on the chip, and the least width it multiplies.
WIDEST, NARROWEST = 256, 16
# Similarities that are functions of the products q . k.
PRODUCTS = (dot, agreement, cosine, closeness)

Numbers = Sequence[float] | Tensor
Rule = Callable[[Tensor, Any], Tensor]
# The parameters of a rule, places in [-1, 1], and the logarithms there that a series is fitted to.
Places = tuple[tuple[float, ...], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Fit:
    """Log-weights as a function of the score, 0 at the nearest score and -inf out of reach.

    Attributes:
        rule: the function, of a score and ``numbers``.
        numbers: its parameters, then the coefficients of the series.
        degree: the degree of the series.
        error: the largest difference from the exact log-weights in reach, in nats.
    """

    rule: Rule
    numbers: tuple[float, ...]
    degree: int
    error: float

    def __call__(self, scores: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the log-weights of scores."""
        return self.rule(scores, self.numbers)


@lru_cache(maxsize=64)
@door
def log_weight_fit(separation: Circle | Cap, tolerance: float = TOLERANCE) -> Fit:
    r"""Fit the log-weights of a circle or a cap by the shortest Chebyshev series in a tolerance.

    .. math:: \ln w(h) \approx \sum_k c_k T_k(x), \quad
        x = \frac{2}{J} \lceil h / 2 \rceil - 1, \qquad
        \ln w(\cos \phi) \approx \frac d2 \ln(1 - s^2) + \sum_k c_k T_k(x), \quad
        x = \frac{2 z}{z_{end}} - 1, \; z = \sinh^{-1} \tan \frac \phi 2

    The first is for ``Circle``. Circles at distances 2 j - 1 and 2 j share equally many points, so
    the series is in j = 0 ... J, where J is the radius or half of the bits. The second is for
    ``Cap``; s is ``tan(phi / 2)`` divided by its value at the end of reach, where z is ``z_end``.

    Args:
        separation: Circle, a function of agreements, or Cap, a function of cosines.
        tolerance: nats, > 0. The relative error of a weight is then at most twice the tolerance.

    Returns:
        the fit; its error is the largest over every whole distance in reach of a circle, over 4096
        angles of a cap.

    Raises:
        InputError: a series of 64 terms is not enough, as for circles of a thousand bits.

    Example:
        >>> from kanerva.separation import Cap, Circle
        >>> [log_weight_fit(Cap(64, 11), tolerance).degree for tolerance in (1e-3, 1e-6)]
        [6, 10]
        >>> log_weight_fit(Circle(64, 5)).degree  # through all six values
        5
    """
    tolerance = checks.number("tolerance", tolerance, 0, open_low=True)
    if isinstance(separation, Circle):
        rule: Rule = _circle
        numbers, place, logs = _circle_places(separation)
    else:
        rule = _cap
        numbers, place, logs = _cap_places(separation)
    terms, error = _shortest(place, logs, tolerance)
    if error > tolerance:
        must = f"at least {1.5 * error:.1g} for {separation!r}"
        do = "give a larger one, or use the exact table"
        refuse("tolerance", got=f"{tolerance:g}", must=must, do=do)
    return Fit(rule, (*numbers, *terms), len(terms) - 1, error)


def reads(
    query: Tensor, keys: Any, values: Any, similarity: Similarity, separation: Separation
) -> bool:
    """Return whether a read without a mask is done here.

    It must be on a GPU, in float32, without a gradient, and of lengths that a fused kernel holds.
    """
    if query.device.type != "cuda" or arrays.observed() or not _fuses():
        return False
    if not isinstance(keys, Tensor) or not isinstance(values, Tensor) or len(keys) == 0:
        return False
    if not query.dtype == keys.dtype == values.dtype == torch.float32:
        return False
    if max(query.shape[-1], values.shape[-1]) > WIDEST or similarity not in PRODUCTS:
        return False
    learned = learns(query, keys, values, separation.temperature())
    return not learned and takes(separation, query.shape[-1])


def _fuses() -> bool:
    """Return whether torch can compile for a GPU, and ``settings.engine`` allows it."""
    return settings.engine in ("auto", "triton") and find_spec("triton") is not None


def takes(separation: Separation, dim: int) -> bool:
    """Return whether a rule is the softmax of log-weights that are known here."""
    if isinstance(separation, Normalised):
        return isinstance(separation.part, Power | Compact | Exponential | Step)
    if isinstance(separation, Softmax):
        return not learns(separation.beta)
    if isinstance(separation, Circle):
        return separation.bits == dim
    return isinstance(separation, Cap)


def flex_read(
    query: Float[Tensor, "*batch d"],
    keys: Float[Tensor, "m d"],
    values: Float[Tensor, "m e"],
    similarity: Similarity,
    separation: Separation,
    tolerance: float = TOLERANCE,
) -> Float[Tensor, "*batch e"]:
    r"""Read once, as ``functional.read`` does; zeros where nothing is within reach.

    .. math:: y = \sum_i \mathrm{softmax}_i(\ln w(s_i))\, v_i

    Args:
        query: ``(..., d)``.
        keys: ``(m, d)`` of the same dtype.
        values: ``(m, e)`` of the same dtype.
        similarity: ``dot``, ``agreement``, ``cosine`` or ``closeness``.
        separation: a rule for which ``takes`` is True.
        tolerance: of the log-weights of Circle and Cap, in nats; see ``log_weight_fit``.

    Returns:
        ``(..., e)`` in the dtype of the query.

    Raises:
        InputError: another similarity or rule, or a query that is not finite.

    Example:
        >>> import torch
        >>> from kanerva.separation import Normalised, Power
        >>> from kanerva.similarity import dot
        >>> x = torch.eye(2)
        >>> rule = Normalised(Power(3))  # weights 4 : 1
        >>> flex_read(torch.tensor([2.0, 1.0]), x, x, dot, rule).tolist()
        [0.80..., 0.20...]
    """
    return flex_field(query, keys, values, similarity, separation, tolerance)[0].to(query.dtype)


@door("flex_read")
def flex_field(
    query: Float[Tensor, "*batch d"],
    keys: Float[Tensor, "m d"],
    values: Float[Tensor, "m e"],
    similarity: Similarity,
    separation: Separation,
    tolerance: float = TOLERANCE,
) -> tuple[Float[Tensor, "*batch e"], Bool[Tensor, "*batch"]]:
    """Read in float32 at least, and return which queries are empty: every weight is zero."""
    if not takes(separation, query.shape[-1]) or similarity not in PRODUCTS:
        rules = "Softmax, Circle of as many bits, Cap, or a normalised Power, Compact, Exponential"
        must = f"{rules} or Step, of scores by dot, agreement, cosine or closeness"
        got = f"{separation!r} of {similarity!r}"
        refuse("separation", got=got, must=must, do="use functional.read")
    # Comparisons would hide NaN, and NaN is no index of a table.
    arrays.finite("query", query)
    rows, batch = query.reshape(-1, query.shape[-1]), query.shape[:-1]
    wide = torch.promote_types(query.dtype, torch.float32)
    if len(rows) == 0 or len(keys) == 0:
        value = query.new_zeros(*batch, values.shape[-1], dtype=wide)
        return value, torch.ones(batch, dtype=torch.bool, device=query.device)
    left, right, score = _products(rows, keys, similarity)
    rule, numbers = _rule(separation, tolerance)
    table = numbers.to(rows.device, wide)

    def weigh(product: Tensor, batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return rule(score(product, row, column), table)

    value, mass = _attend(_padded(left), _padded(right), _padded(values), weigh)
    value, empty = value[0, 0, :, : values.shape[-1]].to(wide), mass[0, 0] == -math.inf
    return value.reshape(*batch, values.shape[-1]), empty.reshape(batch)


def _products(
    query: Tensor, keys: Tensor, similarity: Similarity
) -> tuple[Tensor, Tensor, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Return the vectors to multiply, and the function that turns their products into scores."""
    if similarity is agreement:
        bits = float(query.shape[-1])
        return query, keys, lambda product, row, column: (product + bits) * 0.5
    if similarity is closeness:
        # A common shift leaves distances as they are, and small squares lose fewer digits.
        query, keys = query - keys[:1], keys - keys[:1]
        of_query, of_key = query.square().sum(-1) / 2, keys.square().sum(-1) / 2
        return query, keys, lambda product, row, column: product - of_query[row] - of_key[column]
    if similarity is cosine:
        query, keys = (torch.nn.functional.normalize(rows, dim=-1) for rows in (query, keys))
    return query, keys, lambda product, row, column: product


def _rule(separation: Separation, tolerance: float) -> tuple[Rule, Tensor]:
    """Return the log-weights of a rule as a function of a score and a tensor of numbers.

    Rules of one kind have the same function, and so share a compiled kernel.
    """
    part = separation.part if isinstance(separation, Normalised) else separation
    if isinstance(part, Circle):
        return _circle_rule(part, tolerance)
    if isinstance(part, Cap):
        return _cap, torch.tensor(log_weight_fit(part, tolerance).numbers, dtype=torch.float64)
    if isinstance(part, Power):
        return _power, torch.tensor([part.order - 1.0])
    if isinstance(part, Step):
        return _step, torch.tensor([float(part.threshold)])
    beta = torch.as_tensor(part.temperature()).detach().reshape(1)
    return (_compact if isinstance(part, Compact) else _exponential), beta


@lru_cache(maxsize=64)
def _circle_rule(part: Circle, tolerance: float) -> tuple[Rule, Tensor]:
    """Return the series of a circle if it is short, else its exact table."""
    try:
        fit = log_weight_fit(part, tolerance)
    except InputError:
        fit = None
    if fit is None or fit.degree >= SHORT:
        exact = part.log_weights(torch.arange(part.bits, -1, -1, dtype=torch.float64))
        return _table, exact - exact[0]
    return fit.rule, torch.tensor(fit.numbers, dtype=torch.float64)


def _exponential(score: Tensor, numbers: Numbers) -> Tensor:
    """Return beta times the score."""
    return numbers[0] * score


def _power(score: Tensor, numbers: Numbers) -> Tensor:
    """Return the exponent times the logarithm of the positive part."""
    positive = score > 0
    return torch.where(positive, numbers[0] * torch.where(positive, score, 1.0).log(), -math.inf)


def _compact(score: Tensor, numbers: Numbers) -> Tensor:
    """Return 0 within reach and -inf beyond."""
    return torch.where(1 + numbers[0] * score > 0, 0.0, -math.inf)


def _step(score: Tensor, numbers: Numbers) -> Tensor:
    """Return 0 where active and -inf elsewhere."""
    return torch.where(score >= numbers[0], 0.0, -math.inf)


def _table(score: Tensor, numbers: Tensor) -> Tensor:
    """Return the log-weight of a whole distance from the table."""
    bits = numbers.shape[0] - 1
    return numbers[(bits - torch.round(score)).clamp(0, bits).to(torch.int32)]


def _circle(score: Tensor, numbers: Numbers) -> Tensor:
    """Sum the series in half the distance; numbers: bits, J, 2 / J, terms."""
    half = torch.ceil((numbers[0] - torch.round(score)) * 0.5)
    inside = half <= numbers[1]
    x = torch.where(inside, half, 0.0) * numbers[2] - 1
    return torch.where(inside, _series(x, numbers, 3), -math.inf)


def _cap(score: Tensor, numbers: Numbers) -> Tensor:
    """Sum the steep part and the series in z.

    The numbers are the reach of 1 - cosine, 1 / s^2 at tangent 1, 2 / z_end, d / 2, and the terms.
    """
    gap = (1 - score).clamp_min(0)
    inside = gap < numbers[0]
    gap = torch.where(inside, gap, 0.0)
    tangent = gap / (2 - gap)
    z = (tangent.sqrt() + tangent / (1 + (1 + tangent).sqrt())).log1p()
    left = (-(tangent * numbers[1]).clamp_max(1 - torch.finfo(score.dtype).eps)).log1p()
    logs = _series(z * numbers[2] - 1, numbers, 4) + numbers[3] * left
    return torch.where(inside, logs, -math.inf)


def _series(x: Tensor, numbers: Numbers, start: int) -> Tensor:
    """Sum the Chebyshev series of the ``numbers`` from ``start`` on, in [-1, 1] (Clenshaw 1955)."""
    one, two = 0 * x, 0 * x
    for term in range(len(numbers) - 1, start, -1):
        one, two = 2 * x * one - two + numbers[term], one
    return x * one - two + numbers[start]


def _circle_places(part: Circle) -> Places:
    """Return the log-weights of a circle at every half distance in reach."""
    half = np.arange(min(part.radius, (part.bits + 1) // 2) + 1).astype(np.float64)
    logs = part.log_weights(torch.from_numpy(part.bits - np.maximum(2 * half - 1, 0))).numpy()
    end = float(half[-1])
    scale = 2 / max(1.0, end)
    return (float(part.bits), end, scale), half * scale - 1, logs - logs[0]


def _cap_places(part: Cap) -> Places:
    """Return the log-weights of a cap, without their steep part, at many angles."""
    height = 1 - 2 * part.radius / part.dim
    square = 4 * part.radius * (part.dim - part.radius) / part.dim**2
    end, steep = math.asinh(math.sqrt(square) / height), height**2 / square
    place = np.cos(np.pi * (np.arange(PLACES) + 0.5) / PLACES)
    cosines = 1 - 2 * np.tanh((place + 1) / 2 * end) ** 2
    tangent = (1 - cosines) / (1 + cosines)
    logs = part.log_weights(torch.from_numpy(cosines)).numpy()
    logs = logs - part.dim / 2 * np.log1p(-steep * tangent)
    return (2 * square, steep, 2 / end, part.dim / 2), place, logs


def _shortest(
    place: NDArray[np.float64], logs: NDArray[np.float64], tolerance: float
) -> tuple[list[float], float]:
    """Return the shortest Chebyshev series within ``tolerance`` of ``logs``, and its largest error.

    Where no series is within the tolerance, it is the longest.
    """
    # The series with the least largest error is close to a fit with more nodes, of more weight, at
    # the ends.
    dense = (1 - np.cos(np.linspace(0, np.pi, NODES))) / 2
    chosen = np.unique((dense * (len(place) - 1)).round().astype(int))
    node, wanted = place[chosen], logs[chosen]
    weight = (1 - node**2 + 1e-3) ** -0.25
    basis = np.polynomial.chebyshev.chebvander(node, min(LONG, len(node)) - 1)
    # One orthogonal basis is used for all degrees: a longer series has one column more.
    columns, upper = np.linalg.qr(basis * weight[:, None])
    share = columns.T @ (wanted * weight)
    for count in range(1, len(share) + 1):
        terms = np.linalg.solve(upper[:count, :count], share[:count])
        if count < len(share) and np.abs(basis[:, :count] @ terms - wanted).max() > tolerance:
            continue
        error = float(np.abs(np.polynomial.chebyshev.chebval(place, terms) - logs).max())
        if error <= tolerance:
            break
    return terms.tolist(), error


def _padded(rows: Tensor) -> Tensor:
    """Return rows as one head of one batch, padded with zeros to a power of two for the kernels."""
    width = max(NARROWEST, 1 << (rows.shape[-1] - 1).bit_length())
    return torch.nn.functional.pad(rows, (0, width - rows.shape[-1]))[None, None]


def _attend(
    query: Tensor, keys: Tensor, values: Tensor, weigh: Callable[..., Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the sums of torch's flexible attention, and the log of the mass of each query."""
    from torch.nn.attention import flex_attention

    # Later versions of torch return the mass by another option.
    request = getattr(flex_attention, "AuxRequest", None)
    more = {"return_lse": True} if request is None else {"return_aux": request(lse=True)}
    attend = _fused() if query.device.type == "cuda" else flex_attention.flex_attention
    with warnings.catch_warnings():
        if query.device.type != "cuda":
            warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        value, extra = attend(query, keys, values, score_mod=weigh, scale=1.0, **more)
    return value, extra if isinstance(extra, Tensor) else extra.lse


@cache
def _fused() -> Any:
    """Compile flexible attention, which fuses it."""
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention)
