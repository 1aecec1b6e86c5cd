"""Read the feed-forward layers of a transformer as memories that were written while it was trained, and watch them at work."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.probe import _layers
from kanerva.probe._layers import Layer, rows_in
from kanerva.probe._taps import repeated
from kanerva.probe._temperature import StoreFit, nearest
from kanerva.probe._watch import _Text

__all__ = ["Activated", "Store", "feedforward"]

BLOCK = 2**22  # numbers that are worked on at once


class Activated(NamedTuple):
    """The memories of every token, the strongest first.

    * ``indices``: ``(b, t, top)``; -1 in padding.
    * ``activations``: ``(b, t, top)``, with their signs; 0 in padding.
    """

    indices: Int64[Tensor, "b t top"]
    activations: Float[Tensor, "b t top"]


class Store:
    r"""A feed-forward layer as a memory: it reads sum_i a_i value_i, where a_i = f(x . key_i + bias_i), and adds ``offset``.

    In a gated layer the keys are those of the gate, and a linear part of the input multiplies a_i. The weight of a memory is the
    positive part of a_i, for below zero a GELU or SiLU has but a shallow dip; in a gated layer it is abs(a_i), for either
    sign of the linear part is as good. Weights that are divided by their sum are p. Every number is a mean over the tokens
    that went by, padding left out, and None where there was none.

    ``layer`` is its place among the feed-forward layers of the model, from 0, ``name`` the block that it is, or that it is a
    part of, ``gated`` whether a linear part of the input multiplies, and ``tokens`` how many went by.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva import probe
        >>> small = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=50)
        >>> model = BertModel(small).eval()
        >>> with probe.feedforward(model) as stores:
        ...     _ = model(torch.arange(20).reshape(2, 10))
        >>> stores[0].name, stores[0].keys.shape, stores[0].values.shape, stores[0].tokens
        ('encoder.layer.0', torch.Size([64, 32]), torch.Size([64, 32]), 20)
        >>> 1 < stores[0].effective < 64, stores[0].last.activations.shape
        (True, torch.Size([2, 10, 10]))

    Source: Geva, Schuster, Berant and Levy 2021, section 2; Bricken and Pehlevan 2021, on persistent memory.
    """

    def __init__(self, found: Layer, layer: int, top: int, rows: int, seed: int) -> None:
        self._found, self._most, self._room = found, top, rows
        self.name, self.layer, self.gated, self.tokens = found.name, layer, found.gated, 0
        self._source = torch.Generator().manual_seed(seed)
        self._often = torch.zeros(len(self.values), dtype=torch.int64)
        self._total = torch.zeros(len(self.values), dtype=torch.float64)
        self._sums = dict.fromkeys(("active", "effective", "entropy"), 0.0)
        self._rows: list[tuple[Tensor, Tensor]] = []
        self._last: Any = None
        self._heard: Tensor | None = None
        self._answered = 0

    def __repr__(self) -> str:
        seen = (
            "nothing seen"
            if self.effective is None
            else f"effective {self.effective:.1f} of {len(self.values)}"
        )
        return f"Store({self.layer}: {seen})"

    @property
    def keys(self) -> Float[Tensor, "hidden d"]:
        """What the input is compared with, as a view of the weights; in a gated layer the rows of the gate."""
        return rows_in(self._found.up)[: len(self.values)]

    @property
    def values(self) -> Float[Tensor, "hidden e"]:
        """What is summed, as a view of the weights."""
        return rows_in(self._found.down).T

    @property
    def bias(self) -> Float[Tensor, "hidden"] | None:
        """What is added to the products with the keys, as a view; None for nothing."""
        bias = _layers.bias(self._found.up)
        return None if bias is None else bias[: len(self.values)]

    @property
    def offset(self) -> Float[Tensor, "e"] | None:
        """What is added to every read, whatever was asked, as a view; None for nothing."""
        return _layers.bias(self._found.down)

    @property
    def active(self) -> float | None:
        """Share of the memories whose activation is above zero; in a gated layer, whose product with the key is."""
        return self._sums["active"] / self.tokens if self.tokens else None

    @property
    def effective(self) -> float | None:
        """Effective number of memories in a read, 1 / sum of p squared; tokens that no memory answers do not count."""
        return self._sums["effective"] / self._answered if self._answered else None

    @property
    def entropy(self) -> float | None:
        """Entropy of p, in nats; tokens that no memory answers do not count."""
        return self._sums["entropy"] / self._answered if self._answered else None

    @property
    @door("top")
    def top(self) -> list[tuple[int, float]]:
        """The memories that were most often among the ``top`` of a token, and the share of the tokens in which they were."""
        self._seen()
        return [(index, count / self.tokens) for index, count in _largest(self._often, self._most)]

    @property
    @door("last")
    def last(self) -> Activated:
        """The ``top`` memories of every token of the last call, as ``Activated``."""
        self._seen()
        return self._last

    @door("strongest")
    def strongest(self, n: int = 10) -> list[tuple[int, float]]:
        """Find the memories with the largest mean weight.

        Args:
            n: how many, >= 1; those that never weighed anything are left out.

        Returns:
            index and mean weight, the largest first.

        Raises:
            InputError: nothing was seen.

        Example: see ``feedforward``.
        """
        n = checks.integer("n", n, 1)
        self._seen()
        return [(index, total / self.tokens) for index, total in _largest(self._total, n)]

    @door("fit")
    def fit(self) -> StoreFit:
        """Find the softmax read over the same keys that comes nearest to p on the kept tokens, by mean total variation.

        Returns:
            a ``StoreFit``: beta, how well it agrees, and how well equal weights would.

        Raises:
            InputError: no token was kept.

        Example: see ``feedforward``.
        """
        if not self._rows:
            do = "call the model inside probe.feedforward, with rows >= 1"
            refuse("rows", must="one or more in which a memory answered", got="none", do=do)
        shares, scores = (torch.stack(side).double() for side in zip(*self._rows, strict=True))
        return nearest(shares, scores)

    def _seen(self) -> None:
        if not self.tokens:
            refuse(
                "tokens",
                must="one or more",
                got="none",
                do="call the model inside probe.feedforward, on more than padding",
            )

    def _listen(self, text: _Text) -> list[Any]:
        """Hear what enters the activation function, and what leaves it; return the hooks."""

        def scores(module: nn.Module, args: Any, output: Tensor) -> None:
            self._heard = output.detach()[
                ..., : len(self._often)
            ].clone()  # what follows may write into it

        def activations(module: nn.Module, args: Any) -> None:
            heard, self._heard = self._heard, None
            if repeated():
                return
            if (
                heard is not None
                and heard.numel()
                and args
                and heard.shape == args[0].shape
                and heard.ndim >= 2
            ):
                self._add(heard, args[0].detach(), text)

        return [
            self._found.up.register_forward_hook(scores),
            self._found.down.register_forward_pre_hook(activations),
        ]

    @torch.no_grad()
    def _add(self, scores: Tensor, activations: Tensor, text: _Text) -> None:
        """Take one call in, in blocks."""
        shape = _layers.shape(self.name, activations, text)
        real = _layers.real(self.name, activations.reshape(*shape, -1), text)
        wide = torch.promote_types(activations.dtype, torch.float32)
        indices = torch.full((shape[0] * shape[1], self._most), -1)
        strengths = torch.zeros(indices.shape, dtype=wide)
        places = (
            torch.arange(len(indices))
            if real is None
            else real.flatten().cpu().nonzero().squeeze(1)
        )
        flat = [side.reshape(len(indices), -1) for side in (scores, activations)]
        for block in torch.split(places, max(1, BLOCK // len(self._often))):
            inputs, outputs = (side[block.to(side.device)].to(wide) for side in flat)
            found = self._take(inputs, outputs)
            indices[block], strengths[block] = found.cpu(), outputs.gather(-1, found).cpu()
        self._last = Activated(indices.reshape(*shape, -1), strengths.reshape(*shape, -1))

    def _take(self, scores: Tensor, activations: Tensor) -> Tensor:
        """Take tokens ``(n, hidden)`` in; return the indices of their strongest memories ``(n, top)``."""
        weights = activations.abs() if self.gated else activations.clamp_min(0)
        total = weights.sum(-1)
        there = (total > 0) & total.isfinite()
        shares = weights[there] / total[there, None]
        self.tokens += len(weights)
        self._answered += len(shares)
        self._sums["active"] += float(
            ((scores if self.gated else activations) > 0).double().mean(-1).sum()
        )
        self._sums["effective"] += float((1 / shares.square().sum(-1)).double().sum())
        self._sums["entropy"] += float(torch.special.entr(shares).sum(-1).double().sum())
        largest, found = weights.topk(self._most, -1)
        self._often += torch.bincount(
            found[there][largest[there] > 0], minlength=len(self._often)
        ).cpu()
        self._total += weights[there].sum(0).double().cpu()
        self._keep(shares, scores[there])
        return found

    def _keep(self, shares: Tensor, scores: Tensor) -> None:
        """Keep a few tokens, each of all that went by with the same chance (Vitter 1985, algorithm R)."""
        later = torch.arange(self._answered - len(shares), self._answered)
        drawn = (
            torch.rand(len(later), generator=self._source, dtype=torch.float64) * (later + 1)
        ).long()
        places = torch.where(later < self._room, later, drawn)
        for token in (places < self._room).nonzero().squeeze(1).tolist():
            place = int(places[token])
            self._rows[place : place + 1] = [
                (shares[token].float().cpu(), scores[token].float().cpu())
            ]


@contextmanager
@door
def feedforward(
    model: nn.Module, *, top: int = 10, rows: int = 32, seed: int = 0
) -> Iterator[list[Store]]:
    """Watch the feed-forward layers of a transformer as memories: inside, its outputs are what they were, bit for bit.

    The keys and values are the weights of the layer, written while the model was trained; the activations are the weights of
    a read. Nothing grows with the number of calls. Padding is left out where the model is called with ``attention_mask``, but not
    from experts that tokens are sent to one by one.

    Args:
        model: of transformers, or any whose blocks name their layers as one of its families does.
        top: how many memories of a token are named, 1 to the number in the smallest layer.
        rows: how many tokens are kept of each layer, for ``Store.fit``.
        seed: of which ones, >= 0.

    Yields:
        a ``Store`` for each layer, in the order of the model, filled as it is called.

    Raises:
        InputError: the model has no feed-forward layer that is known.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> from kanerva import probe
        >>> _ = torch.manual_seed(0)
        >>> model = GPT2LMHeadModel(GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)).eval()
        >>> with probe.feedforward(model, top=5) as stores:
        ...     _ = model(torch.arange(20).reshape(2, 10))
        >>> store = stores[1]
        >>> store.name, store.keys.shape, store.tokens, store.last.indices.shape
        ('transformer.h.1.mlp', torch.Size([192, 48]), 20, torch.Size([2, 10, 5]))
        >>> 1 < store.effective < 192, len(store.strongest(3)), store.fit().overlap >= store.fit().uniform
        (True, 3, True)
    """
    found = _layers.found(model)
    top = checks.integer("top", top, 1, min(rows_in(layer.down).shape[1] for layer in found))
    rows, seed = checks.integer("rows", rows, 0, 10_000), checks.integer("seed", seed, 0)
    stores = [Store(layer, place, top, rows, seed + place) for place, layer in enumerate(found)]
    text = _Text(model, None)
    hooks: list[Any] = []
    try:
        with text.read():
            for store in stores:
                hooks += store._listen(text)
            yield stores
    finally:
        for hook in hooks:
            hook.remove()
        for store in stores:
            store._heard = None


def _largest(numbers: Tensor, count: int) -> list[tuple[int, Any]]:
    """Return the places and sizes of the largest numbers, those above zero; of equals the first comes first."""
    order = numbers.sort(descending=True, stable=True).indices[:count]
    return [(place, numbers[place].item()) for place in order.tolist() if numbers[place] > 0]
