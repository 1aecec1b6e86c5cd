"""Packed, rounded and mapped storage: reads equal those of a plain memory of the same rows."""

import copy
import io
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import kanerva
from kanerva import InputError, Patterns, bits, separation, similarity
from kanerva.activation import Sign
from kanerva.separation import Circle, Linear, Softmax

N = 100
NARROW = [torch.bfloat16, torch.float16]


def normal(rows, dim, seed=0, dtype=torch.float32):
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)).to(dtype)


def stored(memory):
    """Return the tensor that holds the keys: packed words, or rows."""
    return memory.keys.words if memory.storage == "bits" else memory.keys


def agree(got, expected, query, tolerance):
    """Compare all results of two memories."""
    near = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(got.scores(query), expected.scores(query), **near)
    torch.testing.assert_close(got.weights(query), expected.weights(query), **near)
    torch.testing.assert_close(got.read(query), expected.read(query), **near)
    torch.testing.assert_close(got.read(query[0]), expected.read(query)[0], **near)
    for one, other in zip(got.explain(query), expected.explain(query), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, **near)
    # A recall needs reads that are queries.
    if expected.value_dim == expected.dim and (expected.value_bits or not expected.key_bits):
        recalled = got.recall(query, steps=5)
        torch.testing.assert_close(recalled, expected.recall(query, steps=5), **near)
        assert torch.equal(got.trace(query, steps=5).steps, expected.trace(query, steps=5).steps)
    half = torch.arange(expected.keys.shape[0]) % 2 == 0
    torch.testing.assert_close(got.read(query, half), expected.read(query, half), **near)


# Bits, 64 to a word

BITS = {
    "sdm": lambda **store: kanerva.sdm_patterns(N, 40, **store),
    "sdm hetero": lambda **store: kanerva.sdm_patterns(N, 40, value_bits=33, **store),
    "sdm finite": lambda **store: kanerva.sdm_patterns(N, 42, locations=1e6, **store),
    "sdm attention": lambda **store: kanerva.sdm_attention(N, 30, **store),
    "hopfield": lambda **store: kanerva.hopfield(N, **store),
    "hopfield kept": lambda **store: kanerva.hopfield(N, "kept", **store),
    "dense": lambda **store: kanerva.dense(N, 3, **store),
    "exponential": lambda **store: kanerva.exponential(N, 0.2, **store),
    "float64": lambda **store: kanerva.sdm_patterns(N, 40, dtype=torch.float64, **store),
    "bfloat16": lambda **store: kanerva.sdm_patterns(N, 40, dtype=torch.bfloat16, **store),
    "one": lambda **store: kanerva.hopfield(1, "kept", **store),
    "a word": lambda **store: kanerva.sdm_patterns(64, 24, value_bits=128, **store),
    "no sign": lambda **store: Patterns(
        N, similarity=similarity.agreement, separation=Circle(N, 40), **store
    ),
}


def both(name, count=30):
    """Return a packed and a plain memory of the same rows, and damaged keys as queries."""
    packed, plain = BITS[name](storage="bits"), BITS[name]()
    keys = bits.random(count, plain.dim, seed=1, dtype=plain.dtype)
    rows = [keys]
    if not plain.autoassociative:
        rows.append(bits.random(count, plain.value_dim, seed=2, dtype=plain.dtype))
    for memory in (packed, plain):
        memory.write(*(part[: count // 3] for part in rows))
        memory.write(*(part[count // 3 :] for part in rows))
    return packed, plain, bits.flip(keys[:7], plain.dim // 12, seed=3)


def unchecked(names, *some):
    """Mark some names as untyped: their reads by a budget of 1 are thousands of checked calls."""
    return [pytest.param(name, marks=[pytest.mark.untyped] * (name in some)) for name in names]


# The tests of packed patterns that are forgotten check most of these with all results.
@pytest.mark.parametrize(
    "name", unchecked(BITS, *(set(BITS) - {"float64", "bfloat16", "one", "a word", "no sign"}))
)
def test_packed_patterns_read_as_plain_ones(name):
    packed, plain, query = both(name)
    assert isinstance(packed.keys, bits.Packed)
    assert torch.equal(packed.keys[:].to(plain.dtype), plain.keys)
    assert torch.equal(packed.values[:].to(plain.dtype), plain.values)
    assert packed.dtype == plain.dtype
    assert (packed.dim, packed.value_dim, len(packed)) == (plain.dim, plain.value_dim, len(plain))
    agree(packed, plain, query, 1e-5)
    with kanerva.settings.use(budget=1):
        torch.testing.assert_close(packed.read(query), plain.read(query), rtol=1e-5, atol=1e-5)


def test_packed_keys_take_one_bit_each():
    """A million patterns of 256 bits take 32 MB, not a gigabyte; shared values take nothing."""
    memory = kanerva.sdm_patterns(256, 103, storage="bits")
    rows = bits.random(20_000, 256, seed=0)
    ids = memory.write(rows)
    assert sum(buffer.nbytes for buffer in memory.buffers()) == 20_000 * (32 + 8) + 8 + 4
    assert memory.keys.words.nbytes == rows.nbytes // 32
    assert memory.values.words.data_ptr() == memory.keys.words.data_ptr()
    assert ids.tolist() == list(range(20_000))
    assert torch.equal(memory.keys[:], rows)
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    assert file.tell() < 20_000 * 40 + 8192


def test_packed_rows_are_written_in_chunks_of_the_budget():
    rows = bits.random(50, N, seed=0)
    memory = kanerva.hopfield(N, storage="bits")
    with kanerva.settings.use(budget=1):
        memory.write(rows)
    assert torch.equal(memory.keys[:], rows)
    assert memory.write(rows[:0]).shape == (0,)
    assert memory.write(rows[:6].reshape(2, 3, N)).shape == (2, 3)


@pytest.mark.parametrize("storage", ["bits", *NARROW])
def test_room_doubles_and_is_given_back(storage):
    memory = kanerva.hopfield(64, storage=storage)
    rows, places = bits.random(500, 64, seed=0), set()
    for row in rows:
        memory.write(row)
        places.add(stored(memory).data_ptr())
    assert len(places) < 16
    assert torch.equal(memory.keys[:].float(), rows)
    memory.forget(memory.ids[100:])
    kept = stored(memory)
    size = 100 * 64 * (0.125 if storage == "bits" else 2)
    assert kept.untyped_storage().nbytes() == kept.nbytes == size
    assert torch.equal(memory.keys[:].float(), rows[:100])
    assert memory.write(rows[:1]).item() == 500


@pytest.mark.parametrize("name", ["sdm", "sdm hetero", "exponential"])
def test_packed_patterns_are_forgotten_by_id(name):
    packed, plain, query = both(name)
    for memory in (packed, plain):
        memory.forget([0, 3, 29])
        memory.forget(torch.tensor([[5], [6]]))
    assert packed.ids.tolist() == plain.ids.tolist()
    agree(packed, plain, query, 1e-5)


# Rounded

RULES = {
    "softmax": lambda **store: Patterns(20, separation=Softmax(0.3), **store),
    "hetero": lambda **store: Patterns(20, 7, separation=Softmax(0.3), **store),
    "closeness": lambda **store: Patterns(
        20, similarity=similarity.closeness, separation=Softmax(0.1), **store
    ),
    "cosine": lambda **store: Patterns(
        20, 3, similarity=similarity.cosine, separation=separation.Entmax(1.5, 4.0), **store
    ),
    "manhattan": lambda **store: Patterns(
        20, similarity=similarity.manhattan, separation=Softmax(0.2), **store
    ),
    "linear": lambda **store: Patterns(20, 2, separation=Linear(), **store),
}


@pytest.mark.parametrize("storage", NARROW)
@pytest.mark.parametrize("name", RULES)
def test_a_rounded_memory_is_the_wide_memory_of_rounded_rows(name, storage):
    """Sums over thousands of rounded rows are taken in float32."""
    narrow, wide = RULES[name](storage=storage), RULES[name]()
    keys = normal(4000, 20)
    values = None if wide.autoassociative else normal(4000, wide.value_dim, seed=1)
    narrow.write(keys, values)
    rounded = None if values is None else values.to(storage).float()
    wide.write(keys.to(storage).float(), rounded)
    assert narrow.keys.dtype == narrow.values.dtype == storage
    assert narrow.keys.nbytes * 2 == wide.keys.nbytes
    query = normal(6, 20, seed=2)
    assert narrow.read(query).dtype == narrow.dtype == torch.float32
    scale = wide.read(query).abs().amax().clamp_min(1)
    expected = wide.read(query) / scale
    torch.testing.assert_close(narrow.read(query) / scale, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(narrow.weights(query), wide.weights(query), rtol=1e-5, atol=1e-6)
    assert not torch.equal(narrow.keys.float(), keys)
    with kanerva.settings.use(budget=2**16):
        expected = wide.read(query) / scale
        torch.testing.assert_close(narrow.read(query) / scale, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("storage", NARROW)
def test_all_results_of_a_rounded_memory(storage):
    narrow = kanerva.modern_hopfield(20, 0.5, storage=storage)
    wide = kanerva.modern_hopfield(20, 0.5)
    keys = normal(40, 20)
    narrow.write(keys)
    wide.write(keys.to(storage).float())
    agree(narrow, wide, keys[:5] + 0.1, 1e-5)
    torch.testing.assert_close(narrow.energy(keys), wide.energy(keys), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("storage", ["bits", torch.bfloat16])
def test_gradients_of_a_query_are_those_of_the_plain_memory(storage):
    keys, slopes = bits.random(30, N, seed=0), []
    for kept in (storage, None):
        rule = Softmax(nn.Parameter(torch.tensor(0.02)))
        active = Sign() if kept == "bits" else None
        memory = Patterns(N, separation=rule, activation=active, storage=kept)
        memory.activation = kanerva.activation.Identity()
        memory.write(keys)
        query = keys[:4].clone().requires_grad_()
        memory.read(query).square().sum().backward()
        slopes.append((query.grad, memory.beta.grad))
        assert query.grad.abs().sum() > 0
    for got, expected in zip(*slopes, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_numbers_beyond_the_range_are_refused_and_nothing_is_written():
    memory = kanerva.attention(4, value_dim=2, storage=torch.float16)
    memory.write(torch.eye(4), torch.ones(4, 2))
    for keys, values, name in (
        (7e4 * torch.eye(4), torch.ones(4, 2), "keys"),
        (torch.eye(4), 7e4 * torch.ones(4, 2), "values"),
    ):
        must = rf"^Patterns.write: {name} must be within the range of float16, "
        with pytest.raises(InputError, match=must + ".*; scale them down, or keep"):
            memory.write(keys, values)
        assert len(memory) == len(memory.ids) == 4
    assert memory.write(torch.eye(4)[0], torch.ones(2)).item() == 4
    with pytest.raises(InputError, match="within the range of bfloat16"):
        kanerva.modern_hopfield(2, 1.0, storage=torch.bfloat16).write(torch.full((2,), 3.4e38))


# Copies and files


@pytest.mark.parametrize("storage", ["bits", *NARROW, torch.float64])
def test_round_trips(storage, tmp_path):
    memory = kanerva.sdm_patterns(N, 40, value_bits=33, storage=storage)
    keys, values = bits.random(9, N, seed=0), bits.random(9, 33, seed=1)
    memory.write(keys, values)
    memory.forget([2])
    other = kanerva.sdm_patterns(N, 40, value_bits=33, storage=storage)
    other.load_state_dict(memory.state_dict())
    memory.save(tmp_path / "a")
    for twin in (copy.deepcopy(memory), other, kanerva.load(tmp_path / "a")):
        assert repr(twin) == repr(memory)
        assert twin.storage == storage
        assert twin.dtype == memory.dtype
        assert torch.equal(twin.keys[:], memory.keys[:])
        assert torch.equal(twin.read(keys), memory.read(keys))
        assert twin.write(keys[0], values[0]).item() == 9
        assert len(memory) == 8


def header(path):
    described, _ = split(path.read_bytes())
    return json.loads(described["__metadata__"]["kanerva"])


def test_the_header_has_the_storage_in_files_of_the_newer_format(tmp_path):
    path = tmp_path / "a"
    kanerva.hopfield(8).save(path)
    assert header(path)["format"] == 1
    assert "storage" not in header(path)
    kanerva.hopfield(8, dtype=torch.float64, storage="bits").save(path)
    packed = {"format": 2, "storage": "bits", "dtype": "float64"}
    assert packed.items() <= header(path).items()
    kanerva.hopfield(8, storage=torch.bfloat16).save(path)
    assert (header(path)["storage"], header(path)["dtype"]) == ("bfloat16", "float32")


def save_changed(path, change=None, **tensors):
    """Save a packed memory, with another description or other tensors in the file."""
    memory = kanerva.sdm_patterns(N, 40, value_bits=33, storage="bits")
    memory.write(bits.random(9, N, seed=0), bits.random(9, 33, seed=1))
    memory.save(path)
    description = header(path) | (change or {})
    content = safetensors.torch.load(path.read_bytes()) | tensors
    metadata = {"kanerva": json.dumps(description)}
    path.write_bytes(safetensors.torch.save(content, metadata))


CONTRADICTIONS = {
    "storage of floats": {"change": {"storage": "float32"}},
    "storage unknown": {"change": {"storage": "int8"}},
    "storage none": {"change": {"storage": None}},
    "storage a list": {"change": {"storage": ["bits"]}},
    "dtype of integers": {"change": {"dtype": "int64"}},
    "dtype missing": {"change": {"dtype": None}},
    "format older": {"change": {"format": 1}},
    "format newer": {"change": {"format": 3}},
    "real numbers compared": {
        "change": {
            "similarity": "dot",
            "separation": {"name": "Linear"},
            "activation": {"name": "Identity"},
        }
    },
    "dim of other words": {"change": {"dim": 129}},
    "bits beyond": {"keys": torch.full((9, 2), -1)},
    "values beyond": {"_values": torch.full((9, 1), 2**33)},
    "rows of another length": {"keys": torch.zeros(9, 3, dtype=torch.int64)},
    "floats": {"keys": torch.ones(9, 2)},
    "floats of the length": {"keys": torch.ones(9, N)},
    "values of another count": {"_values": torch.zeros(8, 1, dtype=torch.int64)},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_description_that_contradicts_the_tensors_is_refused(name, tmp_path):
    save_changed(tmp_path / "a")
    assert len(kanerva.load(tmp_path / "a")) == 9
    save_changed(tmp_path / "a", **CONTRADICTIONS[name])
    with pytest.raises(InputError, match=r"^load: path must be .*\.$"):
        kanerva.load(tmp_path / "a")


@pytest.mark.parametrize("dim", [1, N])
def test_a_state_of_another_storage_is_refused_and_changes_nothing(dim):
    rows = bits.random(5, dim, seed=0)
    packed, plain = kanerva.hopfield(dim, storage="bits"), kanerva.hopfield(dim)
    for memory in (packed, plain):
        memory.write(rows)
    rounded = kanerva.modern_hopfield(3, 1.0, storage=torch.bfloat16)
    exact = kanerva.modern_hopfield(3, 1.0)
    exact.write(torch.full((1, 3), 1 / 3))
    beyond = packed.state_dict() | {"keys": torch.full_like(packed.keys.words, -2)}
    floats = packed.state_dict() | {"keys": packed.keys.words.double()}
    for one, state in (
        (packed, plain.state_dict()),
        (plain, packed.state_dict()),
        (packed, beyond),
        (packed, floats),
        (rounded, exact.state_dict()),
    ):
        before = copy.deepcopy(one.state_dict())
        with pytest.raises(InputError):
            one.load_state_dict(state)
        assert all(torch.equal(tensor, before[name]) for name, tensor in one.state_dict().items())
    exact.load_state_dict(rounded.state_dict())  # float32 holds every bfloat16 number
    assert exact.keys.dtype == torch.float32


# Another dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("storage", ["bits", *NARROW, torch.float32])
def test_a_change_of_dtype_leaves_the_storage_alone(storage, dtype):
    """``.to(dtype)`` casts queries, reads and parameters, but not rows with their own dtype."""
    memory = kanerva.exponential(N, nn.Parameter(torch.tensor(0.2)), storage=storage)
    keys = bits.random(9, N, seed=0)
    memory.write(keys)
    before, read = stored(memory).clone(), memory.read(keys)
    assert memory.to(dtype) is memory
    assert memory.dtype == memory.beta.dtype == dtype
    assert memory.storage == storage
    assert stored(memory).dtype == before.dtype
    assert torch.equal(stored(memory), before)
    assert stored(memory).untyped_storage().nbytes() <= 2 * before.nbytes
    assert torch.equal(memory.read(keys.to(dtype)), read.to(dtype))
    assert memory.write(keys[:2].to(dtype)).tolist() == [9, 10]
    assert stored(memory).dtype == before.dtype


def test_half_and_double_and_back(tmp_path):
    memory = kanerva.modern_hopfield(20, 0.5, dtype=torch.float64, storage=torch.float32)
    keys = normal(10, 20, dtype=torch.float64)
    memory.write(keys)
    rows = memory.keys.clone()
    memory.half().save(tmp_path / "a")
    loaded = kanerva.load(tmp_path / "a")
    assert (loaded.dtype, loaded.keys.dtype) == (torch.float16, torch.float32)
    assert torch.equal(loaded.double().keys, rows)
    assert loaded.read(keys).dtype == torch.float64
    whole = nn.Sequential(memory).bfloat16()
    assert (memory.dtype, memory.keys.dtype) == (torch.bfloat16, torch.float32)
    assert whole(keys.bfloat16()).dtype == torch.bfloat16


def test_the_line_that_describes_it():
    assert repr(kanerva.hopfield(8)).endswith(
        "8 -> 8, 0 stored, dot, Difference(part=Linear()), Sign(tie='keep', seed=0))"
    )
    assert repr(kanerva.hopfield(8, storage="bits")).endswith(", kept as bits)")
    assert repr(kanerva.hopfield(8, storage=torch.bfloat16)).endswith(", kept as bfloat16)")


# Bad input


@pytest.mark.untyped
@pytest.mark.parametrize(
    "storage",
    ["float16", "packed", torch.int64, torch.int8, 16, True, torch.complex64, [torch.float16]],
)
def test_storages_that_there_are_not(storage):
    must = r'^Patterns: storage must be None, a floating dtype or "bits", but it was .*'
    do = r"; choose torch.bfloat16 for half the memory\.$"
    with pytest.raises(kanerva.InputTypeError, match=must + do):
        Patterns(4, separation=Linear(), storage=storage)


def test_real_numbers_are_not_kept_as_bits():
    must = "storage must be a floating dtype where keys are real numbers"
    with pytest.raises(InputError, match=f"^Patterns: {must}, but it was 'bits'; choose"):
        Patterns(4, separation=Linear(), storage="bits")
    with pytest.raises(InputError, match="where values are real numbers"):
        Patterns(4, 2, similarity=similarity.agreement, separation=Circle(4, 1), storage="bits")
    with pytest.raises(InputError, match=f"^modern_hopfield: {must}"):
        kanerva.modern_hopfield(4, 1.0, storage="bits")


@pytest.mark.parametrize(
    "build",
    [
        lambda **store: kanerva.sdm_patterns(8, 2, **store),
        lambda **store: kanerva.sdm_attention(8, 2, **store),
        lambda **store: kanerva.attention(8, **store),
        lambda **store: kanerva.modern_hopfield(8, 1.0, **store),
        lambda **store: kanerva.hopfield(8, **store),
        lambda **store: kanerva.dense(8, 3, **store),
        lambda **store: kanerva.exponential(8, **store),
        lambda **store: kanerva.sparse_hopfield(8, 1.0, **store),
    ],
)
def test_every_constructor_passes_the_storage_on(build):
    assert build(storage=torch.bfloat16).keys.dtype == torch.bfloat16
    assert build(empty="keep").empty == "keep"
    with pytest.raises(InputError, match="keyword must be one of 'empty', "):
        build(store="bits")


# Rows mapped from a file


def npy(path, rows):
    np.save(path, rows.numpy())
    return path


def safe(path, **tensors):
    safetensors.torch.save_file(tensors, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["npy", "safetensors", "one of several"])
@pytest.mark.parametrize("name", unchecked(RULES, "manhattan"))
def test_a_mapped_memory_reads_as_one_that_was_written(name, kind, dtype, tmp_path):
    wide = torch.promote_types(dtype, torch.float32)
    plain = RULES[name](dtype=wide, storage=dtype)
    keys = normal(300, 20, dtype=dtype)
    tensors = {"keys": keys}
    if not plain.autoassociative:
        tensors["values"] = normal(300, plain.value_dim, 1, dtype)
    plain.write(*(rows.to(wide) for rows in tensors.values()))
    if kind == "one of several":
        path = safe(tmp_path / "all", other=torch.ones(3, dtype=torch.int8), **tensors)
        sources = {part: (path, part) for part in tensors}
    elif dtype == torch.bfloat16 and kind == "npy":
        pytest.skip("NumPy has no bfloat16")
    else:
        make = npy if kind == "npy" else lambda path, rows: safe(path, rows=rows)
        sources = {part: make(tmp_path / f"{part}.npy", rows) for part, rows in tensors.items()}
    mapped = Patterns.over(**sources, similarity=plain.similarity, separation=plain.separation)
    assert (mapped.dtype, mapped.storage, len(mapped)) == (wide, dtype, 300)
    assert (mapped.dim, mapped.value_dim) == (20, plain.value_dim)
    assert mapped.autoassociative == plain.autoassociative
    assert torch.equal(mapped.keys, keys)
    query = normal(5, 20, 2, wide)
    if name == "linear":  # the errors of sums over 300 rows are larger
        torch.testing.assert_close(mapped.read(query), plain.read(query), rtol=1e-4, atol=1e-2)
    else:
        agree(mapped, plain, query, 1e-5)
    with kanerva.settings.use(budget=1):
        torch.testing.assert_close(mapped.read(query), plain.read(query), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", ["sdm", "sdm hetero", "hopfield", "a word", "sdm attention"])
def test_mapped_words_are_bits(name, tmp_path):
    packed, plain, query = both(name)
    rows = {"keys": packed.keys.words}
    if not plain.autoassociative:
        rows["values"] = packed.values.words
    sources = {part: npy(tmp_path / f"{part}.npy", words) for part, words in rows.items()}
    lengths = plain.dim if plain.autoassociative else (plain.dim, plain.value_dim)
    rules = {
        "similarity": plain.similarity,
        "separation": plain.separation,
        "activation": plain.activation,
    }
    mapped = Patterns.over(**sources, **rules, bits=None if name == "a word" else lengths)
    assert mapped.storage == "bits"
    agree(mapped, plain, query, 1e-5)
    assert len(query) < len(mapped) == 30


def test_bits_may_lead_to_real_values(tmp_path):
    keys, values = bits.random(20, 64, seed=0), normal(20, 3)
    sources = npy(tmp_path / "keys.npy", bits.pack(keys)), npy(tmp_path / "values.npy", values)
    rules = {"similarity": similarity.agreement, "separation": Circle(64, 24)}
    plain = Patterns(64, 3, **rules)
    plain.write(keys, values)
    agree(Patterns.over(*sources, **rules), plain, keys[:3], 1e-5)


def test_the_rows_of_a_saved_memory_can_be_mapped(tmp_path):
    memory = kanerva.modern_hopfield(20, 0.5, storage=torch.bfloat16)
    memory.write(normal(30, 20))
    memory.save(tmp_path / "a")
    rule = Softmax(0.5)
    mapped = Patterns.over((str(tmp_path / "a"), "keys"), separation=rule)
    agree(mapped, memory, normal(4, 20, 1), 1e-6)
    assert mapped.to(torch.float64).keys.dtype == torch.bfloat16
    assert mapped.read(normal(1, 20, dtype=torch.float64)).dtype == torch.float64
    half = Patterns.over((tmp_path / "a", "keys"), separation=rule, dtype=torch.float16)
    assert half.dtype == torch.float16


def test_no_rows(tmp_path):
    path = npy(tmp_path / "none.npy", torch.ones(0, 5))
    assert (Patterns.over(path, separation=Softmax(1.0)).read(torch.ones(2, 5)) == 0).all()


@pytest.fixture
def mapped(tmp_path):
    """Return a mapped memory with a learned beta, and its file."""
    path = npy(tmp_path / "rows.npy", normal(50, 8))
    return Patterns.over(path, separation=Softmax(nn.Parameter(torch.tensor(0.5)))), path


def test_a_file_is_only_read(mapped, tmp_path):
    memory, path = mapped
    before = path.read_bytes()
    rows = torch.ones(1, 8)
    must = "memory must be one that holds its own rows"
    got = "but it was over the file '.*rows.npy', which is"
    calls = ((memory.write, rows), (memory.forget, [0]), (memory.save, tmp_path / "saved"))
    for method, argument in calls:
        with pytest.raises(InputError, match=f"{must}, {got}"):
            method(argument)
    assert [file.name for file in tmp_path.iterdir()] == ["rows.npy"]
    assert f", kept as float32, over {str(path)!r}" in repr(memory)
    memory.keys.zero_()  # a change in place is private to this process
    assert (memory.keys == 0).all()
    assert path.read_bytes() == before


def test_copies_share_the_map_and_a_state_holds_the_parameters(mapped):
    memory, _ = mapped
    twin = copy.deepcopy(memory)
    assert twin.keys.data_ptr() == memory.keys.data_ptr()
    memory.read(normal(3, 8)).square().sum().backward()
    assert memory.beta.grad is not None
    assert list(memory.state_dict()) == ["beta"]
    with torch.no_grad():
        memory.beta.fill_(0.25)
    assert twin.beta.item() == 0.5
    twin.load_state_dict(memory.state_dict())
    assert torch.equal(twin.read(normal(3, 8)), memory.read(normal(3, 8)))


def test_gradients_pass_through_a_mapped_memory(mapped):
    memory, _ = mapped
    plain = kanerva.modern_hopfield(8, 0.5)
    plain.write(memory.keys)
    slopes = []
    for one in (memory, plain):
        query = normal(3, 8, 1).requires_grad_()
        one.read(query).square().sum().backward()
        slopes.append(query.grad)
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_progress_of_a_long_read(dtype, tmp_path):
    """The callback gets the count of rows after every block."""
    calls, count = [], 200_000
    memory = Patterns.over(
        safe(tmp_path / "a", rows=normal(count, 8, dtype=dtype)),
        similarity=similarity.closeness,
        separation=Softmax(1.0),
    )
    with kanerva.settings.use(progress=lambda done, rows: calls.append((done, rows))):
        memory.read(normal(2, 8))
    assert calls[-1] == (count, count)
    assert len(calls) > 1
    assert sorted(calls) == calls


def test_a_read_with_nan_among_the_rows_is_refused(tmp_path):
    rows = normal(50, 8)
    rows[40, 3] = torch.nan
    memory = Patterns.over(npy(tmp_path / "rows.npy", rows), separation=Softmax(1.0))
    with pytest.raises(InputError):
        memory.read(normal(1, 8))


MEMORY = """
import gc, os, sys, torch, kanerva
from kanerva import similarity, separation, activation

def anonymous():
    gc.collect()
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))

torch.set_num_threads(1)
kanerva.settings.budget = 16 * 2**20
query = kanerva.bits.random(2, 256, seed=0)
every = {
    "dot": {"separation": separation.Softmax(0.1)},
    "closeness": {"separation": separation.Softmax(0.1), "similarity": similarity.closeness},
    "agreement": {
        "separation": separation.Circle(256, 100),
        "similarity": similarity.agreement,
        "activation": activation.Sign(),
    },
}

def measure(path, rules):
    before = anonymous()
    memory = kanerva.Patterns.over(path, **rules)
    opened = anonymous()
    first = memory.read(query)
    taken = anonymous() - before
    print(len(memory), opened - before, taken, (memory.read(query) == first).all().item())

for path, rule in zip(sys.argv[1::2], sys.argv[2::2]):
    rules = every[rule]
    many = kanerva.bits.Packed.random(150_000, 256, seed=1)
    parts = rules.get("similarity", similarity.dot), rules["separation"]
    kanerva.functional.read(query, many, many, *parts)  # so that what a first read loads is loaded
    sys.stdout.flush()
    if os.fork() == 0:  # so that no case finds the memory that another has left
        measure(path, rules)
        sys.stdout.flush()
        os._exit(0)
    assert os.wait()[1] == 0
"""
LARGE = [
    ("dot", "F32", 256, 96),
    ("closeness", "F32", 256, 96),
    ("dot", "BF16", 256, 96),
    ("agreement", "I64", 4, 48),
]


@pytest.mark.untyped
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_file_takes_little_memory(tmp_path):
    """The memory of a process, without the mapped pages, stays far below the size of the file."""
    counts, arguments = [], []
    for rule, kind, width, mega in LARGE:
        size = mega * 2**20
        counts.append(size // (width * {"BF16": 2, "F32": 4, "I64": 8}[kind]))
        arguments += [str(tmp_path / kind), rule]
        if not (tmp_path / kind).exists():
            entry = {"dtype": kind, "shape": [counts[-1], width], "data_offsets": [0, size]}
            header = json.dumps({"rows": entry}).encode()
            header += b" " * (-len(header) % 8)
            with (tmp_path / kind).open("wb") as file:
                file.write(struct.pack("<Q", len(header)) + header)
                for _ in range(mega):
                    file.write(b"\x3c" * 2**20)
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, *arguments], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    for case, count, line in zip(LARGE, counts, run.stdout.splitlines(), strict=True):
        rows, opened, read, same = line.split()
        assert (int(rows), same) == (count, "True"), case
        assert int(opened) < 4 * 2**20, case
        assert int(read) < 32 * 2**20, case


@pytest.mark.skipif(sys.platform != "linux", reason="how Linux counts private maps")
def test_a_file_larger_than_memory_opens(tmp_path):
    """A sparse file of twice the memory of the machine is mapped, and its last rows are read."""
    with open("/proc/sys/vm/overcommit_memory") as file:
        if file.read().strip() == "2":
            pytest.skip("this machine maps no more than its memory")
    count = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 512
    path = tmp_path / "hole.npy"
    with path.open("wb") as file:
        described = {"descr": "<f2", "fortran_order": False, "shape": (count, 256)}
        np.lib.format.write_array_header_1_0(file, described)
        file.truncate(file.tell() + count * 512)
    memory = Patterns.over(path, separation=Softmax(1.0))
    assert len(memory) == count
    assert (memory.keys[-5:] == 0).all()


# Bad files


def split(blob):
    size = struct.unpack("<Q", blob[:8])[0]
    return json.loads(blob[8 : 8 + size]), blob[8 + size :]


def entry(**changes):
    """Return a safetensors file with another entry for its tensor."""
    header, data = split(safetensors.torch.save({"rows": torch.ones(6, 8)}))
    header["rows"] |= changes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def numpy_file(array, pickles=False):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickles)
    return file.getvalue()


def shape_of(shape):
    """Return a .npy file of 16 numbers, with a header of another shape."""
    file = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue() + bytes(64)


FLOATS = np.ones((6, 8), np.float32)
BAD = {
    "empty": (lambda: b"", "neither .npy nor .safetensors"),
    "text": (lambda: b"1,2,3\n4,5,6\n" * 20, "neither .npy nor .safetensors"),
    "json": (lambda: struct.pack("<Q", 4) + b"[{}]", "neither .npy nor .safetensors"),
    "json cut": (lambda: struct.pack("<Q", 4) + b"{{{{", "neither .npy nor .safetensors"),
    "json deep": (lambda: struct.pack("<Q", 10**5) + b"[" * 10**5, "neither .npy nor .safetensors"),
    "a header longer than the file": (
        lambda: struct.pack("<Q", 2**60) + b"{}",
        "neither .npy nor .safetensors",
    ),
    "magic alone": (lambda: b"\x93NUMPY", "a damaged .npy file"),
    "header cut": (lambda: numpy_file(FLOATS)[:50], "a damaged .npy file"),
    "header no dict": (
        lambda: numpy_file(FLOATS).replace(b"{'descr'", b"['descr'"),
        "a damaged .npy file",
    ),
    "version": (lambda: b"\x93NUMPY\x09\x00" + numpy_file(FLOATS)[8:], "a damaged .npy file"),
    "rows cut": (lambda: numpy_file(FLOATS)[:-1], "cut short: 319 bytes instead of 320"),
    "safetensors cut": (
        lambda: safetensors.torch.save({"rows": torch.ones(6, 8)})[:-1],
        "cut short: ",
    ),
    "more rows than there are": (lambda: shape_of((10**15, 8)), "cut short: "),
    "no rows of too many": (
        lambda: shape_of((0, 10**15)),
        "an array of shape (0, 1000000000000000)",
    ),
    "negative rows": (lambda: shape_of((-1, -8)), "an array of shape (-1, -8)"),
    "one dimension": (lambda: numpy_file(FLOATS[0]), "an array of shape (8,)"),
    "three dimensions": (lambda: numpy_file(FLOATS[None]), "an array of shape (1, 6, 8)"),
    "no coordinates": (lambda: numpy_file(FLOATS[:, :0]), "an array of shape (6, 0)"),
    "one number": (
        lambda: safetensors.torch.save({"rows": torch.ones(())}),
        "an array of shape ()",
    ),
    "integers": (lambda: numpy_file(FLOATS.astype(np.int32)), "an array of <i4"),
    "unsigned": (lambda: numpy_file(FLOATS.astype(np.uint64)), "an array of <u8"),
    "complex": (lambda: numpy_file(FLOATS.astype(np.complex64)), "an array of <c8"),
    "names": (lambda: numpy_file(np.zeros((6, 8), "f4,f4")), "an array of |V8"),
    "big end first": (
        lambda: numpy_file(FLOATS.astype(">f4")),
        "an array of >f4, the other byte order",
    ),
    "columns": (lambda: numpy_file(np.asfortranarray(FLOATS)), "an array in Fortran order"),
    "objects": (
        lambda: numpy_file(FLOATS.astype(object), pickles=True),
        "an array of Python objects",
    ),
    "an archive": (lambda: b"PK\x03\x04" + bytes(100), "neither .npy nor .safetensors"),
    "no tensor": (lambda: safetensors.torch.save({}), "a file of 0 tensors ()"),
    "two tensors": (
        lambda: safetensors.torch.save({"b": torch.ones(1, 2), "a": torch.ones(1, 2)}),
        "a file of 2 tensors (a, b)",
    ),
    "an entry of none": (lambda: entry(dtype=None), "a damaged safetensors file"),
    "a shape of text": (lambda: entry(shape="6, 8"), "a damaged safetensors file"),
    "a shape below 0": (lambda: entry(shape=[-6, -8]), "a damaged safetensors file"),
    "a shape of truth": (lambda: entry(shape=[True, 48]), "a damaged safetensors file"),
    "three offsets": (lambda: entry(data_offsets=[0, 192, 192]), "a damaged safetensors file"),
    "offsets of another shape": (
        lambda: entry(data_offsets=[0, 191]),
        "inconsistent: 191 bytes for shape (6, 8)",
    ),
    "offsets backwards": (lambda: entry(data_offsets=[192, 0]), "inconsistent: -192 bytes"),
    "offsets beyond": (lambda: entry(data_offsets=[192, 384]), "cut short: "),
    "offsets between numbers": (
        lambda: entry(data_offsets=[1, 193], shape=[6, 8]),
        "a tensor at an odd place",
    ),
    "eight bits": (
        lambda: safetensors.torch.save({"rows": torch.ones(6, 8, dtype=torch.int8)}),
        "a tensor of I8",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(name, tmp_path):
    make, got = BAD[name]
    (tmp_path / "a").write_bytes(make())
    with pytest.raises(kanerva.InputFileError) as raised:
        Patterns.over(tmp_path / "a", separation=Softmax(1.0))
    sentence = str(raised.value)
    assert sentence.startswith("Patterns.over: keys must be ")
    assert f", but it was {got}" in sentence
    assert "; " in sentence.split(got)[1]
    assert len(sentence) < 400


def test_errors_name_the_values(tmp_path):
    good = npy(tmp_path / "a.npy", torch.ones(6, 8))
    fewer = npy(tmp_path / "b.npy", torch.ones(5, 8))
    missing = r"a .npy file of rows, .*, but it was not there; check the path '.*none'\.$"
    for values, must in (
        (tmp_path / "none", missing),
        (fewer, "one for each key, but it was 5 for 6 keys; give a file"),
    ):
        with pytest.raises(InputError, match=f"^Patterns.over: values must be {must}"):
            Patterns.over(good, values, separation=Softmax(1.0))


@pytest.mark.untyped
def test_places_that_are_no_files(tmp_path):
    good = safe(tmp_path / "a", one=torch.ones(2, 3), two=torch.ones(2, 3))
    plain = npy(tmp_path / "a.npy", torch.ones(2, 3))
    for source, sentence in (
        (tmp_path, "but it was a folder; check the path"),
        (os.devnull, "but it was a device; check the path"),
        (tmp_path / "b", "but it was not there; check the path"),
        ((good, "three"), "but it was a file without the tensor 'three'; give one of one, two."),
        ((good, 3), "must be a path, or a path and the name of a tensor"),
        ((good,), "must be the name of a file, but it was"),
        ((plain, "one"), "but it was a .npy file, which has no tensor 'one'; give its path alone."),
        (3, "must be the name of a file, but it was 3 (int); give a str or pathlib.Path."),
        (None, "must be the name of a file"),
        ("a\0b", "must be the name of a file"),
        (torch.ones(2, 3), "must be the name of a file"),
    ):
        with pytest.raises(InputError) as raised:
            Patterns.over(source, separation=Softmax(1.0))
        assert str(raised.value).startswith("Patterns.over: keys ")
        assert sentence in str(raised.value)


@pytest.mark.untyped
def test_rows_and_lengths_that_are_no_bits(tmp_path):
    words = npy(tmp_path / "words.npy", bits.pack(bits.random(5, 100, seed=0)))
    floats = npy(tmp_path / "floats.npy", normal(5, 100))
    ones = npy(tmp_path / "ones.npy", torch.ones(5, 100))
    rules = {"similarity": similarity.agreement, "activation": Sign()}
    part = Circle(100, 40)
    assert len(Patterns.over(ones, separation=part, **rules)) == 5
    assert len(Patterns.over(words, separation=part, bits=100, **rules)) == 5
    length = "give the length that the keys had when they were packed."
    unless = "bits must be left out, unless rows are int64 words"
    for source, given, sentence in (
        (
            words,
            {"bits": 64},
            f"bits must be an integer from 65 to 128, but it was 64; {length}",
        ),
        (words, {"bits": 129}, "bits must be an integer from 65 to 128"),
        (words, {"bits": "100"}, "bits must be an integer from 65 to 128, but it was '100' (str)"),
        (
            words,
            {"bits": (100, 100, 100)},
            "bits must be one length, or one of keys and one of values",
        ),
        (
            ones,
            {"bits": 100},
            f"{unless}, but it was 100 for rows of float32; leave it out.",
        ),
        (floats, {}, "keys must be -1/+1 bits, but it was float32 of shape (5, 100)"),
    ):
        with pytest.raises(InputError) as raised:
            Patterns.over(source, separation=part, **rules, **given)
        assert str(raised.value).startswith(f"Patterns.over: {sentence}")
    must = "keys must be 0 beyond bit 99 of each row"
    got = "but it was not: bits are set there; make them with"
    with pytest.raises(InputError, match=f"{must}, {got}"):
        Patterns.over(words, separation=Circle(99, 40), bits=99, **rules)
    must = "keys must be floating rows, for these parts take real numbers"
    with pytest.raises(InputError, match=f"^Patterns.over: {must}, but it was int64"):
        Patterns.over(words, separation=Softmax(1.0))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_no_permission(tmp_path):
    path = npy(tmp_path / "a.npy", torch.ones(2, 3))
    path.chmod(0)
    with pytest.raises(kanerva.InputFileError, match=r"not readable \(permission denied\)"):
        Patterns.over(path, separation=Softmax(1.0))


def test_no_object_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "trap"),))

    (tmp_path / "a.npy").write_bytes(numpy_file(np.array([[Trap()]], dtype=object), pickles=True))
    with pytest.raises(kanerva.InputFileError, match="objects are never unpickled"):
        Patterns.over(tmp_path / "a.npy", separation=Softmax(1.0))
    assert not (tmp_path / "trap").exists()
