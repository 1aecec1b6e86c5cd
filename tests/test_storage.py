"""Files: round trips, writes that are whole or not done, and refusals of damaged files."""

import copy
import errno
import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import textwrap
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import kanerva
from catalogue import CATALOGUE, learned
from kanerva import InputError, Locations, Patterns, activation, bits, check, separation, similarity
from kanerva._core import machine
from kanerva.bits import Packed


def filled(name):
    return check.draw(CATALOGUE[name]()).filled()


def same(got, expected, query):
    """Compare the state, the description and a read of two memories."""
    assert type(got) is type(expected)
    assert repr(got) == repr(expected)
    assert len(got) == len(expected)
    state = expected.state_dict()
    assert got.state_dict().keys() == state.keys()
    for name, tensor in got.state_dict().items():
        assert tensor.dtype == state[name].dtype, name
        assert torch.equal(tensor, state[name]), name
    assert got.dtype == expected.dtype
    assert torch.equal(got.read(query), expected.read(query))


@pytest.mark.parametrize("name", CATALOGUE)
def test_round_trip(name, tmp_path):
    sample = check.draw(CATALOGUE[name]())
    memory, path = sample.filled(), tmp_path / "memory.safetensors"
    if isinstance(memory, Patterns):
        memory.forget(memory.ids[-2:])
    memory.save(path)
    loaded = kanerva.load(str(path))
    same(loaded, memory, sample.query)
    if isinstance(memory, Patterns):
        values = None if sample.values is None else sample.values[:1]
        for one in (loaded, memory):
            assert one.write(sample.keys[:1], values).item() == 12
        same(loaded, memory, sample.query)
    elif isinstance(memory, Locations) and memory.overflow == "raise":
        for one in (memory, loaded):
            one.forget(sample.keys, sample.values)
        assert len(loaded) == 0
        assert (loaded.read(sample.query) == memory.read(sample.query)).all()


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_empty_memory_comes_back_empty(name, tmp_path):
    sample = check.draw(CATALOGUE[name]())
    sample.memory.save(tmp_path / "a.safetensors")
    same(kanerva.load(tmp_path / "a.safetensors"), sample.memory, sample.query)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_learned_beta_stays_a_parameter_of_the_same_value(dtype, tmp_path):
    beta = nn.Parameter(torch.tensor(0.1, dtype=dtype))
    for name, part in (
        ("a", separation.Softmax(beta)),
        ("b", separation.Normalised(separation.Exponential(beta))),
    ):
        memory = Patterns(4, separation=part)
        memory.write(torch.eye(4))
        memory.save(tmp_path / name)
        loaded = kanerva.load(tmp_path / name)
        assert isinstance(loaded.beta, nn.Parameter)
        assert loaded.beta.requires_grad
        assert loaded.beta.dtype == dtype
        assert loaded.beta.item() == beta.item()
        loaded.read(torch.ones(4)).square().sum().backward()
        assert loaded.beta.grad is not None


def test_floating_counters_keep_their_dtype(tmp_path):
    memory = Locations(
        Packed.random(50, 64, seed=0),
        3,
        separation=separation.Step(30),
        activation=activation.Identity(),
        counters=torch.float64,
    )
    memory.write(bits.random(2, 64, seed=1), torch.full((2, 3), 1 / 3))
    memory.save(tmp_path / "a")
    loaded = kanerva.load(tmp_path / "a")
    assert loaded.counters.dtype == torch.float64
    assert torch.equal(loaded.counters, memory.counters)
    memory.double().save(tmp_path / "a")
    assert kanerva.load(tmp_path / "a").dtype == torch.float64


def test_a_part_without_a_name_is_refused_and_leaves_no_file(tmp_path):
    memory = Patterns(4, similarity=lambda q, k: q @ k.mT, separation=separation.Linear())
    must = "save: memory must be made of named functions, but it was one with a lambda; "
    with pytest.raises(InputError, match=must):
        memory.save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# Writes that are whole or not done


@pytest.fixture
def saved(tmp_path):
    """Return the path of a saved memory, another memory, and the bytes of the file."""
    old, new = kanerva.hopfield(8), kanerva.hopfield(8)
    old.write(bits.random(2, 8, seed=0))
    new.write(bits.random(5, 8, seed=1))
    path = tmp_path / "memory.safetensors"
    old.save(path)
    return path, new, path.read_bytes()


def untouched(path, before):
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert len(kanerva.load(path)) == 2


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO]
)
@pytest.mark.parametrize("call", ["write_bytes", "fsync", "replace"])
def test_a_failure_of_the_disk_keeps_the_old_file(call, number, saved, monkeypatch):
    path, new, before = saved

    def fail(*given):
        if call == "write_bytes":
            os.close(os.open(given[0], os.O_CREAT))  # a file that holds nothing yet
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path if call == "write_bytes" else os, call, fail)
    with pytest.raises(kanerva.InputFileError) as raised:
        new.save(path)
    monkeypatch.undo()
    sentence = str(raised.value)
    must = "save: path must be a file that can be written"
    assert sentence.startswith(f"{must}, but it was {str(path)!r} (")
    assert os.strerror(number).lower() in sentence
    untouched(path, before)


def test_a_kill_between_writing_and_moving_keeps_the_old_file(saved):
    path, _, before = saved
    code = f"""
        import os, kanerva
        memory = kanerva.hopfield(8)
        memory.write(kanerva.bits.random(5, 8, seed=1))
        os.replace = lambda *_: os.kill(os.getpid(), 9)
        memory.save({str(path)!r})
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert run.returncode == -9
    assert path.read_bytes() == before
    left = [file for file in path.parent.iterdir() if file != path]
    assert len(left) == 1
    assert left[0].name.startswith(".memory.")


@pytest.mark.skipif(os.name != "posix", reason="POSIX has such limits")
def test_a_limit_on_the_size_of_files_keeps_the_old_file(saved):
    path, _, before = saved
    code = f"""
        import resource, kanerva
        memory = kanerva.hopfield(1000)
        memory.write(kanerva.bits.random(50, 1000, seed=1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            memory.save({str(path)!r})
        except kanerva.InputFileError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    end = "(file too large); raise the limit on the size of files or write elsewhere."
    assert end in run.stdout, run.stderr
    untouched(path, before)


def test_a_new_file_keeps_the_place_and_the_permissions_of_the_old(saved):
    path, new, _ = saved
    path.chmod(0o640)
    new.save(path)
    assert len(kanerva.load(path)) == 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    link = path.with_name("link")
    link.symlink_to(path)
    new.write(bits.random(1, 8, seed=2))
    new.save(link)
    assert link.is_symlink()
    assert len(kanerva.load(path)) == 6
    fresh = path.with_name("fresh")
    mask = os.umask(0o022)
    try:
        new.save(fresh)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o644


def places(folder):
    """Return places where no file can be written, and the ends of their errors."""
    (folder / "file").write_text("no folder")
    return {
        "no folder": (folder / "no" / "a", "no such file or directory); create the folder first."),
        "a folder": (folder, "a folder or a device; add a file name."),
        "the root": (Path("/"), "a folder or a device; add a file name."),
        "a file for a folder": (
            folder / "file" / "a",
            "not a directory); name a path whose folders are folders.",
        ),
        "a device": (Path(os.devnull), "a folder or a device; add a file name."),
        "a long name": (folder / ("x" * 300), "file name too long); choose a shorter name."),
    }


@pytest.mark.parametrize(
    "name", ["no folder", "a folder", "the root", "a file for a folder", "a device", "a long name"]
)
def test_places_where_no_file_can_be(name, tmp_path):
    memory = kanerva.hopfield(8)
    path, end = places(tmp_path)[name]
    with pytest.raises(kanerva.InputFileError) as raised:
        memory.save(path)
    assert str(raised.value).startswith("save: path must be a file")
    assert str(raised.value).endswith(end)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    must = "^load: path must be the file of a memory saved by kanerva"
    with pytest.raises(kanerva.InputFileError, match=must + ", but it was .*; check the path "):
        kanerva.load(path)


@pytest.mark.untyped
@pytest.mark.parametrize("path", [3, None, b"a", "a\0b", "\ud800", ["a"], 1.5])
def test_names_that_no_file_can_have(path):
    sentence = "path must be the name of a file, but it was .*; give a str or pathlib.Path"
    for function in (kanerva.load, kanerva.hopfield(8).save):
        with pytest.raises(kanerva.InputTypeError, match=sentence):
            function(path)


def test_no_permission(tmp_path):
    """The process is not root's, because root has every permission."""
    path = tmp_path / "a"
    kanerva.hopfield(8).save(path)
    path.chmod(0)
    tmp_path.chmod(0o500)
    code = f"""
        import os, kanerva
        memory = kanerva.hopfield(8)
        if os.geteuid() == 0:
            os.seteuid(65534)
        for function in (kanerva.load, memory.save):
            try:
                function({str(path)!r})
            except kanerva.InputFileError as error:
                print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    tmp_path.chmod(0o700)
    loading, saving = run.stdout.splitlines()
    must = "load: path must be the file of a memory saved by kanerva"
    assert loading.startswith(f"{must}, but it was not readable (permission denied);")
    assert saving.endswith("(permission denied); choose a place that you may write to.")


# State dicts


def test_a_state_dict_sets_the_count_of_rows():
    for name in ("attention", "hopfield", "sdm", "real locations"):
        sample = check.draw(CATALOGUE[name]())
        big, small = sample.filled(), copy.deepcopy(sample.memory)
        rows = 1 if isinstance(big, Patterns) else 5
        small.write(sample.keys[:rows], None if sample.values is None else sample.values[:rows])
        state = big.state_dict()
        small.load_state_dict(state)
        same(small, big, sample.query)
        other = copy.deepcopy(sample.memory)
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        same(other, big, sample.query)


# Changes of one tensor of a state.
BROKEN = {
    "rows": lambda state: {"ids": state["ids"][:3]},
    "length": lambda state: {"keys": torch.ones(12, 9)},
    "dimensions": lambda state: {"keys": torch.ones(12)},
    "numbers": lambda state: {"keys": state["keys"] * 0.5},
    "nan": lambda state: {"keys": state["keys"] * float("nan")},
    "ids": lambda state: {"ids": torch.zeros(12, dtype=torch.int64)},
    "negative ids": lambda state: {"ids": -state["ids"]},
    "next": lambda state: {"_next": torch.tensor(3)},
    "next far": lambda state: {"_next": torch.tensor(2**63 - 1)},
    "dtype": lambda state: {"ids": state["ids"] + 0.5},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_state_is_refused_and_changes_nothing(name):
    memory = filled("hopfield")
    other = copy.deepcopy(memory)
    state = memory.state_dict()
    with pytest.raises(InputError) as raised:
        other.load_state_dict(state | BROKEN[name](state))
    assert str(raised.value).startswith("load_state_dict: ")
    same(other, memory, memory.keys)
    must = "load_state_dict: state must be as many rows of each of keys, ids"
    with pytest.raises(InputError, match=must + r", but it was \(12, 64\) of keys; load"):
        other.load_state_dict(without(memory.state_dict(), "ids"), strict=False)
    same(other, memory, memory.keys)


def test_a_state_is_cast_only_where_nothing_is_lost():
    memory = kanerva.attention(64, 0.3, dtype=torch.float64)
    memory.write(torch.full((2, 64), 1 / 3, dtype=torch.float64))
    must = "keys must be numbers that torch.float32 holds, but it was float64 .*"
    with pytest.raises(InputError, match=must + "; build the memory with torch.float64"):
        kanerva.attention(64, 0.3).load_state_dict(memory.state_dict())
    wide, narrow = kanerva.sdm(64, 4000, 24), kanerva.sdm(64, 4000, 24, counters=torch.int8)
    wide.write(bits.random(3, 64, seed=0))
    narrow.load_state_dict(wide.state_dict())
    assert torch.equal(narrow.counters.int(), wide.counters)
    wide.write(bits.random(1, 64, seed=0).expand(200, 64))
    with pytest.raises(InputError, match=r"counters must be numbers that torch\.int8 holds"):
        narrow.load_state_dict(wide.state_dict())


# Bad files. The tables change good files.


def split(blob):
    """Return the header of a safetensors file, and the bytes of its tensors."""
    size = struct.unpack("<Q", blob[:8])[0]
    return json.loads(blob[8 : 8 + size]), blob[8 + size :]


def join(header, body):
    """Return the file of a header and the bytes of tensors."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def meta(blob, change):
    """Change the description of a file; ``change`` returns another description, or text."""
    header, body = split(blob)
    text = change(json.loads(header["__metadata__"]["kanerva"]))
    header["__metadata__"]["kanerva"] = text if isinstance(text, str) else json.dumps(text)
    return join(header, body)


def holds(blob, change):
    """Change the tensors of a file."""
    header, _ = split(blob)
    return safetensors.torch.save(change(safetensors.torch.load(blob)), header["__metadata__"])


def entry(blob, name, **values):
    """Change the entry of one tensor in the header."""
    header, body = split(blob)
    header[name] |= values
    return join(header, body)


def patterns_file():
    """Return the file of a memory with a value for each key."""
    return saved_as(filled("sdm_patterns hetero"))


def saved_as(memory):
    """Return the bytes of a saved memory."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        memory.save(Path(folder, "a"))
        return Path(folder, "a").read_bytes()


BLOB = patterns_file()
PLACES = saved_as(filled("sdm int8"))
NESTED = saved_as(Patterns(4, separation=separation.Normalised(separation.Power(3))))
LEARNED = saved_as(filled("attention learned"))
FINITE = saved_as(filled("sdm_patterns finite"))
DEEP = "[" * 100_000 + "]" * 100_000
MATRYOSHKA = '{"name": "Normalised", "part": ' * 5000 + '"dot"' + "}" * 5000


def without(values, name):
    return {key: value for key, value in values.items() if key != name}


def nested(part, depth):
    """Wrap a part ``depth`` times."""
    return part if depth == 0 else {"name": "Normalised", "part": nested(part, depth - 1)}


BAD = {
    "empty": lambda: b"",
    "one byte": lambda: b"{",
    "text": lambda: b"not a memory at all, but long enough to have a header",
    "a pickle": lambda: pickle.dumps({"keys": torch.eye(2)}),
    "a torch file": lambda: torch_file(),
    "zeros": lambda: bytes(1000),
    "another safetensors file": lambda: safetensors.torch.save({"weight": torch.ones(3)}),
    "of another program": lambda: safetensors.torch.save(
        {"weight": torch.ones(3)}, {"format": "pt"}
    ),
    "header size 0": lambda: struct.pack("<Q", 0) + BLOB[8:],
    "header size beyond the file": lambda: struct.pack("<Q", len(BLOB)) + BLOB[8:],
    "header size beyond all": lambda: struct.pack("<Q", 2**63) + BLOB[8:],
    "header no dict": lambda: join([1, 2], b""),
    "header deep": lambda: join(DEEP.encode(), b""),
    "header number of 5000 digits": lambda: join(b'{"keys": ' + b"9" * 5000 + b"}", b""),
    "shape": lambda: entry(BLOB, "keys", shape=[64, 12]),
    "shape too large": lambda: entry(BLOB, "keys", shape=[10**12, 64]),
    "shape beyond all": lambda: entry(BLOB, "keys", shape=[2**62, 2**62]),
    "shape of nothing, and vast": lambda: entry(
        BLOB, "keys", shape=[0, 2**62], data_offsets=[0, 0]
    ),
    "shape negative": lambda: entry(BLOB, "keys", shape=[-12, -64]),
    "shape 0-d": lambda: entry(BLOB, "keys", shape=[]),
    "dtype of another size": lambda: entry(BLOB, "keys", dtype="F64"),
    "dtype of integers": lambda: entry(BLOB, "keys", dtype="I32"),
    "dtype unknown": lambda: entry(BLOB, "keys", dtype="F1"),
    "dtype text": lambda: entry(BLOB, "keys", dtype="float32"),
    "dtype bool": lambda: entry(BLOB, "ids", dtype="BOOL", shape=[96]),
    "dtype complex": lambda: entry(BLOB, "ids", dtype="C64"),
    "dtype unsigned": lambda: entry(BLOB, "ids", dtype="U64"),
    "dtype of 8 bits": lambda: entry(BLOB, "ids", dtype="F8_E4M3", shape=[96]),
    "offsets beyond": lambda: entry(BLOB, "keys", data_offsets=[0, 10**9]),
    "offsets backwards": lambda: entry(BLOB, "keys", data_offsets=[3072, 0]),
    "offsets of another": lambda: entry(
        BLOB, "keys", data_offsets=split(BLOB)[0]["_values"]["data_offsets"]
    ),
    "offsets negative": lambda: entry(BLOB, "keys", data_offsets=[-8, 3072]),
    "a tensor more": lambda: holds(BLOB, lambda t: t | {"more": torch.ones(3)}),
    "many tensors more": lambda: holds(
        BLOB, lambda t: t | {f"more {i}": torch.ones(1) for i in range(100)}
    ),
    "a tensor less": lambda: holds(BLOB, lambda t: without(t, "ids")),
    "no tensor": lambda: holds(BLOB, lambda t: {}),
    "keys of one row": lambda: holds(BLOB, lambda t: t | {"keys": t["keys"][:1]}),
    "keys of nan": lambda: holds(BLOB, lambda t: t | {"keys": t["keys"] * float("nan")}),
    "keys of inf": lambda: holds(LEARNED, lambda t: t | {"keys": t["keys"] * float("inf")}),
    "keys no bits": lambda: holds(BLOB, lambda t: t | {"keys": t["keys"] * 0.5}),
    "values no bits": lambda: holds(BLOB, lambda t: t | {"_values": t["_values"] * 0}),
    "values of another dtype": lambda: holds(
        BLOB, lambda t: t | {"_values": t["_values"].double()}
    ),
    "values longer": lambda: holds(BLOB, lambda t: t | {"_values": torch.ones(12, 41)}),
    "ids twice": lambda: holds(BLOB, lambda t: t | {"ids": t["ids"] * 0}),
    "ids negative": lambda: holds(BLOB, lambda t: t | {"ids": t["ids"] - 5}),
    "ids of floats": lambda: holds(BLOB, lambda t: t | {"ids": t["ids"].double()}),
    "next id given": lambda: holds(BLOB, lambda t: t | {"_next": torch.tensor(5)}),
    "next id beyond all": lambda: holds(BLOB, lambda t: t | {"_next": torch.tensor(2**63 - 1)}),
    "next id of an empty memory negative": lambda: holds(
        NESTED, lambda t: t | {"_next": torch.tensor(-1)}
    ),
    "beta of two numbers": lambda: holds(LEARNED, lambda t: t | {"beta": torch.ones(2)}),
    "beta below 0": lambda: holds(LEARNED, lambda t: t | {"beta": torch.tensor(-1.0)}),
    "beta of integers": lambda: holds(LEARNED, lambda t: t | {"beta": torch.tensor(1)}),
    "beta not learned": lambda: meta(LEARNED, lambda m: m | {"learned": False}),
    "beta learned of none": lambda: meta(BLOB, lambda m: m | {"learned": True}),
    "addresses with more bits": lambda: holds(
        PLACES, lambda t: t | {"addresses": t["addresses"] | -(2**40)}
    ),
    "addresses of floats": lambda: holds(
        PLACES, lambda t: t | {"addresses": t["addresses"].double()}
    ),
    "no addresses": lambda: holds(
        PLACES, lambda t: t | {"addresses": t["addresses"][:0], "counters": t["counters"][:0]}
    ),
    "counters of another dtype": lambda: holds(
        PLACES, lambda t: t | {"counters": t["counters"].int()}
    ),
    "counters wider": lambda: holds(
        PLACES, lambda t: t | {"counters": t["counters"][:, :50].contiguous()}
    ),
    "stored below 0": lambda: holds(PLACES, lambda t: t | {"_stored": torch.tensor(-1)}),
    "description no json": lambda: meta(BLOB, lambda m: "{"),
    "description no dict": lambda: meta(BLOB, lambda m: [m]),
    "description null": lambda: meta(BLOB, lambda m: "null"),
    "description deep": lambda: meta(BLOB, lambda m: DEEP),
    "description number of 5000 digits": lambda: meta(
        BLOB, lambda m: json.dumps(m).replace('"dim": 64', '"dim": ' + "6" * 5000)
    ),
    "parts in parts in parts": lambda: meta(
        NESTED, lambda m: json.dumps(m).replace(json.dumps(m["separation"]), MATRYOSHKA)
    ),
    "format newer": lambda: meta(BLOB, lambda m: m | {"format": 2}),
    "format 0": lambda: meta(BLOB, lambda m: m | {"format": 0}),
    "format true": lambda: meta(BLOB, lambda m: m | {"format": True}),
    "format text": lambda: meta(BLOB, lambda m: m | {"format": "1"}),
    "class unknown": lambda: meta(BLOB, lambda m: m | {"class": "Memory"}),
    "class of Python": lambda: meta(BLOB, lambda m: m | {"class": "os.system"}),
    "class list": lambda: meta(BLOB, lambda m: m | {"class": ["Patterns"]}),
    "class of the other store": lambda: meta(BLOB, lambda m: m | {"class": "Locations"}),
    "class of the other store, too": lambda: meta(PLACES, lambda m: m | {"class": "Patterns"}),
    "dim text": lambda: meta(BLOB, lambda m: m | {"dim": "64"}),
    "dim true": lambda: meta(BLOB, lambda m: m | {"dim": True}),
    "dim fraction": lambda: meta(BLOB, lambda m: m | {"dim": 64.0}),
    "dim 0": lambda: meta(BLOB, lambda m: m | {"dim": 0}),
    "dim huge": lambda: meta(BLOB, lambda m: m | {"dim": 10**12}),
    "dim another": lambda: meta(BLOB, lambda m: m | {"dim": 63}),
    "dim missing": lambda: meta(BLOB, lambda m: without(m, "dim")),
    "value_dim huge": lambda: meta(BLOB, lambda m: m | {"value_dim": 10**12}),
    "value_dim list": lambda: meta(BLOB, lambda m: m | {"value_dim": [40]}),
    "value_dim none": lambda: meta(BLOB, lambda m: m | {"value_dim": None}),
    "similarity unknown": lambda: meta(BLOB, lambda m: m | {"similarity": "eval"}),
    "similarity a number": lambda: meta(BLOB, lambda m: m | {"similarity": 1}),
    "similarity a separation": lambda: meta(BLOB, lambda m: m | {"similarity": {"name": "Linear"}}),
    "similarity that the rule is not for": lambda: meta(BLOB, lambda m: m | {"similarity": "dot"}),
    "separation a similarity": lambda: meta(BLOB, lambda m: m | {"separation": "agreement"}),
    "separation an activation": lambda: meta(
        BLOB, lambda m: m | {"separation": {"name": "Identity"}}
    ),
    "separation abstract": lambda: meta(BLOB, lambda m: m | {"separation": {"name": "Separation"}}),
    "separation without a field": lambda: meta(
        BLOB, lambda m: m | {"separation": without(m["separation"], "radius")}
    ),
    "separation with a field more": lambda: meta(
        BLOB, lambda m: m | {"separation": m["separation"] | {"_log_share": 0}}
    ),
    "separation empty": lambda: meta(BLOB, lambda m: m | {"separation": {}}),
    "bits huge": lambda: meta(
        BLOB, lambda m: m | {"separation": {"name": "Circle", "bits": 10**12, "radius": 3}}
    ),
    "bits huge everywhere": lambda: holds(
        meta(
            BLOB,
            lambda m: (
                m | {"dim": 10**9, "separation": {"name": "Circle", "bits": 10**9, "radius": 3}}
            ),
        ),
        lambda t: (
            t | {"keys": torch.ones(0, 10**9), "_values": t["_values"][:0], "ids": t["ids"][:0]}
        ),
    ),
    "bits text": lambda: meta(
        BLOB, lambda m: m | {"separation": {"name": "Circle", "bits": "64", "radius": 3}}
    ),
    "radius text": lambda: meta(
        BLOB, lambda m: m | {"separation": {"name": "Circle", "bits": 64, "radius": "3"}}
    ),
    "radius huge": lambda: meta(
        BLOB, lambda m: m | {"separation": {"name": "Circle", "bits": 64, "radius": 10**12}}
    ),
    "locations nan": lambda: meta(
        FINITE, lambda m: m | {"similarity": m["similarity"] | {"locations": float("nan")}}
    ),
    "locations text": lambda: meta(
        FINITE, lambda m: m | {"similarity": m["similarity"] | {"locations": "1e6"}}
    ),
    "seed huge": lambda: meta(
        FINITE, lambda m: m | {"similarity": m["similarity"] | {"seed": 2**63}}
    ),
    "part text": lambda: meta(
        NESTED, lambda m: m | {"separation": {"name": "Normalised", "part": "Power"}}
    ),
    "parts in parts without end": lambda: meta(
        NESTED, lambda m: m | {"separation": nested(m["separation"], 20)}
    ),
    "part without weights": lambda: meta(
        NESTED, lambda m: m | {"separation": {"name": "Normalised", "part": {"name": "Linear"}}}
    ),
    "order text": lambda: meta(
        NESTED, lambda m: m | {"separation": {"name": "Power", "order": "3"}}
    ),
    "activation unknown": lambda: meta(BLOB, lambda m: m | {"activation": {"name": "exec"}}),
    "tie unknown": lambda: meta(
        BLOB, lambda m: m | {"activation": {"name": "Sign", "tie": "toss", "seed": 0}}
    ),
    "tie of other lengths": lambda: meta(
        BLOB, lambda m: m | {"activation": {"name": "Sign", "tie": "keep", "seed": 0}}
    ),
    "empty unknown": lambda: meta(BLOB, lambda m: m | {"empty": "drop"}),
    "empty null": lambda: meta(BLOB, lambda m: m | {"empty": None}),
    "overflow unknown": lambda: meta(PLACES, lambda m: m | {"overflow": "wrap"}),
    "counters of a module": lambda: meta(PLACES, lambda m: m | {"counters": "nn"}),
    "counters of bool": lambda: meta(PLACES, lambda m: m | {"counters": "bool"}),
    "dtype of integers described": lambda: meta(PLACES, lambda m: m | {"dtype": "int8"}),
    "dtype a number": lambda: meta(PLACES, lambda m: m | {"dtype": 32}),
}


def torch_file():
    file = io.BytesIO()
    torch.save({"keys": torch.eye(2)}, file)
    return file.getvalue()


def opened(path, blob):
    """Load bytes; return the sentence of a refusal, or a memory after some use of it."""
    path.write_bytes(blob)
    try:
        memory = kanerva.load(path)
    except InputError as error:
        return str(error)
    works(memory)
    return memory


def works(memory):
    """Use a memory from a damaged file; an InputError is allowed, since its numbers may be odd."""
    query = bits.random(2, memory.dim, seed=0, dtype=memory.dtype)
    repr(memory)
    with suppress(InputError):
        assert memory.read(query).isfinite().all()
        assert memory.explain(query).weights.isfinite().all()
        values = bits.random(2, memory.value_dim, seed=0, dtype=memory.dtype)
        memory.write(query, None if memory.autoassociative else values)


@pytest.mark.untyped
@pytest.mark.parametrize("name", BAD)
def test_bad_file(name, tmp_path):
    blob = BAD[name]()
    for good in (BLOB, PLACES, NESTED, LEARNED, FINITE):
        assert blob != good
    seen = opened(tmp_path / "a", blob)
    assert isinstance(seen, str), f"it loads: {seen}"
    assert seen.startswith("load: "), seen
    assert seen.endswith("."), seen
    assert len(seen) < 500, seen


def test_the_tables_are_made_of_good_files(tmp_path):
    for blob in (BLOB, PLACES, NESTED, LEARNED, FINITE):
        assert not isinstance(opened(tmp_path / "a", blob), str)
        assert not isinstance(opened(tmp_path / "a", meta(blob, lambda m: m)), str)
        assert not isinstance(opened(tmp_path / "a", holds(blob, lambda t: t)), str)


@pytest.fixture
def counted_once(monkeypatch):
    """Ask the system once how much memory there is, which takes as long as to load a file."""
    free = machine.available_bytes()
    monkeypatch.setattr(machine, "available_bytes", lambda: free)


@pytest.mark.untyped
@pytest.mark.parametrize(
    "name", ["sdm_patterns hetero", "sdm int8", "attention learned", "epanechnikov"]
)
def test_every_flipped_bit_and_every_cut_of_the_header(name, tmp_path, counted_once):
    blob = saved_as(filled(name))
    size = 8 + struct.unpack("<Q", blob[:8])[0]
    draw, seen = np.random.default_rng(0), Counter()
    for place in range(size):
        flipped = bytearray(blob)
        flipped[place] ^= 1 << int(draw.integers(8))
        seen[type(opened(tmp_path / "a", bytes(flipped)))] += 1
        assert isinstance(opened(tmp_path / "a", blob[:place]), str)
    # A memory with another digit in a seed or a beta is sound.
    assert seen[str] > 0.8 * size


@pytest.mark.untyped
@pytest.mark.parametrize(
    "name", ["sdm_patterns hetero", "sdm int8", "attention learned", "hopfield"]
)
def test_flipped_bits_and_cuts_anywhere(name, tmp_path, counted_once):
    blob, draw = saved_as(filled(name)), np.random.default_rng(1)
    for count in [1, 2, 5, 20, 100] * 30:
        flipped = bytearray(blob)
        for _ in range(count):
            flipped[int(draw.integers(len(blob)))] ^= 1 << int(draw.integers(8))
        opened(tmp_path / "a", bytes(flipped))
        assert isinstance(opened(tmp_path / "a", blob[: int(draw.integers(len(blob)))]), str)
        assert isinstance(opened(tmp_path / "a", blob + bytes(int(draw.integers(1, 9)))), str)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_bad_file_makes_the_loader_take_memory(tmp_path):
    """A process with 64 MiB to spare refuses every bad file, and within seconds."""
    for index, name in enumerate(BAD):
        (tmp_path / f"{index}").write_bytes(BAD[name]())
    code = f"""
        import resource, sys, time
        from pathlib import Path
        import torch, kanerva
        torch.set_num_threads(1)
        kanerva.load(sys.argv[1])
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + 2**26, taken + 2**26))
        start = time.perf_counter()
        for index in range({len(BAD)}):
            try:
                kanerva.load(Path(sys.argv[2], str(index)))
            except kanerva.InputError as error:
                assert "memory at hand" not in str(error), error
            else:
                raise AssertionError(index)
        print(time.perf_counter() - start)
    """
    (tmp_path / "good").write_bytes(BLOB)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "good"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 20


def test_a_large_foreign_file_is_not_read(tmp_path):
    """A file of 4 GiB with the header of another program is refused by its description."""
    size = 2**32
    described = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"weight": described}).encode()
    header += b" " * (-len(header) % 8)
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    with pytest.raises(InputError, match="but it was a safetensors file without its description"):
        kanerva.load(path)


def test_nothing_in_a_file_is_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "trap"),))

    for blob in (
        pickle.dumps(Trap()),
        meta(BLOB, lambda m: m | {"class": f"os.mkdir({str(tmp_path / 'trap')!r})"}),
    ):
        assert isinstance(opened(tmp_path / "a", blob), str)
    assert not (tmp_path / "trap").exists()


def test_the_allow_list_has_all_public_parts_and_no_others():
    """Every public part can be loaded, and no other code."""
    from kanerva.memory import _parts

    public = {
        getattr(module, name)
        for module in (similarity, separation, activation)
        for name in module.__all__
    }
    abstract = {separation.Separation, activation.Activation}
    assert public - abstract == {*_parts.KNOWN.values(), separation.Partial}
    assert learned(0.5).requires_grad
