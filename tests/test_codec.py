"""Codes of data: their distances, decoding, files and errors, against closed forms."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import kanerva
from kanerva import bits
from kanerva._core import archive
from kanerva.lab import codec, data


@pytest.fixture(scope="module")
def digits():
    """Return the distinct digits as bits."""
    return torch.unique(data.load("digits").bits, dim=0)


@pytest.mark.parametrize("degrees", [10, 45, 90, 150])
def test_the_share_of_differing_bits_is_the_angle(degrees):
    # A cross has mean zero, so that angles at the mean are those at the origin.
    cross = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    turned = torch.tensor([[math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]])
    coder, size = codec.Hyperplanes(20_000, seed=3).fit(cross), 20_000
    share = bits.hamming(coder.encode(cross[0]), coder.encode(3 * turned[0])).item() / size
    p = degrees / 180
    assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / size)


def test_whitening_divides_directions_by_their_deviation():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(250, 2, generator=draw) * torch.tensor([10.0, 0.1])
    apart = torch.tensor([[0.0, 0.1], [10.0, 0.0]])  # one deviation along each axis
    for whiten, share in ((0.0, 0.5), (1e-6, 0.5)):
        coder = codec.Hyperplanes(20_000, whiten).fit(x)
        code = coder.encode(apart + x.mean(0))
        assert bits.hamming(code[0], code[1]).item() / 20_000 == pytest.approx(share, abs=0.02)
    # A step along the small axis turns a vector by 45 degrees only when it is whitened.
    both = torch.tensor([[10.0, 0.0], [10.0, 0.1]]) + x.mean(0)
    shares = []
    for whiten in (0.0, 1e-6):
        code = codec.Hyperplanes(20_000, whiten).fit(x).encode(both)
        shares.append(bits.hamming(code[0], code[1]).item() / 20_000)
    assert shares == pytest.approx([math.atan(0.01) / math.pi, 0.25], abs=0.02)


def test_stored_digits_come_back_from_2048_bits(digits):
    coder = codec.Hyperplanes(2048).fit(digits)
    assert bool((coder.decode(coder.encode(digits)) == digits).all())
    short = codec.Hyperplanes(512).fit(digits)
    right = (short.decode(short.encode(digits)) == digits).double().mean().item()
    assert right >= 0.97


@pytest.mark.parametrize("kind", ["bits", "real"])
def test_a_code_does_not_depend_on_the_other_rows(digits, kind):
    x = (
        digits
        if kind == "bits"
        else digits + 0.1 * torch.sin(torch.arange(digits.numel())).reshape_as(digits)
    )
    coder = codec.Hyperplanes(1024).fit(x)
    whole = coder.encode(x[:300])
    alone = torch.stack([coder.encode(row) for row in x[:300]])
    mean, normals = (coder.fitted[name].float().double() for name in ("mean", "normals"))
    exact = (x[:300].double() - mean) @ normals.T
    assert torch.equal(whole, alone)
    sure = exact.abs() > 1e-4
    assert torch.equal(whole[sure], exact.sign().float()[sure])
    assert torch.equal(coder.encode(x[:6].reshape(2, 3, -1)), whole[:6].reshape(2, 3, -1))


def test_a_point_at_the_mean_lies_on_the_upper_side():
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    code = codec.Hyperplanes(64).fit(x).encode(torch.tensor([2.0, 4.0]))
    assert bool((code == 1).all())


def test_real_data_are_decoded_as_real_numbers():
    x = 2 * torch.rand(10, 16, generator=torch.Generator().manual_seed(0)) - 1
    coder = codec.Hyperplanes(2048).fit(x)
    assert torch.allclose(coder.decode(coder.encode(x)), x, atol=0.05)
    few = codec.Hyperplanes(3).fit(x)  # more patterns than bits
    assert few.decode(few.encode(x)).shape == x.shape


MADE = [
    codec.Plain(),
    codec.Hyperplanes(96, 0.5, seed=4),
    codec.PCA(5),
    codec.Autoencoder((8, 8), 12, epochs=1),
    codec.Autoencoder((8, 8), 64, "paper", epochs=1, seed=3),
    codec.Autoencoder((), 3, epochs=1),
]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_files(made, digits, tmp_path):
    made.fit(digits[:50]).save(tmp_path / "code.safetensors")
    same = codec.load(tmp_path / "code.safetensors")
    assert (type(same), same.name, same.domain, same.length) == (
        type(made),
        made.name,
        made.domain,
        made.length,
    )
    code = made.encode(digits)
    assert torch.equal(same.encode(digits), code)
    assert torch.equal(same.decode(code), made.decode(code))


def test_the_seed_names_the_code(digits):
    one, same, other = (codec.named("bits:128", seed).fit(digits) for seed in (1, 1, 2))
    assert torch.equal(one.encode(digits), same.encode(digits))
    assert not torch.equal(one.encode(digits), other.encode(digits))


@pytest.mark.untyped
def test_files_of_other_kinds_are_refused(digits, tmp_path):
    memory = kanerva.hopfield(8)
    memory.save(tmp_path / "memory.safetensors")
    codec.Hyperplanes(8).fit(digits).save(tmp_path / "code.safetensors")
    with pytest.raises(kanerva.InputFileError, match="path must be the file of one of the codecs"):
        codec.load(tmp_path / "memory.safetensors")
    with pytest.raises(kanerva.InputError):
        kanerva.load(tmp_path / "code.safetensors")
    with pytest.raises(kanerva.InputFileError, match="a codec saved by kanerva"):
        codec.load(tmp_path / "none")


@pytest.mark.untyped
def test_bad_input_is_refused(digits):
    odd = ("bits:0", "bits:x", "bits", "bits:8:-1", "none:1", "bytes:8", "bits:99999999999")
    odd += (
        "pca",
        "pca:0",
        "pca:1:2",
        "pca:x",
        "ae",
        "ae:0",
        "ae:8:large",
        "ae:8:small:3",
        "",
        "a\0b",
    )
    for text in (*odd, "x" * 5000):
        with pytest.raises(kanerva.InputError, match=r"codec\.named: codec must be none, or bits:"):
            codec.named(text)
    with pytest.raises(
        kanerva.InputError, match="bits must be small enough for the memory at hand"
    ):
        codec.Hyperplanes(2**31 - 1).fit(digits)
    for x in (digits[:1], torch.ones(5, 3)):
        with pytest.raises(kanerva.InputError, match="x must be two rows or more that differ"):
            codec.Hyperplanes(8).fit(x)
    with pytest.raises(kanerva.InputError, match="codec must be fitted"):
        codec.Hyperplanes(8).encode(digits)
    coder = codec.Hyperplanes(8).fit(digits)
    for call in (
        lambda: coder.encode(digits[:, :3]),
        lambda: coder.encode(digits * torch.nan),
        lambda: coder.decode(digits),
        lambda: coder.fit(digits.long()),
        lambda: codec.Hyperplanes(8, whiten=-1.0),
        lambda: codec.Hyperplanes(8, seed=-1),
    ):
        with pytest.raises(kanerva.InputError):
            call()


def test_components_are_those_of_the_covariance():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=draw) * torch.tensor([5.0, 4, 3, 2, 1, 0.5]) + 7
    coder = codec.PCA(4).fit(x)
    components = coder.fitted["components"]
    assert torch.allclose(components @ components.T, torch.eye(4).double(), atol=1e-12)
    values, vectors = np.linalg.eigh(np.cov(x.double().numpy().T))
    largest = vectors[:, ::-1][:, :4].T
    overlap = (components.numpy() * largest).sum(1)
    np.testing.assert_allclose(np.abs(overlap), 1, atol=1e-9)
    # What decoding loses is the variance of the components that were left out.
    lost = (coder.decode(coder.encode(x)) - x).double().square().sum() / (len(x) - 1)
    assert lost.item() == pytest.approx(values[:2].sum(), rel=1e-4)
    assert coder.parameters == 5 * 6


def test_signs_of_components_do_not_depend_on_the_order_of_patterns():
    x = torch.randn(40, 9, generator=torch.Generator().manual_seed(3))
    one, other = (codec.PCA(9).fit(rows).fitted["components"] for rows in (x, x.flip(0)))
    assert torch.allclose(one, other, atol=1e-10)
    assert bool((one.gather(1, one.abs().argmax(1, keepdim=True)) > 0).all())


@pytest.mark.untyped
def test_more_components_than_the_rank_are_refused():
    plane = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, -1, 0], [2, 1, 0]])
    codec.PCA(2).fit(plane)
    with pytest.raises(kanerva.InputError, match="features must be at most 2, the rank of these 4"):
        codec.PCA(3).fit(plane)
    with pytest.raises(kanerva.InputError, match="features must be an integer from 1"):
        codec.PCA(0)


@pytest.fixture(scope="module")
def learned():
    """Return the digits, and an autoencoder fitted to 1,200 of them."""
    loaded = data.load("digits", domain="real")
    coder = codec.Autoencoder((8, 8), 64, epochs=8, seed=1)
    return loaded, coder.fit(loaded.real[:1200], loaded.labels[:1200])


def test_digits_are_decoded_and_classified(learned):
    loaded, coder = learned
    x, labels = loaded.real[1200:], loaded.labels[1200:]  # not shown in training
    code = coder.encode(x)
    error = (coder.decode(code) - x).square().mean().sqrt().item()
    spread = (x - loaded.real[:1200].mean(0)).square().mean().sqrt().item()
    assert error < 0.5 * spread
    assert (coder.classify(code) == labels).double().mean().item() >= 0.93
    # The features themselves tell classes apart: the nearest mean of a class is the right one.
    stored = coder.encode(loaded.real[:1200])
    means = torch.stack([stored[loaded.labels[:1200] == one].mean(0) for one in range(10)])
    assert (torch.cdist(code, means).argmin(1) == labels).double().mean().item() >= 0.93


def test_a_learned_code_does_not_depend_on_the_other_rows(learned):
    # Computed in float64 and rounded: the same to the bit on every computer that was tried.
    loaded, coder = learned
    whole = coder.encode(loaded.real[:300])
    alone = torch.stack([coder.encode(row) for row in loaded.real[:300]])
    assert torch.allclose(whole, alone, rtol=0, atol=1e-6)
    again = torch.stack([coder.decode(row) for row in whole])
    assert torch.allclose(coder.decode(whole), again, rtol=0, atol=1e-6)
    assert torch.equal(coder.classify(whole), torch.stack([coder.classify(row) for row in whole]))
    assert coder.classify(whole.reshape(3, 100, -1)).shape == (3, 100)


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(tmp_path):
    loaded = data.load("digits", domain="real", patterns=150)
    before, found = torch.get_num_threads(), []
    for place, threads in enumerate((1, 2, 3)):
        for kind, coder in (
            ("small", codec.Autoencoder((8, 8), 16, epochs=2, seed=5)),
            ("paper", codec.Autoencoder((8, 8), 64, "paper", epochs=1, seed=5)),
            ("pca", codec.PCA(8)),
        ):
            torch.set_num_threads(threads)
            try:
                coder.fit(loaded.real, loaded.labels)
                assert torch.get_num_threads() == threads
            finally:
                torch.set_num_threads(before)
            coder.save(tmp_path / f"{kind}{place}")
        found.append(
            [(tmp_path / f"{kind}{place}").read_bytes() for kind in ("small", "paper", "pca")]
        )
    assert found[0] == found[1] == found[2]
    other = codec.Autoencoder((8, 8), 16, epochs=2, seed=6).fit(loaded.real, loaded.labels)
    same = codec.load(tmp_path / "small0")
    assert not torch.equal(other.encode(loaded.real), same.encode(loaded.real))
    assert torch.equal(same.fitted["classes"], torch.arange(10))


def test_parameters_of_the_published_layout():
    # Convolutions of c to d filters have 9 c d weights and d biases, the norm 2 for each feature.
    filters = (3, 32, 16, 8, 4)
    there = sum(9 * c * d + d for c, d in itertools.pairwise(filters))
    back = sum(9 * c * d + d for c, d in itertools.pairwise((4, 8, 16, 32, 3)))
    assert (there, back) == (6972, 6971)
    assert there + 2 * 1024 + back == 15_991
    coder = codec.Autoencoder((32, 32, 3), 1024, layout="paper")
    assert (coder.parameters, coder.length, coder.name) == (15_991, 1024, "ae:1024:paper")


def test_the_published_layout_layer_by_layer():
    pictures = torch.rand(6, 4, 6, 3, generator=torch.Generator().manual_seed(0))
    x = 10 * pictures.reshape(6, -1) - 3
    coder = codec.Autoencoder((4, 6, 3), 24, "paper", epochs=1).fit(x)
    low, high = x.min().double(), x.max().double()
    weights = {name: tensor.double() for name, tensor in coder.fitted.items()}
    inner = [
        name[:-7] for name in weights if name.startswith("encoder") and name.endswith("weight")
    ]
    outer = [
        name[:-7] for name in weights if name.startswith("decoder") and name.endswith("weight")
    ]
    assert [weights[f"{name}.weight"].shape[0] for name in inner + outer] == [
        32,
        16,
        8,
        4,
        8,
        16,
        32,
        3,
    ]
    state = ((x.double() - low) / (high - low)).reshape(6, 4, 6, 3).permute(0, 3, 1, 2)
    for name in inner:
        state = F.relu(
            F.conv2d(state, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        )
    # The largest of each 2 x 2, filter by filter, then row by row.
    pooled = state.reshape(6, 4, 2, 2, 3, 2).amax((3, 5)).reshape(6, -1)
    centred = pooled - pooled.mean(1, keepdim=True)
    normed = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    expected = normed * weights["norm.weight"] + weights["norm.bias"]
    code = coder.encode(x)
    assert torch.allclose(code.double(), expected, atol=1e-6)
    state = code.double().reshape(6, 4, 2, 3).repeat_interleave(2, 2).repeat_interleave(2, 3)
    for name in outer:
        state = F.conv2d(state, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        state = torch.sigmoid(state) if name == outer[-1] else F.relu(state)
    decoded = low + (high - low) * state.permute(0, 2, 3, 1).reshape(6, -1)
    assert torch.allclose(coder.decode(code).double(), decoded, atol=1e-5)


def test_the_small_layout_of_vectors_layer_by_layer():
    x = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([9, 2, 5]).repeat(4)
    coder = codec.Autoencoder((5,), 6, epochs=2).fit(x, labels)
    assert coder.parameters == (5 * 256 + 256) + (256 * 6 + 6) + 12 + (6 * 256 + 256) + (
        256 * 5 + 5
    )
    part = {name: tensor.double() for name, tensor in coder.fitted.items()}
    low, high = part["range"]
    assert (low.item(), high.item()) == (x.min().item(), x.max().item())
    unit = (x.double() - low) / (high - low)
    inner = F.relu(unit @ part["encoder.0.weight"].T + part["encoder.0.bias"])
    state = inner @ part["encoder.2.weight"].T + part["encoder.2.bias"]
    expected = F.layer_norm(state, (6,), part["norm.weight"], part["norm.bias"])
    code = coder.encode(x)
    assert torch.allclose(code.double(), expected, atol=1e-6)
    scores = code.double() @ part["head.0.weight"].T + part["head.0.bias"]
    assert torch.equal(coder.classify(code), torch.tensor([2, 5, 9])[scores.argmax(1)])


def test_patterns_of_any_length_and_few_features():
    x = torch.rand(30, 7, generator=torch.Generator().manual_seed(0))
    for features in (1, 2, 3, 4):
        coder = codec.Autoencoder((), features, epochs=30).fit(x)
        assert len(torch.unique(coder.encode(x), dim=0)) == 30  # no two are alike
    with pytest.raises(kanerva.InputError, match="codec must be fitted"):
        _ = codec.Autoencoder((), 4).parameters
    high = codec.Autoencoder((9, 5), 4, epochs=1).fit(
        torch.rand(9, 45, generator=torch.Generator().manual_seed(1))
    )
    assert high.decode(high.encode(torch.zeros(2, 45))).shape == (2, 45)


def test_progress_and_what_a_failed_fit_leaves(learned):
    loaded, _ = learned
    seen = []
    coder = codec.Autoencoder((8, 8), 8, epochs=3)
    coder.fit(loaded.real[:200], progress=lambda *one: seen.append(one))
    assert [one[:2] for one in seen] == [(1, 3), (2, 3), (3, 3)]
    assert seen[0][2] > seen[2][2] > 0
    before = coder.encode(loaded.real[:3])

    def stop(done, total, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coder.fit(loaded.real[200:300], progress=stop)
    assert torch.equal(coder.encode(loaded.real[:3]), before)


def test_bits_are_decoded_as_bits(digits):
    for coder in (codec.PCA(20), codec.Autoencoder((8, 8), 20, epochs=1)):
        coder.fit(digits[:200])
        assert bool((coder.decode(coder.encode(digits[:9])).abs() == 1).all())


def test_codecs_by_name_and_file(digits, tmp_path, monkeypatch):
    assert codec.named("pca:7").length == 7
    small, paper = codec.named("ae:9", 3, (8, 8)), codec.named("ae:64:paper", 0, (8, 8))
    assert (small.arguments["seed"], small.arguments["shape"], paper.name) == (
        3,
        [8, 8],
        "ae:64:paper",
    )
    monkeypatch.chdir(tmp_path)
    codec.PCA(4).fit(digits).save("mine.codec")
    found = codec.named("mine.codec")
    assert (found.name, found.length, bool(found.fitted)) == ("mine.codec", 4, True)
    assert codec.named(str(tmp_path / "mine.codec")).name == "mine.codec"
    for text, words in (("other.codec", "no such file is there"), (".", "which is a folder")):
        with pytest.raises(kanerva.InputError, match=words):
            codec.named(text)


@pytest.mark.untyped
def test_wrong_arguments_of_learned_codes(digits, tmp_path):
    labels = torch.zeros(len(digits), dtype=torch.int64)
    coder = codec.Autoencoder((8, 8), 4, epochs=1).fit(digits[:50])
    for call, words in (
        (lambda: codec.Autoencoder((8, 8), 0), "features must be an integer from 1"),
        (lambda: codec.Autoencoder((8, 8), 2.5), "features must be an integer from 1"),
        (lambda: codec.Autoencoder((8, 8), 4, epochs=0), "epochs must be an integer from 1"),
        (lambda: codec.Autoencoder((8, 8), 4, seed=-1), "seed must be an integer >= 0"),
        (lambda: codec.Autoencoder((8, 8), 4, "large"), "layout must be one of 'small', 'paper'"),
        (lambda: codec.Autoencoder(8, 4), "shape must be a tuple"),
        (lambda: codec.Autoencoder((8, 0), 4), "shape must be an integer from 1"),
        (lambda: codec.Autoencoder((2, 2, 2, 8), 4), "shape must be a tuple of up to three"),
        (lambda: codec.Autoencoder((64,), 64, "paper"), "shape must be of a picture of even sides"),
        (lambda: codec.Autoencoder((), 64, "paper").fit(digits), "shape must be of a picture"),
        (lambda: codec.Autoencoder((7, 8), 56, "paper"), "shape must be of a picture of even"),
        (lambda: codec.Autoencoder((8, 8), 32, "paper"), "features must be 64, 4 filters at 4 x 4"),
        (lambda: codec.Autoencoder((4, 4), 4).fit(digits), "x must be rows of 16 numbers, as"),
        (lambda: coder.fit(digits * torch.nan), "x must be finite"),
        (lambda: coder.fit(digits.double() * 1e300), "x must be finite"),
        (lambda: coder.encode(digits.double() * 1e300), "x must be finite"),
        (lambda: coder.fit(digits, labels[:-1]), r"labels must be an int64 tensor of shape \("),
        (lambda: coder.fit(digits, labels.float()), "labels must be an int64 tensor"),
        (lambda: coder.fit(digits, labels.tolist()), "labels must be an int64 tensor"),
        (lambda: coder.fit(digits, progress=3), "progress must be a function or None"),
        (lambda: coder.encode(digits[:, :9]), "x must be a"),
        (lambda: codec.PCA(2).fit(digits).encode(digits * 3e38), "x must be small enough for"),
        (lambda: coder.decode(digits), "code must be a"),
        (lambda: coder.classify(digits[:3, :4]), "classifier, but it was fitted without labels"),
        (lambda: codec.Autoencoder((8, 8), 4).classify(digits), "codec must be fitted"),
        (lambda: codec.Autoencoder((), 2**31 - 1).fit(digits), "features must be small enough"),
    ):
        with pytest.raises(kanerva.InputError, match=words):
            call()


@pytest.mark.untyped
def test_a_damaged_file_of_a_learned_code(digits, tmp_path):
    path = tmp_path / "code"
    codec.Autoencoder((8, 8), 4, epochs=1).fit(digits[:50], torch.arange(50) % 2).save(path)
    tensors, config = archive.read(path, "codec")
    changes = (
        {"classes": torch.arange(3)},
        {"head.0.weight": torch.zeros(2, 5)},
        {"mean": torch.zeros(63)},
        {"more": torch.zeros(1)},
    )
    for change in changes:
        archive.write(
            path, tensors | change, {"codec": config["codec"], "arguments": config["arguments"]}
        )
        with pytest.raises(kanerva.InputFileError, match="path must be the file of a codec"):
            codec.load(path)
    archive.write(
        path, tensors, {"codec": "Autoencoder", "arguments": config["arguments"] | {"epochs": 0}}
    )
    with pytest.raises(kanerva.InputFileError, match="path must be the file of a codec"):
        codec.load(path)


def test_fits_without_gradients_and_under_another_default_dtype(digits):
    expected = codec.Autoencoder((8, 8), 4, epochs=1, seed=2).fit(digits[:60]).encode(digits[:9])
    with torch.inference_mode():
        inside = codec.Autoencoder((8, 8), 4, epochs=1, seed=2).fit(digits[:60] * 1)
    assert torch.equal(inside.encode(digits[:9]), expected)
    torch.set_default_dtype(torch.float64)
    try:
        wide = codec.Autoencoder((8, 8), 4, epochs=1, seed=2).fit(digits[:60].double())
        assert torch.equal(wide.encode(digits[:9]), expected)
    finally:
        torch.set_default_dtype(torch.float32)
    again = copy.deepcopy(wide)
    assert torch.equal(again.fit(digits[:60]).encode(digits[:9]), expected)
