"""Tables, labels and pictures of one's own: nothing is lost, squeezed or dropped silently."""

import io
import re
import sys
import time
import warnings
import zipfile

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from kanerva import InputError, InputFileError
from kanerva._core import machine
from kanerva.lab import data
from kanerva.lab.data import _files

FOUR_PARTS = r"(?s)^data\.load: \w+ must be .+, but it was .+; .+\.$"
VALUES = np.array([[0.5, 10, 1], [1.5, 30, 3], [2.5, 20, 2], [4.5, 50, 1]])
SCALED = torch.tensor([[-1, -1, -1], [-0.5, 0, 1], [0, -0.5, 0], [1, 1, -1]])
lossy = pytest.mark.filterwarnings("ignore:.*distinct patterns became equal")


def refused(part, source, **options):
    with pytest.raises(InputError) as caught:
        data.load(source, **options)
    assert part in str(caught.value), str(caught.value)
    assert re.match(FOUR_PARTS, str(caught.value)), str(caught.value)
    return caught.value


def table(folder, text, name="x.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """The wines of scikit-learn as pandas writes them, with their index and their labels."""
    from sklearn.datasets import load_wine

    path = tmp_path_factory.mktemp("wine") / "wine.csv"
    bunch = load_wine(as_frame=True)
    bunch.frame.to_csv(path)
    return path, bunch


class TestScale:
    def test_wines_stay_apart(self, wine):
        path, bunch = wine
        with pytest.warns(UserWarning, match="42 of 178 distinct patterns became equal"):
            found = data.load(path)
        values = bunch.data.to_numpy()
        assert found.real.shape == (178, 13)
        # One threshold for all columns left 30 distinct patterns of the 178.
        assert len(found.bits.unique(dim=0)) == 136
        assert (found.lost, found.duplicates) == (42, 42)
        assert len(found.real.unique(dim=0)) == 178
        # Each bit halves its column as well as any threshold can.
        for column, bits in zip(values.T, (found.bits == 1).T.numpy(), strict=True):
            best = min(abs((column >= bound).mean() - 0.5) for bound in np.unique(column))
            assert abs(bits.mean() - 0.5) == pytest.approx(best)
            assert column[bits].min() > column[~bits].max()
        low, high = values.min(0), values.max(0)
        expected = 2 * (values - low) / (high - low) - 1
        np.testing.assert_allclose(found.real.numpy(), expected, atol=1e-6)

    def test_wines_on_one_scale_are_ruins_and_that_is_said(self, wine):
        path, _ = wine
        with pytest.warns(UserWarning, match="148 of 178 distinct patterns became equal"):
            found = data.load(path, scale="whole")
        assert len(found.bits.unique(dim=0)) == 30
        assert found.notes[-1].startswith("148 of 178")

    def test_wines_as_an_array_say_what_helps(self, wine, tmp_path):
        np.save(tmp_path / "wine.npy", wine[1].data)
        with pytest.warns(UserWarning, match="148 of 178 .* the scale 'columns' thresholds each"):
            data.load(tmp_path / "wine.npy")
        with pytest.warns(UserWarning, match="42 of 178"):
            found = data.load(tmp_path / "wine.npy", scale="columns")
        with pytest.warns(UserWarning, match="42 of 178"):
            made = data.DataSet.of(wine[1].data, name="wine", scale="columns")
        assert torch.equal(found.bits, made.bits)
        assert torch.equal(found.real, made.real)

    def test_real_numbers_and_named_sets_do_not_warn(self, wine):
        assert data.load(wine[0], domain="real").lost == 0
        few = data.load("digits", threshold=16.0)
        assert few.lost > 0
        assert few.notes[-1].startswith(f"{few.lost} of 1797 distinct patterns")

    def test_constant_columns_and_columns_of_two_values(self, tmp_path):
        found = data.load(table(tmp_path, "1,5,0\n1,7,3\n1,5,9\n"))
        assert found.real.tolist() == [[0, -1, -1], [0, 1, pytest.approx(-1 / 3)], [0, -1, 1]]
        assert found.bits.tolist() == [[1, -1, -1], [1, 1, 1], [1, -1, 1]]
        assert found.constant == 1

    @lossy
    def test_a_median_that_most_share_is_passed(self, tmp_path):
        column = [0, 1, 1, 1, 1, 1, 2, 2, 2, 2]
        text = "\n".join(f"{one},{place}.5" for place, one in enumerate(column))
        # Half the rows reach the median, 1, as all but one do; the next value has four of ten.
        assert (data.load(table(tmp_path, text)).bits[:, 0] == 1).sum() == 4

    def test_pictures_keep_one_scale(self, tmp_path):
        np.save(tmp_path / "x.npy", np.arange(24.0).reshape(2, 3, 4))
        refused("'auto' or 'whole' for pictures", tmp_path / "x.npy", scale="columns")
        with pytest.raises(InputError, match=r"DataSet\.of: scale must be"):
            data.DataSet.of(np.arange(24.0).reshape(2, 3, 4), name="x", scale="columns")


FORMS = {
    "commas": "0.5,10,1\n1.5,30,3\n2.5,20,2\n4.5,50,1\n",
    "header": "a,b,c\n0.5,10,1\n1.5,30,3\n2.5,20,2\n4.5,50,1\n",
    "semicolons": "a;b;c\n0.5;10;1\n1.5;30;3\n2.5;20;2\n4.5;50;1\n",
    "decimal commas": "a;b;c\n0,5;10;1\n1,5;30,0;3\n2,5;20;2\n4,5;50;1\n",
    "tabs, decimal commas": "0,5\t10\t1\n1,5\t30\t3\n2,5\t20\t2\n4,5\t50\t1\n",
    "blanks": "0.5 10 1\n 1.5  30   3\n2.5 20 2 \n4.5 50 1",
    "blanks, header": "a  b  c\n0.5 10 1\n1.5 30 3\n2.5 20 2\n4.5 50 1\n",
    "blanks, decimal commas": "0,5 10,0 1,0\n1,5 30,0 3,0\n2,5 20,0 2,0\n4,5 50,0 1,0\n",
    "returns": "a,b,c\r\n0.5,10,1\r\n\r\n1.5,30,3\r\n2.5,20,2\r\n4.5,50,1\r\n",
    "byte order mark, quotes": '\ufeff"a, x","b","c"\n"0.5",10,1\n1.5,"30",3\n2.5,20,2\n4.5,50,1\n',
    "index": ",a,b,c\n0,0.5,10,1\n1,1.5,30,3\n2,2.5,20,2\n3,4.5,50,1\n",
    "index from 1": '"",a,b,c\n1,0.5,10,1\n2,1.5,30,3\n3,2.5,20,2\n4,4.5,50,1\n',
    "index without header": "0,0.5,10,1\n1,1.5,30,3\n2,2.5,20,2\n3,4.5,50,1\n",
    "numbered columns": ",0,1,2\n0,0.5,10,1\n1,1.5,30,3\n2,2.5,20,2\n3,4.5,50,1\n",
    "numbered columns, label": "0,1,2,label\n0.5,10,1,x\n1.5,30,3,y\n2.5,20,2,x\n4.5,50,1,y\n",
}


class TestForms:
    @pytest.mark.parametrize("form", FORMS)
    def test_text(self, form, tmp_path):
        found = data.load(table(tmp_path, FORMS[form]))
        assert torch.allclose(found.real, SCALED)
        notes = " ".join(found.notes)
        assert ("decimal commas" in notes) == ("decimal" in form)
        assert ("an index, left out" in notes) == ("index" in form or form == "numbered columns")
        assert (found.labels is not None) == ("label" in form)

    def test_tsv_and_parquet(self, tmp_path):
        frame = pandas.DataFrame(VALUES, columns=["a", "b", "Target"])
        frame.to_csv(tmp_path / "x.tsv", sep="\t", index=False)
        frame.to_parquet(tmp_path / "x.parquet")
        frame.astype({"b": "Int64", "Target": "category"}).to_parquet(tmp_path / "y.parquet")
        for name in ("x.tsv", "x.parquet", "y.parquet"):
            found = data.load(tmp_path / name)
            assert torch.allclose(found.real, SCALED[:, :2])
            assert (found.labels + 1).tolist() == VALUES[:, 2].tolist()
            assert "labels: the column 'Target', by its name (3 classes)" in found.notes

    def test_parquet_of_no_use(self, tmp_path):
        frame = pandas.DataFrame({"a": [1.0, 2], "when": pandas.to_datetime(["2020", "2021"])})
        frame.to_parquet(tmp_path / "x.parquet")
        refused("the columns of text are 'when'", tmp_path / "x.parquet")
        frame = pandas.DataFrame({"a": [1.0, None], "b": [1, 2]}).astype({"b": "Int64"})
        frame.to_parquet(tmp_path / "y.parquet")
        refused("with '<NA>' in row 2, column 1", tmp_path / "y.parquet")
        (tmp_path / "z.parquet").write_bytes(b"PAR1 no")
        assert isinstance(refused("which cannot be read", tmp_path / "z.parquet"), InputFileError)

    def test_a_parquet_index_is_left_out_and_said(self, tmp_path):
        frame = pandas.DataFrame(VALUES, index=list("wxyz"), columns=["a", "b", "c"])
        frame.to_parquet(tmp_path / "x.parquet")
        found = data.load(tmp_path / "x.parquet")
        assert torch.allclose(found.real, SCALED)
        assert "the index of the table was left out" in found.notes

    @lossy
    def test_a_first_line_that_may_be_a_header_is_said(self, tmp_path):
        path = tmp_path / "x.csv"
        pandas.DataFrame(VALUES).to_csv(path, index=False)
        assert data.load(path).real.shape == (5, 3)
        assert any("counts 0, 1, 2" in note for note in data.load(path).notes)

    @pytest.mark.parametrize(
        "text",
        [
            "city,2019,2020\nx,1,2\ny,2,3\nz,3,1\n",
            ",2019,2020,2022\n0,1,2,5\n1,2,3,3\n2,3,1,1\n",
            "town;code;1999;2004\nx;a;1,5;2\ny;b;2;3,5\nz;c;3;1\n",
        ],
    )
    def test_words_and_years_are_a_header_and_that_is_said(self, text, tmp_path):
        path = table(tmp_path, text)
        drop = [name for name in ("city", "town", "code") if name in text]
        if drop:
            assert f"--drop {drop[0]}" in refused("the columns of text are", path).do
        found = data.load(path, drop=drop)
        assert len(found.real) == 3
        assert any("a header and was left out; its years" in note for note in found.notes)

    @lossy
    @pytest.mark.parametrize(
        ("text", "options"),
        [
            ("2019,2020,2021\n5,1,2\n2,7,3\n3,1,1\n", {}),
            ("2019,2020,2021\n1,2,3\n2,7,3\n3,1,1\n", {}),
            ("10,20,30\n5,1,2\n2,7,3\n3,1,1\n", {}),
            ("city,1,2\nx,5,2\ny,7,3\nz,1,1\n", {"label": 1}),
            # Years below leave it open what the first line is.
            ("city,2019,7\nx,1,2\ny,2,3\n", {"drop": [1]}),
        ],
    )
    def test_a_pattern_that_reads_like_a_header_is_said(self, text, options, tmp_path):
        path = table(tmp_path, text)
        found = data.load(path, **options)
        assert len(found.real) == len(text.splitlines())
        said = any("reads like the names of columns" in note for note in found.notes)
        assert said == ("2019,7" not in text)

    @lossy
    @pytest.mark.parametrize(
        "text",
        [
            "1,2,3\n2,3,4\n5,6,7\n",
            "2001,2002\n2003,2004\n2005,2007\n",
            "5.1,3.5,2\n7,3,1\n1,2,3\n",
            "x,2001,2002\ny,2003,2004\n",
            "x,8,4\ny,2,3\n",
        ],
    )
    def test_a_pattern_like_the_others_is_not(self, text, tmp_path):
        drop = [1] if text.startswith("x") else []
        found = data.load(table(tmp_path, text), drop=drop)
        assert len(found.real) == len(text.splitlines())
        assert not any("first line" in note for note in found.notes)

    def test_a_word_in_a_first_line_of_numbers_may_be_a_header(self, tmp_path):
        error = refused("with 'a' in line 1, column 1", table(tmp_path, "a,b,2020\n1,2,3\n4,5,7\n"))
        assert "if the first line is a header, remove it, or give its columns names" in error.do
        error = refused("with 'a' in line 2, column 1", table(tmp_path, "1,2\na,3\n"))
        assert "header" not in error.do

    @pytest.mark.parametrize("text", ["1,2\n3,4\n", "1,2,3\n4,5,6\n7,8,9\n"])
    def test_a_comment_in_the_first_line_is_named(self, text, tmp_path):
        error = refused("with a comment in line 1", table(tmp_path, "# made by me\n" + text))
        assert error.do == "drop line 1"

    def test_a_title_in_the_first_line_is_named(self, tmp_path):
        path = table(tmp_path, "\nCities\n1,2,3\n4,5,6\n7,8,9\n")
        assert refused("with 1 cell in line 2 before 3 in those below", path).do.endswith("line 2")

    def test_columns_that_count_under_a_name_are_kept_and_said(self, tmp_path):
        found = data.load(table(tmp_path, "id,a,b\n1,0.5,2\n2,1.5,1\n3,2.5,7\n"))
        assert found.real.shape == (3, 3)
        said = "the column 'id' counts 1, 2, 3, ... and was kept; leave it out with --drop id"
        assert said in found.notes

    def test_true_and_false_are_bits(self, tmp_path):
        found = data.load(table(tmp_path, "a,b\nTrue,False\nFalse,True\n"))
        assert found.bits.tolist() == [[1, -1], [-1, 1]]

    def test_missing_package(self, tmp_path, monkeypatch):
        path = table(tmp_path, "1,2\n3,4\n")
        monkeypatch.setitem(sys.modules, "pandas", None)
        assert 'pip install "kanerva[data]"' in refused("which needs pandas", path).do


IRIS = "5.1,3.5,setosa\n7.0,3.2,versicolor\n6.3,3.3,virginica\n4.9,3.0,setosa\n"


class TestColumns:
    def test_labels_by_name_and_by_place(self, tmp_path):
        headed = table(tmp_path, "long,wide,Kind of iris\n" + IRIS, "y.csv")
        bare = table(tmp_path, IRIS)
        for path, label in ((headed, "Kind of iris"), (headed, 3), (bare, "3"), (bare, 3)):
            found = data.load(path, label=label)
            assert found.classes == ("setosa", "versicolor", "virginica")
            assert found.labels.tolist() == [0, 1, 2, 0]
            assert found.real.shape == (4, 2)
        few = data.load(bare, label=3, patterns=2, seed=0)
        assert len(few.labels) == 2

    @lossy
    @pytest.mark.parametrize("name", ["label", "Target", "CLASS", " class "])
    def test_labels_by_their_usual_names(self, name, tmp_path):
        found = data.load(table(tmp_path, f"{name},a,b\n2,0.5,1\n10,1.5,3\n2,2.5,2\n"))
        assert found.classes == ("2", "10")
        assert found.labels.tolist() == [0, 1, 0]
        assert any(note.startswith("labels: the column") for note in found.notes)

    def test_a_target_of_fractions_is_a_measurement(self, tmp_path):
        found = data.load(table(tmp_path, "a,b,target\n1,2,0.5\n3,4,0.25\n"))
        assert found.labels is None
        assert "the column 'target' holds fractions and was kept as a measurement" in found.notes

    def test_drop(self, tmp_path):
        path = table(tmp_path, "name,a,b,class\nx,1,2,0\ny,3,4,1\n")
        assert "--drop name" in refused("the columns of text are 'name'", path).do
        found = data.load(path, drop=["name"])
        assert found.real.shape == (2, 2)
        assert "left out as asked: 'name'" in found.notes
        assert data.load(path, drop=["name", 4]).labels is None
        assert data.load(path, drop=["class"], label="name").classes == ("x", "y")

    @pytest.mark.parametrize(
        ("text", "options", "part"),
        [
            (IRIS, {}, "with 'setosa' in line 1, column 3; the columns of text are 3"),
            (IRIS, {"label": "kind"}, "label must be a column of the file: 1, 2, 3"),
            (IRIS, {"label": 3, "drop": ["3"]}, "label must be a column of the file: 1, 2,"),
            (IRIS, {"drop": ["0"]}, "drop must be a column of the file"),
            (IRIS, {"label": 1}, "it was 1, which holds fractions"),
            ("a,a,b\n1,2,3\n4,5,6\n", {"drop": ["a"]}, "the name of 2 columns; give its place"),
            ("class,label,b,c\n1,2,3,4\n4,5,6,7\n", {}, "'class', 'label' could all be it"),
            ("a,b,class\n1,2,x\n3,4,\n", {}, "label must be a column with a label in every row"),
            ("a,b,class\n1,2,3\n3,4,\n", {}, "'class', which lacks 1, the first in line 3"),
            ("a,b,class\n1,2,x\n3,4\n", {}, "with 2 cells in line 3 after 3 in those above"),
            (
                "a,b,c\n1,,3\n4,NA,6\n7,8,\n",
                {},
                "with an empty cell in line 2, column 2; values are missing or infinite in "
                "'b' (2), 'c' (1); leave a column out with --drop b",
            ),
        ],
    )
    def test_columns_of_no_use(self, text, options, part, tmp_path):
        refused(part, table(tmp_path, text), **options)

    def test_options_in_advice_are_written_for_a_shell(self, tmp_path):
        path = table(tmp_path, "my town,b,c\nx,1,2\ny,2,7\n")
        do = refused("the columns of text are 'my town'", path).do
        assert "--label 'my town', leave a column out with --drop 'my town'" in do
        path = table(tmp_path, "row id,b,c\n1,1,9\n2,7,4\n3,2,2\n")
        assert any("--drop 'row id'" in note for note in data.load(path).notes)
        path = table(tmp_path, "target,class,$x,a\n1,1,2,0\n2,2,7,4\n")
        assert "--label target," in refused("could all be it", path).do

    def test_of_two_columns_of_one_name_the_place_is_advised(self, tmp_path):
        path = table(tmp_path, "a,b,b\n1,x,2\n5,y,7\n")
        assert "--label 2, leave a column out with --drop 2" in refused("text are 'b'", path).do
        assert refused("the name of 2 columns", path, drop=["b"]).do.endswith("2 or 3")
        path = table(tmp_path, "b,id,id\n9,1,2\n5,2,7\n6,3,1\n")
        assert any(note.endswith("--drop 2") for note in data.load(path).notes)

    @pytest.mark.parametrize(
        ("options", "left"),
        [
            ({"drop": ["a", "b"]}, "'c'"),
            ({"drop": ["a"], "label": "b"}, "'c'"),
            ({"drop": [1, 2, 3]}, "none"),
        ],
    )
    def test_one_column_that_is_left_is_too_few(self, options, left, tmp_path):
        path = table(tmp_path, "a,b,c\n1,2,3\n4,5,7\n")
        error = refused(f"two or more columns of numbers, but it was '{path}'", path, **options)
        assert f"with {left} left of 3" in str(error)
        assert error.do.startswith("leave fewer columns out")

    def test_a_label_that_was_dropped_is_said(self, tmp_path):
        path = table(tmp_path, "a,town,c,d\n1,x,3,2\n4,y,7,9\n")
        part = "it was '2', the column 'town', which drop leaves out"
        refused(part, path, label=2, drop=["town"])
        refused("it was 'town', which drop leaves out", path, label="town", drop=[2])

    @pytest.mark.untyped
    @pytest.mark.parametrize(
        "options",
        [{"label": 1.5}, {"label": True}, {"drop": "a"}, {"drop": [None]}, {"crop": 1}],
    )
    def test_options_of_the_wrong_type(self, options, tmp_path):
        assert refused("", table(tmp_path, IRIS), **options).argument == next(iter(options))

    def test_options_of_other_sources(self, tmp_path):
        np.save(tmp_path / "x.npy", VALUES)
        refused("scale must be one of 'auto', 'whole', 'columns'", "letters", scale="rows")
        for options in ({"label": "a"}, {"drop": ["a"]}, {"crop": True}, {"scale": "whole"}):
            argument = next(iter(options))
            assert refused("of your own", "letters", **options).argument == argument
            if argument != "scale":
                assert refused("left out", tmp_path / "x.npy", **options).argument == argument
        with pytest.raises(InputError, match="keyword must be one of"):
            data.load("letters", hue=3)


class TestArchives:
    @lossy
    def test_labels_of_an_archive(self, tmp_path):
        path = tmp_path / "x.npz"
        np.savez(path, x=VALUES, y=np.array(["b", "a", "b", "c"]), z=np.arange(3))
        found = data.load(f"{path}:x", label="y")
        assert found.classes == ("a", "b", "c")
        assert found.labels.tolist() == [1, 0, 1, 2]
        refused("label must be an array of 4 labels", f"{path}:x", label="z")
        refused("label must be an array of the file", f"{path}:x", label="w")
        np.savez(tmp_path / "y.npz", x=VALUES, y=np.arange(4) % 2)
        assert data.load(tmp_path / "y.npz", label="y").classes == ("0", "1")

    def test_an_archive_that_expands_is_refused_by_its_directory(self, tmp_path, monkeypatch):
        path, size = tmp_path / "x.npz", 2**28
        head = io.BytesIO()
        shape = {"descr": "|u1", "fortran_order": False, "shape": (2**14, 2**14)}
        np.lib.format.write_array_header_1_0(head, shape)
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("x.npy", "w") as member,
        ):
            member.write(head.getvalue())
            for _ in range(16):
                member.write(bytes(size // 16))
        assert path.stat().st_size < 2**21
        monkeypatch.setattr(zipfile.ZipFile, "open", None)
        start = time.perf_counter()
        refused("times, to 256.0 MiB", path)
        assert time.perf_counter() - start < 1

    def test_more_than_the_memory_at_hand_is_refused_by_the_header(self, tmp_path, monkeypatch):
        np.savez(tmp_path / "x.npz", np.ones((1000, 100)))
        np.save(tmp_path / "x.npy", np.ones((1000, 100)))
        pandas.DataFrame(np.ones((1000, 100))).to_parquet(tmp_path / "x.parquet")
        monkeypatch.setattr(machine, "available_bytes", lambda: 2**20)
        for name in ("x.npz", "x.npy", "x.parquet"):
            refused("fits into the memory at hand, 1.0 MiB", tmp_path / name)

    def test_arrays_are_read_in_blocks(self, tmp_path, monkeypatch):
        values = np.random.default_rng(0).integers(0, 256, (50, 70), dtype=np.uint8)
        np.savez_compressed(tmp_path / "x.npz", values)
        np.save(tmp_path / "x.npy", values)
        monkeypatch.setattr(_files, "BLOCK", 999)
        for name in ("x.npz", "x.npy"):
            found = data.load(tmp_path / name, domain="real")
            np.testing.assert_allclose(found.real, values / 127.5 - 1, atol=1e-6)


def picture(path, shape, seed=0):
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


class TestPictures:
    def test_one_icon_does_not_shrink_the_others(self, tmp_path):
        for place in range(3):
            picture(tmp_path / f"{place}.png", (64, 64), place)
        assert data.load(tmp_path).shape == (32, 32)
        picture(tmp_path / "icon.png", (8, 8))
        error = refused("3 of 64x64 pixels and 1 other size, such as 8x8 of 'icon.png'", tmp_path)
        assert "--crop" in error.do
        found = data.load(tmp_path, crop=True)
        assert found.shape == (8, 8)
        assert "the height of 'icon.png' and the width of 'icon.png'" in found.notes[0]

    def test_pictures_of_one_shape_in_two_sizes_are_of_one_shape(self, tmp_path):
        picture(tmp_path / "1.png", (64, 96))
        picture(tmp_path / "2.png", (128, 192))
        assert data.load(tmp_path).shape == (21, 32)

    def test_the_middle_is_kept_as_it_is(self, tmp_path):
        high, wide = picture(tmp_path / "1.png", (20, 12), 1), picture(tmp_path / "2.png", (10, 30))
        refused("pictures of one shape", tmp_path)
        found = data.load(tmp_path, crop=True)
        pixels = np.stack([high[5:15], wide[:, 9:21]]).reshape(2, -1).astype(float)
        low, most = pixels.min(), pixels.max()
        np.testing.assert_allclose(
            found.real.numpy(), 2 * (pixels - low) / (most - low) - 1, atol=1e-6
        )

    def test_crop_changes_nothing_where_all_are_of_one_shape(self, tmp_path):
        for place in range(2):
            picture(tmp_path / f"{place}.png", (6, 5), place)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert data.load(tmp_path, crop=True).notes == data.load(tmp_path).notes
