"""``kanerva probe`` as a newcomer runs it, on small models in folders."""

import io
import json
import socket
import sys
from functools import partial

import pytest
import torch

import kanerva
import small
from kanerva.lab import probing

transformers = pytest.importorskip("transformers")
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "a",
    "memory",
    "pattern",
    "stored",
    "recalled",
    "is",
    "was",
    "near",
    "and",
    "of",
    "from",
    "brain",
    "network",
]
LETTERS = [*WORDS[:4], *"abcdefghijklmnopqrstuvwxyz,.'-"]
TEXTS = [
    "the memory is near",
    "a pattern was recalled from the brain",
    "the network stored a pattern and a memory of the brain",
]


@pytest.fixture(autouse=True)
def offline(no_hub, monkeypatch):
    """Give the hub an address that nothing listens on, and the tables room."""
    monkeypatch.setenv("COLUMNS", "120")


def save(family, folder, vocabulary=WORDS, **special):
    """Write a small random model with a tokenizer of whole words, or of letters."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    model, _ = small.build(family)
    model.save_pretrained(folder)
    words = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    if vocabulary is LETTERS:
        words.normalizer = normalizers.Lowercase()
        words.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
        )
    if family == "bert":
        words.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", **special
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save(
        "bert",
        tmp_path_factory.mktemp("bert"),
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return save("gpt2", tmp_path_factory.mktemp("gpt2"), eos_token="[SEP]")


@pytest.fixture
def command(ran):
    return partial(ran, "probe")


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n\n")
    return path


@pytest.mark.untyped
def test_an_encoder(command, bert, texts, tmp_path):
    code, out, _ = command(bert, "--text", texts, "--out", tmp_path / "out")
    assert code == 0
    for part in (
        "0.0",
        "1.3",
        "circles at the radius of the head's beta",
        "the mean of all tokens",
        "8 heads have an effective beta",
    ):
        assert part in out
    assert (tmp_path / "out" / "report.html").is_file()
    heads = (tmp_path / "out" / "heads.csv").read_text().splitlines()
    assert len(heads) == 1 + small.LAYERS * small.HEADS


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("examine", "Nothing is kept: an examination is written when it is complete"),
        ("save", "The files that were complete are kept in o"),
    ],
)
def test_an_interrupted_probe_says_what_is_kept(command, monkeypatch, bert, texts, name, kept):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(probing, name, interrupted)
    line = (bert, "--text", texts, "--out", "o", "--no-sweep", "--no-controls", "--layers", "0")
    code, out, error = command(*line, "--replace", "uniform")
    assert (code, out) == (130, "")
    assert " ".join(error.split()).endswith(f"kanerva: interrupted. {kept}.")


def test_a_language_model_tells_its_loss(plain, command, gpt2, texts, tmp_path):
    code, out, _ = command(
        gpt2,
        "--text",
        texts,
        "--replace",
        "nearest",
        "--no-sweep",
        "--no-controls",
        "--layers",
        "1",
        "--json",
    )
    assert code == 0
    record = json.loads(out)
    assert len(record["rows"]) == small.HEADS
    assert [row["memory"] for row in record["effects"]] == ["nearest"]
    assert record["effects"][0]["loss"] > 0
    assert record["effects"][0]["loss_before"] > 0
    assert record["sweep"] == []
    assert [row["control"] for row in record["controls"]] == ["this model"]
    assert record["manifest"]["class"] == "GPT2LMHeadModel"
    assert len(record["stores"]) == small.LAYERS


def test_texts_longer_than_the_model_are_cut_and_said_so(plain, command, bert, tmp_path):
    long = tmp_path / "long.txt"
    long.write_text("the memory " * 600 + "\nthe brain\na network\n")
    code, out, _ = command(
        bert, "--text", long, "--no-sweep", "--no-controls", "--replace", "nearest", "--length", 20
    )
    assert code == 0
    assert "1 of 3 texts are longer than 20 tokens" in out
    found = probing.load(str(bert)).batches(["the memory " * 600], 1)
    assert found[0][0]["input_ids"].shape == (1, 512)


def test_lengths_that_a_tokenizer_knows_or_cannot_cut_to(bert):
    loaded = probing.load(str(bert))
    loaded.tokenizer.model_max_length = 30
    assert loaded.batches(["the memory " * 600], 1)[0][0]["input_ids"].shape == (1, 30)
    with pytest.raises(
        kanerva.InputError, match="length must be one that the tokenizer can cut texts to"
    ):
        loaded.batches(["the memory is near"], 1, length=1)


def test_a_file_as_windows_writes_it(plain, command, bert, tmp_path):
    for name, content in (
        ("plain", b"the memory\nthe brain\n"),
        ("windows", b"\xef\xbb\xbfthe memory\r\nthe brain\r\n"),
    ):
        (tmp_path / name).write_bytes(content)
    several = [
        json.loads(
            command(
                bert,
                "--text",
                tmp_path / name,
                "--no-sweep",
                "--no-controls",
                "--replace",
                "uniform",
                "--layers",
                "0",
                "--json",
            )[1]
        )["rows"]
        for name in ("plain", "windows")
    ]
    assert several[0] == several[1]


@pytest.mark.skipif(
    not small.has_registry(transformers.T5Model),
    reason="T5 has no registry in older versions of transformers",
)
def test_a_model_that_wants_more_than_texts_is_refused(plain, command, texts, tmp_path):
    folder = save("t5", tmp_path / "t5", pad_token="[PAD]")
    code, _, error = command(folder, "--text", texts)
    assert code == 2
    assert "model must be one that is called with texts alone" in " ".join(error.split())


def test_the_shipped_sentences_are_read_where_no_file_is_given(plain, command, tmp_path):
    folder = save("bert", tmp_path / "letters", LETTERS, pad_token="[PAD]")
    code, out, _ = command(
        *(folder, "--texts", 6, "--no-sweep", "--no-controls", "--replace", "uniform"),
        *("--layers", "0", "--json"),
    )
    assert code == 0
    manifest = json.loads(out)["manifest"]
    assert manifest["texts"] == 6
    assert 0 < manifest["unknown"] < 0.01  # a digit


def test_the_share_of_unknown_tokens_is_shown(plain, command, bert, tmp_path):
    given = tmp_path / "texts.txt"
    given.write_text("the memory is near the brain and from a network\nthe zebra\nof a pattern\n")
    options = ("--no-sweep", "--no-controls", "--replace", "uniform", "--layers", "0")
    code, out, _ = command(bert, "--text", given, *options)
    assert code == 0
    assert "6.67 % of the tokens are unknown to the tokenizer" in " ".join(out.split())  # 1 of 15
    record = json.loads(command(bert, "--text", given, *options, "--json")[1])
    assert record["manifest"]["unknown"] == pytest.approx(1 / 15)


@pytest.mark.untyped
@pytest.mark.parametrize("family", ["bert", "gpt2", "qwen3", "bart"])
def test_a_model_without_its_tokenizer_is_refused(command, family, texts, tmp_path):
    model, _ = small.build(family)
    model.save_pretrained(tmp_path / family)  # transformers makes an empty tokenizer up
    code, _, error = command(tmp_path / family, "--text", texts)
    error = " ".join(error.split())
    assert code == 2
    assert "tokenizer must be that of the model" in error or "model must be a folder" in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.untyped
def test_texts_that_are_mostly_unknown_are_refused(bert):
    loaded = probing.load(str(bert))
    known, unknown = "the memory is near", "zebra"
    assert loaded.unknown([known, unknown]) == pytest.approx(1 / 5)
    with pytest.raises(kanerva.InputError, match=r"33.3 % of the tokens .* are unknown"):
        loaded.batches([f"{known} {unknown} {unknown}"], 1)
    for texts in (known, 3, None, [known, 3]):
        with pytest.raises(kanerva.InputTypeError, match="texts must be a list of strings"):
            loaded.batches(texts, 1)


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(bert):
    loaded = probing.load(str(bert))
    loaded.tokenizer.add_tokens([f"word{place}" for place in range(60)])
    with pytest.raises(kanerva.InputError, match="with ids below 50, but it was one that gives"):
        loaded.batches(["the memory word59 is near"], 1)


@pytest.mark.untyped
def test_a_vision_model_gets_a_sentence(command, tmp_path):
    model, _ = small.build("vit")
    model.save_pretrained(tmp_path / "vit")
    code, _, error = command(tmp_path / "vit")
    error = " ".join(error.split())
    assert code == 2
    assert "model must be one that takes texts" in error
    assert "ViTModel, which takes pixel_values" in error
    assert "kanerva.probe.watch" in error


CODE = """
import pathlib
from transformers import BertConfig, BertModel

pathlib.Path({marker!r}).touch()


class Own{kind}(Bert{kind}):
    model_type = "own"
"""


@pytest.fixture
def with_code(bert, tmp_path):
    """Write a folder whose configuration names Python code beside it; the code leaves a file."""
    folder, marker = tmp_path / "own", tmp_path / "ran"
    save("bert", folder, pad_token="[PAD]")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "own"}
    names = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": names}))
    for name, kind in (("configuration", "Config"), ("modeling", "Model")):
        (folder / f"{name}_own.py").write_text(CODE.format(marker=str(marker), kind=kind))
    return folder, marker


@pytest.mark.untyped
def test_code_of_a_folder_is_not_run_whatever_is_typed(command, with_code, monkeypatch):
    folder, marker = with_code
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 100))
    code, _, error = command(folder)
    error = " ".join(error.split())
    assert code == 2
    assert not marker.exists()
    assert "which needs Python code of its own" in error
    assert "[y/N]" not in error


def test_transformers_itself_would_have_run_that_code(with_code, monkeypatch, tmp_path):
    from transformers import dynamic_module_utils

    folder, marker = with_code
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True, local_files_only=True)
    assert marker.exists()


@pytest.mark.untyped
def test_code_of_a_tokenizer_is_not_run_either(command, bert, tmp_path, monkeypatch):
    folder, marker = tmp_path / "own", tmp_path / "ran"
    save("bert", folder, pad_token="[PAD]")
    (folder / "tokenization_own.py").write_text(CODE.format(marker=str(marker), kind="Config"))
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text()) | {"tokenizer_class": "OwnTokenizer"}
    names = [None, "tokenization_own.OwnTokenizer"]
    path.write_text(json.dumps(config | {"auto_map": {"AutoTokenizer": names}}))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 100))
    command(folder, "--texts", 3)
    assert not marker.exists()


@pytest.mark.untyped
def test_an_attention_from_the_hub_is_not_downloaded(command, tmp_path):
    record = transformers.BertConfig().to_dict() | {"attn_implementation": "someone/kernel"}
    (tmp_path / "config.json").write_text(json.dumps(record))
    code, _, error = command(tmp_path)
    assert code == 2
    if int(transformers.__version__.split(".")[0]) >= 5:  # older ones take no name from a file
        assert "one that takes 'someone/kernel'" in " ".join(error.split())


@pytest.mark.untyped
def test_pickled_weights_are_read_only_where_they_are_allowed(command, texts, tmp_path, plain):
    folder = save("bert", tmp_path / "pickled", pad_token="[PAD]")
    model, _ = small.build("bert")
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    code, _, error = command(folder, "--text", texts)
    error = " ".join(error.split())
    assert code == 2
    assert "model must be one with weights in safetensors files" in error
    assert "--allow-pickle" in error
    options = ("--no-sweep", "--no-controls", "--replace", "uniform", "--allow-pickle", "--json")
    code, out, _ = command(folder, "--text", texts, *options)
    assert code == 0
    assert json.loads(out)["manifest"]["class"] == "BertModel"
    with pytest.raises(kanerva.InputTypeError, match="allow_pickle must be True or False"):
        probing.load(str(folder), allow_pickle="no")
    with pytest.raises(kanerva.InputTypeError, match="model must be the name of a folder"):
        probing.load(None)
    with pytest.raises(kanerva.InputFileError, match="model must be a folder with a model"):
        probing.load("x" * 5000)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (("no/such/folder",), "model must be a folder"),
        (("someone/some-model",), "model must be a folder"),
        (("MODEL", "--text", "missing.txt"), "text must be a file"),
        (("MODEL", "--text", "EMPTY"), "text must be one text or more"),
        (("MODEL", "--device", "toaster"), "device must be one that torch can use here"),
        (("MODEL", "--replace", "magic"), "replace must be one of"),
        (("MODEL", "--layers", "0,x"), "layers must be whole numbers"),
        (("MODEL", "--text", "TEXTS", "--layers", "7"), "layers must be"),
        (("MODEL", "--space", "flat"), "space must be one of"),
        (("MODEL", "--batch", "0"), "batch must be"),
        (("MODEL", "--texts", "-1"), "texts must be"),
    ],
)
def test_bad_input_ends_with_a_sentence(command, bert, texts, tmp_path, arguments, argument):
    (tmp_path / "empty.txt").write_text("\n \n")
    given = {"MODEL": bert, "EMPTY": tmp_path / "empty.txt", "TEXTS": texts}
    code, _, err = command(*(given.get(word, word) for word in arguments))
    assert code == 2
    assert argument in " ".join(err.split())
    assert not (tmp_path / "runs").exists()


def test_a_hub_that_does_not_answer_is_given_up_at_once(monkeypatch):
    from huggingface_hub import constants

    local = []

    def from_pretrained(name, local_files_only, **more):
        local.append(local_files_only)
        raise OSError(name)

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", from_pretrained)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(kanerva.InputFileError, match="someone/some-model"):
            probing.load("someone/some-model")
    with pytest.raises(kanerva.InputFileError, match="someone/some-model"):
        probing.load("someone/some-model")
    assert local == [False, True]


@pytest.mark.parametrize(
    "name", ["./nosuch", "../nosuch", "/nosuch/model", "~/nosuch", "a/b/c", "here/nosuch", "x.txt/"]
)
def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.setattr("kanerva.lab.probing._transformer._loaded", None)
    with pytest.raises(kanerva.InputFileError, match=r"model must be a folder .* is not there; ch"):
        probing.load(name)
    (tmp_path / "file.txt").touch()
    with pytest.raises(kanerva.InputFileError, match=r"file\.txt', which is a file; check"):
        probing.load("./file.txt")


def test_an_owner_and_a_model_are_a_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        kanerva.InputFileError, match=r"a name on the hub, but it was 'owner/model'"
    ):
        probing.load("owner/model")


def test_a_folder_that_is_no_model(command, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "config.json").write_text("{")
    code, _, err = command(tmp_path / "here")
    assert code == 2
    assert "model must be a folder with a model and its tokenizer" in " ".join(err.split())


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(kanerva.InputError, match=r'pip install "kanerva\[hf\]"'):
        probing.load("anything")


def test_a_tokenizer_that_cannot_pad_is_refused(bert):
    loaded = probing.load(str(bert))
    loaded.tokenizer.pad_token = None
    with pytest.raises(kanerva.InputError, match="tokenizer must be one that can pad"):
        loaded.batches(TEXTS, 2)


@pytest.mark.untyped
def test_the_same_seed_finds_the_same(bert):
    loaded = probing.load(str(bert))
    plan = probing.Plan(replace=("matched",), controls=True)
    one, other = (probing.examine(loaded, TEXTS, plan) for _ in range(2))
    for name in ("rows", "curves", "effects", "sweep", "controls", "stores", "values"):
        assert getattr(one, name) == getattr(other, name), name
    assert not loaded.model.training


def test_every_replacement_runs(bert):
    found = probing.examine(
        probing.load(str(bert)),
        TEXTS,
        probing.Plan(replace=tuple(probing.REPLACEMENTS), sweep=False, controls=False),
    )
    assert [row["memory"] for row in found.effects] == list(probing.REPLACEMENTS)
    assert all(torch.tensor(row["embedding"]).isfinite() for row in found.effects)
