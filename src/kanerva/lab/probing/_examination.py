"""Examine a transformer: which memory is each of its heads, and what is lost when such a memory takes its place?"""

import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kanerva import probe
from kanerva._core import checks
from kanerva._core.errors import InputError, door, refuse
from kanerva.lab.probing._transformer import Reader
from kanerva.probe import Effect, Heads, Memory
from kanerva.separation import Argmax, Entmax, Softmax, TopK

__all__ = ["REPLACEMENTS", "Examination", "Plan", "examine"]

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]

# What can stand in the place of heads, by name, and what it is called.
REPLACEMENTS = {
    "circles": "circles at the radius of the head's beta",
    "matched": "circles at the radius that agrees best",
    "caps": "caps of the sphere at the radius that agrees best",
    "sparse": "sparse softmax (entmax 1.5)",
    "topk": "softmax over the 4 nearest",
    "settled": "softmax, three reads",
    "nearest": "the nearest token alone",
    "uniform": "the mean of all tokens",
}
RADII = 12  # at most so many radii are swept
PICKED = (
    "beta",
    "beta_max",
    "straight",
    "entropy",
    "effective",
    "top",
    "key_spread",
    "variation",
    "r2",
    "matched_variation",
    "matched_r2",
)


@dataclass(frozen=True)
class Plan:
    """What to look at, and how.

    * ``replace``: names of ``REPLACEMENTS``; empty for none.
    * ``sweep``: whether heads are also replaced by circles of one radius after another.
    * ``controls``: whether the model is compared with itself at random weights, and with keys in another order.
    * ``layers``: attentions to watch and replace, by place; empty for all.
    * ``space``: ``"binary"`` or ``"continuous"``, of the fitted memories.
    * ``patterns``: how many patterns the optimal radii are for; 0 for as many as a head attends to.
    * ``batch``: texts a call.
    * ``length``: tokens a text at most; 0 for as many as the model takes.
    * ``seed``: of what is chosen at random.

    Example:
        >>> from kanerva.lab.probing import Plan
        >>> Plan(replace=("circles", "nearest")).space
        'binary'
    """

    replace: tuple[str, ...] = ("circles", "matched", "nearest", "uniform")
    sweep: bool = True
    controls: bool = True
    layers: tuple[int, ...] = ()
    space: str = "binary"
    patterns: int = 0
    batch: int = 32
    length: int = 0
    seed: int = 0

    @door("probe")
    def __post_init__(self) -> None:
        for name in self.replace:
            checks.choice("replace", name, tuple(REPLACEMENTS))
        for name, least in (("patterns", 0), ("batch", 1), ("length", 0), ("seed", 0)):
            checks.integer(name, getattr(self, name), least)
        checks.choice("space", self.space, ("binary", "continuous"))


class Examination(NamedTuple):
    """What was found.

    * ``name``: of the model.
    * ``rows``: a dict for each head: what was seen of it, and the memory that it comes nearest to.
    * ``curves``: layer, head, radius, and how well circles of that radius agree with the head.
    * ``inputs``: layer, softmax input, and its share of all pairs; ``cosines``: the same of cosines.
    * ``values``: layer, head, weight, and the mean norm of the values that get no more than that weight.
    * ``stores``: a dict for each feed-forward layer, read as a memory.
    * ``effects``: what each replacement changes; ``sweep``: the same for circles of each radius.
    * ``controls``: means over all heads of the model, and of what it is compared with.
    * ``optima``: the betas of the radii best against noise, for signal to noise and for capacity.
    * ``verdicts``, ``notes``: sentences. ``manifest``: what it was made of.
    """

    name: str
    rows: list[Row]
    curves: list[Row]
    inputs: list[Row]
    cosines: list[Row]
    values: list[Row]
    stores: list[Row]
    effects: list[Row]
    sweep: list[Row]
    controls: list[Row]
    optima: dict[str, float]
    verdicts: list[str]
    notes: list[str]
    manifest: dict[str, Any]


def examine(
    reader: Reader, texts: Sequence[str], plan: Plan = Plan(), progress: Progress | None = None
) -> Examination:
    """Watch a model on texts, fit a memory to every head, and put memories in the heads' place.

    Args:
        reader: of ``load``, or your own model and tokenizer.
        texts: one or more.
        plan: what to look at.
        progress: called with what is being done, parts done, parts in all.

    Returns:
        an ``Examination``.

    Raises:
        InputError: no text, or a model whose attention cannot be heard.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva.lab.probing import Plan, examine
        >>> from kanerva.lab.probing._transformer import Reader
        >>> class Letters:  # stands in for a tokenizer
        ...     pad_token = " "
        ...     def __call__(self, texts, **more):
        ...         ids = [[ord(letter) % 50 for letter in text] for text in texts]
        ...         return {"input_ids": torch.tensor(ids) if "return_tensors" in more else ids}
        >>> small = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=50)
        >>> reader = Reader("small", BertModel(small).eval(), Letters())
        >>> found = examine(reader, ["one text", "no other"], Plan(replace=("nearest",), sweep=False, controls=False))
        >>> len(found.rows), found.effects[0]["title"]
        (8, 'the nearest token alone')
    """
    start = time.perf_counter()
    batches, notes = reader.batches(texts, plan.batch, plan.length)
    layers = plan.layers or None
    tell = progress or (lambda what, done, total: None)
    special = list(getattr(reader.tokenizer, "all_special_ids", ())) or None

    def see(model: Any, **more: Any) -> Heads:
        with (
            torch.no_grad(),
            probe.watch(model, layers=layers, special=special, seed=plan.seed, **more) as heads,
        ):
            for done, batch in enumerate(batches):
                _called(model, batch)
                tell("watching", done + 1, len(batches))
        return heads

    with ExitStack() as stack:
        stores = _stores(stack, reader.model)
        heads = see(reader.model)
    rows = heads.table(plan.patterns or None, plan.space)
    found = _replaced(reader.model, heads, batches, plan, tell)
    named = {name: effect for name, effect in found.items() if name in REPLACEMENTS}
    controls = [_means("this model", rows)]
    if plan.controls:
        controls.append(
            _means(
                "keys in another order",
                see(reader.model, shuffled=True).table(plan.patterns or None, plan.space),
            )
        )
        controls.append(
            _means(
                "random weights",
                see(_random(reader.model, plan.seed)).table(plan.patterns or None, plan.space),
            )
        )
    optima = _optima(heads, plan)
    effects = [
        {"memory": name, "title": REPLACEMENTS[name]} | _flat(effect)
        for name, effect in named.items()
    ]
    sweep = [
        {"radius": int(name)} | _flat(effect)
        for name, effect in found.items()
        if name not in REPLACEMENTS
    ]
    manifest = _manifest(reader, heads, batches, len(texts), plan) | {
        "seconds": round(time.perf_counter() - start, 1)
    }
    return Examination(
        reader.name,
        rows,
        _curves(heads, plan.space),
        _histograms(heads, "inputs"),
        _histograms(heads, "cosines"),
        _values(heads),
        _memories(stores),
        effects,
        sweep,
        controls,
        optima,
        _verdicts(rows, effects, controls, optima),
        notes,
        manifest,
    )


def _called(model: Any, batch: dict[str, Tensor]) -> None:
    """Call a model on texts alone; some want more, such as what a decoder begins with."""
    try:
        model(**batch)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        got = f"{type(model).__name__} ({' '.join(str(error).split())[:120]})"
        do = "name an encoder or a language model, or call this one yourself inside probe.watch"
        refuse("model", must="one that is called with texts alone", got=got, do=do)


def _replaced(
    model: Any, heads: Heads, batches: list[dict[str, Tensor]], plan: Plan, tell: Progress
) -> dict[str, Effect]:
    """Run every replacement, and circles of one radius after another."""
    memories: dict[str, Memory | tuple[Memory, int]] = {
        name: _memory(name, heads, plan) for name in plan.replace
    }
    if plan.sweep:
        last = max(1, min(head.dim for head in heads) // 2 - 1)
        radii = sorted({round(1 + (last - 1) * place / (RADII - 1)) for place in range(RADII)})
        memories |= {
            str(radius): probe.circles(heads, radius, space=plan.space) for radius in radii
        }
    if not memories:
        return {}
    count = iter(range(1, len(memories) * len(batches) + 1))
    return probe.effects(
        model,
        batches,
        memories,
        layers=plan.layers or None,
        progress=lambda name, _: tell("replacing", next(count), len(memories) * len(batches)),
    )


def _memory(name: str, heads: Heads, plan: Plan) -> Memory | tuple[Memory, int]:
    match name:
        case "circles" | "matched":
            return probe.circles(heads, space=plan.space, matched=name == "matched")
        case "caps":
            return probe.circles(heads, space="continuous", matched=True)
        case "settled":
            return Softmax(1.0), 3
        case _:
            return {
                "sparse": Entmax(1.5, 1.0),
                "topk": TopK(4, 1.0),
                "nearest": Argmax(),
                "uniform": Softmax(0.0),
            }[name]


def _random(model: Any, seed: int) -> Any:
    """Make the same model with weights as they are before training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(model)(model.config).eval().to(model.device)


def _stores(stack: ExitStack, model: Any) -> list[probe.Store]:
    """Watch the feed-forward layers too, where a model has some that are known."""
    try:
        return stack.enter_context(probe.feedforward(model))
    except InputError:
        return []


def _memories(stores: list[probe.Store]) -> list[Row]:
    """Lay feed-forward layers out as rows."""
    numbers = ("tokens", "active", "effective", "entropy")
    return [
        {
            "layer": store.layer,
            "name": store.name,
            "gated": int(store.gated),
            "memories": len(store.keys),
        }
        | {name: getattr(store, name) for name in numbers}
        | store.fit()._asdict()
        for store in stores
    ]


def _flat(effect: Effect) -> Row:
    return {"last": effect.hidden[-1]} | {
        name: value for name, value in effect._asdict().items() if name != "hidden"
    }


def _means(title: str, rows: list[Row]) -> Row:
    """Average over heads."""
    told: Row = {"control": title}
    for name in PICKED:
        numbers = [row[name] for row in rows if row[name] is not None]
        told[name] = fmean(numbers) if numbers else None
    return told


def _curves(heads: Heads, space: str) -> list[Row]:
    return [
        {"layer": head.layer, "head": head.index, "radius": radius, **found._asdict()}
        for head in heads
        for radius, found in head.agreement(space).items()
    ]


def _histograms(heads: Heads, name: str) -> list[Row]:
    """Add the histograms of the heads of a layer, as shares of its pairs."""
    rows: list[Row] = []
    for layer in heads.layers:
        parts = [getattr(head, name) for head in heads if head.layer == layer]
        counts, edges = torch.stack([counts for counts, _ in parts]).sum(0), parts[0][1]
        middle = ((edges[1:] + edges[:-1]) / 2).tolist()
        rows += [
            {"layer": layer, name: where, "share": int(count) / int(counts.sum())}
            for where, count in zip(middle, counts, strict=True)
        ]
    return rows


def _values(heads: Heads) -> list[Row]:
    return [
        {"layer": head.layer, "head": head.index, "weight": 10.0 ** (place - 5), "norm": norm}
        for head in heads
        for place, norm in enumerate(head.value_by_weight)
        if norm is not None
    ]


def _optima(heads: Heads, plan: Plan) -> dict[str, float]:
    """Return the betas of the best radii for the commonest dimension and a typical number of tokens."""
    from kanerva.probe import _fit

    dims = [head.dim for head in heads]
    attended = [head.attended for head in heads if head.attended]
    count = plan.patterns or max(2, round(fmean(attended)))
    best = _fit.optima(max(set(dims), key=dims.count), count, plan.space)
    return dict(zip(_fit.CRITERIA, best, strict=True)) | {"patterns": count}


def _manifest(
    reader: Reader, heads: Heads, batches: list[dict[str, Tensor]], texts: int, plan: Plan
) -> dict[str, Any]:
    tokens = sum(
        int(batch["attention_mask"].sum())
        if "attention_mask" in batch
        else batch["input_ids"].numel()
        for batch in batches
    )
    return {
        "model": reader.name,
        "class": type(reader.model).__name__,
        "layers": len(heads.layers),
        "heads": len(heads),
        "dimension": heads[0].dim,
        "texts": texts,
        "tokens": tokens,
        "plan": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(plan).items()
        },
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("kanerva", "torch", "transformers")},
    }


def _verdicts(
    rows: list[Row], effects: list[Row], controls: list[Row], optima: dict[str, float]
) -> list[str]:
    """Say in words what was found."""
    betas = [row["beta"] for row in rows]
    regimes = {
        name: sum(row["regime"] == name for row in rows) for name in ("noise", "snr", "capacity")
    }
    within = sum(not row["outside"] for row in rows)
    told = [
        f"{len(rows)} heads have an effective beta from {min(betas):.1f} to {max(betas):.1f}, {fmean(betas):.1f} on average; {within} "
        f"lie between the betas best against noise ({optima['noise']:.1f}) and for capacity ({optima['capacity']:.1f}).",
        f"By their betas {regimes['noise']} are nearest to the memory best against noise, {regimes['snr']} to that of most signal to "
        f"noise, {regimes['capacity']} to that of most patterns.",
        f"Circles at the radius of the beta are {controls[0]['variation']:.2f} in total variation from a head's own weights on average; at "
        f"the radius that agrees best, {controls[0]['matched_variation']:.2f}.",
    ]
    kept = {row["memory"]: row for row in effects}
    if "nearest" in kept and ("circles" in kept or "matched" in kept):
        name = "matched" if "matched" in kept else "circles"
        told.append(
            f"With {REPLACEMENTS[name]} in the place of every head the embedding of a text keeps a cosine of "
            f"{kept[name]['embedding']:.3f} to what it was; with the nearest token alone, {kept['nearest']['embedding']:.3f}."
        )
    return told
