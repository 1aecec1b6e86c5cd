"""One read on plain tensors: scores, weights, field, draws, energy, and writing to counters.

Each function checks its input and passes it to the engine. Work is cut into rows of queries, so
that no array of queries x keys exceeds ``settings.budget``; keys in another dtype, or packed, are
converted a block at a time. Scores and sums are computed in float32 at least.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._engine import certify as certify_
from kanerva._engine import draws as draws_
from kanerva._engine import prune, routes, writes
from kanerva._engine.certify import Certified
from kanerva._engine.cues import Cue, partly
from kanerva._engine.prune import Coarse
from kanerva._engine.routes import Field
from kanerva._engine.scores import Kept, narrow, part_of, rows_of
from kanerva.bits import Packed, fingerprint
from kanerva.separation import Separation
from kanerva.similarity import Similarity, declared, dot

__all__ = [
    "Certified",
    "Coarse",
    "Field",
    "active",
    "certify",
    "coarse",
    "deposit",
    "draw",
    "energy",
    "field",
    "read",
    "scores",
    "weights",
]

Keys = Shaped[Tensor, "m d"] | Packed
Values = Shaped[Tensor, "m e"] | Packed
Mask = Shaped[Tensor, "*_mask"] | None
Prior = Float[Tensor, "*_prior"] | None
Known = Bool[Tensor, "*_known"] | None


@door
def scores(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    similarity: Similarity,
    mask: Mask = None,
    prior: Prior = None,
    known: Known = None,
) -> Float[Tensor, "*batch m"]:
    """Compare queries with keys, and add a float mask.

    Args:
        query: ``(..., d)`` floating, finite.
        keys: ``(m, d)``, a tensor or ``bits.Packed``.
        similarity: such as ``similarity.dot``.
        mask: broadcasts to ``(..., m)``; bool (True keeps a key; it has no effect on scores) or
            float (added to the scores; -inf leaves a key out).
        prior: as in ``weights``; it is checked, and has no effect on scores.
        known: bool, broadcasts to the query: True for the coordinates that are compared, whatever
            stands in the others; for a similarity that is a sum over coordinates. None for all.

    Returns:
        ``(..., m)``, in float32 where the query is narrower.

    Raises:
        InputError: inputs that do not fit one another or are not finite.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.similarity import dot
        >>> functional.scores(torch.tensor([1.0, 2.0]), torch.eye(2), dot).tolist()
        [1.0, 2.0]
    """
    _check(query, keys, similarity)
    cue, kept = _cue(query, similarity, known), _kept(query, keys, mask, prior)
    found = routes.scores(cue.rows, keys, cue.similarity, kept)
    return found.reshape(*query.shape[:-1], keys.shape[0])


@door
def weights(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
    prior: Prior = None,
    known: Known = None,
) -> Float[Tensor, "*batch m"]:
    r"""Weigh every key.

    .. math:: w = \text{separation}(\text{similarity}(q, k_i))

    Args:
        query: ``(..., d)`` floating, finite.
        keys: ``(m, d)``.
        similarity: how near a query is to a key.
        separation: how much each key counts.
        mask: as in ``scores``; keys left out have weight 0.
        prior: floating, >= 0, broadcasts to ``(..., m)``: how often each key counts, whatever beta
            is; 0 leaves a key out. None for once.
        known: as in ``scores``.

    Returns:
        ``(..., m)``, in float32 where the query is narrower.

    Raises:
        InputError: as ``scores``; the weights overflow.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import dot
        >>> functional.weights(torch.zeros(2), torch.eye(2), dot, Softmax(1.0)).tolist()
        [0.5, 0.5]
    """
    _check(query, keys, similarity, separation=separation)
    cue, kept = _cue(query, similarity, known), _kept(query, keys, mask, prior, separation)
    found = routes.weights(cue.rows, keys, cue.similarity, separation, kept)
    return found.reshape(*query.shape[:-1], keys.shape[0])


@door
def field(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Values,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
    prior: Prior = None,
    known: Known = None,
) -> Field:
    r"""Sum the values by their weights, less the self-coupling of the query where a rule has one.

    .. math:: f(q) = \sum_i w_i v_i - c(q)\, q

    Args:
        query: ``(..., d)`` floating, finite.
        keys: ``(m, d)``; ``m`` may be 0.
        values: ``(m, e)``; integers are summed exactly.
        similarity: how near a query is to a key.
        separation: how much each key counts.
        mask: as in ``scores``.
        prior: as in ``weights``.
        known: as in ``scores``.

    Returns:
        the field in float32 where the query is narrower, and which queries have no weight at all.

    Raises:
        InputError: as ``weights``; the sums overflow.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Step
        >>> from kanerva.similarity import dot
        >>> functional.field(torch.ones(2), torch.eye(2), torch.eye(2), dot, Step(5)).empty.item()
        True
    """
    return _field(query, keys, values, similarity, separation, mask, prior, known)


@door
def read(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Values,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
    prior: Prior = None,
    known: Known = None,
) -> Float[Tensor, "*batch e"]:
    r"""Read once: the field, in the query's dtype.

    .. math:: y = \sum_i w_i v_i, \quad w = \text{separation}(\text{similarity}(q, k_i))

    Args:
        query: ``(..., d)`` floating, finite.
        keys: ``(m, d)``.
        values: ``(m, e)``.
        similarity: how near a query is to a key.
        separation: how much each key counts.
        mask: as in ``scores``.
        prior: as in ``weights``.
        known: as in ``scores``.

    Returns:
        ``(..., e)``; zeros where nothing is stored, within reach, or left by the mask.

    Raises:
        InputError: as ``field``.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import dot
        >>> values = torch.tensor([[1.0], [3.0]])
        >>> functional.read(torch.zeros(2), torch.eye(2), values, dot, Softmax(1.0)).item()
        2.0
    """
    found = _field(query, keys, values, similarity, separation, mask, prior, known)
    return narrow(found.value, query)


@door
def draw(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Values,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
    prior: Prior = None,
    known: Known = None,
    *,
    seed: int,
    draws: int | None = None,
) -> Float[Tensor, "*drawn e"]:
    r"""Draw one of the values, with probability its weight.

    .. math:: P(y = v_i) = \frac{w_i}{\sum_j w_j}, \quad
        w = \text{separation}(\text{similarity}(q, k_i))

    The query and the seed decide, so that a query gets the same value in every batch. The mean of
    many draws is what ``read`` returns, for a rule whose weights add up to one.

    Args:
        query: ``(..., d)`` floating, finite.
        keys: ``(m, d)``.
        values: ``(m, e)``.
        similarity: how near a query is to a key.
        separation: how much each key counts; no weight may be negative.
        mask: as in ``scores``.
        prior: as in ``weights``.
        known: as in ``scores``; coordinates that are not known have no part in the choice.
        seed: an integer >= 0.
        draws: k >= 1 independent draws, in front of all other dimensions; None for one, without
            that dimension. It is the first of several.

    Returns:
        ``(..., e)``, or ``(k, ..., e)``, in the query's dtype; zeros where nothing is stored,
        within reach, or left by the mask.

    Raises:
        InputError: as ``field``; a weight is negative; the query's dtype cannot hold a value.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import closeness
        >>> levels = torch.arange(4.0).unsqueeze(-1)
        >>> seen = torch.tensor([5.0, 0.0, 0.0, 1.0])  # how often each level counts
        >>> given = (torch.tensor([1.0]), levels, levels, closeness, Softmax(0.1))
        >>> drawn = functional.draw(*given, prior=seen, seed=0, draws=1000)
        >>> drawn.unique().tolist(), round(drawn.mean().item(), 1)
        ([0.0, 3.0], 0.4)
        >>> round(functional.read(*given, prior=seen).item(), 1)
        0.4
    """
    _check(query, keys, similarity, separation=separation, values=values)
    seed = checks.integer("seed", seed, 0, 2**63 - 1)
    batch, cue = query.shape[:-1], _cue(query, similarity, known)
    kept = _kept(query, keys, mask, prior, separation)
    which = draws_.numbered(draws, 64 * max(1, len(cue.rows)), query.device)
    chance = draws_.chances(fingerprint(cue.rows, seed), which, which[:1]).squeeze(-1)
    found = draws_.draw(cue.rows, keys, cue.similarity, separation, kept, chance)
    shape = batch if draws is None else (len(which), *batch)
    if len(keys) == 0:
        return query.new_zeros(*shape, values.shape[-1])
    drawn = part_of(values, found.clamp_min(0).reshape(-1))
    rows = (drawn[:] if isinstance(drawn, Packed) else drawn).to(query.dtype)
    rows = torch.where(found.reshape(-1, 1) < 0, 0.0, arrays.finite("values", rows))
    return rows.reshape(*shape, values.shape[-1])


@door
def certify(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    values: Values,
    separation: Separation,
    tolerance: float = 1e-6,
    near: Coarse | None = None,
) -> Certified:
    r"""Read by softmax of dot products from the few keys that matter, and bound the error.

    All keys are compared in low precision, with a margin for its error; those whose weight can
    matter are weighed exactly, in float64. A key that is left out is bounded by its largest
    possible weight:

    .. math:: |y - \hat y| \le 2 \max |v| \, n \, e^{-\beta w}, \quad
        w = \frac1\beta \ln \frac{2 m}{\text{tolerance}}

    It pays where few patterns have weight: it is several times as fast as a plain read for long
    keys. Queries to which many patterns contribute get the plain read, and the bound of sums in its
    dtype, which is far from tight.

    Args:
        query: ``(..., d)`` float32 or float64.
        keys: ``(m, d)`` of the same dtype, or bfloat16.
        values: ``(m, e)`` likewise.
        separation: Softmax, with beta > 0 as a plain number.
        tolerance: error allowed, as a share of the largest absolute value; no smaller than the
            resolution of the dtype.
        near: the result of ``coarse`` for the same keys and values, to be used again.

    Returns:
        a ``Certified``.

    Raises:
        InputError: another rule, other dtypes, or inputs that are trained.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> drawn = torch.randn(5000, 64, generator=torch.Generator().manual_seed(0))
        >>> keys = torch.nn.functional.normalize(drawn, dim=-1)
        >>> found = functional.certify(keys[:3], keys, keys, Softmax(100.0))
        >>> found.active.tolist(), bool((found.bound < 1e-6).all())
        ([1, 1, 1], True)
    """
    _check(query, keys, dot, separation=separation, values=values)
    if near is not None:
        checks.instance(
            "near", near, Coarse, "give the result of functional.coarse, or leave it out"
        )
    rule = certify_.vet(dot, separation)
    return certify_.certify(query, keys, values, rule, tolerance, near)


@door
def coarse(keys: Keys, values: Values) -> Coarse:
    """Prepare keys for ``certify``: rounded, with the error of rounding.

    Args:
        keys: ``(m, d)``, m >= 1, finite.
        values: ``(m, e)``, finite.

    Returns:
        a ``Coarse``; it takes half the memory of float32 keys, none beside bfloat16 ones.

    Raises:
        InputError: packed or empty keys, or numbers that are not finite.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> functional.coarse(torch.eye(3), torch.eye(3)).away  # 0 and 1 are not rounded
        0.0
    """
    for name, rows in (("keys", keys), ("values", values)):
        if isinstance(rows, Packed):
            must, do = "floating rows", "read without tolerance"
            refuse(name, got="bits.Packed", must=must, do=do, error=InputTypeError)
        arrays.finite(name, arrays.rows(name, rows, None if rows is keys else len(keys)))
    assert isinstance(keys, Tensor)
    assert isinstance(values, Tensor)
    if len(keys) == 0:
        refuse("keys", got="none", must="one row or more", do="write something first")
    return prune.coarse(keys.detach(), values.detach())


@door
def energy(
    query: Float[Tensor, "*batch d"],
    keys: Keys,
    similarity: Similarity,
    separation: Separation,
    mask: Mask = None,
    prior: Prior = None,
    known: Known = None,
) -> Float[Tensor, "*batch"]:
    r"""Return the energy that a read lowers, for values that are the keys.

    .. math:: E(q) = R(q) - \Phi(s(q))

    R is the regulariser of the similarity: half the squared length for ``dot``; 0 for ``closeness``
    and ``manhattan``, for ``cosine``, whose queries stand for their directions, and for
    ``agreement``, whose queries all have one length.

    Args:
        query: ``(..., d)`` floating, finite.
        keys: ``(m, d)``.
        similarity: one with a regulariser.
        separation: one with a potential.
        mask: as in ``scores``.
        prior: as in ``weights``.
        known: as in ``scores``.

    Returns:
        ``(...)``; +inf where a normalised rule has nothing stored or left by the mask.

    Raises:
        InputError: a similarity without regulariser, or a separation without potential.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Softmax
        >>> from kanerva.similarity import closeness
        >>> query, keys = torch.tensor([2.0, 0.0]), torch.zeros(1, 2)
        >>> functional.energy(query, keys, closeness, Softmax(1.0)).item()
        2.0
    """
    _check(query, keys, similarity, separation=separation)
    cue, kept = _cue(query, similarity, known), _kept(query, keys, mask, prior, separation)
    found = routes.energy(cue.rows, keys, cue.similarity, separation, kept)
    return found.reshape(query.shape[:-1])


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
        query: ``(n, d)`` addresses.
        values: ``(n, e)``, one for each address.
        keys: ``(m, d)`` hard locations.
        counters: ``(m, e)``, changed in place; integer counters must not overflow, which
            ``Locations`` takes care of.
        similarity: how near an address is to a location.
        separation: how much each location takes part.
        times: t, +1 to write and -1 to take back.

    Raises:
        InputError: inputs that do not fit one another, or are trained; nothing is written then.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Step
        >>> from kanerva.similarity import dot
        >>> counters, address = torch.zeros(2, 1), torch.tensor([[1.0, 0.0]])
        >>> functional.deposit(address, torch.tensor([[7.0]]), torch.eye(2), counters, dot, Step(1))
        >>> counters.flatten().tolist()
        [7.0, 0.0]
    """
    _check(query, keys, similarity, separation=separation)
    times = _check_deposit(query, values, counters, keys.shape[0], times)
    writes.deposit(query, values, keys, counters, similarity, separation, times)


@door
def active(
    query: Float[Tensor, "n d"], keys: Keys, similarity: Similarity, separation: Separation
) -> Iterator[Int64[Tensor, "_near"]]:
    """Yield the places of the keys that each query gives any weight, in order.

    Args:
        query: ``(n, d)`` floating, finite.
        keys: ``(m, d)``.
        similarity: how near a query is to a key.
        separation: how much each key counts.

    Raises:
        InputError: as ``weights``.

    Example:
        >>> import torch
        >>> from kanerva import functional
        >>> from kanerva.separation import Step
        >>> from kanerva.similarity import dot
        >>> [near.tolist() for near in functional.active(torch.eye(2), torch.eye(2), dot, Step(1))]
        [[0], [1]]
    """
    _check(query, keys, similarity, separation=separation)
    yield from writes.active(query, keys, similarity, separation)


def _field(
    query: Tensor,
    keys: Keys,
    values: Values,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
    prior: Prior,
    known: Known,
) -> Field:
    """Check the input, and sum the values by their weights."""
    _check(query, keys, similarity, separation=separation, values=values)
    batch, cue = query.shape[:-1], _cue(query, similarity, known)
    kept = _kept(query, keys, mask, prior, separation)
    if known is not None and separation.coupled:
        must, do = "left out for a rule with a self-coupling", "take Softmax or another rule"
        refuse("known", got=f"given for {separation}", must=must, do=do)
    value, empty, _ = routes.field(cue.rows, keys, values, cue.similarity, separation, kept)
    if empty is None:
        empty = torch.zeros(len(value), dtype=torch.bool, device=value.device)
    return Field(value.reshape(*batch, values.shape[-1]), empty.reshape(batch))


def _kept(
    query: Tensor, keys: Keys, mask: Mask, prior: Prior, separation: Separation | None = None
) -> Mask | Kept:
    """Check a mask and a prior, and lay them out as one row a query, or one for all queries."""
    batch, count = query.shape[:-1], keys.shape[0]
    kept = rows_of(mask, batch, count)
    if prior is None:
        return kept
    if separation is not None and not separation.priors:
        must, do = "None for a rule that takes none", "repeat keys as often as they count"
        refuse("prior", got=f"given for {separation}", must=must, do=do)
    must = f"a floating tensor >= 0 that broadcasts to {(*batch, count)}"
    do = "give how often each key counts"
    if arrays.dense("prior", prior, must).dtype not in arrays.FLOATS:
        refuse("prior", prior, must=must, do=do, error=InputTypeError)
    if arrays.together(prior.shape, (*batch, count)) != (*batch, count):
        refuse("prior", prior, must=must, do=do)
    if not (arrays.sound(prior) and (prior.detach() >= 0).all()):
        refuse("prior", prior, must="finite and >= 0", do="give 0 for keys to leave out")
    rows = rows_of(prior, batch, count)
    assert rows is not None
    return Kept(kept, rows)


def _cue(query: Tensor, similarity: Similarity, known: Known) -> Cue:
    """Lay queries out as rows, with what is known of them."""
    cue = Cue(query.reshape(-1, query.shape[-1]), similarity)
    if known is None:
        return cue
    seen = arrays.coordinates("known", known, query.shape, query.device)
    if declared(similarity, "partly") is None:
        must, do = "left out for a similarity that is no sum over coordinates", "take closeness"
        refuse("known", got=f"given for {_title(similarity)}", must=must, do=do)
    return partly(cue, seen.reshape(cue.rows.shape))


def _title(similarity: Similarity) -> str:
    return getattr(similarity, "__name__", repr(similarity))


def _check(query: Tensor, keys: Keys, similarity: Similarity, **more: Any) -> None:
    """Refuse inputs that do not fit one another."""
    arrays.floats("query", query)
    if isinstance(keys, Packed):
        words = keys.words
        arrays.bipolar("query", query)
    else:
        words = arrays.rows("keys", keys, dim=query.shape[-1], advised=query.dtype)
        if not getattr(similarity, "transparent", False):
            arrays.finite("query", query)
    if keys.shape[1] != query.shape[-1]:
        got = f"{query.shape[-1]} for keys of {keys.shape[1]}"
        do = "give queries and keys the same length"
        refuse("query", got=got, must="as long as the keys", do=do)
    placed = {"keys": words}
    if "values" in more:
        values = more["values"]
        rows = values.words if isinstance(values, Packed) else values
        placed["values"] = arrays.rows("values", rows, len(words), advised=query.dtype)
    for name, tensor in placed.items():
        if tensor.device != query.device:
            must, got = f"on {query.device}, as the query is", f"on {tensor.device}"
            do = f"move one of them with {name}.to(query.device)"
            refuse(name, got=got, must=must, do=do)
    if not callable(similarity) or isinstance(similarity, type):
        must, do = "a function of query and keys", "take one from kanerva.similarity"
        refuse("similarity", similarity, must=must, do=do, error=InputTypeError)
    separation = more.get("separation")
    if "separation" in more and not isinstance(separation, Separation):
        must, do = "a part of kanerva.separation", "take one from kanerva.separation"
        refuse("separation", separation, must=must, do=do, error=InputTypeError)


def _check_deposit(query: Tensor, values: Tensor, counters: Tensor, count: int, times: int) -> int:
    """Refuse values and counters that do not fit, and values that the counters cannot hold."""
    arrays.rows("query", query)
    arrays.finite("values", arrays.rows("values", values, len(query)))
    arrays.rows("counters", counters, count, values.shape[1])
    for name, tensor in (("values", values), ("counters", counters)):
        if tensor.dtype not in (*arrays.FLOATS, *arrays.INTEGERS):
            must = "of a signed integer or a floating dtype"
            do = f"convert it with {name}.to(torch.float32)"
            refuse(name, tensor, must=must, do=do, error=InputTypeError)
        if tensor.requires_grad and torch.is_grad_enabled():
            do = "write under torch.no_grad()"
            refuse(name, got="to be trained", must="without a gradient", do=do)
    whole = not counters.is_floating_point()
    if whole and values.is_floating_point() and not (values == values.round()).all():
        must = "whole numbers for integer counters"
        refuse("values", values, must=must, do="give floating counters")
    strides = zip(counters.stride(), counters.shape, strict=True)
    if any(step == 0 and size > 1 for step, size in strides):
        got = "an expanded tensor, whose rows share them"
        refuse("counters", got=got, must="numbers of their own", do="give counters.clone()")
    do = "give 1 to write and -1 to take back"
    return checks.integer("times", times, -(2**31), 2**31, do)
