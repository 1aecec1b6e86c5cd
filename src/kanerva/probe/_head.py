"""What was measured of one head."""

from typing import Any, cast

from torch import Tensor, nn

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.probe import _fit
from kanerva.probe._fit import Agreement, Fit
from kanerva.probe._sites import Site, own_norms
from kanerva.probe._summary import COSINES, DECADES, INPUTS, Summary
from kanerva.theory import beta as beta_
from kanerva.theory import kernel

__all__ = ["Head"]

ROUNDING = 0.02  # of outputs in bfloat16, with room

COLUMNS = (
    "layer",
    "index",
    "name",
    "kind",
    "dim",
    "queries",
    "attended",
    "norm",
    "learned_scale",
    "query_norm",
    "query_spread",
    "key_norm",
    "key_spread",
    "beta",
    "beta_spread",
    "beta_max",
    "beta_peak",
    "prior_spread",
    "noise",
    "straight",
    "cosine",
    "entropy",
    "effective",
    "top",
    "needed",
    "phase",
    "first",
    "special",
    "sink",
    "null",
    "mismatch",
    "value_norm",
    "value_attended",
)


class Head:
    """Measurements of one head.

    Every number is a mean over the analysed queries, unless its description says otherwise, and
    None where there were none. All of them describe what the head does to its scores, by whatever
    the model puts between the product of a query and a key and the softmax: a scale, a soft cap, a
    position bias, a learned sink. ``mismatch`` says whether that was all.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva import probe
        >>> small = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2,
        ...                    num_attention_heads=4, intermediate_size=64)
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
        if self.beta is None:
            return f"Head({self.layer}, {self.index}: nothing seen)"
        effective = f"effective {self.effective:.1f} of {self.attended:.1f}"
        hidden = ", not all of it seen" if self.hidden else ""
        return f"Head({self.layer}, {self.index}: beta {self.beta:.2f}, {effective}{hidden})"

    def _mean(self, name: str) -> float | None:
        return self._summary.moments[name].mean(self._index)

    def _relative_spread(self, name: str) -> float | None:
        mean, spread = self._mean(name), self._summary.moments[name].spread(self._index)
        return spread / mean if mean and spread is not None else None

    @property
    def layer(self) -> int:
        """Place of its attention among those of the model, from 0."""
        return self._site.layer

    @property
    def index(self) -> int:
        """Place of the head in its attention, from 0."""
        return self._index

    @property
    def kind(self) -> str:
        """``"self"``, or ``"cross"`` where the keys come from another input."""
        return self._site.kind

    @property
    def name(self) -> str:
        """Name of its module in the model, and its place there."""
        return f"{self._site.name}.{self._index}"

    @property
    def dim(self) -> int:
        """Dimension n of its queries and keys."""
        return self._summary.dim

    @property
    def queries(self) -> int:
        """Number of analysed queries."""
        return int(self._summary.moments["entropy"].count[self._index])

    @property
    def attended(self) -> float | None:
        """Number of tokens that a query may attend to."""
        return self._mean("attended")

    @property
    def query_norm(self) -> float | None:
        """Length of the queries."""
        return self._mean("query")

    @property
    def query_spread(self) -> float | None:
        """Standard deviation of the length of queries over its mean; 0 on a sphere."""
        return self._relative_spread("query")

    @property
    def key_norm(self) -> float | None:
        """Length of the keys."""
        return self._mean("key")

    @property
    def key_spread(self) -> float | None:
        """Standard deviation of the length of keys over its mean; 0 on a sphere."""
        return self._relative_spread("key")

    @property
    def value_norm(self) -> float | None:
        """Length of the values."""
        return self._mean("value")

    @property
    def value_attended(self) -> float | None:
        """Length of the values, weighted by their weights.

        It is below ``value_norm`` where the attention prefers short values.
        """
        total, weight = self._summary.attended[:, self._index].tolist()
        return total / weight if weight else None

    @property
    def value_by_weight(self) -> list[float | None]:
        """Length of the values with a weight up to 1e-5, up to 1e-4, ..., up to 1.

        None for a class without values.
        """
        count, total = self._summary.values[:, self._index]
        return [
            float(total[place] / count[place]) if count[place] else None for place in range(DECADES)
        ]

    @property
    def beta(self) -> float | None:
        """Effective inverse temperature per unit of cosine, scale |q| |k|.

        It is the mean over all pairs of a query and a key that it may attend to. A soft cap, which
        makes of a scaled product x the input cap tanh(x / cap), multiplies it by 1 - tanh(x /
        cap)^2, the slope of the input. A position bias and a learned sink leave it as it is.
        """
        return self._mean("beta")

    @property
    def beta_spread(self) -> float | None:
        """Standard deviation of that over its mean; 0 where all pairs have one beta."""
        return self._relative_spread("beta")

    @property
    def kappa(self) -> float | None:
        """Concentration of the keys, if the head is a mixture on the sphere: the same as ``beta``.

        Such a mixture has a von Mises-Fisher density for each key, around its direction, and the
        weights of the head are the posterior of a query (``density.attention_as_vmf``).
        """
        return self.beta

    @property
    def prior_spread(self) -> float | None:
        """Change of the log prior of a key by a standard deviation of its length, in nats.

        Mixing weights of such a mixture grow with the length of the key, by 1 / C(kappa) for the
        normaliser C of its density. The number is half of the difference from a key one standard
        deviation shorter than the mean to one as much longer, for a query of mean length; it is 0
        where the keys lie on a sphere. Position biases are not counted.
        """
        if self.kappa is None or self.key_spread is None or self.kappa < 0:
            return None
        short, long = (max(0.0, 1 + sign * self.key_spread) * self.kappa for sign in (-1, 1))
        low, high = (kernel.log_normaliser("vmf", self.dim, one) for one in (short, long))
        return (high - low) / 2

    @property
    def beta_max(self) -> float | None:
        """Largest softmax input of a query: a lower bound of its beta, without a position bias.

        Bricken and Pehlevan (2021) read GPT-2 this way.
        """
        return self._mean("top_input")

    @property
    def beta_peak(self) -> float | None:
        """Largest softmax input of all queries."""
        largest = float(self._summary.moments["top_input"].largest[self._index])
        return largest if largest > float("-inf") else None

    @property
    def noise(self) -> float | None:
        """Share of wrong bits in its queries that ``beta`` is best for, 0 to 0.5.

        Attention with this beta is the posterior over patterns of ``dim`` bits, of which each is
        flipped with this probability (``theory.beta.noise``).
        """
        return None if self.beta is None or self.beta < 0 else beta_.noise(self.dim, self.beta)

    @property
    def straight(self) -> float | None:
        """Share of the variance of a query's softmax inputs that is linear in the cosine.

        It is 1 where the keys lie on a sphere.
        """
        return self._mean("line")

    @property
    def cosine(self) -> float | None:
        """Cosine between queries and keys."""
        return self._mean("cosine")

    @property
    def cosines(self) -> tuple[Tensor, Tensor]:
        """Histogram of the cosines of all pairs: counts ``(100,)`` and edges ``(101,)``."""
        return self._summary.cosines[self._index].clone(), COSINES.clone()

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """Histogram of the softmax inputs of all pairs: counts ``(256,)`` and edges ``(257,)``.

        The first and the last count include everything beyond.
        """
        return self._summary.inputs[self._index].clone(), INPUTS.clone()

    @property
    def entropy(self) -> float | None:
        """Entropy of the weights of a query, in nats; a learned sink is one more key."""
        return self._mean("entropy")

    @property
    def effective(self) -> float | None:
        """Effective number of attended tokens, 1 / sum of squared weights.

        A learned sink is one more key.
        """
        return self._mean("effective")

    @property
    def top(self) -> float | None:
        """Largest weight of a query."""
        return self._mean("top")

    @property
    def first(self) -> float | None:
        """Weight on the first token."""
        return self._mean("first")

    @property
    def special(self) -> float | None:
        """Weight on special tokens; None where ``watch`` was called without their ids."""
        return self._mean("special")

    @property
    def sink(self) -> float | None:
        """Weight on the token that receives most weight from all queries of its text."""
        return self._mean("sink")

    @property
    def null(self) -> float | None:
        """Weight that goes to no token, but to a learned sink; None for a model without one."""
        return self._mean("null")

    @property
    def biased(self) -> bool:
        """Whether the model adds a bias to its scores, such as one of the relative position."""
        return self._summary.biased

    @property
    def mismatch(self) -> float | None:
        """Distance of the output of the head from the read with the measured weights.

        It is relative to the length of the output, and only rounding is left of it where the head
        is a softmax of what was seen. None in training mode, and for shuffled keys.
        """
        return self._mean("mismatch")

    @property
    def hidden(self) -> bool:
        """Whether ``mismatch`` is above 0.02: the model does more than what was seen.

        Then beta, radius and phase describe the scaled products alone.
        """
        return (self.mismatch or 0.0) > ROUNDING

    @property
    def needed(self) -> float | None:
        """Number of keys that hold nine tenths of the weight: the median over the kept rows.

        A learned sink is one more key.
        """
        found = self._summary.needed(self._index)
        return None if found is None else found[0]

    @property
    def phase(self) -> str | None:
        """Retrieval phase after Ramsauer and others (2021).

        It depends on how many tokens hold nine tenths of the weight: ``"single"`` for one,
        ``"average"`` for more than half of the tokens, and a metastable ``"subset"`` in between.
        """
        found = self._summary.needed(self._index)
        if found is None:
            return None
        count, share = found
        if count <= 1:
            return "single"
        return "average" if share > 0.5 else "subset"

    @property
    def norm(self) -> str:
        """Normalisation: ``"qk"`` where queries and keys are normalised themselves.

        Otherwise it is the norm between layers: ``"rms"``, ``"layer"`` or ``"none"``.
        """
        return self._site.norm

    @property
    def learned_scale(self) -> float | None:
        """Beta according to the learned scales of queries and keys; None without such scales.

        It is the scale of the scores times the lengths that the learned scales produce. Where one
        norm spans all heads, as in OLMo2, it is the mean of the heads.
        """
        return _learned_scale(self._site.module, self.dim) if self._site.norm == "qk" else None

    @door("fit")
    def fit(self, patterns: int | None = None, space: str = "binary") -> Fit:
        """Find the sparse distributed memory that is nearest to the head.

        Args:
            patterns: number of patterns of the memory, >= 2; the number of tokens that a query
                attends to if omitted.
            space: ``"binary"``, for circles of bits read between whole distances, or
                ``"continuous"``, for caps of the sphere.

        Returns:
            a ``Fit``: radius, activation, regime, and the agreement of the weights.

        Raises:
            InputError: no row was kept, or all queries were padding.

        Example: see ``watch``.
        """
        return _fit.fit(self._summary, self._index, patterns, space)

    @door("agreement")
    def agreement(self, space: str = "binary") -> dict[int, Agreement]:
        """Compare its weights with those of memories of every radius, on the kept rows.

        Args:
            space: ``"binary"`` or ``"continuous"``.

        Returns:
            an ``Agreement`` for each radius.

        Example: see ``watch``.
        """
        space = checks.choice("space", space, _fit.SPACES)
        curve = _fit.agreement(self._summary, space)
        return {radius: heads[self._index] for radius, heads in curve.items()}

    def numbers(self) -> dict[str, Any]:
        """Return all plain numbers, as columns of a table."""
        return {name: getattr(self, name) for name in COLUMNS}


def _learned_scale(module: nn.Module, dim: int) -> float | None:
    """Return the scale of the scores times the lengths that the norms of queries and keys give.

    A norm gives a vector with entries of about one, times the weights of the norm.
    """
    norms = own_norms(module)
    if not all(isinstance(getattr(norm, "weight", None), Tensor) for norm in norms):
        return None
    weights = [cast(Tensor, norm.weight).detach().float() for norm in norms]
    query, key = (float(weight.square().mean().sqrt()) * dim**0.5 for weight in weights)
    return float(getattr(module, "scaling", dim**-0.5)) * query * key
