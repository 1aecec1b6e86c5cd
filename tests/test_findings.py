"""The files of an examination: tables, figures and a page, from made-up rows without a model."""

import csv
import importlib.util
import json
import os
import re
from collections import Counter

import pytest

from kanerva import InputError, InputFileError
from kanerva.lab import probing
from kanerva.lab.probing import Examination
from test_report import Reader

EVIL = "<script>alert(1)</script>\"'&"


def effect(**own):
    numbers = {
        "last": 0.9,
        "divergence": None,
        "loss": None,
        "loss_before": None,
        "embedding": 0.8,
        "nearest": 0.5,
        "neighbours": 0.4,
    }
    return {**own, **numbers, "unreached": 0.01}


def made_up(layers=2, heads=3, **changes):
    rows = [
        {
            "layer": layer,
            "index": head,
            "name": f"block.{layer}",
            "beta": 3.0 + head,
            "radius": 9 - head,
            "special": None,
            "variation": 0.25,
        }
        for layer in range(layers)
        for head in range(heads)
    ]
    found = {
        "name": "toy",
        "rows": rows,
        "curves": [
            {"layer": 0, "head": 0, "radius": radius, "variation": radius / 9, "r2": 0.1}
            for radius in (1, 2, 3)
        ],
        "inputs": [{"layer": 0, "inputs": place / 4, "share": 0.25} for place in range(4)],
        "cosines": [{"layer": 0, "cosines": place / 50, "share": 0.25} for place in range(4)],
        "values": [{"layer": 0, "head": 0, "weight": 0.1, "norm": 2.0}],
        "stores": [
            {
                "layer": 0,
                "name": "block.0.mlp",
                "gated": False,
                "memories": 1536,
                "beta": 0.43,
                "hit_rate": 0.125,
            }
        ],
        "effects": [
            effect(memory="circles", title="circles"),
            effect(memory="nearest", title="the nearest token alone"),
        ],
        "sweep": [effect(radius=radius) for radius in (2, 4)],
        "controls": [
            {"control": "this model", "beta": 4.0, "r2": None},
            {"control": "random weights", "beta": 0.9, "r2": None},
        ],
        "optima": {"noise": 5.6, "snr": 8.3, "capacity": 16.2, "patterns": 18},
        "verdicts": ["Six heads."],
        "notes": ["One text was cut."],
        "manifest": {"model": "toy", "texts": 1520, "versions": {"kanerva": "0.1"}},
    }
    return Examination(**(found | changes))


def written(folder, **changes):
    probing.save(made_up(**changes), folder)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Save an examination with everything in it; return the paths."""
    return probing.save(made_up(), tmp_path_factory.mktemp("page") / "new" / "folder")


@pytest.fixture(scope="module")
def text(saved):
    return saved[-1].read_text(encoding="utf-8")


LEAST = {
    name: []
    for name in (
        "curves",
        "inputs",
        "cosines",
        "values",
        "stores",
        "effects",
        "sweep",
        "controls",
        "verdicts",
        "notes",
    )
}


def test_every_table_and_figure_is_written_and_the_report_last(saved):
    assert all(path.is_file() for path in saved)
    tables = [
        f"{name}.csv"
        for name in ("heads", "agreement", "effects", "sweep", "controls", "values", "stores")
    ]
    figures = [
        name + end
        for name in ("replacements", "sweep", "betas", "heads", "agreement", "histograms")
        for end in (".svg", ".png")
    ]
    assert [path.name for path in saved] == [*tables, "manifest.json", *figures, "report.html"]
    assert sorted(os.listdir(saved[0].parent)) == sorted(path.name for path in saved)


def test_tables_hold_the_rows(saved):
    folder = saved[0].parent
    with open(folder / "heads.csv", encoding="utf-8", newline="") as file:
        back = list(csv.DictReader(file))
    assert [(int(row["layer"]), int(row["index"]), float(row["beta"])) for row in back] == [
        (layer, head, 3.0 + head) for layer in range(2) for head in range(3)
    ]
    record = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert record["model"] == "toy"
    assert record["optima"]["snr"] == 8.3
    assert (record["verdicts"], record["notes"]) == (["Six heads."], ["One text was cut."])


def test_what_has_no_rows_is_left_out(tmp_path):
    page = written(tmp_path, **LEAST, optima={}, manifest={})
    names = sorted(os.listdir(tmp_path))
    assert names == [
        "betas.png",
        "betas.svg",
        "heads.csv",
        "heads.png",
        "heads.svg",
        "manifest.json",
        "report.html",
    ]
    titles = re.findall(r"<h2[^>]*>([^<]*)<", page)
    assert titles == ["Which memory each head is", "All numbers"]


def test_one_head_is_enough(tmp_path):
    assert "1 head in 1 layer, watched on 1,520 texts" in written(tmp_path, layers=1, heads=1)


def test_without_the_extra_there_are_only_tables(tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "kanerva.lab.report._files.find_spec",
        lambda name: None if name == "jinja2" else there(name),
    )
    assert {path.suffix for path in probing.save(made_up(), tmp_path)} == {".csv", ".json"}


def test_page_is_whole_and_needs_nothing_else(text):
    reader = Reader(text)
    assert "http:" not in text
    assert "https:" not in text
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in reader.tags}
    for tag, attributes in reader.tags:
        assert "src" not in attributes, tag
        for name in ("href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png")), tag
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_page_has_the_marks_of_structure(text):
    reader = Reader(text)
    assert reader.all("html")[0]["lang"] == "en"
    assert len(reader.all("h1")) == 1
    assert len(reader.all("caption")) == len(reader.all("table")) == 4
    assert all(head.get("scope") in ("col", "row") for head in reader.all("th"))
    assert len(reader.all("figcaption")) == 6
    assert len(reader.all("svg")) == 12, "each figure has a narrow form too"
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in reader.all("svg"))
    names = Counter(attributes["id"] for _, attributes in reader.tags if attributes.get("id"))
    assert not [name for name, count in names.items() if count > 1]
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(names)
    assert {
        attributes["aria-labelledby"]
        for _, attributes in reader.tags
        if "aria-labelledby" in attributes
    } <= set(names)


def test_page_shows_everything(text):
    words = " ".join(Reader(text).words)
    for record in (
        "The heads of toy as memories",
        "Six heads.",
        "One text was cut.",
        "versions.kanerva",
        "A broad head agrees",
        "hit rate",
    ):
        assert record in words
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>((?:<td>[^<]*</td>)*)', text)
    assert (
        "circles",
        "<td>0.800</td><td>0.900</td><td>50.0%</td><td>40.0%</td><td>1.0%</td>",
    ) in rows
    assert ("random weights", "<td>0.900</td>") in rows, (
        "a column that nothing is known of is left out"
    )
    assert ("0", "<td>1,536</td><td>0.430</td><td>0.125</td>") in rows
    assert ("1.2", "<td>5.00</td><td>7</td><td>0.250</td>") in rows


def test_page_of_a_language_model_shows_its_loss(tmp_path):
    spoken = {
        "loss": 3.5,
        "loss_before": 3.25,
        "divergence": 0.125,
        "nearest": None,
        "neighbours": None,
    }
    effects, sweep = [effect(title="circles") | spoken], [effect(radius=2) | spoken]
    page = written(tmp_path, **LEAST | {"effects": effects, "sweep": sweep})
    assert "The original model has a loss of 3.250 nats a token." in page
    assert "<td>3.50</td><td>0.125</td>" in page
    assert "ten neighbours" not in page
    assert "The loss with circles of one radius" in page


@pytest.mark.untyped
def test_page_escapes_all_text(tmp_path):
    text = written(
        tmp_path,
        name=EVIL,
        effects=[effect(memory=EVIL, title=EVIL)],
        controls=[{"control": EVIL, "beta": 1.0}] * 2,
        stores=[{"layer": 0, EVIL: 1}],
        verdicts=[EVIL],
        notes=[EVIL],
        manifest={EVIL: EVIL},
    )
    assert "<script" not in text
    assert "".join(Reader(text).words).count(EVIL) >= 10


def test_an_examination_without_heads_is_refused(tmp_path):
    with pytest.raises(
        InputError,
        match=r"^probing\.save: examination must be of one head or more, "
        "but it was without rows; examine",
    ):
        probing.save(made_up(rows=[]), tmp_path / "folder")
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputFileError, match=r"probing\.save"):
        probing.save(made_up(), tmp_path / "file")


@pytest.mark.untyped
def test_files_of_an_earlier_examination_are_removed(tmp_path):
    (tmp_path / "sweep.csv").write_text("somebody's own")
    probing.save(made_up(**LEAST), tmp_path)
    assert (
        tmp_path / "sweep.csv"
    ).read_text() == "somebody's own"  # nothing was examined there before
    probing.save(made_up(), tmp_path)
    (tmp_path / "notes.txt").write_text("kept")
    written = probing.save(made_up(**LEAST), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written} | {
        "notes.txt"
    }
