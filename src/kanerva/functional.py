"""One read, on plain tensors: scores, weights, field, energy, and the two ways to hold what was written.

Work is cut into rows of queries, so that no array of queries x keys is ever larger than ``settings.budget``; keys in another
dtype, or packed, are converted a block at a time. Scores and sums are taken in float32 at least.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from kanerva import _engine, _guard
from kanerva._settings import settings
from kanerva.bits import Packed
from kanerva.separation import Separation, Softmax, Step
from kanerva.similarity import Similarity, agreement, closeness, dot, manhattan

__all__ = ["Field", "active", "deposit", "energy", "field", "read", "scores", "weights"]

# Bytes of temporaries that one score may cost on its way to a weight: integer distances, hashes, float64 look-ups.
SCORE_BYTES = 64

Keys = Shaped[Tensor, "m d"] | Packed
Mask = Shaped[Tensor, "*_mask"] | None


class Field(NamedTuple):
    """The weighted sum of values before any activation, and which queries nothing answered.

    Attributes:
        value: ``(..., e)`` in float32 or wider.
        empty: ``(...)`` True where every weight is zero.
    """

    value: Float[Tensor, "*batch e"]
    empty: Bool[Tensor, "*batch"]


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
    return _finite("scores", _compare(query, keys, similarity, mask))


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
    values: Shaped[Tensor, "m e"],
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
    rows, count = query.reshape(-1, query.shape[-1]), len(values)

    def one(part: Tensor, kept: Mask) -> Field:
        if count == 0:
            nothing = part.new_zeros(len(part), values.shape[-1], dtype=_wide(part.dtype))
            return Field(nothing, torch.ones_like(nothing[:, 0], dtype=torch.bool))
        return _weigh(part, keys, values, similarity, separation, kept)

    plain = mask is None and count > 0 and similarity is dot
    if mask is None and isinstance(keys, Packed) and isinstance(separation, Step) and _scans(values, similarity):
        # An engine cuts the queries itself: it keeps one bit for a score.
        parts = [Field(*_engine.gather(rows, keys, values, _radius(keys, separation)))]
    elif plain and isinstance(keys, Tensor) and isinstance(separation, Softmax) and _attends(rows, keys, values, separation.beta):
        # On the CPU torch's attention never builds the scores, so its queries need not be cut to fit them.
        width = values.shape[-1] if rows.device.type == "cpu" else count
        parts = [_attend(part, keys, values, separation) for part, _ in _chunks(rows, width)]
    else:
        parts = [one(*part) for part in _chunks(rows, count, rows_of(mask, query.shape[:-1], count))]
    value, empty = (torch.cat(same) if len(same) > 1 else same[0] for same in zip(*parts, strict=True))
    _finite("read", value)
    return Field(value.reshape(*query.shape[:-1], values.shape[-1]), empty.reshape(query.shape[:-1]))


def read(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Shaped[Tensor, "m e"],
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
        _guard.refuse("energy", "similarity", "dot or closeness", getattr(similarity, "__name__", repr(similarity)), do)
    rows, count = query.reshape(-1, query.shape[-1]), keys.shape[0]

    def one(part: Tensor, kept: Mask) -> Tensor:
        if count == 0:
            return torch.full((len(part),), torch.inf if separation.normalised else 0.0, dtype=_wide(part.dtype), device=part.device)
        return -separation.potential(_compare(part, keys, similarity, kept), _kept(kept))

    parts = [one(*part) for part in _chunks(rows, count, rows_of(mask, query.shape[:-1], count))]
    value = torch.cat(parts).reshape(query.shape[:-1])
    # A potential of -inf makes an energy of +inf, which is what nothing is worth; half the squared length must be finite.
    return value + _finite("energy", query.to(value.dtype).square().sum(-1) / 2) if similarity is dot else value


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
    if isinstance(keys, Packed) and isinstance(separation, Step) and _scans(counters, similarity):
        _engine.scatter(query, values, keys, counters, _radius(keys, separation), times)
        return
    exact = counters.dtype if counters.is_floating_point() else torch.float64
    start, chunks, pieces = 0, list(_chunks(query, len(counters))), list(_pieces(*counters.shape))
    # What is written in several steps is taken back whole when one of them fails, as steps of whole numbers cannot.
    fails = counters.is_floating_point() or not isinstance(separation, Step)
    before = counters.clone() if fails and len(chunks) * len(pieces) > 1 else None
    try:
        for part, _ in chunks:
            given = values[start : start + len(part)].to(exact)
            start += len(part)
            weight = _weights(part, keys, similarity, separation)
            for rows in pieces:
                added = times * (weight[:, rows].T.to(exact) @ given)
                counters[rows] = _finite("deposit", counters[rows] + added.to(counters.dtype))
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
    if isinstance(keys, Packed) and isinstance(separation, Step) and _scans(query, similarity):
        yield from _engine.near(query, keys, _radius(keys, separation))
        return
    for part, _ in _chunks(query, keys.shape[0]):
        for weight in weights(part, keys, similarity, separation):
            yield weight.nonzero().squeeze(-1)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Take float32 for the half precisions: their sums lose whole patterns."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _chunks(rows: Tensor, width: int, mask: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Cut rows of queries, and the mask with them, so that ``width`` scores a row fit the budget; at least one chunk."""
    size = max(1, settings.budget // (SCORE_BYTES * max(1, width)))
    for start in range(0, max(1, len(rows)), size):
        kept = mask[start : start + size] if mask is not None and len(mask) > 1 else mask
        yield rows[start : start + size], kept


def _pieces(count: int, width: int) -> Iterator[slice]:
    """Cut ``count`` keys or values of ``width`` numbers so that a piece, widened to 8 bytes, fits a quarter of the budget."""
    size = max(1, settings.budget // (32 * max(1, width)))
    return (slice(start, start + size) for start in range(0, max(1, count), size))


def _blocks(keys: Keys, dtype: torch.dtype, similarity: Similarity) -> Iterator[Tensor]:
    """Yield keys in ``dtype``: whole where nothing of their size is built on the way to the scores, else a piece at a time."""
    if isinstance(keys, Tensor) and keys.dtype == dtype and similarity in (dot, agreement, manhattan):
        yield keys
    else:
        yield from (keys[rows].to(dtype) for rows in _pieces(*keys.shape))


def rows_of(mask: Tensor | None, batch: torch.Size, count: int) -> Tensor | None:
    """Lay a mask out as one row a query, or one row for all of them."""
    if mask is None:
        return None
    must = f"a bool (True keeps) or floating tensor that broadcasts to {(*batch, count)}"
    _guard.dense("read", "mask", mask, must)
    if mask.dtype not in (torch.bool, *_guard.FLOATS) or _guard.together(mask.shape, (*batch, count)) != (*batch, count):
        _guard.refuse("read", "mask", must, _guard.describe(mask), "give one entry for each query and stored row")
    if not _guard.sound(mask) and not (mask.detach() < torch.inf).all():
        _guard.refuse("read", "mask", "finite, or -inf for what is left out", _guard.describe(mask), "drop or fill its NaN and inf")
    return mask.expand(1, count) if mask.ndim <= 1 else mask.expand(*batch, count).reshape(batch.numel(), count)


def narrow(function: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``value`` in the query's own dtype, which may be too small for it."""
    return value if value.dtype == dtype else _finite(function, value.to(dtype))


def _check(function: str, query: Tensor, keys: Keys, similarity: Similarity, **more: Any) -> None:
    """Refuse inputs that do not fit one another; their numbers are looked at as scores, weights and sums."""
    _guard.floats(function, "query", query)
    words = keys.words if isinstance(keys, Packed) else _guard.rows(function, "keys", keys, dim=query.shape[-1])
    if isinstance(keys, Packed):
        _guard.bipolar(function, "query", query)
    if keys.shape[1] != query.shape[-1]:
        got = f"{query.shape[-1]} for keys of {keys.shape[1]}"
        _guard.refuse(function, "query", "as long as the keys", got, "give queries and keys the same length")
    tensors = {"keys": words}
    if "values" in more:
        tensors["values"] = _guard.rows(function, "values", more["values"], len(words))
    for name, tensor in tensors.items():
        if tensor.device != query.device:
            do = f"move one of them with {name}.to(query.device)"
            _guard.refuse(function, name, f"on {query.device}, as the query is", f"on {tensor.device}", do)
    if not callable(similarity) or isinstance(similarity, type):
        do = "take one from kanerva.similarity"
        _guard.refuse(function, "similarity", "a function of query and keys", _guard.describe(similarity), do, _guard.InputTypeError)
    if "separation" in more and not isinstance(more["separation"], Separation):
        must, do = "a part of kanerva.separation", "take one from kanerva.separation"
        _guard.refuse(function, "separation", must, _guard.describe(more["separation"]), do, _guard.InputTypeError)


def _check_deposit(query: Tensor, values: Tensor, counters: Tensor, count: int, times: int) -> int:
    """Refuse values and counters that do not fit queries and keys, and values that the counters cannot hold."""
    _guard.rows("deposit", "query", query)
    _guard.finite("deposit", "values", _guard.rows("deposit", "values", values, len(query)))
    _guard.rows("deposit", "counters", counters, count, values.shape[1])
    for name, tensor in (("values", values), ("counters", counters)):
        if tensor.dtype not in (*_guard.FLOATS, *_guard.INTEGERS):
            do = f"convert it with {name}.to(torch.float32)"
            _guard.refuse("deposit", name, "of a signed integer or a floating dtype", _guard.describe(tensor), do, _guard.InputTypeError)
    if values.is_floating_point() and not counters.is_floating_point() and not (values == values.round()).all():
        _guard.refuse("deposit", "values", "whole numbers for integer counters", _guard.describe(values), "give floating counters")
    for name, tensor in (("values", values), ("counters", counters)):
        if tensor.requires_grad and torch.is_grad_enabled():
            _guard.refuse("deposit", name, "without a gradient", "to be trained", "write under torch.no_grad()")
    if any(step == 0 and size > 1 for step, size in zip(counters.stride(), counters.shape, strict=True)):
        _guard.refuse("deposit", "counters", "numbers of their own", "an expanded tensor, whose rows share them", "give counters.clone()")
    return _guard.integer("deposit", "times", times, -(2**31), 2**31, "give 1 to write and -1 to take back")


def _compare(query: Tensor, keys: Keys, similarity: Similarity, mask: Mask = None) -> Tensor:
    """Compare queries with keys, and add what a float mask adds."""
    query = query.to(_wide(query.dtype))
    parts = [similarity(query, block) for block in _blocks(keys, query.dtype, similarity)]
    result = torch.cat(parts, -1) if all(isinstance(part, Tensor) for part in parts) and len(parts) > 1 else parts[0]
    if not isinstance(result, Tensor) or result.shape != (*query.shape[:-1], keys.shape[0]) or result.dtype not in _guard.FLOATS:
        must = f"a function that gives a float for each query and key, {(*query.shape[:-1], keys.shape[0])}"
        got = f"one that gave {_guard.describe(result)}"
        _guard.refuse("read", "similarity", must, got, "return query @ keys.mT or the like", _guard.InputTypeError)
    if mask is not None and mask.is_floating_point():
        result = result + mask.masked_fill(mask == -torch.inf, 0.0).to(result.dtype)
    return result


def _weights(query: Tensor, keys: Keys, similarity: Similarity, separation: Separation, mask: Mask = None) -> Tensor:
    """Weigh every key."""
    compared = _compare(query, keys, similarity, mask)
    return compared if compared.shape[-1] == 0 else _finite("weights", separation(compared, _kept(mask)))


def _kept(mask: Mask) -> Tensor | None:
    """Say which scores a mask leaves in."""
    return mask > -torch.inf if mask is not None and mask.is_floating_point() else mask


def _finite(function: str, value: Tensor) -> Tensor:
    """Refuse sums that overflowed rather than hand out NaN."""
    return value if _guard.sound(value) else _overflow(function, value)


def _overflow(function: str, value: Tensor) -> NoReturn:
    """Say that a sum overflowed."""
    do = "scale the data or beta down, store in float64, or wrap the separation in Normalised"
    _guard.refuse(function, "query", f"such that weights and sums stay within {value.dtype}", "too large: they overflow", do)


def _weigh(query: Tensor, keys: Keys, values: Tensor, similarity: Similarity, separation: Separation, mask: Tensor | None) -> Field:
    """Sum the values by weights that are all built first: any rule, with gradients."""
    compared = _compare(query, keys, similarity, mask)
    weight, coupling = separation(compared, _kept(mask)), separation.coupling(compared, _kept(mask))
    if values.dtype == weight.dtype:
        value = weight @ values
    else:
        exact = weight.dtype if values.is_floating_point() else torch.float64
        pieces = (weight[:, rows].to(exact) @ values[rows].to(exact) for rows in _pieces(*values.shape))
        value = torch.stack(list(pieces)).sum(0).to(weight.dtype)
    if coupling is None:
        # The largest and the smallest being zero says that all are, much faster than comparing each.
        known = weight.detach()
        return Field(value, (known.amax(-1) == 0) & (known.amin(-1) == 0))
    # A rule that compares both values of a bit answers also where they are worth the same.
    kept = _kept(mask)
    there = torch.ones_like(weight[:, 0], dtype=torch.bool) if kept is None else kept.any(-1).expand(len(query))
    return Field(value - coupling * query.to(value.dtype), ~there)


def _attends(query: Tensor, keys: Tensor, values: Tensor, beta: float | Tensor) -> bool:
    """Tell whether torch's attention takes the read, and is the faster way: one dtype, and no gradient asked for."""
    learns = any(isinstance(tensor, Tensor) and tensor.requires_grad for tensor in (query, keys, values, beta))
    if _guard.tracing() or (learns and torch.is_grad_enabled()) or not query.dtype == _wide(query.dtype) == keys.dtype == values.dtype:
        return False
    # On the CPU it is fast, and builds no scores, only for values as long as keys.
    return query.device.type != "cpu" or keys.shape == values.shape


def _attend(query: Tensor, keys: Tensor, values: Tensor, separation: Softmax) -> Field:
    """Read through torch's attention, which never builds the scores."""
    scaled = (separation.beta * query).to(query.dtype)
    value = torch.nn.functional.scaled_dot_product_attention(scaled[None, None], keys[None, None], values[None, None], scale=1.0)[0, 0]
    # Zeros may stand for scores that all overflowed, which torch takes for masked ones: look again.
    zero = value[:, 0] == 0
    if zero.any() and (zero := (value.amax(-1) == 0) & (value.amin(-1) == 0)).any():
        parts = [_weigh(part, keys, values, dot, separation, None).value for part, _ in _chunks(query[zero], len(keys))]
        value[zero] = torch.cat(parts)
    return Field(value, torch.zeros(len(query), dtype=torch.bool, device=query.device))


def _scans(values: Tensor, similarity: Similarity) -> bool:
    """Tell whether an engine can find the active keys among packed bits, and sum or change their values."""
    return similarity is agreement and not _guard.tracing() and _engine.scans(values)


def _radius(keys: Packed, separation: Step) -> int:
    """Turn a threshold on agreements into the largest distance that reaches it; -1 where none does."""
    return max(-1, math.floor(min(keys.shape[1] - separation.threshold, keys.shape[1])))
