"""Put other memories in the place of heads, through the door by which they are watched."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.probe import _fit
from kanerva.probe._taps import Call, Site, sites, tapped
from kanerva.probe._watch import Heads, chosen, listed
from kanerva.separation import Separation

__all__ = ["Reads", "circles", "read", "replace"]

Memory = Separation | Mapping[tuple[int, int], Separation]


class Reads:
    """What the memories in place of heads did so far; see ``replace``.

    Example:
        >>> from kanerva import probe
        >>> reads = probe.Reads()
        >>> reads.rows, reads.empty = 200, 3
        >>> reads.unreached
        0.015
    """

    def __init__(self) -> None:
        self.rows, self.empty = 0, 0

    @property
    def unreached(self) -> float | None:
        """Share of the reads that found nothing and so gave zeros; None before the first."""
        return self.empty / self.rows if self.rows else None


@contextmanager
@door
def replace(
    model: nn.Module,
    memory: Memory,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    steps: int = 1,
) -> Iterator[Reads]:
    r"""Let chosen heads of a model read with another memory; afterwards all is as before.

    The queries, keys, values and masks are the model's own. A rule made for cosines, such as ``CosineCircle`` or ``Cap``, gets
    the cosines of queries and keys; any other gets the softmax inputs, so that ``Softmax(1.0)`` is what the head does itself,
    ``Softmax(0.0)`` the mean of all values and ``Argmax()`` the nearest. With ``steps`` t a query first moves t - 1 times to
    what the rule reads of the keys, as a Hopfield network does.

    .. math:: q \leftarrow \sum_i w_i(q)\, k_i \ \text{(t - 1 times)}, \qquad y = \sum_i w_i(q)\, v_i

    A query with nothing in reach gets zeros.

    Args:
        model: as in ``watch``.
        memory: a separation for all chosen heads, or one for each as ``{(layer, head): separation}``, such as ``circles`` gives.
        layers: attentions, by their place; all if left out.
        heads: places of heads in each of them; all if left out.
        steps: reads a query, >= 1.

    Yields:
        ``Reads``, which counts the queries that found nothing.

    Raises:
        InputError: a layer or head is not there; a rule for cosines meets a model that adds position to its scores.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2Model
        >>> from kanerva import probe
        >>> from kanerva.separation import Softmax
        >>> model = GPT2Model(GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)).eval()
        >>> text = torch.arange(10)[None]
        >>> before = model(text).last_hidden_state
        >>> with probe.replace(model, Softmax(1.0)):
        ...     torch.allclose(model(text).last_hidden_state, before, atol=1e-5)
        True
        >>> with probe.replace(model, Softmax(0.0), layers=[1], heads=[0, 2]):
        ...     torch.allclose(model(text).last_hidden_state, before, atol=1e-5)
        False
        >>> torch.equal(model(text).last_hidden_state, before)
        True
    """
    there = sites(model)
    found = chosen(there, layers)
    steps = checks.integer("steps", steps, 1)
    parts, reads = _parts(memory, {site.layer for site in found}, heads, len(there)), Reads()

    def answer(site: Site, call: Call, output: Tensor) -> Tensor:
        changed = output.clone()
        for part, places in _groups(parts, site.layer, call.query.shape[1]):
            some = _some(call, places)
            if part.expects == ("cosine",) and call.bias is not None and bool(call.bias.any()):
                do = "choose a rule that takes softmax inputs, such as TopK or Entmax"
                refuse(
                    "model",
                    must="one that scores by its queries and keys alone",
                    got="one that adds position",
                    do=do,
                )
            value, empty = read(some, part, steps)
            reads.rows, reads.empty = reads.rows + empty.numel(), reads.empty + int(empty.sum())
            changed[:, :, places] = value.transpose(1, 2).to(output.dtype)
        return changed

    with tapped(
        model,
        [
            (site, answer)
            for site in found
            if any(layer in (None, site.layer) for layer, _ in parts)
        ],
    ):
        yield reads


def read(call: Call, part: Separation, steps: int = 1) -> tuple[Tensor, Tensor]:
    """Read with a rule what an attention was asked: values ``(b, h, q, e)``, and which queries found nothing."""
    for step in range(steps):
        scores = _cosines(call) if part.expects == ("cosine",) else call.logits()
        weights = part(scores, call.keep)
        if step < steps - 1:
            call = call._replace(query=(weights @ call.key.to(weights.dtype)).to(call.query.dtype))
    return weights @ call.value.to(weights.dtype), (weights == 0).all(-1)


@door
def circles(
    heads: Heads, radius: int | None = None, *, space: str = "binary", matched: bool = False
) -> dict[tuple[int, int], Separation]:
    """Give every head that was watched the memory that it comes nearest to, for ``replace``.

    Args:
        heads: of ``watch``.
        radius: in bits, the same for all; that of each head's ``Fit``, if left out.
        space: ``"binary"``, circles of bits, or ``"continuous"``, caps of the sphere.
        matched: take the radius that agrees best with the head on its own scores, not the one of its beta.

    Returns:
        ``{(layer, head): separation}``.

    Raises:
        InputError: the radius is not below half the dimension of the heads.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2Model
        >>> from kanerva import probe
        >>> model = GPT2Model(GPT2Config(n_embd=48, n_layer=1, n_head=3, vocab_size=50, n_positions=32)).eval()
        >>> with probe.watch(model) as heads:
        ...     _ = model(torch.arange(10)[None])
        >>> probe.circles(heads, radius=5)[0, 2]
        CosineCircle(bits=16, radius=5)
    """
    space = checks.choice("space", space, _fit.SPACES)
    found = {}
    for head in heads:
        if radius is not None:
            own = checks.integer("radius", radius, 1, _fit.radii(head.dim)[-1])
        else:
            fit = head.fit(space=space)
            own = fit.matched if matched else fit.radius
        found[head.layer, head.index] = _fit.part(head.dim, own, space)
    return found


def _parts(
    memory: Memory, layers: set[int], heads: Sequence[int] | None, count: int
) -> dict[tuple[int | None, int | None], Separation]:
    """Say which rule reads for which head; None for every layer or head. The model has ``count`` layers."""
    heads = None if heads is None else listed("heads", heads)
    if isinstance(memory, Separation):
        return {(None, head): memory for head in ([None] if heads is None else heads)}
    if not isinstance(memory, Mapping) or not all(
        isinstance(part, Separation) for part in memory.values()
    ):
        must = "a separation, or a dict of one for each (layer, head)"
        refuse(
            "memory",
            memory,
            must=must,
            do="give Argmax(), or probe.circles(heads)",
            error=InputTypeError,
        )
    for place in memory:
        if not isinstance(place, tuple) or len(place) != 2:
            must, do = "for places of heads (layer, head)", "give {(0, 2): Argmax()}"
            refuse("memory", must=must, got=f"for {place!r}", do=do, error=InputTypeError)
    kept: dict[tuple[int | None, int | None], Separation]
    kept = {
        place: part
        for place, part in memory.items()
        if place[0] in layers and (heads is None or place[1] in heads)
    }
    if not kept:
        refuse(
            "memory",
            must="for one or more of the layers and heads chosen",
            got=f"for {list(memory)[:3]}",
            do="choose those",
        )
    for layer, _ in memory:
        checks.integer(
            "memory",
            layer,
            0,
            count - 1,
            f"give places (layer, head) with a layer from 0 to {count - 1}",
        )
    return kept


def _groups(
    parts: Mapping[tuple[int | None, int | None], Separation], layer: int, count: int
) -> list[tuple[Separation, list[int]]]:
    """Gather the heads of a layer that read by the same rule."""
    groups: dict[Separation, list[int]] = {}
    for (own, head), part in parts.items():
        if own not in (None, layer):
            continue
        places = range(count) if head is None else [checks.integer("heads", head, 0, count - 1)]
        groups.setdefault(part, []).extend(places)
    return list(groups.items())


def _some(call: Call, places: list[int]) -> Call:
    """Keep some of the heads only."""
    masks = [
        wide if wide is None or wide.shape[1] == 1 else wide[:, places]
        for wide in (call.keep, call.bias)
    ]
    query, key, value = (part[:, places] for part in (call.query, call.key, call.value))
    return call._replace(query=query, key=key, value=value, keep=masks[0], bias=masks[1])


def _cosines(call: Call) -> Tensor:
    wide = torch.promote_types(call.query.dtype, torch.float32)
    return (normalize(call.query.to(wide), dim=-1) @ normalize(call.key.to(wide), dim=-1).mT).clamp(
        -1, 1
    )
