"""Lines drawn from rows: the data of each line, titles and labels."""

import pytest

import kanerva
from kanerva.lab.plot import Frame, correspondence, lines, svg

ROWS = [
    {
        "x": x,
        "y": None if (x, line) == (2, "b") else x * scale + seed,
        "line": line,
        "panel": panel,
        "seed": seed,
    }
    for x in (1, 2, 4)
    for line, scale in (("a", 1.0), ("b", 10.0))
    for panel in ("one", "two")
    for seed in (0, 2)
]


def drawn(axes):
    """Return the data of the labelled lines of a panel."""
    return {
        line.get_label(): line.get_xydata().tolist()
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_a_panel_and_a_line_for_each_value():
    figure = lines(ROWS, "x", "y", Frame("Title", "along", "upward"), by="line", panel="panel")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two"]
    assert "along" in svg(figure)
    assert "upward" in svg(figure)
    # The mean of two seeds; the row without a value is left out.
    containers = {container.get_label(): container for container in figure.axes[0].containers}
    assert containers["a"].lines[0].get_xydata().tolist() == [[1, 2], [2, 3], [4, 5]]
    assert containers["b"].lines[0].get_xydata().tolist() == [[1, 11], [4, 41]]


def test_logarithmic_axes_leave_out_numbers_that_are_not_positive():
    rows = [{"x": x, "y": y} for x, y in ((0, 1.0), (1, 0.0), (2, 0.1), (3, 0.01))]
    (axes,) = lines(rows, "x", "y", Frame("Title", log="y")).axes
    assert axes.get_yscale() == "log"
    assert axes.lines[0].get_xydata().tolist() == [[0, 1.0], [2, 0.1], [3, 0.01]]
    (axes,) = lines(rows, "x", "y", Frame("Title", log="xy")).axes
    assert axes.lines[0].get_xydata().tolist() == [[2, 0.1], [3, 0.01]]


def test_published_points_references_and_limits():
    frame = Frame("Title", dots=("b",), verticals={"theory": 3.0}, diagonal=True, limits=(0, 50))
    one = [row for row in ROWS if row["panel"] == "one" and row["seed"] == 0]
    figure = lines(one, "x", "y", frame, by="line")
    (axes,) = figure.axes
    assert axes.get_ylim() == (0, 50)
    (dots,) = (line for line in axes.lines if line.get_linestyle() == "None")
    assert dots.get_xydata().tolist() == [[1, 10], [4, 40]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "theory"]
    assert drawn(axes)["a"] == [[1, 1], [2, 2], [4, 4]]


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "rows must be one row or more"),
        ([{"x": 1}], "the key 'y'"),
        ([{"x": 1, "y": float("nan")}], "column 'y'"),
        ([{"x": "one", "y": 1}], "column 'x'"),
    ],
)
def test_rows_that_cannot_be_drawn_are_refused(rows, text):
    with pytest.raises(kanerva.InputError, match=text):
        lines(rows, "x", "y", Frame("Title"))


def test_correspondence_names_the_parts_of_all_three():
    text = svg(correspondence())
    for part in ("hard locations", "softmax of", "Purkinje", "climbing fibres"):
        assert part in text


def test_every_reference_has_a_marker_of_its_own_and_the_caption_says_what_is_seen():
    rows = [{"x": x, "y": x, "line": line} for x in (1, 2) for line in ("ours", "book", "code")]
    frame = Frame("A rises", "bits", "share", dots=("book", "code"), verticals={"limit": 1.5})
    figure = lines(rows, "x", "y", frame, by="line")
    drawn = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    shown = [one for one in figure.legends[0].legend_handles if one.get_linestyle() == "None"]
    assert len({line.get_marker() for line in drawn}) == 2
    assert [line.get_marker() for line in shown] == [line.get_marker() for line in drawn]
    assert figure.get_label() == (
        "A rises. Share, against bits; lines: “ours”; open dots: “book”, “code”; "
        "vertical line: “limit”."
    )
