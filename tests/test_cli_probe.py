"""``kanerva probe`` as a newcomer runs it, on small models in folders."""

import json
import socket
import sys

import pytest
import torch

import kanerva
import small
from kanerva import cli
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
]
TEXTS = [
    "the memory is near",
    "a pattern was recalled from the brain",
    "the network stored a pattern and a memory of the brain",
]


PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Give the hub an address that nothing listens on."""
    from huggingface_hub import constants

    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "120")


def save(family, folder, **special):
    """Write a small random model with a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    model, _ = small.build(family)
    model.save_pretrained(folder)
    words = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
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
def command(monkeypatch, capsys, tmp_path):
    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["kanerva", "probe", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        record = capsys.readouterr()
        return code, record.out, record.err

    return run


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n\n")
    return path


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


@pytest.fixture
def plain(monkeypatch):
    """Do without figures, which take seconds."""
    monkeypatch.setattr("kanerva.lab.probing._report.find_spec", lambda name: None)


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
def test_a_model_that_wants_more_than_texts_is_refused(plain, command, tmp_path):
    folder = save("t5", tmp_path / "t5", pad_token="[PAD]")
    code, _, error = command(folder, "--texts", 3)
    assert code == 2
    assert "model must be one that is called with texts alone" in " ".join(error.split())


def test_the_shipped_sentences_are_read_where_no_file_is_given(plain, command, bert):
    code, out, _ = command(
        bert, "--texts", 6, "--no-sweep", "--no-controls", "--replace", "uniform", "--json"
    )
    assert code == 0
    assert json.loads(out)["manifest"]["texts"] == 6


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
        (("MODEL", "--layers", "7"), "layers must be"),
        (("MODEL", "--space", "flat"), "space must be one of"),
        (("MODEL", "--batch", "0"), "batch must be"),
        (("MODEL", "--texts", "-1"), "texts must be"),
    ],
)
def test_bad_input_ends_with_a_sentence(command, bert, tmp_path, arguments, argument):
    (tmp_path / "empty.txt").write_text("\n \n")
    given = {"MODEL": bert, "EMPTY": tmp_path / "empty.txt"}
    code, _, err = command(*(given.get(word, word) for word in arguments))
    assert code == 2
    assert argument in " ".join(err.split())
    assert not (tmp_path / "runs").exists()


def test_a_hub_that_does_not_answer_is_given_up_at_once(monkeypatch):
    from huggingface_hub import constants

    local = []

    def from_pretrained(name, local_files_only):
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
