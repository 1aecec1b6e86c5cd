"""``kanerva quarks``: the table of cases, the counts of small models, growth, and bad input."""

import csv
import json
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import kanerva
import small
from kanerva import InputError
from kanerva.lab import quarks as lab

transformers = pytest.importorskip("transformers")
N, WIDE, LAYERS, HEADS = 12, small.WIDE, small.LAYERS, small.HEADS


@pytest.fixture
def command(ran, no_hub, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return partial(ran, "quarks")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Write a small model of each family."""
    home = tmp_path_factory.mktemp("models")
    for family in ("bert", "gpt2", "llama", "t5", "vit"):
        small.build(family)[0].save_pretrained(home / family)
    return home


def said(text):
    return " ".join(text.split())


def layers(n, norms, feedforward=0):
    """Return the output gates of encoder layers of n tokens, in closed form."""
    return LAYERS * (n * n * WIDE + HEADS * n * n + norms * n * WIDE + n * feedforward)


# Output gates at n tokens; synaptic ones are 2 n² D in all of these.
OUTPUTS = {
    "bert": lambda n: layers(n, 2) + n * WIDE,
    "gpt2": lambda n: layers(n, 2) + n * WIDE,
    "llama": lambda n: layers(n, 2, 48) + n * WIDE,
}


def test_the_cases_are_a_table_of_18_rows_for_80_columns(command):
    code, out, error = command()
    assert (code, error) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "18 cases, 6 possible, 3 kept" in out
    starts = ("activation ", "output ", "synapse ")
    rows = [line for line in lines if line.startswith(starts)]
    assert len(rows) == 18
    ends = [line.split()[-1] for line in rows]
    assert ends.count("signal") == 12  # no signal
    assert ends.count("rewritten") == 3
    assert [end for end in ends if end not in ("signal", "rewritten")] == [
        "multiplex",
        "output_gate",
        "synaptic_gate",
    ]


def test_the_cases_as_json_are_those_of_the_library(command):
    from kanerva.quarks import CASES

    cases = json.loads(command("--json")[1])["cases"]
    assert len(cases) == 18
    assert [case["possible"] for case in cases] == [case.possible for case in CASES]
    assert [case["becomes"] for case in cases] == [case.becomes for case in CASES]


@pytest.mark.untyped
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_counts_are_those_of_the_closed_form(command, plain, folders, family):
    code, out, _ = command(folders / family, "--tokens", N, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["tokens"] == N
    assert found["output"] == OUTPUTS[family](N)
    assert found["synaptic"] == LAYERS * N * N * WIDE
    assert found["unread"] == {}
    assert {"additive", "linear", "tied", "depth", "crossing"} <= found.keys()


@pytest.mark.untyped
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "t5"])
def test_a_model_without_its_weights_has_the_same_counts(folders, family):
    whole = lab.count(lab.load(str(folders / family)), N)._asdict()
    bare = lab.count(lab.load(str(folders / family), meta=True), N)._asdict()
    assert whole["manifest"]["weights"] == "loaded"
    assert bare["manifest"]["weights"] == "not loaded"
    for name in whole.keys() - {"manifest", "notes"}:
        assert whole[name] == bare[name], name


@pytest.mark.untyped
def test_a_folder_with_a_configuration_alone(command, plain, folders, tmp_path):
    (tmp_path / "config.json").write_bytes((folders / "gpt2" / "config.json").read_bytes())
    code, out, _ = command(tmp_path, "--tokens", N)
    assert code == 0
    assert "The folder has no weights: the model was built from its configuration." in said(out)
    assert f"{OUTPUTS['gpt2'](N):,} output gates" in said(out)
    (tmp_path / "pytorch_model.bin").write_bytes(b"no pickle")  # and it is not read
    code, out, _ = command(tmp_path, "--tokens", N)
    assert code == 0
    assert "no weights in safetensors files" in said(out)


@pytest.mark.untyped
def test_both_texts_of_a_translation_have_the_tokens(folders):
    found = lab.count(lab.load(str(folders / "t5")), N)
    # Attention of the encoder, of the decoder, and of the decoder to the encoder.
    assert found.synaptic == 3 * LAYERS * N * N * WIDE
    assert any("two texts" in note for note in found.notes)
    assert found.longest is None


@pytest.mark.untyped
def test_a_model_of_pictures_has_no_tokens_to_choose(command, plain, folders):
    code, out, _ = command(folders / "vit", "--json")
    found = json.loads(out)
    assert code == 0
    n = (8 // 2) ** 2 + 1
    assert found["synaptic"] == LAYERS * n * n * WIDE
    assert found["output"] == layers(n, 2) + n * WIDE
    assert found["tokens"] is found["crossing"] is found["growth"] is None
    code, out, _ = command(folders / "vit")
    assert code == 0
    assert "For one picture, the model computes" in said(out)
    code, _, error = command(folders / "vit", "--tokens", 5)
    assert code == 2
    assert "tokens must be left out for a model of pictures" in said(error)


@pytest.mark.untyped
def test_growth_and_crossing_are_those_of_the_counts(folders):
    subject = lab.load(str(folders / "gpt2"), meta=True)
    found = lab.count(subject, 24)
    assert found.longest == 32
    for n in (1, 5, 17, 32):
        other = lab.count(subject, n)
        for name, (a, b, c) in found.growth.items():
            assert a + b * n + c * n * n == getattr(other, name), (n, name)
    gates = (found.growth["output"][place] + found.growth["synaptic"][place] for place in range(3))
    first = brute(list(gates), found.growth["linear"])
    assert found.crossing == first > found.longest
    assert f"From {first} tokens on, gates outnumber" in found.verdicts[1]
    assert "but the model takes 32 at most" in found.verdicts[1]


def brute(gates, linear, last=3000):
    """Return the first length up to ``last`` from which on there are more gates."""
    at = [
        sum((a - b) * n**power for power, (a, b) in enumerate(zip(gates, linear, strict=True))) > 0
        for n in range(1, last + 1)
    ]
    return (
        None if not at[-1] else max((n + 1 for n in range(1, last + 1) if not at[n - 1]), default=1)
    )


@given(
    st.tuples(*[st.integers(-40, 40)] * 3),
    st.tuples(*[st.integers(-40, 40)] * 3),
)
def test_the_crossing_is_that_of_brute_force(gates, linear):
    assert lab.crossing(gates, linear) == brute(gates, linear)


@given(
    st.tuples(*[st.integers(0, 10**12)] * 3), st.sets(st.integers(0, 10**4), min_size=3, max_size=3)
)
def test_polynomials_are_exact(parts, lengths):
    a, b, c = parts
    chosen = list(lengths)
    assert lab.polynomial(chosen, [a + b * n + c * n * n for n in chosen]) == parts


class Windowed(torch.nn.Module):
    """A model with products of signals in a window of at most 40 tokens."""

    config = SimpleNamespace(vocab_size=9)

    def __init__(self):
        super().__init__()
        self.embedded = torch.nn.Embedding(9, 4)
        with torch.no_grad():
            self.embedded.weight.fill_(0.5)

    def forward(self, input_ids):
        x = self.embedded(input_ids)[0]
        return x[:40] @ x[:40].T


def test_no_growth_is_claimed_where_a_further_length_contradicts_it():
    with torch.random.fork_rng(devices=[]):
        subject = lab.Subject("windowed", Windowed().eval(), None, "")
    found = lab.count(subject, 128)
    assert found.output == 40 * 40 * 4
    assert found.growth is found.crossing is None
    assert any("do not grow as polynomials" in note for note in found.notes)
    for tokens in (20, 40, 64):  # 128 itself lies on the parabola through 16, 32 and 48
        assert lab.count(subject, tokens).growth is None


class Repeated(Windowed):
    """A model with one layer under two names."""

    def __init__(self):
        super().__init__()
        layer = torch.nn.LayerNorm(4)
        self.layers = torch.nn.Sequential(layer, layer)

    def forward(self, input_ids):
        return self.layers(self.embedded(input_ids)[0])


def test_a_module_with_two_names_is_one_row():
    with torch.random.fork_rng(devices=[]):
        found = lab.count(lab.Subject("repeated", Repeated().eval(), None, ""), 8)
    assert found.output == sum(row["output"] for row in found.kinds) == 2 * 8 * 4
    names = [row["module"] for row in found.modules]
    assert names == ["the whole model", "embedded", "layers", "layers.0"]
    assert {row["kind"]: row["modules"] for row in found.kinds}["LayerNorm"] == 1


@pytest.mark.untyped
@pytest.mark.parametrize("family", ["bert", "llama", "t5"])
def test_the_classes_add_up_to_the_model(folders, family):
    found = lab.count(lab.load(str(folders / family), meta=True), N)
    for name in ("output", "synaptic", "additive", "linear", "tied", "parameters"):
        assert sum(row[name] for row in found.kinds) == getattr(found, name), name
    model = lab.load(str(folders / family)).model
    assert found.parameters == sum(one.numel() for one in model.parameters())
    top = found.kinds[0]
    assert "Attention" in top["kind"]
    assert top["synaptic"] == found.synaptic


@pytest.mark.untyped
def test_a_report_and_its_tables(command, folders, tmp_path):
    code, out, _ = command(folders / "bert", "--tokens", N, "--out", tmp_path / "out")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "Report: " in out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    files = {"kinds.csv", "modules.csv", "growth.csv", "manifest.json", "report.html"}
    assert names == files | {"figure.svg", "figure.png"}
    text = (tmp_path / "out" / "report.html").read_text()
    for part in ("The gates of bert", "What it is made of", "Growth with the tokens", "<svg"):
        assert part in text, part
    assert "What was not read" not in text
    with (tmp_path / "out" / "modules.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["module"] == "the whole model"
    assert int(rows[0]["output"]) == OUTPUTS["bert"](N)
    # A later count of pictures has no growth, so its table and figure go.
    command(folders / "vit", "--out", tmp_path / "out")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == files - {"growth.csv"}


@pytest.mark.untyped
def test_what_cannot_be_read_is_listed(tmp_path):
    class Sorted(torch.nn.Module):
        config = SimpleNamespace(vocab_size=9)

        def forward(self, input_ids):
            return torch.linalg.eigvalsh(input_ids.double().T @ input_ids.double())

    found = lab.count(lab.Subject("sorted", Sorted(), None, ""), 4)
    (name,) = found.unread
    assert "eigh" in name
    assert found.verdicts[-1].startswith("These operations could not be read")
    lab.save(found, tmp_path)
    assert "What was not read" in (tmp_path / "report.html").read_text()


@pytest.mark.untyped
def test_a_model_whose_path_depends_on_values_needs_its_weights(tmp_path):
    config = transformers.LongformerConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=48,
        attention_window=16,
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="whose path does not depend on the values"):
        lab.count(lab.load(str(tmp_path)), N)

    with torch.random.fork_rng(devices=[]):
        transformers.LongformerModel(config).save_pretrained(tmp_path)
    found = lab.count(lab.load(str(tmp_path)), 20)  # padded to windows of 16
    assert found.unread == {}
    assert found.growth is found.crossing is None


@pytest.mark.untyped
def test_a_mixture_of_experts_is_counted_without_its_weights(tmp_path):
    config = transformers.MixtralConfig(
        vocab_size=50,
        hidden_size=WIDE,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=2,
        num_local_experts=4,
    )
    with torch.random.fork_rng(devices=[]):
        transformers.MixtralModel(config).save_pretrained(tmp_path)
    found, bare = (lab.count(lab.load(str(tmp_path), meta=meta), N) for meta in (False, True))
    assert found._replace(manifest={}, notes=[]) == bare._replace(manifest={}, notes=[])
    # Two of four experts, of three matrices each, and the choice among them.
    attention = 2 * WIDE * WIDE + 2 * WIDE * WIDE // 2
    assert found.linear == N * LAYERS * (attention + 2 * 3 * WIDE * 48 + 4 * WIDE)


@pytest.mark.untyped
def test_two_counts_are_the_same(folders):
    one, other = (lab.count(lab.load(str(folders / "gpt2")), N) for _ in range(2))
    assert one._replace(manifest={}) == other._replace(manifest={})


CODE = "import pathlib\npathlib.Path({marker!r}).touch()\n"


@pytest.mark.untyped
def test_code_of_a_folder_is_not_run(command, folders, tmp_path):
    folder, marker = tmp_path / "own", tmp_path / "ran"
    folder.mkdir()
    config = json.loads((folders / "bert" / "config.json").read_text()) | {"model_type": "own"}
    names = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": names}))
    (folder / "configuration_own.py").write_text(CODE.format(marker=str(marker)))
    code, _, error = command(folder)
    assert code == 2
    assert not marker.exists()
    assert "needs Python code of its own" in said(error)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("no/such/folder",), "model must be a folder with a model, or with its configuration"),
        (("someone/some-model",), "model must be a folder with a model"),
        (("EMPTY",), "configuration alone, but it was 'EMPTY', without a config.json; write it"),
        (("BROKEN",), "model must be a folder with a model, or with its configuration alone"),
        (("",), "model must be the name of a folder"),
        (("GPT2", "--tokens", "0"), "tokens must be"),
        (("GPT2", "--tokens", "-3"), "tokens must be"),
        (("GPT2", "--tokens", "33"), "tokens must be at most 32, the positions of GPT2LMHead"),
        (("WHISPER",), "model must be one that takes texts or pictures"),
        (("--tokens", "5"), "model must be named where --tokens"),
        (("--meta",), "model must be named where --tokens, --meta or --out is given"),
    ],
)
def test_bad_input_ends_with_a_sentence(command, folders, tmp_path, arguments, part):
    for name, text in (("empty", None), ("broken", "{")):
        (tmp_path / name).mkdir()
        if text:
            (tmp_path / name / "config.json").write_text(text)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 50}
    sizes |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 1)
    whisper = transformers.WhisperConfig(**sizes, **ids, decoder_start_token_id=1)
    whisper.save_pretrained(tmp_path / "whisper")
    words = {"EMPTY": tmp_path / "empty", "BROKEN": tmp_path / "broken"}
    words |= {"GPT2": folders / "gpt2", "WHISPER": tmp_path / "whisper"}
    code, out, error = command(*(words.get(word, word) for word in arguments))
    assert (code, out) == (2, "")
    assert part in said(error).replace(str(tmp_path / "empty"), "EMPTY")
    assert not (tmp_path / "runs").exists()


@pytest.mark.untyped
def test_bad_input_of_the_functions(folders):
    with pytest.raises(kanerva.InputTypeError, match="subject must be a Subject"):
        lab.count(None)
    with pytest.raises(kanerva.InputTypeError, match="result must be"):
        lab.save(None, "x")
    with pytest.raises(kanerva.InputTypeError, match="result must be"):
        lab.kinds(None)
    with pytest.raises(InputError, match="lengths must be three different ones"):
        lab.polynomial((1, 1, 2), (1, 1, 1))
    with pytest.raises(kanerva.InputTypeError, match="meta must be True or False"):
        lab.load(str(folders / "gpt2"), meta="yes")


@pytest.mark.parametrize("name", ["count", "save"])
def test_an_interrupted_count_says_what_is_kept(command, monkeypatch, folders, name):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(lab, name, interrupted)
    code, out, error = command(folders / "gpt2", "--meta", "--tokens", N, "--out", "o")
    assert (code, out) == (130, "")
    assert "kanerva: interrupted." in said(error)
