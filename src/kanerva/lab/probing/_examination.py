"""Examine a transformer: which memory is nearest to each head, and what is lost by replacing it."""

import platform
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kanerva import probe
from kanerva._core import checks
from kanerva._core.errors import InputError, InputTypeError, door, refuse
from kanerva.lab.probing import _tables
from kanerva.lab.probing._reader import Reader
from kanerva.probe import Heads, Memory
from kanerva.separation import Argmax, Entmax, Softmax, TopK

__all__ = ["REPLACEMENTS", "Examination", "Plan", "examine"]

Row = dict[str, Any]
Batches = list[dict[str, Tensor]]
Progress = Callable[[str, int, int], None]

# Replacements of heads, by name, with their titles in tables.
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
RULES: dict[str, Memory | tuple[Memory, int]] = {
    "sparse": Entmax(1.5, 1.0),
    "topk": TopK(4, 1.0),
    "settled": (Softmax(1.0), 3),
    "nearest": Argmax(),
    "uniform": Softmax(0.0),
}
RADII = 12  # the largest number of radii in a sweep


@dataclass(frozen=True)
class Plan:
    """Options of an examination.

    * ``replace``: names of ``REPLACEMENTS``; empty for none.
    * ``sweep``: whether all heads are also replaced by circles of one radius, for several radii.
    * ``controls``: whether the model is compared with random weights, and with keys whose
      coordinates are permuted.
    * ``layers``: attentions that are measured and replaced, by place; empty for all.
    * ``space``: ``"binary"`` or ``"continuous"``, of the fitted memories.
    * ``patterns``: number of patterns for the optimal radii; 0 for as many as a head attends to.
    * ``batch``: texts in a batch.
    * ``length``: the largest number of tokens in a text; 0 for the largest that the model takes.
    * ``seed``: of the random choices.

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
        for name in _listed("replace", self.replace):
            checks.choice("replace", name, tuple(REPLACEMENTS))
        for layer in _listed("layers", self.layers):
            checks.integer("layers", layer, 0)
        for name in ("sweep", "controls"):
            checks.flag(name, getattr(self, name))
        for name, least in (("patterns", 0), ("batch", 1), ("length", 0), ("seed", 0)):
            checks.integer(name, getattr(self, name), least)
        checks.choice("space", self.space, ("binary", "continuous"))


def _listed(argument: str, value: Any) -> Sequence[Any]:
    """Return a choice of several things; refuse anything but a list or a tuple."""
    if not isinstance(value, list | tuple):
        do = f"write {argument}=(...), with a comma at its end for one"
        refuse(argument, value, must="a tuple", do=do, error=InputTypeError)
    return value


class Examination(NamedTuple):
    """Results of an examination.

    * ``name``: name of the model.
    * ``rows``: a dict for each head, with its measurements and the nearest memory.
    * ``curves``: layer, head, radius, and the agreement of circles of that radius with the head.
    * ``inputs``: layer, softmax input, and its share of all pairs; ``cosines``: the same for
      cosines.
    * ``values``: layer, head, weight, and the mean length of values with at most that weight.
    * ``stores``: a dict for each feed-forward layer, as a memory.
    * ``effects``: how each replacement changes the outputs; ``sweep``: the same for circles of each
      radius.
    * ``controls``: means over all heads of the model, and of what it is compared with.
    * ``optima``: betas of the radii best for noise, for signal to noise and for capacity.
    * ``verdicts``: the main results, in sentences; ``notes``: remarks on the texts.
    * ``manifest``: model, texts, options and versions.
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


@door("probing.examine")
def examine(
    reader: Reader, texts: Sequence[str], plan: Plan = Plan(), progress: Progress | None = None
) -> Examination:
    """Measure a model on texts, fit a memory to every head, and replace the heads by memories.

    Args:
        reader: of ``load``, or a model and a tokenizer of your own.
        texts: one or more.
        plan: options.
        progress: called with the name of a stage, the number of parts done, and the number of all
            parts.

    Returns:
        an ``Examination``.

    Raises:
        InputError: no text, or a model whose attention cannot be intercepted.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva.lab.probing import Plan, Reader, examine
        >>> class Letters:  # a minimal tokenizer
        ...     pad_token = " "
        ...     def __call__(self, texts, **more):
        ...         ids = [[ord(letter) % 50 for letter in text] for text in texts]
        ...         return {"input_ids": torch.tensor(ids) if "return_tensors" in more else ids}
        >>> small = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2,
        ...                    num_attention_heads=4, intermediate_size=64)
        >>> reader = Reader("small", BertModel(small).eval(), Letters())
        >>> plan = Plan(replace=("nearest",), sweep=False, controls=False)
        >>> found = examine(reader, ["one text", "no other"], plan)
        >>> len(found.rows), found.effects[0]["title"]
        (8, 'the nearest token alone')
    """
    for name, value, kind in (("reader", reader, Reader), ("plan", plan, Plan)):
        if not isinstance(value, kind):
            do = "make it with probing.load, probing.Reader or probing.Plan"
            refuse(name, value, must=f"a {kind.__name__}", do=do, error=InputTypeError)
    start = time.perf_counter()
    batches, notes = reader.batches(texts, plan.batch, plan.length)
    report = progress or (lambda stage, done, total: None)
    with ExitStack() as stack:
        stores = _watched_stores(stack, reader.model)
        heads = _watched(reader, reader.model, batches, plan, report)
    rows = heads.table(plan.patterns or None, plan.space)
    controls = [_tables.means("this model", rows)]
    effects, sweep = _replaced(reader.model, heads, batches, plan, report)
    if plan.controls:
        controls += _controls(reader, batches, plan, report)
    optima = _tables.optima(heads, plan.patterns, plan.space)
    manifest = _manifest(reader, heads, batches, texts, plan)
    return Examination(
        name=reader.name,
        rows=rows,
        curves=_tables.agreements(heads, plan.space),
        inputs=_tables.histograms(heads, "inputs"),
        cosines=_tables.histograms(heads, "cosines"),
        values=_tables.values(heads),
        stores=_tables.stores(stores),
        effects=effects,
        sweep=sweep,
        controls=controls,
        optima=optima,
        verdicts=_tables.verdicts(rows, effects, controls, optima, REPLACEMENTS),
        notes=notes + _tables.remarks(heads),
        manifest=manifest | {"seconds": round(time.perf_counter() - start, 1)},
    )


def _watched(
    reader: Reader, model: Any, batches: Batches, plan: Plan, report: Progress, **options: Any
) -> Heads:
    """Measure the heads of a model on all batches."""
    special = list(getattr(reader.tokenizer, "all_special_ids", ())) or None
    options |= {"layers": plan.layers or None, "special": special, "seed": plan.seed}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "probe.watch", UserWarning)  # a note says it
        with torch.no_grad(), probe.watch(model, **options) as heads:
            for done, batch in enumerate(batches):
                _call(model, batch)
                report("watching", done + 1, len(batches))
    return heads


def _call(model: Any, batch: dict[str, Tensor]) -> None:
    """Call a model on texts; some models need more, such as the start of the decoder's text."""
    try:
        model(**batch)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        got = f"{type(model).__name__} ({' '.join(str(error).split())[:120]})"
        do = "name an encoder or a language model, or call this one yourself inside probe.watch"
        refuse("model", got=got, must="one that is called with texts alone", do=do)


def _watched_stores(stack: ExitStack, model: Any) -> list[probe.Store]:
    """Measure the feed-forward layers too, if the model has some that are known."""
    try:
        return stack.enter_context(probe.feedforward(model))
    except InputError:
        return []


def _controls(reader: Reader, batches: Batches, plan: Plan, report: Progress) -> list[Row]:
    """Measure the model with permuted keys, and at random weights."""

    def measured(title: str, model: Any, **options: Any) -> Row:
        heads = _watched(reader, model, batches, plan, report, **options)
        return _tables.means(title, heads.table(plan.patterns or None, plan.space))

    return [
        measured("permuted keys", reader.model, shuffled=True),
        measured("random weights", _randomised(reader.model, plan.seed)),
    ]


def _randomised(model: Any, seed: int) -> Any:
    """Return the same model with the weights that it has before training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(model)(model.config).eval().to(model.device)


def _replaced(
    model: Any, heads: Heads, batches: Batches, plan: Plan, report: Progress
) -> tuple[list[Row], list[Row]]:
    """Return the effects of every replacement, and of circles of one radius after another."""
    cosines = _tables.cosines(heads)
    kept = [name for name in plan.replace if cosines or name in RULES]
    memories = {name: _memory(name, heads, plan.space) for name in kept}
    for radius in _radii(heads) if plan.sweep and cosines else ():
        memories[str(radius)] = probe.circles(heads, radius, space=plan.space)
    if not memories:
        return [], []
    total = len(memories) * len(batches)
    count = iter(range(1, total + 1))
    layers = plan.layers or None

    def advance(name: str, batch: int) -> None:
        report("replacing", next(count), total)

    found = probe.effects(model, batches, memories, layers=layers, progress=advance)
    effects, sweep = [], []
    for name, effect in found.items():
        row = _tables.effect(effect)
        if name in REPLACEMENTS:
            effects.append({"memory": name, "title": REPLACEMENTS[name]} | row)
        else:
            sweep.append({"radius": int(name)} | row)
    return effects, sweep


def _radii(heads: Heads) -> list[int]:
    """Return radii evenly spaced from 1 to the largest below half of the smallest dimension."""
    last = max(1, min(head.dim for head in heads) // 2 - 1)
    return sorted({round(1 + (last - 1) * place / (RADII - 1)) for place in range(RADII)})


def _memory(name: str, heads: Heads, space: str) -> Memory | tuple[Memory, int]:
    """Return a replacement by its name."""
    if name == "caps":
        return probe.circles(heads, space="continuous", matched=True)
    if name in ("circles", "matched"):
        return probe.circles(heads, space=space, matched=name == "matched")
    return RULES[name]


def _manifest(
    reader: Reader, heads: Heads, batches: Batches, texts: Sequence[str], plan: Plan
) -> dict[str, Any]:
    """Return model, texts, options and versions."""
    masks = (batch.get("attention_mask") for batch in batches)
    tokens = sum(
        batch["input_ids"].numel() if mask is None else int(mask.sum())
        for mask, batch in zip(masks, batches, strict=True)
    )
    options = {name: _plain(value) for name, value in vars(plan).items()}
    packages = ("kanerva", "torch", "transformers")
    return {
        "model": reader.name,
        "class": type(reader.model).__name__,
        "layers": len(heads.layers),
        "heads": len(heads),
        "dimension": heads[0].dim,
        "texts": len(texts),
        "tokens": tokens,
        "unknown": reader.unknown(texts),
        "plan": options,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
    }


def _plain(value: Any) -> Any:
    """Return a tuple as a list, as JSON has it."""
    return list(value) if isinstance(value, tuple) else value
