"""Every family of transformers that lets its attention be replaced, as a small random model."""

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import pytest
import torch

from kanerva import nn, probe
from kanerva.separation import Softmax

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

# Sizes by the names that configurations give them. A name that a configuration does not take is
# left out; parts with a configuration of their own get the same.
SIZES = {
    **dict.fromkeys(("vocab_size", "text_vocab_size"), 60),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "encoder_dim"), 32),
    **dict.fromkeys(("text_dim", "vision_dim", "projection_dim", "output_dim"), 32),
    **dict.fromkeys(("intermediate_size", "d_ff", "ffn_dim", "hidden_dim", "n_inner"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "moe_intermediate_size"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "kv_channels"), 8),
    **dict.fromkeys(("n_positions", "max_position_embeddings", "max_target_positions"), 64),
    **dict.fromkeys(("max_source_positions", "n_ctx"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "top_k_experts"), 2),
    **dict.fromkeys(("pad_token_id", "eos_token_id", "bos_token_id"), 1),
    **dict.fromkeys(("decoder_start_token_id",), 1),
    "sliding_window": 6,
    "image_size": 16,
    "patch_size": 4,
    "num_channels": 3,
    "num_mel_bins": 8,
    "type_vocab_size": 2,
    "attention_dropout": 0.0,
}
TEXT = {"input_ids": 5 + torch.arange(24).reshape(2, 12) * 7 % 50}
TEXT |= {"attention_mask": (torch.arange(12) < torch.tensor([[12], [8]])).long()}
INPUTS = {
    "input_ids": TEXT,
    "pixel_values": {"pixel_values": torch.linspace(-1, 1, 2 * 768).sin().reshape(2, 3, 16, 16)},
    "input_values": {"input_values": torch.linspace(-40, 40, 2 * 2000).sin().reshape(2, 2000)},
    "input_features": {"input_features": torch.linspace(-9, 9, 2 * 256).sin().reshape(2, 8, 32)},
}


def families():
    """Return the names of the families whose code takes its attention from the registry."""
    found = []
    for module in pkgutil.iter_modules(transformers.models.__path__):
        place = Path(transformers.models.__path__[0]) / module.name / f"modeling_{module.name}.py"
        if place.is_file() and "ALL_ATTENTION_FUNCTIONS" in place.read_text(encoding="utf-8"):
            found.append(module.name)
    return found


def shrink(config, depth=2):
    """Set the sizes of a configuration, and of the parts that have one of their own."""
    layers = getattr(config, "num_hidden_layers", None)
    for name, value in list(vars(config).items()):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in SIZES and (number or value is None):
            try:
                setattr(config, name, SIZES[name])
            except Exception:  # a name for another one that was set already
                continue
        elif isinstance(value, list) and layers and len(value) == layers:
            setattr(config, name, value[:2])
        elif depth and isinstance(value, transformers.PretrainedConfig):
            shrink(value, depth - 1)
    return config


def classes(name):
    """Return the classes of models of a family, the shortest names first."""
    module = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    for own, kind in sorted(vars(module).items(), key=lambda item: (len(item[0]), item[0])):
        plain = inspect.isclass(kind) and issubclass(kind, transformers.PreTrainedModel)
        whole = own.endswith("Model") and not own.endswith("PreTrainedModel")
        here = plain and whole and kind.__module__ == module.__name__
        if here and inspect.isclass(kind.config_class):
            yield kind


def small_model(kind):
    """Return a small random model of a class with eager attention; None where it stays large."""
    with torch.device("meta"):
        shape = kind._from_config(shrink(kind.config_class()), attn_implementation="eager")
    if sum(part.numel() for part in shape.parameters()) > 3_000_000:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = shrink(kind.config_class())
        return kind._from_config(config, attn_implementation="eager").eval()


def build(name):
    """Return a small random model of a family with eager attention, and its input; or None."""
    for kind in classes(name):
        try:
            model = small_model(kind)
            if model is None or model.main_input_name not in INPUTS:
                continue
            inputs = dict(INPUTS[model.main_input_name])
            if getattr(model.config, "is_encoder_decoder", False):
                inputs["decoder_input_ids"] = TEXT["input_ids"][:, :6]
            if _output(model, inputs).isfinite().all():
                return model, inputs
        except Exception:  # a model needs more than sizes, or a package that is not here
            continue
    return None


def _output(model, inputs):
    """Return the first tensor of an output, without padding."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        output = model(**inputs)[0]
    real = inputs.get("attention_mask")
    if real is not None and output.shape[:2] == real.shape:
        output = output[real.bool()]
    return output.float()


def verdict(name):
    """Return how a family fared, and why."""
    built = build(name)
    if built is None:
        return "needs more than sizes", ""
    model, inputs = built
    own = _output(model, inputs)
    try:
        with probe.watch(model, size=16, rows=2) as heads:
            during = _output(model, inputs)
        model.set_attn_implementation(nn.register("family", Softmax(1.0)))
        found = _output(model, inputs)
    except Exception as error:  # of the library, or of transformers where it sets no attention
        return "is refused", f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
    if len(heads) == 0:
        return "calls no attention that is replaced", ""
    hidden = sum(head.hidden for head in heads)
    if not torch.equal(during, own) or hidden:
        return "differs", f"{hidden} of {len(heads)} heads are not seen whole"
    apart = (found - own).abs().max().item()
    same = torch.allclose(found, own, atol=1e-4, rtol=1e-3)
    if not same and model._supports_sdpa:  # the vision part of Phi-4 differs from itself
        model.set_attn_implementation("sdpa")
        same = torch.allclose(found, _output(model, inputs), atol=1e-4, rtol=1e-3)
    return ("passes" if same else "differs"), f"{len(heads)} heads, apart by {apart:.1g}"


def test_every_family_reads_as_it_does_itself_and_is_watched(record_property, capsys):
    """A registered softmax is the attention of the model itself, and no head does more."""
    found = {}
    for name in families():
        with torch.random.fork_rng(devices=[]):  # configurations and models draw as they like
            kind, why = verdict(name)
        found.setdefault(kind, {})[name] = why
    for kind, names in found.items():
        record_property(kind, len(names))
        with capsys.disabled():
            sys.stdout.write(f"\n{len(names)} families: {kind}: {names}")
    assert not found.get("differs")
    reasons = found.get("is refused", {}).values()
    assert all(why.startswith("InputError") for why in reasons)
    assert len(found["passes"]) >= 150
