"""Shared gates on the models of other libraries: loops by hand, families, and checkpointing."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from kanerva import InputError, nn

transformers = pytest.importorskip("transformers")


def seeded(build, *given, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(*given, **options).eval()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


IMAGES = draw(2, 3, 16, 16)
TOKENS = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 1]])


def resnet(kind="bottleneck", depths=(2, 3), widths=(16, 32), stem=16, labels=2):
    config = transformers.ResNetConfig(
        embedding_size=stem, hidden_sizes=list(widths), depths=list(depths), layer_type=kind,
        num_labels=labels,
    )  # fmt: skip
    return transformers.ResNetForImageClassification(config)


def vit(dropout=0.0, layers=2):
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=24,
        image_size=16, patch_size=8, hidden_dropout_prob=dropout,
    )  # fmt: skip
    return transformers.ViTModel(config, add_pooling_layer=False)


def bert(dropout=0.0):
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, hidden_dropout_prob=dropout, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertModel(config, add_pooling_layer=False)


def gpt2(dropout=0.0):
    config = transformers.GPT2Config(
        vocab_size=20, n_embd=16, n_layer=2, n_head=2, n_positions=8, resid_pdrop=dropout,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, use_cache=False,
    )  # fmt: skip
    return transformers.GPT2Model(config)


def regnet(kind):
    config = transformers.RegNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], groups_width=4, layer_type=kind
    )
    return transformers.RegNetModel(config)


def convnext():
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 2], num_stages=2, drop_path_rate=0.1
    )
    return transformers.ConvNextModel(config)


def unet():
    diffusers = pytest.importorskip("diffusers")
    return diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 16),
        layers_per_block=1, norm_num_groups=4, add_attention=False,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip


def step(shared: nn.Shared, held: dict, stage: str, branch: Tensor) -> Tensor:
    """Return a gated branch, and put the state of its stage into a dict."""
    last = branch.ndim == 3
    pooled = branch.mean(1) if last else branch.mean((2, 3))
    gate, held[stage] = shared.gates[stage].cell(pooled, held.get(stage))
    return branch * (gate[:, None] if last else gate[:, :, None, None])


def close(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_a_resnet_is_the_loop_by_hand():
    model = seeded(resnet)
    shared = nn.share(model, example=IMAGES)
    held = {}
    with torch.no_grad():
        x = model.resnet.embedder(IMAGES)
        for number, stage in enumerate(model.resnet.encoder.stages, 1):
            for block in stage.layers:
                branch = x
                for part in block.layer:  # without the hook of the whole branch
                    branch = part(branch)
                x = (step(shared, held, f"stage{number}", branch) + block.shortcut(x)).relu()
        found = model(IMAGES, output_hidden_states=True).hidden_states[-1]
    close(found, x)
    assert shared.stages["stage2"] == tuple(
        f"resnet.encoder.stages.1.layers.{n}.layer" for n in range(3)
    )


def test_a_vit_is_the_loop_by_hand():
    model = seeded(vit)
    held = {}
    with torch.no_grad():
        plain = copy.deepcopy(model)
        shared = nn.share(model, example=IMAGES)
        x = plain.embeddings(IMAGES)
        layers = getattr(plain, "layers", None) or plain.encoder.layer
        for layer in layers:
            size, parts = (16,), (layer.layernorm_before, layer.layernorm_after)
            first, second = ((one.weight, one.bias, one.eps) for one in parts)
            branch = layer.attention(layer_norm(x, size, *first))
            x = x + step(shared, held, "stage1", branch[0] if isinstance(branch, tuple) else branch)
            rows = layer_norm(x, size, *second)
            if hasattr(layer, "mlp"):
                branch = layer.mlp(rows)
            else:
                branch = layer.output.dense(layer.intermediate(rows))
            x = x + step(shared, held, "stage1", branch)
        close(model(IMAGES).last_hidden_state, plain.layernorm(x))
    assert len(shared.stages["stage1"]) == 4


def test_a_unet_is_the_loop_by_hand():
    model = seeded(unet)
    plain = copy.deepcopy(model)
    x, held = draw(2, 1, 8, 8), {}
    shared = nn.share(model, example=(x, 3), reduction=2)
    down, up = plain.down_blocks, plain.up_blocks

    def run(block, x, stage):
        inner = block.conv1(block.nonlinearity(block.norm1(x)))
        inner = inner + block.time_emb_proj(block.nonlinearity(emb))[:, :, None, None]
        branch = block.conv2(block.nonlinearity(block.norm2(inner)))
        x = x if block.conv_shortcut is None else block.conv_shortcut(x)
        return (x + step(shared, held, stage, branch)) / block.output_scale_factor

    with torch.no_grad():
        emb = plain.time_embedding(plain.time_proj(torch.full((2,), 3)))
        kept = [plain.conv_in(x)]
        kept.append(run(down[0].resnets[0], kept[-1], "stage1"))
        kept.append(down[0].downsamplers[0](kept[-1]))
        kept.append(run(down[1].resnets[0], kept[-1], "stage2"))
        y = run(plain.mid_block.resnets[0], kept[-1], "stage2")
        y = run(plain.mid_block.resnets[1], y, "stage2")
        for block in up[0].resnets:
            y = run(block, torch.cat((y, kept.pop()), 1), "stage2")
        y = up[0].upsamplers[0](y)
        for block in up[1].resnets:
            y = run(block, torch.cat((y, kept.pop()), 1), "stage1")
        y = plain.conv_out(plain.conv_act(plain.conv_norm_out(y)))
        close(model(x, 3).sample, y)
    # The middle is registered last, and called before the decoder.
    assert [name.split(".")[0] for name in shared.stages["stage2"]] == [
        "down_blocks", "mid_block", "mid_block", "up_blocks", "up_blocks",
    ]  # fmt: skip
    ordered = [block.name for block in shared.frame.blocks]
    assert ordered.index("mid_block.resnets.0.conv2") == 2


FAMILIES = {
    "ResNet, bottleneck": (resnet, IMAGES, [2, 3]),
    "ResNet, basic": (lambda: resnet("basic"), IMAGES, [2, 3]),
    "RegNet, x": (lambda: regnet("x"), IMAGES, [1, 2]),
    "RegNet, y": (lambda: regnet("y"), IMAGES, [1, 2]),
    "ConvNeXt": (convnext, draw(2, 3, 32, 32), [1, 2]),
    "ViT": (vit, IMAGES, [4]),
    "BERT": (bert, {"input_ids": TOKENS}, [4]),
    "GPT-2": (gpt2, {"input_ids": TOKENS}, [4]),
    "UNet2D": (unet, (draw(2, 1, 8, 8), 3), [3, 5]),
}


@pytest.mark.filterwarnings("ignore:.*fewer than the reduction")
@pytest.mark.parametrize("family", FAMILIES)
def test_known_families_are_found(family):
    build, example, counts = FAMILIES[family]
    model = seeded(build)
    plain = copy.deepcopy(model)
    weights, state = model.state_dict(), torch.random.get_rng_state()
    shared = nn.share(model, example=example)
    assert torch.equal(state, torch.random.get_rng_state())
    assert [len(blocks) for blocks in shared.stages.values()] == counts
    keys = list(model.state_dict())
    assert [key for key in keys if not key.startswith("shared.")] == list(weights)
    for key, before in plain.state_dict().items():
        assert torch.equal(before, model.state_dict()[key])
    model.load_state_dict(weights)
    with torch.no_grad(), shared.record() as gates:
        found = called(model, example)
    rows = 2
    for stage, names in shared.stages.items():
        assert gates[stage].shape[:2] == (len(names), rows)
        assert ((gates[stage] > 0) & (gates[stage] < 1)).all()
    assert not torch.equal(found, called(plain, example))
    shared.remove()
    assert torch.equal(called(model, example), called(plain, example))


def called(model, example):
    with torch.no_grad():
        if isinstance(example, dict):
            return model(**example)[0]
        return (model(*example) if isinstance(example, tuple) else model(example))[0]


class BasicBlock(torch.nn.Module):
    """A stand-in for the block of torchvision and timm, with a sum in place."""

    def __init__(self, width: int, first: bool = False):
        super().__init__()
        names = ("bn1", "conv1", "bn2", "conv2") if first else ("conv1", "bn1", "conv2", "bn2")
        for name in names:
            part = torch.nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.add_module(name, torch.nn.BatchNorm2d(width) if name[0] == "b" else part)

    def forward(self, x):
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        out += x
        return out.relu_()


class Bottleneck(BasicBlock):
    def __init__(self, width: int):
        super().__init__(width)
        self.conv3 = torch.nn.Conv2d(width, width, 1, bias=False)
        self.bn3 = torch.nn.BatchNorm2d(width)

    def forward(self, x):
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        out = self.bn3(self.conv3(out))
        out += x
        return out.relu_()


@pytest.mark.parametrize(("kind", "last"), [(BasicBlock, "bn2"), (Bottleneck, "bn3")])
def test_the_blocks_of_torchvision_and_timm(kind, last):
    model = seeded(lambda: torch.nn.Sequential(*(kind(4) for _ in range(3))))
    shared = nn.share(model, example=draw(1, 4, 5, 5))
    assert shared.stages == {"stage1": tuple(f"{n}.{last}" for n in range(3))}
    x, held = draw(2, 4, 5, 5), {}
    by_hand = x
    for block in list(model)[:3]:
        inner = block.conv2(block.bn1(block.conv1(by_hand)).relu())
        norm = block.bn2
        if kind is Bottleneck:
            inner, norm = block.conv3(block.bn2(inner).relu()), block.bn3
        branch = torch.nn.functional.batch_norm(
            inner, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        by_hand = (step(shared, held, "stage1", branch) + by_hand).relu()
    close(model(x), by_hand)
    model(x).sum().backward()


def test_blocks_that_normalise_first_are_not_taken_for_them():
    model = seeded(lambda: torch.nn.Sequential(BasicBlock(4, first=True)))
    with pytest.raises(InputError, match="Sequential, which has no block of these"):
        nn.share(model, example=draw(1, 4, 5, 5))


class ViTLayer(torch.nn.Module):
    """A stand-in for the layer of the oldest supported transformers."""

    def __init__(self):
        super().__init__()
        self.attention = torch.nn.Linear(4, 4)
        self.intermediate = torch.nn.Linear(4, 8)
        self.output = torch.nn.ModuleDict(
            {"dense": torch.nn.Linear(8, 4), "dropout": torch.nn.Dropout(0.0)}
        )

    def forward(self, x):
        x = x + self.attention(x)
        return x + self.output["dropout"](self.output["dense"](self.intermediate(x)))


def test_the_older_layer_of_vit():
    model = seeded(lambda: torch.nn.Sequential(ViTLayer()))
    shared = nn.share(model, example=draw(1, 3, 4))
    assert shared.stages == {"stage1": ("0.attention", "0.output.dropout")}


def losses(model, given):
    total = 0.0
    for number, one in enumerate(given, 1):
        found = model(**one) if isinstance(one, dict) else model(one)
        total = total + number * found.last_hidden_state.square().mean()
    return total


def gradients(model, given):
    torch.manual_seed(3)
    model.zero_grad()
    losses(model, given).backward()
    return {
        name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None
    }


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
@pytest.mark.parametrize("build", [vit, bert, gpt2])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_checkpointing_without_reentry_has_the_same_gradients(build, dropout):
    model = seeded(build, dropout)
    words = build is not vit
    given = [{"input_ids": TOKENS}, {"input_ids": TOKENS.flip(1)}] if words else [IMAGES, -IMAGES]
    nn.share(model, example=given[0])
    model.train()
    with torch.random.fork_rng(devices=[]):
        plain = gradients(model, given)
        model.gradient_checkpointing_enable({"use_reentrant": False})
        found = gradients(model, given)
    assert any(name.startswith("shared") for name in plain)
    assert plain.keys() == found.keys()
    for name in plain:
        torch.testing.assert_close(found[name], plain[name], rtol=0, atol=1e-6)
    if not dropout:
        model.gradient_checkpointing_enable({"use_reentrant": True})
        with pytest.raises(InputError, match="use_reentrant=False"):
            losses(model, given[:1]).backward()


def test_a_model_with_a_module_of_that_name_gets_the_sentence():
    config = transformers.T5Config(
        vocab_size=20, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    model = seeded(transformers.T5ForConditionalGeneration, config)
    given = {"input_ids": TOKENS, "decoder_input_ids": TOKENS}
    pattern = "*coder.block.*.layer.*.dropout"
    with pytest.raises(InputError, match=r"'shared', which T5For.*name=\"gates\""):
        nn.share(model, pattern, given)
    shared = nn.share(model, pattern, given, name="gates")
    assert model.gates is shared
    assert all(key.startswith("gates.") for key in set(model.state_dict()) if "cell" in key)


def test_a_module_that_is_called_twice_is_refused():
    config = transformers.AlbertConfig(
        vocab_size=20, embedding_size=8, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=24,
    )  # fmt: skip
    model = seeded(transformers.AlbertModel, config)
    with pytest.raises(
        InputError, match=r"called once in a forward pass, but it was .*called again"
    ):
        nn.share(model, "*.ffn_output", {"input_ids": TOKENS})
    assert not any(part._forward_hooks for part in model.modules())


def test_an_unknown_model_is_told_names():
    config = transformers.AlbertConfig(
        vocab_size=20, embedding_size=8, hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=24,
    )  # fmt: skip
    model = seeded(transformers.AlbertModel, config)
    with pytest.raises(
        InputError, match=r"unless the model is one of transformers ResNet, .*"
    ) as info:
        nn.share(model, example={"input_ids": TOKENS})
    assert "'encoder.albert_layer_groups.0'" in str(info.value)


def count(module):
    return sum(one.numel() for one in module.parameters())


def resnet164():
    model = resnet("bottleneck", (18, 18, 18), (64, 128, 256), 16, 100)
    stem = model.resnet.embedder
    stem.embedder.convolution = torch.nn.Conv2d(3, 16, 3, padding=1, bias=False)
    stem.pooler = torch.nn.Identity()
    return model


def test_the_resnet_of_164_layers():
    model = seeded(resnet164)
    assert count(model) == 1_727_284
    shared = nn.share(model, example=torch.zeros(1, 3, 8, 8))
    assert count(model) == 1_946_132
    assert shared.parameters_added == 218_848
    model.train()
    with torch.no_grad(), shared.record() as gates:
        model(draw(8, 3, 16, 16))
    rows = torch.cat([one.mean((1, 2)) for one in gates.values()])
    assert len(rows) == 54
    assert abs(rows.mean() - 0.248) < 0.01
    shared.remove()
    each = nn.share(model, example=torch.zeros(1, 3, 8, 8), gate="se", scope="block")
    assert count(model) == 1_929_388
    assert each.parameters_added == 1_929_388 - 1_727_284


def test_what_resnet_50_adds():
    """From the widths that are gated, on a model of one block a stage."""
    depths, widths = (3, 4, 6, 3), (256, 512, 1024, 2048)
    with torch.device("meta"):
        full = transformers.ResNetForImageClassification(
            transformers.ResNetConfig(num_labels=1000, depths=list(depths))
        )
    assert count(full) == 25_557_032
    chain = torch.nn.Sequential(*(Widen(width) for width in widths))
    added = {}
    for gate, reduction in (("dia", 20), ("se", None)):
        shared = nn.share(chain, "*.branch", torch.zeros(1, 1), gate=gate, reduction=reduction)
        added[gate] = [count(shared.gates[f"stage{n}"]) for n in range(1, 5)]
        shared.remove()
    assert sum(added["dia"]) == 2_801_020
    assert sum(added["se"]) == 700_400
    assert sum(n * one for n, one in zip(depths, added["se"], strict=True)) == 2_530_992


class Widen(torch.nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.width, self.branch = width, torch.nn.Identity()

    def forward(self, x):
        return self.branch(x[:, :1].expand(-1, self.width))
