"""Small random transformers of each family, for the tests of modules that analyse them."""

import inspect

import pytest
import torch

import kanerva
from kanerva import probe

LAYERS, HEADS, DIM = 2, 4, 8
WIDE = HEADS * DIM


def families():
    """Return a function for each family, which returns a model and its inputs."""
    return {
        "bert": bert,
        "gpt2": gpt2,
        "llama": llama,
        "qwen3": qwen3,
        "bart": bart,
        "t5": t5,
        "vit": vit,
    }


def build(family, implementation="sdpa", seed=0, dtype=torch.float32):
    """Return a model of a family in evaluation mode, and two texts, the second one shorter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, inputs = families()[family](implementation)
    return model.eval().to(dtype), {
        name: one.to(dtype) if one.is_floating_point() else one for name, one in inputs.items()
    }


def has_registry(model):
    """Return whether a model takes its attention from the registry of transformers.

    In older versions of transformers not all models do.
    """
    return "ALL_ATTENTION_FUNCTIONS" in inspect.getsource(
        inspect.getmodule(model if isinstance(model, type) else type(model))
    )


def skip_unless_interceptable(model):
    """Skip the test where this version of transformers gives no way to intercept the attention."""
    try:
        with probe.watch(model):
            pass
    except kanerva.InputError:
        pytest.skip("this version gives no way to intercept it")


def has_hooks(model):
    """Return whether any module of a model has a hook of its forward pass."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def tokens(length=12):
    """Return ids of two texts, and a mask that leaves out the end of the second."""
    ids = 5 + torch.arange(2 * length).reshape(2, length) * 7 % 40
    mask = torch.ones_like(ids)
    mask[1, length - 4 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def bert(implementation):
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50,
        hidden_size=WIDE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=64,
    )
    config._attn_implementation = implementation
    return BertModel._from_config(config, attn_implementation=implementation), tokens()


def gpt2(implementation):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=50, n_embd=WIDE, n_layer=LAYERS, n_head=HEADS, n_positions=32)
    return GPT2LMHeadModel._from_config(config, attn_implementation=implementation), tokens()


def llama(implementation):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50,
        hidden_size=WIDE,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        max_position_embeddings=32,
    )
    return LlamaForCausalLM._from_config(config, attn_implementation=implementation), tokens()


def qwen3(implementation):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=50,
        hidden_size=WIDE,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        head_dim=DIM,
        max_position_embeddings=32,
    )
    return Qwen3ForCausalLM._from_config(config, attn_implementation=implementation), tokens()


def bart(implementation):
    from transformers import BartConfig, BartModel

    config = BartConfig(
        vocab_size=50,
        d_model=WIDE,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=32,
    )
    return BartModel._from_config(config, attn_implementation=implementation), tokens() | {
        "decoder_input_ids": tokens(6)["input_ids"]
    }


def t5(implementation):
    from transformers import T5Config, T5Model

    config = T5Config(
        vocab_size=50,
        d_model=WIDE,
        d_kv=DIM,
        d_ff=48,
        num_layers=LAYERS,
        num_heads=HEADS,
        decoder_start_token_id=0,
    )
    model = T5Model._from_config(config)
    if has_registry(model):
        model.set_attn_implementation(implementation)
    return model, tokens() | {"decoder_input_ids": tokens(6)["input_ids"]}


def vit(implementation):
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=WIDE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=48,
        image_size=8,
        patch_size=2,
        num_channels=1,
    )
    pictures = torch.linspace(-1, 1, 2 * 64).sin().reshape(2, 1, 8, 8)
    return ViTModel._from_config(config, attn_implementation=implementation), {
        "pixel_values": pictures
    }
