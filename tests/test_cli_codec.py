"""``kanerva codec``: what it prints and writes, what reads its files, and bad options."""

import json

import numpy as np
import pytest
import torch

from kanerva.lab import codec, data

# Convolutions to 16 and 32 filters, 24 features of 4 x 4 places, their norm, and the decoder.
PARAMETERS = 10 * 16 + (9 * 16 + 1) * 32 + (16 * 32 + 1) * 24 + 48 + 25 * 256 + 257 * 64


@pytest.fixture
def command(ran, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments, name="codec": ran(name, *arguments)


def said(text):
    return " ".join(text.split())


def test_a_table_and_a_file(command, tmp_path):
    line = ("digits", "--patterns", 200, "--features", 24, "--epochs", 4, "--out", "code")
    code, out, error = command(*line)
    assert (code, error) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    for text in (
        "codec features parameters RMSE accuracy seconds",
        f"ae:24 24 {PARAMETERS:,} 0.",
        "200 of 1797 patterns kept, chosen at random with seed 0",
        "Fitted to 200 patterns of 64 numbers",
        "Accuracy is the share of these patterns",
        "File: code (",
    ):
        assert text in said(out), text
    assert [path.name for path in tmp_path.iterdir()] == ["code"]
    found = codec.load(tmp_path / "code")
    loaded = data.load("digits", patterns=200, domain="real")
    same = codec.Autoencoder((8, 8), 24, epochs=4).fit(loaded.real, loaded.labels)
    assert torch.equal(found.encode(loaded.real), same.encode(loaded.real))


def test_numbers_are_those_of_the_codec(command, tmp_path):
    line = ("digits", "--patterns", 100, "--kind", "pca", "--out", "code", "--json")
    code, out, error = command(*line)
    assert (code, error) == (0, "")
    found = json.loads(out, parse_constant=pytest.fail)
    x = data.load("digits", patterns=100, domain="real").real.double().numpy()
    sizes = np.linalg.svd(x - x.mean(0), compute_uv=False)
    # What 32 components leave out.
    assert found["rmse"] == pytest.approx(np.sqrt((sizes[32:] ** 2).sum() / x.size), rel=1e-5)
    assert (found["codec"], found["features"], found["parameters"]) == ("pca:32", 32, 33 * 64)
    assert (found["accuracy"], found["patterns"]) == (None, 100)
    assert found["bytes"] == (tmp_path / "code").stat().st_size


def test_own_data_with_and_without_classes(command, tmp_path):
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", x=draw.uniform(size=(40, 6, 4)), label=np.arange(40) % 2)
    line = ("--features", 5, "--epochs", 1, "--out", "code", "--json")
    found = json.loads(command("own.npz:x", *line)[1])
    assert found["accuracy"] is None
    assert codec.load(tmp_path / "code").shape == (6, 4)
    found = json.loads(command("own.npz:x", "--label", "label", *line)[1])
    assert 0 <= found["accuracy"] <= 1
    found = json.loads(command("iris", *line, "--domain", "bits")[1])
    assert bool(codec.load(tmp_path / "code").fitted["binary"])
    line = ("--layout", "paper", "--epochs", 1, "--out", "code", "--json")
    found = json.loads(command("own.npz:x", *line)[1])
    assert (found["codec"], found["features"]) == ("ae:24:paper", 24)


def test_a_comparison_reads_the_file(command, tmp_path):
    assert command("digits", "--kind", "pca", "--features", 16, "--out", "code")[0] == 0
    line = ("digits", "--domain", "real", "--patterns", 50, "--memory", "modern_hopfield")
    line += ("--levels", "0,0.1", "--seeds", 1, "--cues", 20, "--no-capacity", "--json")
    code, out, error = command(*line, "--codec", "code", name="recall")
    assert (code, error) == (0, "")
    found = json.loads(out)
    assert {row["codec"] for row in found["rows"]} == {"code"}
    assert any(
        "16 principal components of the patterns, of the file code" in one for one in found["notes"]
    )
    code, out, error = command("wine", *line[1:3], "--codec", "code", name="recall")
    assert (code, out) == (2, "")
    assert "codec must be one of patterns of 13 numbers, as these are" in said(error)
    code, out, error = command(*line, "--codec", "gone", name="recall")
    assert (code, out) == (2, "")
    assert "ae:FEATURES[:LAYOUT], or a file that kanerva codec wrote" in said(error)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.npy", "--out", "code"], "nothing.npy"),
        (["letters"], "Missing option '--out'"),
        (["letters", "--out", "code", "--features", "0"], "features must be an integer from 1"),
        (["letters", "--out", "code", "--epochs", "0"], "epochs must be an integer from 1"),
        (["letters", "--out", "code", "--seed", "-1"], "seed must be an integer >= 0"),
        (["letters", "--out", "code", "--kind", "vae"], "kind must be one of 'ae', 'pca'"),
        (["letters", "--out", "code", "--layout", "big"], "layout must be one of 'small', 'paper'"),
        (["letters", "--out", "code", "--domain", "bit"], "domain must be one of 'real', 'bits'"),
        (
            ["letters", "--out", "code", "--layout", "paper", "--features", "9"],
            "features must be 64",
        ),
        (
            ["iris", "--out", "code", "--layout", "paper"],
            "shape must be of a picture of even sides",
        ),
        (["letters", "--out", "code", "--kind", "pca"], "features must be at most 25, the rank"),
        (["letters", "--out", "."], "out must be a file, but it was '.', a folder"),
        (["letters", "--out", "no/code"], "out must be a folder that can be written"),
    ],
)
def test_bad_calls_get_a_sentence_and_write_nothing(command, tmp_path, arguments, words):
    code, out, error = command(*arguments)
    assert (code, out) == (2, "")
    # Without colours, frames and folds of the terminal.
    assert words in said(error.replace("│", " "))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_command_says_what_is_kept(command, monkeypatch, tmp_path):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(codec.Autoencoder, "fit", interrupted)
    code, out, error = command("letters", "--out", "code")
    assert (code, out) == (130, "")
    assert said(error).endswith("Nothing is kept: a codec is written when it is complete.")
    assert list(tmp_path.iterdir()) == []


def test_codes_of_real_numbers_store_real_numbers_unless_said():
    from kanerva.cli.recall import _domain

    assert [_domain(codes) for codes in ([], ["bits:64", "pca:4"], ["none"])] == ["bits"] * 3
    assert [_domain(codes) for codes in (["pca:4"], ["ae:8", "some.codec"])] == ["real"] * 2
