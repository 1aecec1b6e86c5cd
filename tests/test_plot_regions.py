"""Maps of words on a plane."""

import pytest

import kanerva
from kanerva.lab import plot
from kanerva.lab.plot import Frame, regions

FRAME = Frame("Modes", "strength a", "strength h")


def rows():
    words = {(0, 0): "auto", (0, 2): "wide", (1, 0): "auto", (3, 2): "narrow"}
    return [{"a": a, "h": h, "mode": mode} for (a, h), mode in words.items()]


def test_cells_reach_half_way_to_the_next():
    figure = regions(rows(), "a", "h", "mode", FRAME)
    axes = figure.axes[0]
    boxes = [patch.get_bbox().extents.tolist() for patch in axes.patches]
    assert boxes == [
        [-0.5, -1.0, 0.5, 1.0],
        [-0.5, 1.0, 0.5, 3.0],
        [0.5, -1.0, 2.0, 1.0],
        [2.0, 1.0, 4.0, 3.0],
    ]
    assert [text.get_text() for text in axes.texts] == ["a", "w", "a", "n"]
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert colours[0] == colours[2]
    assert len(set(colours)) == 3
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["auto (a)", "wide (w)", "narrow (n)"]


def test_curves_are_named_and_the_first_row_of_a_place_counts():
    again = [*rows(), {"a": 0, "h": 0, "mode": "other"}]
    curves = {"limit": [(0.0, 0.0), (1.0, 2.0)]}
    figure = regions(again, "a", "h", "mode", FRAME, curves=curves)
    assert len(figure.axes[0].patches) == 4
    assert figure.axes[0].lines[0].get_label() == "limit"
    assert figure.get_label().endswith("by strength a and strength h; line: “limit”.")
    assert "other" not in figure.get_label()
    assert plot.svg(figure).startswith("<?xml")


def test_a_single_cell_is_one_wide():
    box = regions(rows()[:1], "a", "h", "mode", FRAME).axes[0].patches[0].get_bbox()
    assert box.extents.tolist() == [-0.5, -0.5, 0.5, 0.5]


def test_bad_rows_are_refused():
    with pytest.raises(kanerva.InputError, match="rows must"):
        regions([], "a", "h", "mode", FRAME)
    with pytest.raises(kanerva.InputError, match="mode"):
        regions([{"a": 0, "h": 0}], "a", "h", "mode", FRAME)
