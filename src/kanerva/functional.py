"""One read, on plain tensors: scores, weights, field, energy, and the two ways to hold what was written.

Work is cut into rows of queries, so that no array of queries x keys is ever larger than ``settings.budget``; keys in another
dtype, or packed, are converted a block at a time. Scores and sums are taken in float32 at least.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, describe, door, refuse
from kanerva._engine import packed, prune, routes
from kanerva._engine.prune import Coarse
from kanerva._engine.routes import Field, radius, scans
from kanerva._engine.scores import Mask, chunks, compare, finite, left, pieces
from kanerva.bits import Packed
from kanerva.separation import Separation, Softmax, Step
from kanerva.similarity import Similarity, closeness, dot

__all__ = [
    "Certified",
    "Coarse",
    "Field",
    "active",
    "certify",
    "coarse",
    "deposit",
    "energy",
    "field",
    "read",
    "scores",
    "weights",
]

EXACT = (torch.float32, torch.float64)

Keys = Shaped[Tensor, "m d"] | Packed
Values = Shaped[Tensor, "m e"] | Packed


@door
def scores(
    query: Float[Tensor, "*batch d"], keys: Keys, similarity: Similarity, mask: Mask = None
) -> Float[Tensor, "*batch m"]:
    """Compare queries with keys, and add what a float mask adds.

    Args:
        query: ``(..., d)``.
        keys: ``(m, d)``, a tensor or ``bits.Packed``.
        similarity: such as ``similarity.dot``.
        mask: broadcasts to ``(..., m)``; bool (True keeps) or float (added to the scores; -inf leaves out).

    Returns:
        ``(..., m)``, in float32 where the query is narrower.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.similarity import dot
        >>> functional.scores(torch.tensor([1.0, 2.0]), torch.eye(2), dot).tolist()
        [1.0, 2.0]
    """
    _check(query, keys, similarity)
    rows_of(mask, query.shape[:-1], keys.shape[0])
    return finite(compare(query, keys, similarity, mask))


@door
def weights(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
) -> Float[Tensor, "*batch m"]:
    """Weigh every key: separation(similarity(query, keys)).

    Args:
        query: ``(..., d)``.
        keys: ``(m, d)``.
        similarity: how near.
        separation: how much.
        mask: as in ``scores``.

    Returns:
        ``(..., m)``.

    Raises:
        InputError: the weights overflow.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import dot
        >>> functional.weights(torch.zeros(2), torch.eye(2), dot, Softmax(1.0)).tolist()
        [0.5, 0.5]
    """
    _check(query, keys, similarity, separation=separation)
    rows_of(mask, query.shape[:-1], keys.shape[0])
    return _weights(query, keys, similarity, separation, mask)


@door("read")
def field(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Values,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
) -> Field:
    r"""Sum the values by their weights, less what the separation says the query gives to itself.

    .. math:: f(q) = \sum_i w_i v_i - c(q)\, q

    Args:
        query: ``(..., d)``.
        keys: ``(m, d)``; ``m`` may be 0.
        values: ``(m, e)``; integers are summed exactly.
        similarity: how near.
        separation: how much.
        mask: as in ``scores``.

    Returns:
        the field and whether it is empty, in float32 where the query is narrower.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Step
        >>> from kanerva.similarity import dot
        >>> functional.field(torch.ones(2), torch.eye(2), torch.eye(2), dot, Step(5)).empty.item()
        True
    """
    _check(query, keys, similarity, separation=separation, values=values)
    rows = query.reshape(-1, query.shape[-1])
    value, empty = routes.field(
        rows, keys, values, similarity, separation, rows_of(mask, query.shape[:-1], keys.shape[0])
    )
    finite(value)
    return Field(
        value.reshape(*query.shape[:-1], values.shape[-1]), empty.reshape(query.shape[:-1])
    )


@door
def read(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Values,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
) -> Float[Tensor, "*batch e"]:
    r"""Read once: the weighted sum of values, in the query's dtype.

    .. math:: y = \sum_i w_i v_i, \quad w = \text{separation}(\text{similarity}(q, k_i))

    Args:
        query: ``(..., d)``.
        keys: ``(m, d)``.
        values: ``(m, e)``.
        similarity: how near.
        separation: how much.
        mask: as in ``scores``.

    Returns:
        ``(..., e)``; zeros where nothing is stored, within reach, or left by the mask.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import dot
        >>> values = torch.tensor([[1.0], [3.0]])
        >>> functional.read(torch.zeros(2), torch.eye(2), values, dot, Softmax(1.0)).item()
        2.0
    """
    return narrow(field(query, keys, values, similarity, separation, mask).value, query.dtype)


class Certified(NamedTuple):
    """A read with a bound on its error.

    Attributes:
        value: ``(..., e)``.
        bound: ``(...)`` float64; no coordinate of ``value`` is further from that of the exact read.
        active: ``(...)`` of how many keys it was made.
    """

    value: Float[Tensor, "*batch e"]
    bound: Float[Tensor, "*batch"]
    active: Int64[Tensor, "*batch"]


@door
def certify(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Values,
    separation: Separation,
    tolerance: float = 1e-6,
    near: Coarse | None = None,
) -> Certified:
    r"""Read by softmax of dot products from the few keys that matter, and bound the error of that.

    All keys are looked at in low precision, with a margin for what that loses; those whose weight can matter are weighed exactly, in
    float64. What was left out is bounded by its largest possible weight:

    .. math:: |y - \hat y| \le 2 \max |v| \, n \, e^{-\beta w}, \quad w = \frac1\beta \ln \frac{2 m}{\text{tolerance}}

    It pays where few patterns answer: several times as fast as a plain read for large keys. Queries that many patterns answer get the plain
    read, and the bound of sums in its dtype, which is far from tight.

    Args:
        query: ``(..., d)`` float32 or float64.
        keys: ``(m, d)`` of the same dtype, or bfloat16.
        values: ``(m, e)`` likewise.
        separation: Softmax, with beta > 0 as a plain number.
        tolerance: error allowed, as a share of the largest absolute value; no smaller than the resolution of the dtype.
        near: what ``coarse`` made of the same keys and values, to ask of them again.

    Returns:
        a ``Certified``.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> keys = torch.nn.functional.normalize(torch.randn(5000, 64, generator=torch.Generator().manual_seed(0)), dim=-1)
        >>> found = functional.certify(keys[:3], keys, keys, Softmax(100.0))
        >>> found.active.tolist(), bool((found.bound < 1e-6).all())
        ([1, 1, 1], True)
    """
    _check(query, keys, dot, separation=separation, values=values)
    if type(separation) is not Softmax or float(separation.beta) <= 0:
        refuse(
            "separation",
            must="Softmax with beta > 0",
            got=repr(separation),
            do="read without tolerance",
        )
    if (
        isinstance(keys, Packed)
        or isinstance(values, Packed)
        or not values.is_floating_point()
        or query.dtype not in EXACT
    ):
        got = f"{describe(query)} for keys {describe(keys)}"
        refuse(
            "query",
            must="float32 or float64, for floating keys and values",
            got=got,
            do="read without tolerance",
        )
    if torch.is_grad_enabled() and any(part.requires_grad for part in (query, keys, values)):
        do = "read without tolerance, or under torch.no_grad()"
        refuse(
            "query",
            must="asked without a gradient, for what is left out has none",
            got="to be trained",
            do=do,
        )
    tolerance = checks.number("tolerance", tolerance, torch.finfo(query.dtype).eps, 1)
    rows = query.reshape(-1, query.shape[-1]).detach()
    arrays.finite("query", rows)
    near = coarse(keys, values) if near is None else near
    value, bound, active = prune.pruned(rows, keys, values, float(separation.beta), tolerance, near)
    many = (active == 0).nonzero().squeeze(-1)
    if len(many):
        plain = finite(routes.field(rows[many], keys, values, dot, separation, None).value)
        value, active = value.index_copy(0, many, plain), active.index_fill(0, many, len(keys))
        bound = bound.index_copy(
            0, many, prune.plain_bound(rows[many], keys, float(separation.beta), near)
        )
    batch = query.shape[:-1]
    return Certified(
        value.reshape(*batch, values.shape[-1]), bound.reshape(batch), active.reshape(batch)
    )


@door
def coarse(keys: Keys, values: Values) -> Coarse:
    """Prepare keys for ``certify``: rounded, with what rounding loses.

    Args:
        keys: ``(m, d)``, m >= 1, finite.
        values: ``(m, e)``.

    Returns:
        a ``Coarse``; it takes half the room of float32 keys, none beside bfloat16 ones.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> functional.coarse(torch.eye(3), torch.eye(3)).away  # 0 and 1 are not rounded
        0.0
    """
    for name, rows in (("keys", keys), ("values", values)):
        if isinstance(rows, Packed):
            refuse(
                name,
                must="floating rows",
                got="bits.Packed",
                do="read without tolerance",
                error=InputTypeError,
            )
        arrays.finite(name, arrays.rows(name, rows, len(keys)))
    assert isinstance(keys, Tensor)
    assert isinstance(values, Tensor)
    if len(keys) == 0:
        refuse("keys", must="one row or more", got="none", do="write something first")
    return prune.coarse(keys.detach(), values.detach())


@door
def energy(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
) -> Float[Tensor, "*batch"]:
    r"""Return the energy whose downhill step is one read, for values that are the keys.

    .. math:: E(q) = R(q) - \Phi(s(q)), \quad R = \tfrac12 |q|^2 \text{ with dot scores, } 0 \text{ with closeness}

    Args:
        query: ``(..., d)``.
        keys: ``(m, d)``.
        similarity: ``dot`` or ``closeness``.
        separation: one with a potential.
        mask: as in ``scores``.

    Returns:
        ``(...)``; +inf where a normalised rule has nothing stored or left by the mask.

    Raises:
        InputError: another similarity, or a separation without potential.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import closeness
        >>> functional.energy(torch.tensor([2.0, 0.0]), torch.zeros(1, 2), closeness, Softmax(1.0)).item()
        2.0
    """
    _check(query, keys, similarity, separation=separation)
    if similarity not in (dot, closeness):
        do = "choose one of the two, or follow the reads themselves"
        refuse(
            "similarity",
            must="dot or closeness",
            got=getattr(similarity, "__name__", repr(similarity)),
            do=do,
        )
    rows = query.reshape(-1, query.shape[-1])
    value = routes.energy(
        rows, keys, similarity, separation, rows_of(mask, query.shape[:-1], keys.shape[0])
    ).reshape(query.shape[:-1])
    # A potential of -inf makes an energy of +inf, which is what nothing is worth; half the squared length must be finite.
    return (
        value + finite(query.to(value.dtype).square().sum(-1) / 2) if similarity is dot else value
    )


@door
def deposit(
    query: Float[Tensor, "n d"],
    values: Shaped[Tensor, "n e"],
    keys: Keys,
    counters: Shaped[Tensor, "m e"],
    similarity: Similarity,
    separation: Separation,
    *,
    times: int = 1,
) -> None:
    r"""Add every value to the counters of the keys that its address activates, in place.

    .. math:: C_i \mathrel{+}= t \sum_a w_i(a)\, v_a

    Args:
        query: ``(n, d)`` addresses written to.
        values: ``(n, e)`` what is written.
        keys: ``(m, d)`` hard locations.
        counters: ``(m, e)``, changed in place; integer counters must have room (``Locations`` sees to it).
        similarity: how near.
        separation: how much.
        times: t, +1 to write and -1 to take back.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Step
        >>> from kanerva.similarity import dot
        >>> counters = torch.zeros(2, 1)
        >>> functional.deposit(torch.tensor([[1.0, 0.0]]), torch.tensor([[7.0]]), torch.eye(2), counters, dot, Step(1))
        >>> counters.flatten().tolist()
        [7.0, 0.0]
    """
    _check(query, keys, similarity, separation=separation)
    times = _check_deposit(query, values, counters, keys.shape[0], times)
    if isinstance(keys, Packed) and isinstance(separation, Step) and scans(counters, similarity):
        packed.scatter(query, values, keys, counters, radius(keys, separation), times)
        return
    exact = counters.dtype if counters.is_floating_point() else torch.float64
    start, several, parts = 0, list(chunks(query, len(counters))), list(pieces(*counters.shape))
    # What is written in several steps is taken back whole when one of them fails, as steps of whole numbers cannot.
    fails = counters.is_floating_point() or not isinstance(separation, Step)
    before = counters.clone() if fails and len(several) * len(parts) > 1 else None
    try:
        for part, _ in several:
            given = values[start : start + len(part)].to(exact)
            start += len(part)
            weight = _weights(part, keys, similarity, separation)
            for rows in parts:
                added = times * (weight[:, rows].T.to(exact) @ given)
                counters[rows] = finite(counters[rows] + added.to(counters.dtype))
    except BaseException:
        if before is not None:
            counters.copy_(before)
        raise


def active(
    query: Float[Tensor, "n d"], keys: Keys, similarity: Similarity, separation: Separation
) -> Iterator[Int64[Tensor, "_near"]]:
    """Yield the places of the keys that each query gives any weight, in order.

    Args:
        query: ``(n, d)``.
        keys: ``(m, d)``.
        similarity: how near.
        separation: how much.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Step
        >>> from kanerva.similarity import dot
        >>> [near.tolist() for near in functional.active(torch.eye(2), torch.eye(2), dot, Step(1))]
        [[0], [1]]
    """
    if isinstance(keys, Packed) and isinstance(separation, Step) and scans(query, similarity):
        yield from packed.near(query, keys, radius(keys, separation))
        return
    for part, _ in chunks(query, keys.shape[0]):
        for weight in weights(part, keys, similarity, separation):
            yield weight.nonzero().squeeze(-1)


@door("read")
def rows_of(mask: Tensor | None, batch: torch.Size, count: int) -> Tensor | None:
    """Lay a mask out as one row a query, or one row for all of them."""
    if mask is None:
        return None
    must = f"a bool (True keeps) or floating tensor that broadcasts to {(*batch, count)}"
    arrays.dense("mask", mask, must)
    if mask.dtype not in (torch.bool, *arrays.FLOATS) or arrays.together(
        mask.shape, (*batch, count)
    ) != (*batch, count):
        refuse("mask", mask, must=must, do="give one entry for each query and stored row")
    if not arrays.sound(mask) and not (mask.detach() < torch.inf).all():
        refuse(
            "mask",
            mask,
            must="finite, or -inf for what is left out",
            do="drop or fill its NaN and inf",
        )
    return (
        mask.expand(1, count)
        if mask.ndim <= 1
        else mask.expand(*batch, count).reshape(batch.numel(), count)
    )


def narrow(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``value`` in the query's own dtype, which may be too small for it."""
    return value if value.dtype == dtype else finite(value.to(dtype))


def _check(query: Tensor, keys: Keys, similarity: Similarity, **more: Any) -> None:
    """Refuse inputs that do not fit one another; their numbers are looked at as scores, weights and sums."""
    arrays.floats("query", query)
    words = (
        keys.words if isinstance(keys, Packed) else arrays.rows("keys", keys, dim=query.shape[-1])
    )
    if isinstance(keys, Packed):
        arrays.bipolar("query", query)
    if keys.shape[1] != query.shape[-1]:
        got = f"{query.shape[-1]} for keys of {keys.shape[1]}"
        refuse(
            "query", must="as long as the keys", got=got, do="give queries and keys the same length"
        )
    tensors = {"keys": words}
    if "values" in more:
        values = more["values"]
        tensors["values"] = arrays.rows(
            "values", values.words if isinstance(values, Packed) else values, len(words)
        )
    for name, tensor in tensors.items():
        if tensor.device != query.device:
            do = f"move one of them with {name}.to(query.device)"
            refuse(
                name, must=f"on {query.device}, as the query is", got=f"on {tensor.device}", do=do
            )
    if not callable(similarity) or isinstance(similarity, type):
        do = "take one from kanerva.similarity"
        refuse(
            "similarity",
            similarity,
            must="a function of query and keys",
            do=do,
            error=InputTypeError,
        )
    if "separation" in more and not isinstance(more["separation"], Separation):
        must, do = "a part of kanerva.separation", "take one from kanerva.separation"
        refuse("separation", more["separation"], must=must, do=do, error=InputTypeError)


def _check_deposit(query: Tensor, values: Tensor, counters: Tensor, count: int, times: int) -> int:
    """Refuse values and counters that do not fit queries and keys, and values that the counters cannot hold."""
    arrays.rows("query", query)
    arrays.finite("values", arrays.rows("values", values, len(query)))
    arrays.rows("counters", counters, count, values.shape[1])
    for name, tensor in (("values", values), ("counters", counters)):
        if tensor.dtype not in (*arrays.FLOATS, *arrays.INTEGERS):
            do = f"convert it with {name}.to(torch.float32)"
            refuse(
                name,
                tensor,
                must="of a signed integer or a floating dtype",
                do=do,
                error=InputTypeError,
            )
    if (
        values.is_floating_point()
        and not counters.is_floating_point()
        and not (values == values.round()).all()
    ):
        refuse(
            "values", values, must="whole numbers for integer counters", do="give floating counters"
        )
    for name, tensor in (("values", values), ("counters", counters)):
        if tensor.requires_grad and torch.is_grad_enabled():
            refuse(
                name,
                must="without a gradient",
                got="to be trained",
                do="write under torch.no_grad()",
            )
    if any(
        step == 0 and size > 1 for step, size in zip(counters.stride(), counters.shape, strict=True)
    ):
        refuse(
            "counters",
            must="numbers of their own",
            got="an expanded tensor, whose rows share them",
            do="give counters.clone()",
        )
    return checks.integer("times", times, -(2**31), 2**31, "give 1 to write and -1 to take back")


def _weights(
    query: Tensor, keys: Keys, similarity: Similarity, separation: Separation, mask: Mask = None
) -> Tensor:
    """Weigh every key."""
    compared = compare(query, keys, similarity, mask)
    return compared if compared.shape[-1] == 0 else finite(separation(compared, left(mask)))
