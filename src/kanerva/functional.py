"""One read, on plain tensors: scores, weights, field, energy, and the two ways to hold what was written.

Work is cut into rows of queries, so that no array of queries x keys is ever larger than ``settings.budget``; keys in another
dtype, or packed, are converted a block at a time. Scores and sums are taken in float32 at least.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kanerva._core import checks
from kanerva._engine import packed, prune, routes
from kanerva._engine.prune import Coarse
from kanerva._engine.routes import Field, radius, scans
from kanerva._engine.scores import Mask, chunks, compare, finite, left, pieces
from kanerva.bits import Packed
from kanerva.separation import Separation, Softmax, Step
from kanerva.similarity import Similarity, closeness, dot

__all__ = ["Certified", "Coarse", "Field", "active", "certify", "coarse", "deposit", "energy", "field", "read", "scores", "weights"]

EXACT = (torch.float32, torch.float64)

Keys = Shaped[Tensor, "m d"] | Packed
Values = Shaped[Tensor, "m e"] | Packed


def scores(query: Float[Tensor, "*batch d"], keys: Keys, similarity: Similarity, mask: Mask = None) -> Float[Tensor, "*batch m"]:
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
    _check("scores", query, keys, similarity)
    rows_of(mask, query.shape[:-1], keys.shape[0])
    return finite("scores", compare(query, keys, similarity, mask))


def weights(
    query: Float[Tensor, "*batch d"], keys: Keys, similarity: Similarity, separation: Separation, mask: Mask = None
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
    _check("weights", query, keys, similarity, separation=separation)
    rows_of(mask, query.shape[:-1], keys.shape[0])
    return _weights(query, keys, similarity, separation, mask)


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
    _check("read", query, keys, similarity, separation=separation, values=values)
    rows = query.reshape(-1, query.shape[-1])
    value, empty = routes.field(rows, keys, values, similarity, separation, rows_of(mask, query.shape[:-1], keys.shape[0]))
    finite("read", value)
    return Field(value.reshape(*query.shape[:-1], values.shape[-1]), empty.reshape(query.shape[:-1]))


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
    return narrow("read", field(query, keys, values, similarity, separation, mask).value, query.dtype)


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
    _check("certify", query, keys, dot, separation=separation, values=values)
    if type(separation) is not Softmax or float(separation.beta) <= 0:
        checks.refuse("certify", "separation", "Softmax with beta > 0", repr(separation), "read without tolerance")
    if isinstance(keys, Packed) or isinstance(values, Packed) or not values.is_floating_point() or query.dtype not in EXACT:
        got = f"{checks.describe(query)} for keys {checks.describe(keys)}"
        checks.refuse("certify", "query", "float32 or float64, for floating keys and values", got, "read without tolerance")
    if torch.is_grad_enabled() and any(part.requires_grad for part in (query, keys, values)):
        do = "read without tolerance, or under torch.no_grad()"
        checks.refuse("certify", "query", "asked without a gradient, for what is left out has none", "to be trained", do)
    tolerance = checks.number("certify", "tolerance", tolerance, torch.finfo(query.dtype).eps, 1)
    rows = query.reshape(-1, query.shape[-1]).detach()
    checks.finite("certify", "query", rows)
    near = coarse(keys, values) if near is None else near
    value, bound, active = prune.pruned(rows, keys, values, float(separation.beta), tolerance, near)
    many = (active == 0).nonzero().squeeze(-1)
    if len(many):
        plain = finite("read", routes.field(rows[many], keys, values, dot, separation, None).value)
        value, active = value.index_copy(0, many, plain), active.index_fill(0, many, len(keys))
        bound = bound.index_copy(0, many, prune.plain_bound(rows[many], keys, float(separation.beta), near))
    batch = query.shape[:-1]
    return Certified(value.reshape(*batch, values.shape[-1]), bound.reshape(batch), active.reshape(batch))


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
            checks.refuse("coarse", name, "floating rows", "bits.Packed", "read without tolerance", checks.InputTypeError)
        checks.finite("coarse", name, checks.rows("coarse", name, rows, len(keys)))
    assert isinstance(keys, Tensor)
    assert isinstance(values, Tensor)
    if len(keys) == 0:
        checks.refuse("coarse", "keys", "one row or more", "none", "write something first")
    return prune.coarse(keys.detach(), values.detach())


def energy(
    query: Float[Tensor, "*batch d"], keys: Keys, similarity: Similarity, separation: Separation, mask: Mask = None
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
    _check("energy", query, keys, similarity, separation=separation)
    if similarity not in (dot, closeness):
        do = "choose one of the two, or follow the reads themselves"
        checks.refuse("energy", "similarity", "dot or closeness", getattr(similarity, "__name__", repr(similarity)), do)
    rows = query.reshape(-1, query.shape[-1])
    value = routes.energy(rows, keys, similarity, separation, rows_of(mask, query.shape[:-1], keys.shape[0])).reshape(query.shape[:-1])
    # A potential of -inf makes an energy of +inf, which is what nothing is worth; half the squared length must be finite.
    return value + finite("energy", query.to(value.dtype).square().sum(-1) / 2) if similarity is dot else value


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
    _check("deposit", query, keys, similarity, separation=separation)
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
                counters[rows] = finite("deposit", counters[rows] + added.to(counters.dtype))
    except BaseException:
        if before is not None:
            counters.copy_(before)
        raise


def active(query: Float[Tensor, "n d"], keys: Keys, similarity: Similarity, separation: Separation) -> Iterator[Int64[Tensor, "_near"]]:
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


def rows_of(mask: Tensor | None, batch: torch.Size, count: int) -> Tensor | None:
    """Lay a mask out as one row a query, or one row for all of them."""
    if mask is None:
        return None
    must = f"a bool (True keeps) or floating tensor that broadcasts to {(*batch, count)}"
    checks.dense("read", "mask", mask, must)
    if mask.dtype not in (torch.bool, *checks.FLOATS) or checks.together(mask.shape, (*batch, count)) != (*batch, count):
        checks.refuse("read", "mask", must, checks.describe(mask), "give one entry for each query and stored row")
    if not checks.sound(mask) and not (mask.detach() < torch.inf).all():
        checks.refuse("read", "mask", "finite, or -inf for what is left out", checks.describe(mask), "drop or fill its NaN and inf")
    return mask.expand(1, count) if mask.ndim <= 1 else mask.expand(*batch, count).reshape(batch.numel(), count)


def narrow(function: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``value`` in the query's own dtype, which may be too small for it."""
    return value if value.dtype == dtype else finite(function, value.to(dtype))


def _check(function: str, query: Tensor, keys: Keys, similarity: Similarity, **more: Any) -> None:
    """Refuse inputs that do not fit one another; their numbers are looked at as scores, weights and sums."""
    checks.floats(function, "query", query)
    words = keys.words if isinstance(keys, Packed) else checks.rows(function, "keys", keys, dim=query.shape[-1])
    if isinstance(keys, Packed):
        checks.bipolar(function, "query", query)
    if keys.shape[1] != query.shape[-1]:
        got = f"{query.shape[-1]} for keys of {keys.shape[1]}"
        checks.refuse(function, "query", "as long as the keys", got, "give queries and keys the same length")
    tensors = {"keys": words}
    if "values" in more:
        values = more["values"]
        tensors["values"] = checks.rows(function, "values", values.words if isinstance(values, Packed) else values, len(words))
    for name, tensor in tensors.items():
        if tensor.device != query.device:
            do = f"move one of them with {name}.to(query.device)"
            checks.refuse(function, name, f"on {query.device}, as the query is", f"on {tensor.device}", do)
    if not callable(similarity) or isinstance(similarity, type):
        do = "take one from kanerva.similarity"
        checks.refuse(function, "similarity", "a function of query and keys", checks.describe(similarity), do, checks.InputTypeError)
    if "separation" in more and not isinstance(more["separation"], Separation):
        must, do = "a part of kanerva.separation", "take one from kanerva.separation"
        checks.refuse(function, "separation", must, checks.describe(more["separation"]), do, checks.InputTypeError)


def _check_deposit(query: Tensor, values: Tensor, counters: Tensor, count: int, times: int) -> int:
    """Refuse values and counters that do not fit queries and keys, and values that the counters cannot hold."""
    checks.rows("deposit", "query", query)
    checks.finite("deposit", "values", checks.rows("deposit", "values", values, len(query)))
    checks.rows("deposit", "counters", counters, count, values.shape[1])
    for name, tensor in (("values", values), ("counters", counters)):
        if tensor.dtype not in (*checks.FLOATS, *checks.INTEGERS):
            do = f"convert it with {name}.to(torch.float32)"
            checks.refuse("deposit", name, "of a signed integer or a floating dtype", checks.describe(tensor), do, checks.InputTypeError)
    if values.is_floating_point() and not counters.is_floating_point() and not (values == values.round()).all():
        checks.refuse("deposit", "values", "whole numbers for integer counters", checks.describe(values), "give floating counters")
    for name, tensor in (("values", values), ("counters", counters)):
        if tensor.requires_grad and torch.is_grad_enabled():
            checks.refuse("deposit", name, "without a gradient", "to be trained", "write under torch.no_grad()")
    if any(step == 0 and size > 1 for step, size in zip(counters.stride(), counters.shape, strict=True)):
        checks.refuse("deposit", "counters", "numbers of their own", "an expanded tensor, whose rows share them", "give counters.clone()")
    return checks.integer("deposit", "times", times, -(2**31), 2**31, "give 1 to write and -1 to take back")


def _weights(query: Tensor, keys: Keys, similarity: Similarity, separation: Separation, mask: Mask = None) -> Tensor:
    """Weigh every key."""
    compared = compare(query, keys, similarity, mask)
    return compared if compared.shape[-1] == 0 else finite("weights", separation(compared, left(mask)))
