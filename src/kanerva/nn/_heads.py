"""One read for batched heads, in float32 at least."""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.separation import Difference, Separation

__all__ = [
    "SIMILARITIES",
    "checked",
    "cosines",
    "products",
    "read_heads",
    "sphere",
    "weigh",
    "wide",
    "widely",
]

SIMILARITIES = ("dot", "cosine")

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
    r"""Read once with every head of every batch.

    .. math:: y = \sum_i w_i v_i, \quad w = \text{separation}(\text{similarity}(q, k_i) + b_i)

    Scores, weights and sums are taken in float32 at least, under autocast too. A query with nothing left to read gets zeros.

    Args:
        query: ``(b, h, q, d)``.
        key: ``(b, h, k, d)``; ``k`` may be 0.
        value: ``(b, h, k, e)``.
        similarity: ``"dot"``, not scaled, or ``"cosine"``.
        separation: any rule without self-coupling; one that is made for cosines needs those.
        keep: broadcasts to ``(b, h, q, k)``, True for what is there; all is, if left out.
        bias: broadcasts to ``(b, h, q, k)``, added to the scores; -inf leaves out.

    Returns:
        what was read, ``(b, h, q, e)``, and the weights ``(b, h, q, k)``, both in the query's dtype.

    Raises:
        InputError: shapes that do not fit, a rule made for other scores, or weights that overflow.

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
    checked(similarity, separation)
    _shapes(query, key, value)
    shape = (*query.shape[:3], key.shape[2])
    _broadcasts("keep", keep, shape, bool)
    _broadcasts("bias", bias, shape, float)
    with widely(query):
        scores = products(query, key) if similarity == "dot" else cosines(query, key)
        if bias is not None:
            if separation.expects == ("cosine",):
                do = "leave it out, or choose a rule that takes any score, such as TopK"
                refuse("bias", bias, must=f"None for {separation}, which takes cosines", do=do)
            there = bias > -math.inf
            keep = there if keep is None else keep & there
            scores = scores + bias.masked_fill(~there, 0).to(scores.dtype)
        weights = weigh(scores, separation, keep)
        output = weights @ value.to(weights.dtype)
    return output.to(query.dtype), weights.to(query.dtype)


def checked(similarity: Any, separation: Any, cosine: str = 'choose similarity="cosine"') -> None:
    """Refuse a similarity and a rule that heads cannot be read with, or not together."""
    checks.choice("similarity", similarity, SIMILARITIES)
    if not isinstance(separation, Separation):
        do = "give Softmax(1.0), or another part of kanerva.separation"
        refuse("separation", separation, must="a separation", do=do, error=InputTypeError)
    inner = getattr(separation, "part", separation)
    if isinstance(separation, Difference):
        refuse(
            "separation",
            must="a rule without self-coupling",
            got=repr(separation),
            do=f"take the rule inside, {inner!r}",
        )
    expects = separation.expects or inner.expects
    if expects and similarity not in expects:
        do = cosine if "cosine" in expects else "choose kanerva.probe.CosineCircle with cosines"
        refuse(
            "separation", must=f"one that takes scores of {similarity}", got=repr(separation), do=do
        )


def widely(like: Tensor) -> torch.autocast:
    """Keep autocast from narrowing what is meant to be wide."""
    return torch.autocast(like.device.type, enabled=False)


def products(query: Tensor, key: Tensor) -> Tensor:
    """Score by the scalar product, in float32 at least."""
    return wide(query) @ wide(key).mT


def cosines(query: Tensor, key: Tensor) -> Tensor:
    """Score by the cosine, in float32 at least; a vector of zeros is at cosine 0 from everything."""
    return sphere(query) @ sphere(key).mT


def sphere(vectors: Tensor) -> Tensor:
    """Scale vectors to length one, in float32 at least."""
    return normalize(wide(vectors), dim=-1)


def weigh(scores: Tensor, separation: Separation, keep: Tensor | None) -> Tensor:
    """Weigh scores; where there are none there are no weights."""
    return separation(scores, keep) if scores.numel() else scores


def wide(tensor: Tensor) -> Tensor:
    """Widen to float32 at least."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _shapes(query: Any, key: Any, value: Any) -> None:
    """Refuse heads that do not fit each other."""
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        arrays.floats(name, tensor)
        if tensor.ndim != 4:
            refuse(
                name,
                tensor,
                must="of shape (batch, heads, places, width)",
                do="give it four dimensions",
            )
    if key.shape[:2] != query.shape[:2] or key.shape[3] != query.shape[3]:
        must = (
            f"of shape ({query.shape[0]}, {query.shape[1]}, k, {query.shape[3]}), as the query is"
        )
        refuse("key", key, must=must, do="repeat heads that are shared")
    if value.shape[:3] != key.shape[:3]:
        must = f"of shape {(*key.shape[:3], 'e')}, one for each key".replace("'", "")
        refuse("value", value, must=must, do="give a row for each key")
    for name, tensor in (("key", key), ("value", value)):
        if tensor.device != query.device:
            refuse(
                name,
                must=f"on {query.device}, as the query is",
                got=f"on {tensor.device}",
                do=f"move it with {name}.to(query.device)",
            )


def _broadcasts(name: str, given: Any, shape: tuple[int, ...], kind: type) -> None:
    """Refuse a mask or a bias that does not fit the scores."""
    if given is None:
        return
    must = f"a {'bool' if kind is bool else 'floating'} tensor that broadcasts to {shape}"
    arrays.dense(name, given, must)
    if (given.dtype != torch.bool) if kind is bool else (given.dtype not in arrays.FLOATS):
        do = "give True for what is there" if kind is bool else "give what is left out as keep"
        refuse(name, given, must=must, do=do, error=InputTypeError)
    if arrays.together(given.shape, shape) != shape:
        refuse(name, given, must=must, do="give one entry for each score")
