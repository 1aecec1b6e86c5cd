"""Codes of data: their distances, decoding, files and errors, against closed forms."""

import math

import pytest
import torch

import kanerva
from kanerva import bits
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


@pytest.mark.parametrize("made", [codec.Plain(), codec.Hyperplanes(96, 0.5, seed=4)])
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
    for text in ("bits:0", "bits:x", "bits", "bits:8:-1", "none:1", "bytes:8", "bits:99999999999"):
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
