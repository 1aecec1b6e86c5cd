"""The read of batched heads, in float32 or wider."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputError, InputTypeError, door, refuse
from kanerva.separation import Separation

__all__ = [
    "SHORT",
    "SIMILARITIES",
    "blame",
    "check_rule",
    "cosines",
    "no_autocast",
    "products",
    "read_heads",
    "sound",
    "unit",
    "weigh",
    "widen",
]

SIMILARITIES = ("dot", "cosine")
# A vector that is shorter has no direction, as in ``similarity.cosine``.
SHORT = 1e-12

P = ParamSpec("P")
R = TypeVar("R")

Query = Float[Tensor, "b h q d"]
Key = Float[Tensor, "b h k d"]
Value = Float[Tensor, "b h k e"]
Read = tuple[Float[Tensor, "b h q e"], Float[Tensor, "b h q k"]]


@door
def read_heads(
    query: Query,
    key: Key,
    value: Value,
    similarity: str,
    separation: Separation,
    keep: Bool[Tensor, "*_keep"] | None = None,
    bias: Float[Tensor, "*_bias"] | None = None,
) -> Read:
    r"""Read once in every head of every batch.

    .. math:: y = \sum_i w_i v_i, \quad w = \text{separation}(\text{similarity}(q, k_i) + b_i)

    Scores, weights and sums are computed in float32 or wider, under autocast too. Where no key is
    left for a query, its result is zero.

    Args:
        query: ``(b, h, q, d)``, floating.
        key: ``(b, h, k, d)``, floating; ``k`` may be 0.
        value: ``(b, h, k, e)``, floating.
        similarity: ``"dot"``, without scaling, or ``"cosine"``.
        separation: any rule without self-coupling; a rule for cosines needs ``"cosine"``.
        keep: bool, broadcasts to ``(b, h, q, k)``; False leaves a key out. All are kept if omitted.
        bias: floating, broadcasts to ``(b, h, q, k)``; it is added to the scores, and -inf leaves a
            key out.

    Returns:
        the results ``(b, h, q, e)`` and the weights ``(b, h, q, k)``, both in the query's dtype.

    Raises:
        InputError: shapes that do not fit, a rule made for other scores, numbers that are not
            finite, or weights that overflow.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> from kanerva.separation import Argmax
        >>> key = torch.eye(3).reshape(1, 1, 3, 3)
        >>> output, weights = nn.read_heads(key[:, :, :1] * 5, key, key, "cosine", Argmax())
        >>> output.flatten().tolist(), weights.shape
        ([1.0, 0.0, 0.0], torch.Size([1, 1, 1, 3]))

    Source: Vaswani and others 2017, eq. 1, for softmax; Bricken and Pehlevan 2021 for circles.
    """
    check_rule(similarity, separation)
    _check_heads(query, key, value)
    shape = (*query.shape[:3], key.shape[2])
    if keep is not None:
        _check_scores("keep", keep, shape, (torch.bool,), "give True for the keys that are there")
    if bias is not None:
        do = "pass what is left out as keep"
        _check_scores("bias", bias, shape, arrays.FLOATS, do)
        if not arrays.tracing() and not (bias < math.inf).all():  # NaN is not below it either
            must = "made of finite numbers, and of -inf for keys that are left out"
            refuse("bias", bias, must=must, do="drop or fill the others first")
    with no_autocast(query):
        scores = products(query, key) if similarity == "dot" else cosines(query, key)
        if bias is not None:
            if separation.expects == ("cosine",):
                do = "leave it out, or choose a rule that takes any score, such as TopK"
                refuse("bias", bias, must=f"None for {separation}, which takes cosines", do=do)
            finite = bias != -math.inf
            keep = finite if keep is None else keep & finite
            scores = scores + bias.masked_fill(~finite, 0).to(scores.dtype)
        weights = weigh(scores, separation, keep)
        output = (weights @ value.to(weights.dtype)).to(query.dtype)
    return sound(output, query=query, key=key, value=value), weights.to(query.dtype)


def check_rule(similarity: Any, separation: Any, do: str = 'choose similarity="cosine"') -> None:
    """Refuse a similarity or a rule that heads cannot be read with, or that do not fit together.

    Args:
        similarity: a name.
        separation: a rule.
        do: what the caller can do where the rule needs cosines.
    """
    checks.choice("similarity", similarity, SIMILARITIES)
    if not isinstance(separation, Separation):
        must, do = "a separation", "give Softmax(1.0), or another part of kanerva.separation"
        refuse("separation", separation, must=must, do=do, error=InputTypeError)
    if separation.coupled:
        must, do = "a rule without self-coupling", "choose another, such as Softmax"
        refuse("separation", got=repr(separation), must=must, do=do)
    if separation.expects and similarity not in separation.expects:
        if "cosine" not in separation.expects:
            do = "choose kanerva.probe.CosineCircle with cosines"
        must = f"one that takes scores of {similarity}"
        refuse("separation", got=repr(separation), must=must, do=do)


def no_autocast(like: Tensor) -> torch.autocast:
    """Turn autocast off on the device of a tensor, so that float32 stays float32."""
    return torch.autocast(like.device.type, enabled=False)


def products(query: Tensor, key: Tensor) -> Tensor:
    """Return the scalar products, in float32 or wider."""
    return widen(query) @ widen(key).mT


def cosines(query: Tensor, key: Tensor) -> Tensor:
    """Return the cosines, in float32 or wider; a vector of zeros has cosine 0 with any other."""
    return unit(query) @ unit(key).mT


def unit(vectors: Tensor) -> Tensor:
    """Scale vectors to length one, in float32 or wider; NaN where the length overflows."""
    vectors = widen(vectors)
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / torch.where(length.isfinite(), length.clamp_min(SHORT), math.nan)


def weigh(scores: Tensor, separation: Separation, keep: Tensor | None) -> Tensor:
    """Weigh scores; without scores there are no weights.

    A traced graph cannot refuse scores that are not finite, so their weights are NaN there.
    """
    if not scores.numel():
        return scores
    weights = separation(scores, keep)
    if not (separation.compares and arrays.tracing()):
        return weights
    bad = ~scores.isfinite() if keep is None else keep & ~scores.isfinite()
    return weights.masked_fill(bad, math.nan)


def sound(output: Tensor, **given: Tensor) -> Tensor:
    """Return a result that is finite; otherwise refuse the input that is not, or the overflow."""
    if not arrays.sound(output):
        _overflow(given, output.dtype)
    return output


def blame(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a method of a layer: errors about scores are about the tensors it was called with."""

    @functools.wraps(function)
    def entered(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            if error.argument != "scores":
                raise
            bound = inspect.signature(function).bind(*args, **kwargs).arguments.items()
            tensors = {name: one for name, one in bound if isinstance(one, Tensor)}
            given = {name: one for name, one in tensors.items() if one.is_floating_point()}
            first = next(iter(given))
            if error.must == "finite":
                _overflow(given, given[first].dtype)
            for name, tensor in given.items():
                arrays.finite(name, tensor)
            refuse(first, got=error.got, must=error.must, do=error.do)

    return entered


def _overflow(given: dict[str, Tensor], dtype: torch.dtype) -> NoReturn:
    """Refuse the first input that is not finite, or else an overflow in a dtype."""
    for name, tensor in given.items():
        arrays.finite(name, tensor)
    must, got = f"small enough for {dtype}", "too large: a result overflows"
    wider = torch.float64 if dtype == torch.float32 else torch.float32
    do = f"scale it down, check the weights of the layer for NaN, or take {wider}"
    refuse(next(iter(given)), got=got, must=must, do=do)


def widen(tensor: Tensor) -> Tensor:
    """Convert to float32, unless the dtype is wider already."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _check_heads(query: Any, key: Any, value: Any) -> None:
    """Refuse heads whose shapes or devices do not fit together."""
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        arrays.floats(name, tensor)
        if tensor.ndim != 4:
            must = "of shape (batch, heads, places, width)"
            refuse(name, tensor, must=must, do="give it four dimensions")
    batch, heads, _, width = query.shape
    if key.shape[:2] != query.shape[:2] or key.shape[3] != width:
        must = f"of shape ({batch}, {heads}, k, {width}), as the query is"
        refuse("key", key, must=must, do="repeat heads that are shared")
    if value.shape[:3] != key.shape[:3]:
        must = f"of shape ({batch}, {heads}, {key.shape[2]}, e), one row for each key"
        refuse("value", value, must=must, do="give a row for each key")
    for name, tensor in (("key", key), ("value", value)):
        if tensor.device != query.device:
            must = f"on {query.device}, as the query is"
            do = f"move it with {name}.to(query.device)"
            refuse(name, got=f"on {tensor.device}", must=must, do=do)


def _check_scores(
    name: str, value: Any, shape: tuple[int, ...], dtypes: tuple[torch.dtype, ...], do: str
) -> None:
    """Refuse a mask or a bias that has another dtype or does not broadcast to the scores."""
    kind = "bool" if dtypes == (torch.bool,) else "floating"
    must = f"a {kind} tensor that broadcasts to {shape}"
    if arrays.dense(name, value, must, dtypes[0]).dtype not in dtypes:
        refuse(name, value, must=must, do=do, error=InputTypeError)
    if arrays.together(value.shape, shape) != shape:
        refuse(name, value, must=must, do="give one entry for each score")
