"""Watch the heads of a transformer at work, without changing what it does."""

import inspect
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast, overload

import torch
from torch import Tensor, nn

from kanerva._core import checks
from kanerva._core.errors import describe, door, refuse
from kanerva.probe import _fit
from kanerva.probe._fit import Agreement, Fit
from kanerva.probe._summary import COSINES, DECADES, INPUTS, Summary
from kanerva.probe._taps import Call, Site, own_norms, repeated, sites, tapped

__all__ = ["Head", "Heads", "watch"]


class Head:
    """What was seen of one head; every number is a mean over the queries that were looked at, None where none was.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva import probe
        >>> small = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=50)
        >>> with probe.watch(BertModel(small).eval()) as heads:
        ...     _ = heads.model(torch.arange(20).reshape(2, 10))
        >>> head = heads[0, 3]
        >>> head.name, head.queries, head.attended
        ('encoder.layer.0.attention.self.3', 20, 10.0)
        >>> head.fit().regime in ("noise", "snr", "capacity")
        True
    """

    def __init__(self, site: Site, index: int, summary: Summary) -> None:
        self._site, self._index, self._summary = site, index, summary

    def __repr__(self) -> str:
        beta = (
            "nothing seen"
            if self.beta is None
            else f"beta {self.beta:.2f}, effective {self.effective:.1f} of {self.attended:.1f}"
        )
        return f"Head({self.layer}, {self.index}: {beta})"

    def _mean(self, name: str) -> float | None:
        return self._summary.moments[name].mean(self._index)

    def _relative(self, name: str) -> float | None:
        mean, spread = self._mean(name), self._summary.moments[name].spread(self._index)
        return spread / mean if mean and spread is not None else None

    @property
    def layer(self) -> int:
        """The place of its attention among those of the model, from 0."""
        return self._site.layer

    @property
    def index(self) -> int:
        """Its place among the heads of its attention, from 0."""
        return self._index

    @property
    def kind(self) -> str:
        """``"self"``, or ``"cross"`` where the keys come from another text."""
        return self._site.kind

    @property
    def name(self) -> str:
        """The name of its module in the model, and its place there."""
        return f"{self._site.name}.{self._index}"

    @property
    def dim(self) -> int:
        """Dimension n of its queries and keys."""
        return self._summary.dim

    @property
    def queries(self) -> int:
        """How many queries were looked at."""
        return int(self._summary.moments["entropy"].count[self._index])

    @property
    def attended(self) -> float | None:
        """How many tokens a query may attend to."""
        return self._mean("attended")

    @property
    def query_norm(self) -> float | None:
        """Length of the queries."""
        return self._mean("query")

    @property
    def query_spread(self) -> float | None:
        """Standard deviation of their length over its mean; 0 on a sphere."""
        return self._relative("query")

    @property
    def key_norm(self) -> float | None:
        """Length of the keys."""
        return self._mean("key")

    @property
    def key_spread(self) -> float | None:
        """Standard deviation of their length over its mean; 0 on a sphere."""
        return self._relative("key")

    @property
    def value_norm(self) -> float | None:
        """Length of the values."""
        return self._mean("value")

    @property
    def value_attended(self) -> float | None:
        """Length of the values under the weights that they get; below ``value_norm`` where attention goes to short ones."""
        total, weight = self._summary.attended[:, self._index].tolist()
        return total / weight if weight else None

    @property
    def value_by_weight(self) -> list[float | None]:
        """Length of the values that get a weight up to 1e-5, 1e-4, ..., 1; None for a class that nothing fell in."""
        count, total = self._summary.values[:, self._index]
        return [
            float(total[place] / count[place]) if count[place] else None for place in range(DECADES)
        ]

    @property
    def beta(self) -> float | None:
        """Effective inverse temperature per unit of cosine, scale |q| |k|, over the pairs of a query and a key it may attend to."""
        return self._mean("beta")

    @property
    def beta_spread(self) -> float | None:
        """Standard deviation of that over its mean; 0 where one beta serves all pairs."""
        return self._relative("beta")

    @property
    def beta_max(self) -> float | None:
        """The largest softmax input of a query: a lower bound of its beta, and how Bricken and Pehlevan (2021) read GPT-2."""
        return self._mean("top_input")

    @property
    def beta_peak(self) -> float | None:
        """The largest softmax input of all."""
        largest = float(self._summary.moments["top_input"].largest[self._index])
        return largest if largest > float("-inf") else None

    @property
    def straight(self) -> float | None:
        """Share of the variance of the softmax inputs of a query that a line in the cosine explains; 1 on a sphere."""
        return self._mean("line")

    @property
    def cosine(self) -> float | None:
        """Cosine between queries and keys."""
        return self._mean("cosine")

    @property
    def cosines(self) -> tuple[Tensor, Tensor]:
        """How many pairs had which cosine: counts ``(100,)`` and the edges between them ``(101,)``."""
        return self._summary.cosines[self._index].clone(), COSINES.clone()

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """How many pairs had which softmax input: counts ``(256,)`` and the edges ``(257,)``; the ends take what lies beyond."""
        return self._summary.inputs[self._index].clone(), INPUTS.clone()

    @property
    def entropy(self) -> float | None:
        """Entropy of the weights of a query, in nats."""
        return self._mean("entropy")

    @property
    def effective(self) -> float | None:
        """Effective number of tokens attended to, 1 / sum of squared weights."""
        return self._mean("effective")

    @property
    def top(self) -> float | None:
        """The largest weight of a query."""
        return self._mean("top")

    @property
    def first(self) -> float | None:
        """Weight on the first token."""
        return self._mean("first")

    @property
    def special(self) -> float | None:
        """Weight on special tokens; None where ``watch`` was not told which they are."""
        return self._mean("special")

    @property
    def sink(self) -> float | None:
        """Weight on the token that gets most of all queries of its text."""
        return self._mean("sink")

    @property
    def needed(self) -> float | None:
        """How many tokens hold nine tenths of the weight: the median over the rows that were kept."""
        found = self._summary.needed(self._index)
        return None if found is None else found[0]

    @property
    def phase(self) -> str | None:
        """What it retrieves, by how many tokens hold nine tenths of the weight, after Ramsauer and others (2021).

        One is a ``"single"`` memory, more than half of them an ``"average"``, what lies between a metastable ``"subset"``.
        """
        found = self._summary.needed(self._index)
        if found is None:
            return None
        count, share = found
        return "single" if count <= 1 else "average" if share > 0.5 else "subset"

    @property
    def norm(self) -> str:
        """``"qk"`` where queries and keys are normalised themselves, else the norm between layers: ``"rms"``, ``"layer"``, ``"none"``."""
        return self._site.norm

    @property
    def learned_scale(self) -> float | None:
        """The beta that a learned scale of queries and keys stands for, scale times the lengths it gives; None without one.

        Where one norm spans all heads, as in OLMo2, it is what heads have on average.
        """
        return _learned(self._site.module, self.dim) if self._site.norm == "qk" else None

    def fit(self, patterns: int | None = None, space: str = "binary") -> Fit:
        """Find the sparse distributed memory that it comes nearest to.

        Args:
            patterns: how many the memory holds, >= 2; as many as a query attends to, if left out.
            space: ``"binary"``, circles of bits read between whole distances, or ``"continuous"``, caps of the sphere.

        Returns:
            a ``Fit``: radius, activation, regime, and how well their weights agree.

        Raises:
            InputError: the head saw nothing.

        Example: see ``watch``.
        """
        return _fit.fit(self._summary, self._index, patterns, space)

    @door("agreement")
    def agreement(self, space: str = "binary") -> dict[int, Agreement]:
        """Compare its weights with those of memories of every radius, on the rows that were kept.

        Args:
            space: ``"binary"`` or ``"continuous"``.

        Returns:
            radius to ``Agreement``.

        Example: see ``watch``.
        """
        space = checks.choice("space", space, _fit.SPACES)
        return {
            radius: heads[self._index]
            for radius, heads in _fit.agreement(self._summary, space).items()
        }

    def numbers(self) -> dict[str, Any]:
        """Lay out all plain numbers as columns of a table."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = (
    *("layer", "index", "name", "kind", "dim", "queries", "attended", "norm", "learned_scale"),
    *(
        "query_norm",
        "query_spread",
        "key_norm",
        "key_spread",
        "beta",
        "beta_spread",
        "beta_max",
        "beta_peak",
        "straight",
        "cosine",
    ),
    *(
        "entropy",
        "effective",
        "top",
        "needed",
        "phase",
        "first",
        "special",
        "sink",
        "value_norm",
        "value_attended",
    ),
)


class Heads(Sequence[Head]):
    """The heads of a model, layer by layer: ``heads[5]``, or ``heads[layer, index]``; see ``watch``.

    Example:
        >>> from torch import nn
        >>> from kanerva import probe
        >>> with probe.watch(nn.Sequential(nn.TransformerEncoderLayer(16, 4))) as heads:  # torch's own layers have no door
        ...     pass
        Traceback (most recent call last):
        ...
        kanerva.InputError: watch: model must be a model that looks its attention up in the registry of transformers, ...
    """

    def __init__(self, model: nn.Module, found: Sequence[Site]) -> None:
        self.model = model
        self._sites = {site.layer: site for site in found}
        self._summaries: dict[int, Summary] = {}

    @property
    def layers(self) -> list[int]:
        """The attentions that were seen at work."""
        return sorted(self._summaries)

    def _all(self) -> list[Head]:
        summaries = ((self._sites[layer], self._summaries[layer]) for layer in self.layers)
        return [
            Head(site, index, summary)
            for site, summary in summaries
            for index in range(summary.heads)
        ]

    def __len__(self) -> int:
        return sum(summary.heads for summary in self._summaries.values())

    @overload
    def __getitem__(self, place: int | tuple[int, int]) -> Head: ...
    @overload
    def __getitem__(self, place: slice) -> list[Head]: ...
    @door("heads")
    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, tuple):
            if not len(self):
                refuse(
                    "model",
                    must="called inside probe.watch",
                    got="not called yet",
                    do="call heads.model on a text there",
                )
            return self._all()[place]
        layer, index = place
        if layer not in self._summaries:
            must = f"one of {self.layers}" if self._summaries else "one that was seen at work"
            refuse("layer", must=must, got=repr(layer), do="see heads.layers")
        summary = self._summaries[layer]
        return Head(
            self._sites[layer], checks.integer("index", index, 0, summary.heads - 1), summary
        )

    def table(self, patterns: int | None = None, space: str = "binary") -> list[dict[str, Any]]:
        """Lay out what was seen and what was fitted, a row a head.

        Args:
            patterns: as in ``Head.fit``.
            space: as in ``Head.fit``.

        Returns:
            rows for a table: the names of ``Head``, then those of ``Fit``.
        """
        return [head.numbers() | _fit.named(head.fit(patterns, space)) for head in self._all()]


@contextmanager
@door
def watch(
    model: nn.Module,
    *,
    layers: Sequence[int] | None = None,
    special: Sequence[int] | None = None,
    size: int | None = 256,
    rows: int = 32,
    shuffled: bool = False,
    seed: int = 0,
) -> Iterator[Heads]:
    """Watch the heads of a transformer: inside, its outputs are what they were, bit for bit; afterwards all is as before.

    For each head it sums up the lengths of queries, keys and values, cosines and softmax inputs, the effective beta, the
    entropy and the effective number of what is attended to, and where the weight goes. Nothing grows with the number of
    calls. Padding is left out where the model is called with ``attention_mask``.

    Args:
        model: of transformers >= 4.56, or any module that calls ``torch.nn.functional.scaled_dot_product_attention``.
        layers: the attentions to watch, by their place in the model, from 0; all if left out.
        special: ids of tokens that only structure a text, such as ``tokenizer.all_special_ids``; their share of the weight
            is measured where the model is called with ``input_ids``.
        size: how many queries of a call are looked at in each layer, at most, chosen at random; None for all. Lengths are
            always taken of all.
        rows: how many rows of scores are kept of each layer, for ``Head.fit``, ``Head.agreement`` and ``Head.phase``.
        shuffled: look at keys whose coordinates were put into another order, the same for all keys: a control, in which
            lengths stay what they are and queries meet keys that were not made for them.
        seed: of what is chosen, >= 0.

    Yields:
        ``Heads``, a sequence of one record a head, filled as the model is called.

    Raises:
        InputError: the model has no attention that can be heard, or a layer is not there.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> from kanerva import probe
        >>> _ = torch.manual_seed(0)
        >>> model = GPT2LMHeadModel(GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)).eval()
        >>> with probe.watch(model) as heads:
        ...     _ = model(torch.arange(20).reshape(2, 10))
        >>> len(heads), heads[1, 0].attended
        (6, 5.5)
        >>> found = heads[1, 0].fit()
        >>> found.regime, found.outside, found.agreement.variation < 1
        ('noise', 'broader', True)
    """
    found = chosen(sites(model), layers)
    ids = (
        None
        if special is None
        else torch.tensor([checks.integer("special", one, 0) for one in special], dtype=torch.long)
    )
    size = None if size is None else checks.integer("size", size, 1)
    rows, seed = checks.integer("rows", rows, 0, 10_000), checks.integer("seed", seed, 0)
    heads, text, lock = Heads(model, found), _Text(model, ids), threading.Lock()

    def hear(site: Site, call: Call, output: Tensor) -> None:
        if repeated():
            return
        with lock:
            if site.layer not in heads._summaries:
                heads._summaries[site.layer] = Summary(
                    call.query.shape[1], size, rows, seed + site.layer
                )
            if shuffled:
                order = torch.randperm(
                    call.key.shape[-1], generator=torch.Generator().manual_seed(seed + site.layer)
                )
                call = call._replace(key=call.key[..., order.to(call.key.device)])
            heads._summaries[site.layer].add(call, *text.about(site, call))

    with text.read(), tapped(model, [(site, hear) for site in found]):
        yield heads


def chosen(found: list[Site], layers: Sequence[int] | None) -> list[Site]:
    """Pick attentions by their place."""
    if layers is None:
        return found
    places = {
        checks.integer("layers", layer, 0, len(found) - 1) for layer in listed("layers", layers)
    }
    return [site for site in found if site.layer in places]


def listed(argument: str, given: Any) -> list[int]:
    """Check a choice of places."""
    places = list(given) if isinstance(given, Iterable) else []
    if not places:
        got = describe(given)
        refuse(
            argument,
            must="a list of one place or more",
            got=got,
            do=f"give {argument}=[0], or leave it out for all",
        )
    return places


class _Text(threading.local):
    """What the model is reading now, in each thread: which queries are padding, which keys are special, which key is the first."""

    def __init__(self, model: nn.Module, special: Tensor | None) -> None:
        self.model, self.special = model, special
        self.now: dict[str, Any] = {}

    @contextmanager
    def read(self) -> Iterator[None]:
        """Listen to what the model is called with."""
        takes = inspect.signature(self.model.forward)

        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            try:
                self.now = takes.bind_partial(*args, **kwargs).arguments
            except TypeError:
                self.now = {}

        def after(module: nn.Module, args: Any, output: Any) -> None:
            self.now = {}

        hooks = (
            self.model.register_forward_pre_hook(before, with_kwargs=True),
            self.model.register_forward_hook(after, always_call=True),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def about(self, site: Site, call: Call) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Say which queries ``(b, q)`` are real, which keys ``(b, k)`` are special, and where the first real key ``(b,)`` is."""
        if "vision" in site.name or "visual" in site.name:
            return None, None, None  # masks and ids are those of the text beside it
        decodes = site.kind == "cross" or "decoder" in site.name.split(".")
        own = (
            "decoder_"
            if decodes and getattr(getattr(self.model, "config", None), "is_encoder_decoder", False)
            else ""
        )
        above = "" if site.kind == "cross" else own  # what the keys are made from
        (batch, _, queries, _), keys = call.query.shape, call.key.shape[2]
        real = self._fitting(f"{own}attention_mask", batch, queries)
        if real is None and any(
            self._fitting(f"{own}{name}", batch, queries) is not None
            for name in ("input_ids", "inputs_embeds")
        ):
            real = self._given(
                f"{own}attention_mask"
            )  # it tells of tokens that were read before, too
            real = (
                None
                if real is None or len(real) != batch or real.shape[1] < queries
                else real[:, -queries:]
            )
        ids, there = (
            self._fitting(f"{above}input_ids", batch, keys),
            self._given(f"{above}attention_mask"),
        )
        there = None if there is None or len(there) != batch or there.shape[1] > keys else there
        special = (
            None
            if ids is None or self.special is None
            else torch.isin(ids, self.special.to(ids.device))
        )
        return (
            None if real is None else real.bool(),
            special,
            None if there is None else there.bool().int().argmax(-1),
        )

    def _given(self, name: str) -> Tensor | None:
        given = self.now.get(name)
        return (
            given
            if isinstance(given, Tensor) and given.ndim == (3 if name.endswith("embeds") else 2)
            else None
        )

    def _fitting(self, name: str, batch: int, length: int) -> Tensor | None:
        given = self._given(name)
        return given if given is not None and given.shape[:2] == (batch, length) else None


def _learned(module: nn.Module, dim: int) -> float | None:
    """Multiply the lengths that norms of queries and keys give: a vector of entries around one, times its weights."""
    scales = own_norms(module)
    if not all(isinstance(getattr(norm, "weight", None), Tensor) for norm in scales):
        return None
    weights = [cast(Tensor, norm.weight).detach().float() for norm in scales]
    lengths = [float(weight.square().mean().sqrt()) * dim**0.5 for weight in weights]
    return float(getattr(module, "scaling", dim**-0.5)) * lengths[0] * lengths[1]
