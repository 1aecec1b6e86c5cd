"""Figures, pages, tables and files from made-up rows, without any memory."""

import csv
import errno
import io
import itertools
import json
import os
import re
import stat
import statistics
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from kanerva import InputError, InputFileError, InputTypeError
from kanerva._core import files
from kanerva.lab import plot, report

TITLES = {
    "hopfield": "Hopfield (1982)",
    "sdm": "SDM (1988)",
    "cue": "The cue",
    "nearest": "Nearest pattern",
}
LEVELS = (0.0, 0.1, 0.25)
COLUMNS = ["exact", "repaired", "effective", "seconds", "bytes"]


def made_up(memories=tuple(TITLES), seeds=3, **changes):
    """Return rows whose numbers are simple functions of memory, level and seed."""
    return [
        {
            "memory": memory,
            "title": TITLES.get(memory, memory),
            "damage": "flip",
            "level": level,
            "seed": seed,
            "cues": 64,
            "exact": 0.9 - 2 * level - 0.1 * place + 0.01 * seed,
            "repaired": None if level == 0 else 0.5 + 0.1 * seed,
            "effective": 1.0 + place,
            "seconds": 0.0025,
            "bytes": 4096,
        }
        | changes
        for place, memory in enumerate(memories)
        for level in LEVELS
        for seed in range(seeds)
    ]


def parameter(**changes):
    """Return a parameter of a page."""
    return {
        "memory": "sdm",
        "title": "SDM (1988)",
        "codec": "none",
        "name": "radius",
        "value": 103,
        "why": "one location in a thousand",
        "theory": 103,
        "tuned": None,
        "gain": None,
    } | changes


def page(**changes):
    drawing = plot.svg(plot.recall_curves(made_up()))
    numbers = {"rows": made_up(), "columns": COLUMNS, "parameters": [parameter()]}
    numbers |= {name: changes.pop(name) for name in report.Numbers._fields if name in changes}
    given = {
        "heading": ("Digits", "A lead."),
        "verdicts": ["SDM wins."],
        "numbers": report.Numbers(**numbers),
        "figures": [("Recall", drawing, drawing), ("Again", drawing)],
        "notes": ["A note."],
        "manifest": {"seeds": [0, 1], "versions": {"kanerva": "0.1"}},
    }
    return report.page(**(given | changes))


class Reader(HTMLParser):
    """A parsed page: tags with attributes, and text; every tag must be closed."""

    VOID = ("meta", "br", "hr", "img", "input", "link")

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


# Figures


def test_recall_curves_have_a_panel_for_each_memory_and_the_baselines_in_each():
    figure = plot.recall_curves(made_up())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Hopfield (1982)", "SDM (1988)"]
    assert all(len(axes.containers) == 1 for axes in figure.axes)
    assert all(len(axes.lines) == 3 for axes in figure.axes), "two baselines and the memory"


def test_recall_curves_draw_means_and_standard_deviations():
    axes = plot.recall_curves(made_up()).axes[1]
    line, _, (bars,) = axes.containers[0]
    np.testing.assert_allclose(line.get_xdata(orig=False), LEVELS)
    np.testing.assert_allclose(line.get_ydata(orig=False), [0.81, 0.61, 0.31])
    half = [(bar[1, 1] - bar[0, 1]) / 2 for bar in bars.get_segments()]
    np.testing.assert_allclose(half, [0.01] * 3)


def test_recall_curves_leave_out_missing_values():
    axes = plot.recall_curves(made_up(), "repaired").axes[0]
    np.testing.assert_allclose(axes.containers[0][0].get_xdata(orig=False), LEVELS[1:])


@pytest.mark.parametrize(
    "rows",
    [
        made_up(seeds=1),
        made_up(["sdm"]),
        made_up(["cue"]),
        made_up(exact=None),
        made_up(["sdm"], level=0.1),
    ],
)
def test_recall_curves_draw_rows_with_little_data(rows):
    assert plot.png(plot.recall_curves(rows, across=3)).startswith(b"\x89PNG")


def test_recall_curves_take_a_log_scale_only_where_sizes_differ_much():
    rows = [row | {"seconds": 10.0 ** -len(row["memory"])} for row in made_up()]
    assert plot.recall_curves(rows, "seconds").axes[0].get_yscale() == "log"
    assert plot.recall_curves(made_up(), "seconds").axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("across", [1, 2, 3, 4])
def test_panels_neither_overlap_nor_leave_the_figure(across):
    figure = plot.recall_curves(made_up([f"memory {place}" for place in range(7)]), across=across)
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(box.x0 > 0 and box.y0 > 0 and box.x1 < 1 and box.y1 < 1 for box in boxes)
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])


def weights():
    curve = {0: 1.0, 10: 0.1, 20: 1e-3, 30: 0.0}
    twin = {distance: 10.0 ** -(distance / 10) for distance in curve}
    named = [("sdm_patterns", "SDM", curve), ("attention", "Attention", twin)]
    return [
        {"memory": memory, "title": title, "distance": distance, "weight": weight}
        for memory, title, values in named
        for distance, weight in values.items()
    ]


def test_weight_curves_have_a_line_each_and_mark_the_fall_to_zero():
    (axes,) = plot.weight_curves(weights()).axes
    assert axes.get_yscale() == "log"
    assert [list(line.get_xdata()) for line in axes.lines] == [[0, 10, 20], [20], [0, 10, 20, 30]]
    assert [line.get_label() for line in axes.lines if not line.get_label().startswith("_")] == [
        "SDM",
        "Attention",
    ]


def test_weight_curves_draw_a_memory_without_weights():
    row = {"memory": "sdm", "title": "SDM", "distance": 3, "weight": 0.0}
    (line,) = plot.weight_curves([row]).axes[0].lines
    assert len(line.get_xdata()) == 0


@pytest.mark.parametrize("shape", [(8, 8, 8), (3, 8, 12, 3), (1, 1, 64), (12, 30, 5)])
def test_gallery_shows_every_picture_inside_the_figure(shape):
    pictures = [
        (title, np.linspace(-1, 1, int(np.prod(shape))).reshape(shape))
        for title in ("original", "cue", "SDM", "Hopfield")
    ]
    (axes,) = plot.gallery(pictures).axes
    assert len(axes.images) == 4 * shape[0]
    assert [text.get_text() for text in axes.texts] == ["original", "cue", "SDM", "Hopfield"]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    boxes = [image.get_extent() for image in axes.images]
    assert all(left < x0 < x1 < right and low < y0 < y1 < high for x0, x1, y0, y1 in boxes)
    lows = sorted({round(box[2], 6) for box in boxes})
    assert all(
        lower + boxes[0][3] - boxes[0][2] < upper for lower, upper in itertools.pairwise(lows)
    ), "rows stay apart"


@pytest.mark.parametrize(("first", "gaps"), [(0, 0), (1, 1), (2, 1), (4, 0)])
def test_gallery_separates_the_first_rows(first, gaps):
    rows = [(f"row {place}", np.zeros((1 + place % 2, 3, 3))) for place in range(4)]
    figure = plot.gallery(rows, first=first)
    tops = sorted({image.get_extent()[3] for image in figure.axes[0].images})
    steps = np.round(np.diff(tops), 6)
    assert (steps > steps.min() + 0.1).sum() == gaps
    assert len(figure.axes[0].images) == 6


def test_gallery_maps_minus_one_to_black_and_one_to_white():
    (axes,) = plot.gallery([("original", np.array([[[-1.0, 0.0, 1.0]]]))]).axes
    rgba = axes.images[0].to_rgba(axes.images[0].get_array())
    np.testing.assert_allclose(rgba[0, :, 0], [0, 0.5, 1], atol=0.01)


def test_drawings_are_deterministic_and_keep_text_as_text():
    figure = plot.recall_curves(made_up())
    first = plot.svg(figure)
    assert first == plot.svg(figure) == plot.svg(plot.recall_curves(made_up()))
    assert ">SDM (1988)</text>" in first
    assert "<metadata" not in first
    assert plot.png(figure) == plot.png(plot.recall_curves(made_up()))


def test_titles_are_not_parsed_as_mathematics_or_markup():
    drawing = plot.svg(plot.recall_curves(made_up(title="$a_b$ <b>")))
    assert "$a_b$ &lt;b&gt;" in drawing


def test_drawing_does_not_change_the_settings_of_matplotlib():
    import matplotlib

    with matplotlib.rc_context({"figure.facecolor": "red", "font.size": 30}):
        before = dict(matplotlib.rcParams)
        drawing = plot.svg(plot.recall_curves(made_up()))
        assert dict(matplotlib.rcParams) == before
    # The user's own settings have no effect.
    assert drawing == plot.svg(plot.recall_curves(made_up()))


def test_save_writes_both_formats(tmp_path):
    paths = plot.save(plot.weight_curves(weights()), tmp_path, "weights")
    assert paths == [tmp_path / "weights.svg", tmp_path / "weights.png"]
    assert sorted(os.listdir(tmp_path)) == ["weights.png", "weights.svg"]
    assert paths[0].read_text(encoding="utf-8").endswith("</svg>\n")


# The page


def test_page_is_self_contained():
    text = page()
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
    # A table that is cut has a shadow at its end.
    assert "linear-gradient(to left, var(--shadow)) right / 1.1rem 100% no-repeat scroll" in style


def test_page_has_accessible_structure():
    reader = Reader(page())
    assert reader.all("html")[0]["lang"] == "en"
    assert len(reader.all("h1")) == 1
    assert len(reader.all("caption")) == len(reader.all("table")) == 1 + len(LEVELS)
    assert all(head.get("scope") in ("col", "row", "colgroup") for head in reader.all("th"))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in reader.all("svg"))
    assert len(reader.all("figcaption")) == 2
    assert len(reader.all("svg")) == 3, "the first figure has a second drawing"
    names = Counter(attributes["id"] for _, attributes in reader.tags if attributes.get("id"))
    assert not [name for name, count in names.items() if count > 1]
    referred = set(re.findall(r"url\(#([^)]+)\)", page()))
    assert referred
    assert referred <= set(names)


def test_page_contains_all_arguments():
    words = " ".join(Reader(page()).words)
    for text in (
        "Digits",
        "A lead.",
        "SDM wins.",
        "A note.",
        "radius = 103",
        "one location in a thousand",
        "versions.kanerva",
        "0, 1",
        "2.50\xa0ms",
    ):
        assert text in words


def test_page_escapes_all_text():
    evil = "<script>alert(1)</script>\"'&"
    rows = made_up(["sdm"], title=evil, damage=evil)
    text = page(
        heading=(evil, evil),
        verdicts=[evil],
        rows=rows,
        columns=["exact"],
        figures=[(evil, plot.svg(plot.recall_curves(rows)))],
        notes=[evil],
        parameters=[parameter(title=evil, name=evil, value=evil, why=evil)],
        manifest={evil: {evil: [evil]}},
    )
    reader = Reader(text)
    assert not reader.all("script")
    assert "<script" not in text
    assert reader.all("svg")[0]["aria-label"] == evil
    assert "".join(reader.words).count(evil) >= 10


def test_page_has_no_empty_sections():
    text = page(
        heading=("Digits", ""),
        verdicts=[],
        figures=[],
        notes=[],
        parameters=[],
        manifest={},
        rows=made_up(seeds=1),
    )
    reader = Reader(text)
    assert not reader.all("figure")
    assert "±" not in text


def test_page_shows_the_means_of_the_first_column():
    text = page(rows=made_up(["sdm"]), columns=["exact"], figures=[])
    cells = re.findall(r"<td[^>]*>([^<]*)<small>([^<]*)</small>", text)
    assert cells == [("91.0%", "±1.0"), ("71.0%", "±1.0"), ("41.0%", "±1.0")]


# Tables and numbers


def test_summary_has_means_and_deviations():
    lines = report.summarise(made_up(), 0.1)
    assert [line["memory"] for line in lines] == list(TITLES)
    hopfield = lines[0]
    exact = [0.7, 0.71, 0.72]
    assert hopfield["exact"] == pytest.approx(0.71)
    assert hopfield["exact_sd"] == pytest.approx(statistics.stdev(exact)) == pytest.approx(0.01)
    assert hopfield["repaired"] == pytest.approx(0.6)
    assert (hopfield["seeds"], hopfield["cues"], hopfield["level"]) == (3, 64, 0.1)
    assert "seed" not in hopfield


def test_summary_leaves_out_missing_values():
    (line,) = report.summarise(made_up(["sdm"], seeds=1), 0)
    assert line["repaired"] is line["repaired_sd"] is line["exact_sd"] is None
    mixed = [
        row | {"class_kept": value}
        for row, value in zip(made_up(["sdm"])[:3], (None, 0.25, 0.75), strict=True)
    ]
    assert report.summarise(mixed, 0)[0]["class_kept"] == 0.5


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("exact", 0.934, "93.4%"),
        ("exact", 1.0, "100%"),
        ("exact", 0.0, "0%"),
        ("exact", 0.9996, ">99.9%"),
        ("exact", 0.0004, "<0.1%"),
        ("exact", 0.9994, "99.9%"),
        ("exact", None, "–"),
        ("level", 0.125, "12.5%"),
        ("level", 0.1, "10%"),
        ("seconds", 1.5e-5, "15.0\xa0µs"),
        ("seconds", 0.00123, "1.23\xa0ms"),
        ("seconds", 0.9999, "1.00\xa0s"),
        ("seconds", 0.0, "0\xa0ns"),
        ("seconds", 250.0, "250\xa0s"),
        ("bytes", 999, "999\xa0B"),
        ("bytes", 4096, "4.10\xa0kB"),
        ("bytes", 123_456_789.0, "123\xa0MB"),
        ("cues", 12345, "12,345"),
        ("effective", 1.0, "1.00"),
        ("effective", 151.6, "152"),
        ("effective", 12345.6, "12,346"),
        ("anything", 7, "7"),
        ("anything", "[red]words", "[red]words"),
    ],
)
def test_numbers_are_formatted_by_the_kind_of_their_column(column, value, text):
    grid = report.table([{"memory": "sdm", column: value}], [column])
    assert [cell.plain for cell in grid.columns[0].cells] == [text]


def test_table_has_the_given_columns():
    grid = report.table(report.summarise(made_up(), 0.25), ["title", *COLUMNS])
    assert [column.header.plain for column in grid.columns] == [
        "memory",
        "exact",
        "repaired",
        "memories read",
        "time",
        "size",
    ]
    assert grid.row_count == 4
    console = Console(width=80, file=io.StringIO())
    console.print(grid)
    assert "SDM (1988)" in console.file.getvalue()
    assert report.table([], ["exact"]).row_count == 0


# Files


def test_csv_contains_every_digit_and_every_column(tmp_path):
    rows = [{"memory": 'a "b", c', "exact": 1 / 3}, {"memory": "é", "repaired": None, "seeds": 3}]
    report.write_csv(rows, tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", encoding="utf-8", newline="") as file:
        back = list(csv.DictReader(file))
    assert list(back[0]) == ["memory", "exact", "repaired", "seeds"]
    assert back[0]["memory"] == 'a "b", c'
    assert float(back[0]["exact"]) == 1 / 3
    assert back[1] == {"memory": "é", "exact": "", "repaired": "", "seeds": "3"}


def test_json_contains_plain_values_arrays_and_paths(tmp_path):
    path = tmp_path / "manifest.json"
    report.write_json(
        {"n": np.int64(3), "x": np.arange(2.0), "p": Path("a"), "é": [None, True]}, path
    )
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "n": 3,
        "x": [0.0, 1.0],
        "p": "a",
        "é": [None, True],
    }


def test_json_refuses_other_values_and_leaves_no_file(tmp_path):
    loop = []
    loop.append(loop)
    for obj in (float("nan"), [np.array([np.inf])], loop):
        with pytest.raises(
            InputError, match=r"report\.write_json: obj must be finite and without loops"
        ):
            report.write_json(obj, tmp_path / "a.json")
    with pytest.raises(InputTypeError, match="made of dicts"):
        report.write_json({"a": object()}, tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


def test_atomic_replaces_the_old_file_only_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "error", [RuntimeError, KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")]
)
def test_atomic_leaves_no_file_when_the_block_fails(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    expected = InputFileError if isinstance(error, OSError) else error

    def write():
        with files.atomic(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(expected) as caught:
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    if expected is InputFileError:
        assert str(caught.value).endswith(
            "(no space left on device); make room on the disk or write elsewhere."
        )


def test_atomic_leaves_no_file_when_the_move_fails(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(
        InputFileError, match=r"report.write_csv: path must be a file that can be written.*quota"
    ):
        report.write_csv([{"a": 1}], tmp_path / "a.csv")
    assert os.listdir(tmp_path) == []


def test_files_that_grow_too_large_are_removed(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputFileError, match="raise the limit on the size of files"):
            report.write_csv([{"a": "x" * 5000}], tmp_path / "a.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


def test_absent_folders_and_files_for_folders_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    figure = plot.weight_curves(weights())
    with pytest.raises(InputFileError, match="create the folder first"):
        plot.save(figure, tmp_path / "absent", "a")
    with pytest.raises(InputFileError, match=r"plot\.save: path must be"):
        plot.save(figure, tmp_path / "file", "a")
    with pytest.raises(InputFileError, match="add a file name"):
        report.write_json({}, tmp_path)
    with pytest.raises(InputFileError, match="choose a shorter name"):
        report.write_json({}, tmp_path / ("x" * 300))
    assert os.listdir(tmp_path) == ["file"]


def test_read_only_folders_are_refused(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.raises(InputFileError, match="choose a place that you may write to"):
            report.write_json({}, folder / "a.json")
    finally:
        folder.chmod(stat.S_IRWXU)


def test_devices_are_never_replaced():
    with pytest.raises(InputFileError, match="a folder or a device"):
        report.write_json({}, os.devnull)
    assert not Path(os.devnull).is_file()


def test_links_are_written_through(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "there" / "real.json")
    report.write_json({"a": 1}, link)
    assert link.is_symlink()
    assert json.loads((tmp_path / "there" / "real.json").read_text()) == {"a": 1}


# Bad input


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: plot.recall_curves([]), "plot.recall_curves: rows must be one row or more"),
        (lambda: plot.recall_curves(made_up(), "absent"), "the key 'absent'"),
        (lambda: plot.recall_curves(made_up(), across=0), "across must be an integer >= 1"),
        (
            lambda: plot.recall_curves(made_up(exact=float("nan"))),
            "column 'exact', must be a finite number",
        ),
        (
            lambda: plot.recall_curves(made_up(exact="high")),
            "column 'exact', must be a finite number",
        ),
        (
            lambda: plot.recall_curves(made_up(level=None)),
            "column 'level', must be a finite number >= 0",
        ),
        (
            lambda: plot.recall_curves(made_up() + made_up(damage="mask")),
            "of one kind of damage, but it was flip and mask",
        ),
        (
            lambda: plot.weight_curves(
                [{"memory": "a", "title": "A", "distance": 1, "weight": -1}]
            ),
            "'weight', must be a finite number >= 0",
        ),
        (lambda: plot.gallery([]), "one pair of title and pictures"),
        (
            lambda: plot.gallery([("a", np.zeros((1, 2, 2))), ("b", np.zeros((1, 3, 3)))]),
            "pictures of 'b' must be",
        ),
        (lambda: plot.gallery([("a", np.zeros((0, 2, 2)))]), "it was shape"),
        (lambda: plot.gallery([("a", np.full((1, 2, 2), 2.0))]), "values from 2 to 2"),
        (lambda: plot.gallery([("a", np.full((1, 2, 2), np.nan))]), "values from nan to nan"),
        (lambda: plot.save(plot.weight_curves(weights()), ".", "a/b"), "a plain file name"),
        (lambda: page(columns=[]), "columns must be one measure or more"),
        (lambda: page(columns=["absent"]), "report.page: rows must be dicts with the key 'absent'"),
        (lambda: page(rows=made_up(exact=float("inf"))), "column 'exact', must be a finite number"),
        (lambda: page(figures=[("a", "words")]), "SVG text with a viewBox"),
        (lambda: page(figures=[("a",)]), "one or two drawings"),
        (lambda: report.summarise([], 0.0), "report.summarise: rows must be one row or more"),
        (
            lambda: report.summarise(made_up(), 0.3),
            "level must be one of 0, 0.1, 0.25, but it was 0.3",
        ),
        (
            lambda: report.summarise(made_up() + made_up(damage="mask"), 0.1),
            "of one kind of damage",
        ),
    ],
)
def test_bad_input_is_refused(call, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        call()


@pytest.mark.parametrize(
    ("package", "call"),
    [("matplotlib", lambda: plot.weight_curves(weights())), ("jinja2", lambda: page(figures=[]))],
)
def test_missing_packages_name_the_extra(monkeypatch, package, call):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.style", None)
    with pytest.raises(InputError, match=re.escape("pip install 'kanerva[plot]'")):
        call()
