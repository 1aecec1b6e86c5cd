"""Replace the reads of heads by those of other memories."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.probe import _fit
from kanerva.probe._calls import Call
from kanerva.probe._head import Head
from kanerva.probe._intercept import intercepted
from kanerva.probe._sites import Site, chosen, listed, sites
from kanerva.probe._watch import Heads
from kanerva.separation import Separation

__all__ = ["Memory", "Reads", "circles", "read", "replace"]

Memory = Separation | Mapping[tuple[int, int], Separation]
# Rules by (layer, head); None stands for every layer or head.
Rules = Mapping[tuple[int | None, int | None], Separation]


class Reads:
    """Counts of the reads of replaced heads so far; see ``replace``.

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
        """Share of the reads with nothing in reach, whose results are zeros; None before any."""
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
    r"""Replace the reads of chosen heads inside the block; afterwards the model is as before.

    Queries, keys, values and masks are those of the model. A rule for cosines, such as
    ``CosineCircle`` or ``Cap``, takes the cosines of queries and keys. Any other rule takes the
    softmax inputs: ``Softmax(1.0)`` reproduces the head, ``Softmax(0.0)`` is the mean of all
    values, and ``Argmax()`` the value of the nearest key. A learned sink is one more key, without a
    value (``Sink``). With ``steps`` t the query is first
    replaced t - 1 times by its read of the keys, as in a Hopfield network.

    .. math:: q \leftarrow \sum_i w_i(q)\, k_i \ \text{(t - 1 times)}, \qquad
        y = \sum_i w_i(q)\, v_i

    Where no key is in reach of a query, the result is zero.

    Args:
        model: as in ``watch``.
        memory: a separation for all chosen heads, or ``{(layer, head): separation}``, such as
            ``circles`` returns.
        layers: attentions, by their place; all if omitted.
        heads: heads of each attention, by their place; all if omitted.
        steps: reads of each query, >= 1.

    Yields:
        ``Reads``, which counts the queries with nothing in reach.

    Raises:
        InputError: no such layer or head, or a rule for cosines in a model that adds a position
            bias to its scores or has learned sinks.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2Model
        >>> from kanerva import probe
        >>> from kanerva.separation import Softmax
        >>> config = GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)
        >>> model = GPT2Model(config).eval()
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
    found = sites(model)
    kept = chosen(found, layers)
    steps = checks.integer("steps", steps, 1)
    rules = _rules(memory, {site.layer for site in kept}, heads, len(found))
    reads = Reads()

    def substitute(site: Site, call: Call, output: Tensor) -> Tensor:
        changed = output.clone()
        for rule, places in _heads_by_rule(rules, site.layer, call.query.shape[1]):
            some = call.heads(places)
            _check_cosines(rule, some)
            value, empty = read(some, rule, steps)
            reads.rows += empty.numel()
            reads.empty += int(empty.sum())
            changed[:, :, places] = value.transpose(1, 2).to(output.dtype)
        return changed

    layers_of_rules = {layer for layer, _ in rules}
    replaced = [site for site in kept if layers_of_rules & {None, site.layer}]
    with intercepted(model, [(site, substitute) for site in replaced]):
        yield reads


def read(call: Call, rule: Separation, steps: int = 1) -> tuple[Tensor, Tensor]:
    """Read by a rule with the arguments of a call.

    Returns:
        the results ``(b, h, q, e)``, and ``(b, h, q)`` True for queries with nothing in reach.
    """
    cosine = rule.expects == ("cosine",)
    rule = rule if cosine else call.with_null(rule)
    for step in range(steps):
        weights = rule(_cosines(call) if cosine else call.logits(), call.keep)
        if step < steps - 1:
            moved = weights @ call.key.to(weights.dtype)
            call = call._replace(query=moved.to(call.query.dtype))
    return weights @ call.value.to(weights.dtype), (weights == 0).all(-1)


@door
def circles(
    heads: Sequence[Head],
    radius: int | None = None,
    *,
    space: str = "binary",
    matched: bool = False,
) -> dict[tuple[int, int], Separation]:
    """Return the nearest memory of every measured head, for ``replace``.

    Args:
        heads: of ``watch``, or a list of some of them.
        radius: in bits, the same for all heads; that of each head's ``Fit`` if omitted.
        space: ``"binary"``, for circles of bits, or ``"continuous"``, for caps of the sphere.
        matched: take the radius that agrees best with the head on its own scores, instead of the
            radius of its beta.

    Returns:
        ``{(layer, head): separation}``.

    Raises:
        InputError: the radius is not below half the dimension of the heads.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2Model
        >>> from kanerva import probe
        >>> config = GPT2Config(n_embd=48, n_layer=1, n_head=3, vocab_size=50, n_positions=32)
        >>> model = GPT2Model(config).eval()
        >>> with probe.watch(model) as heads:
        ...     _ = model(torch.arange(10)[None])
        >>> probe.circles(heads, radius=5)[0, 2]
        CosineCircle(bits=16, radius=5)
    """
    space, matched = checks.choice("space", space, _fit.SPACES), checks.flag("matched", matched)
    if not isinstance(heads, Heads | list | tuple) or not all(isinstance(h, Head) for h in heads):
        do = "give the heads that probe.watch yields, or some of them in a list"
        refuse("heads", heads, must="heads that were watched", do=do, error=InputTypeError)
    if radius is not None:
        checks.integer("radius", radius, 1)
    found = {}
    for head in heads:
        if radius is not None:
            own = checks.integer("radius", radius, 1, _fit.radii(head.dim)[-1])
        else:
            fit = head.fit(space=space)
            own = fit.matched if matched else fit.radius
        found[head.layer, head.index] = _fit.memory(head.dim, own, space)
    return found


def _rules(memory: Any, layers: set[int], heads: Sequence[int] | None, count: int) -> Rules:
    """Return the checked rules of the chosen heads.

    Args:
        memory: a rule, or rules by (layer, head).
        layers: places of the chosen layers.
        heads: places of the chosen heads; None for all.
        count: number of layers of the model.
    """
    if heads is not None:
        heads = [checks.integer("heads", head, 0) for head in listed("heads", heads)]
    if isinstance(memory, Separation):
        return {(None, head): memory for head in ([None] if heads is None else heads)}
    rules = memory.values() if isinstance(memory, Mapping) else [None]
    if not all(isinstance(rule, Separation) for rule in rules):
        must = "a separation, or a dict of one for each (layer, head)"
        do = "give Argmax(), or probe.circles(heads)"
        refuse("memory", memory, must=must, do=do, error=InputTypeError)
    for place in memory:
        if not isinstance(place, tuple) or len(place) != 2:
            must, do = "for places of heads (layer, head)", "give {(0, 2): Argmax()}"
            refuse("memory", got=f"for {place!r}", must=must, do=do, error=InputTypeError)
        for part in place:
            checks.integer("memory", part, 0, do="give {(0, 2): Argmax()}")
    kept = {
        (layer, head): rule
        for (layer, head), rule in memory.items()
        if layer in layers and (heads is None or head in heads)
    }
    if not kept:
        must = "for one or more of the layers and heads chosen"
        refuse("memory", got=f"for {list(memory)[:3]}", must=must, do="choose those")
    for layer, _ in memory:
        do = f"give places (layer, head) with a layer from 0 to {count - 1}"
        checks.integer("memory", layer, 0, count - 1, do)
    return kept


def _heads_by_rule(rules: Rules, layer: int, count: int) -> list[tuple[Separation, list[int]]]:
    """Group the heads of a layer, of which there are ``count``, by their rule."""
    groups: dict[Separation, list[int]] = {}
    for (own, head), rule in rules.items():
        if own in (None, layer):
            places = range(count) if head is None else [checks.integer("heads", head, 0, count - 1)]
            groups.setdefault(rule, []).extend(places)
    return list(groups.items())


def _check_cosines(rule: Separation, call: Call) -> None:
    """Refuse a rule for cosines where the scores depend on more than queries and keys."""
    if rule.expects != ("cosine",):
        return
    must = "one that scores by its queries and keys alone"
    do = "choose a rule that takes softmax inputs, such as TopK or Entmax"
    if call.bias is not None and bool(call.bias.any()):
        refuse("model", got="one that adds a position bias", must=must, do=do)
    if call.null is not None:
        refuse("model", got="one with learned sinks", must=must, do=do)


def _cosines(call: Call) -> Tensor:
    """Return the cosines of queries and keys, in float32 or wider."""
    wide = torch.promote_types(call.query.dtype, torch.float32)
    query, key = (normalize(rows.to(wide), dim=-1) for rows in (call.query, call.key))
    return (query @ key.mT).clamp(-1, 1)
