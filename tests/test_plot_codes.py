"""Figures of recall and capacity for several codes, from made-up rows."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from kanerva import InputError
from kanerva.lab import plot

CODECS = ("none", "bits:2048")
LEVELS = (0.0, 0.1, 0.25)
STORED = (4, 8, 16, 32, 64, 96, 128, 256, 512, 1024, 1750)


def recall(codecs=CODECS, memories=("hopfield", "sdm", "cue", "nearest"), **changes):
    """Return rows whose share is a simple function of memory, code, level and seed."""
    return [
        {
            "memory": memory,
            "title": memory.title(),
            "codec": codec,
            "damage": "flip",
            "level": level,
            "seed": seed,
            "exact": float(level == 0)
            if memory == "cue"
            else 0.9 - 2 * level - 0.1 * place + 0.05 * code + 0.01 * seed,
        }
        | changes
        for code, codec in enumerate(codecs)
        for place, memory in enumerate(memories)
        for level in LEVELS
        for seed in range(3)
    ]


def capacity(codecs=CODECS, memories=("hopfield", "nearest"), stored=STORED, **changes):
    return [
        {
            "memory": memory,
            "title": memory.title(),
            "codec": codec,
            "level": 0.1,
            "stored": size,
            "seed": seed,
            "exact": 1 / (1 + size * (2 - place) / (100 * (1 + code))) - 0.01 * seed,
        }
        | changes
        for code, codec in enumerate(codecs)
        for place, memory in enumerate(memories)
        for size in stored
        for seed in range(3)
    ]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def dashed(axes):
    """Return the lines of the baselines, which are drawn behind."""
    return [line for line in axes.lines if line.get_zorder() == 1.5]


def lightness(colour):
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = np.asarray(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def boxes_apart(figure, artists):
    """Return whether no two artists overlap, and all lie within the figure."""
    boxes = [artist.get_window_extent() for artist in artists]
    whole = figure.bbox
    inside = all(
        box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1 for box in boxes
    )
    return inside and not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_each_code_has_a_line_in_each_panel():
    figure = plot.recall_curves(recall())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Hopfield", "Sdm"]
    for place, axes in enumerate(figure.axes):
        for code, container in enumerate(axes.containers):
            line, _, (bars,) = container
            expected = [0.9 - 2 * level - 0.1 * place + 0.05 * code + 0.01 for level in LEVELS]
            np.testing.assert_allclose(line.get_ydata(orig=False), expected)
            half = [(bar[1, 1] - bar[0, 1]) / 2 for bar in bars.get_segments()]
            np.testing.assert_allclose(half, [0.01] * 3)
        assert len(axes.containers) == 2


def test_codes_differ_in_marker_and_in_lightness():
    figure = plot.recall_curves(recall())
    lines = [container[0] for container in figure.axes[0].containers]
    assert len({line.get_marker() for line in lines}) == 2
    dark, light = sorted(lightness(line.get_color()) for line in lines)
    assert (light + 0.05) / (dark + 0.05) > 2


def test_a_baseline_is_drawn_for_each_code_only_where_codes_differ():
    axes = plot.recall_curves(recall()).axes[0]
    lines = [container[0] for container in axes.containers]
    cue, *nearest = dashed(axes)
    np.testing.assert_allclose(cue.get_ydata(), [1, 0, 0])
    assert len(nearest) == 2, "one for each code"
    for line, behind in zip(lines, nearest, strict=True):
        assert lightness(behind.get_color()) > lightness(line.get_color())
        # A mixture with white keeps the order of red, green and blue.
        order = [np.argsort(to_rgb(each.get_color())).tolist() for each in (line, behind)]
        assert order[0] == order[1]
    same = plot.recall_curves(recall(exact=0.5)).axes[0]
    assert len(dashed(same)) == 2, "cue and nearest, once each"
    assert {line.get_color() for line in dashed(same)} == {cue.get_color()}


def test_a_baseline_that_one_code_lacks_has_the_colour_of_the_other():
    rows = [row for row in recall() if (row["memory"], row["codec"]) != ("nearest", "none")]
    axes = plot.recall_curves(rows).axes[0]
    (behind,) = dashed(axes)[1:]
    code = axes.containers[1][0]
    assert (
        np.argsort(to_rgb(behind.get_color())).tolist()
        == np.argsort(to_rgb(code.get_color())).tolist()
    )


def test_a_memory_that_one_code_lacks_has_one_line():
    rows = [row for row in recall() if (row["memory"], row["codec"]) != ("sdm", "bits:2048")]
    assert [len(axes.containers) for axes in plot.recall_curves(rows).axes] == [2, 1]


def test_legend_names_codes_and_baselines():
    assert legend(plot.recall_curves(recall())) == [
        "no code",
        "code bits:2048",
        "± 1 s.d. over 3 seeds",
        "Cue",
        "Nearest, same code",
    ]
    # One code, named or not.
    bare = [
        {name: value for name, value in row.items() if name != "codec"} for row in recall(["none"])
    ]
    for rows in (bare, recall(["bits:2048"])):
        names = ["the memory, ± 1 s.d. over 3 seeds", "Cue", "Nearest"]
        assert legend(plot.recall_curves(rows)) == names
    drawing = plot.svg(plot.recall_curves(bare))
    assert drawing == plot.svg(plot.recall_curves(recall(["none"])))


def test_more_codes_than_colours_have_open_markers():
    codecs = [f"bits:{2**place}" for place in range(1, 9)]
    axes = plot.recall_curves(recall(codecs)).axes[0]
    lines = [container[0] for container in axes.containers]
    looks = {(line.get_color(), line.get_markerfacecolor()) for line in lines}
    assert len(looks) == len(codecs)


@pytest.mark.untyped
@pytest.mark.parametrize("across", [2, 4])
@pytest.mark.parametrize("codes", [1, 2, 7])
def test_legend_labels_and_titles_do_not_overlap(across, codes):
    codecs = ("none", *(f"bits:2048:0.{place}" for place in range(1, codes)))
    memories = [f"memory {place} " + "of a long name " * (place % 3) for place in range(5)]
    memories += ["cue", "nearest"]
    for figure in (
        plot.recall_curves(recall(codecs, memories), across=across),
        plot.capacity_curves(capacity(codecs, memories), across=across),
    ):
        with plot._style.styled():
            figure.draw_without_rendering()
        handles = [*figure.legends[0].get_texts(), *figure.texts]
        titles = [axes._left_title for axes in figure.axes]
        assert boxes_apart(figure, [*handles, *titles, *(axes.patch for axes in figure.axes)])
        ticks = [
            label
            for axes in figure.axes
            for label in axes.get_xticklabels()
            if label.get_visible() and axes.get_xlim()[0] <= label.get_position()[0]
            if label.get_position()[0] <= axes.get_xlim()[1]
        ]
        assert boxes_apart(figure, [*ticks, *figure.texts])


def test_capacity_has_a_line_for_each_code_and_one_at_the_share():
    figure = plot.capacity_curves(capacity(), share=0.9)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    for code, (line, _, _) in enumerate(axes.containers):
        np.testing.assert_allclose(line.get_xdata(orig=False), STORED)
        expected = [1 / (1 + 2 * size / (100 * (1 + code))) - 0.01 for size in STORED]
        np.testing.assert_allclose(line.get_ydata(orig=False), expected)
    assert len(dashed(axes)) == 2
    level = [line for line in axes.lines if list(line.get_ydata()) == [0.9, 0.9]]
    assert len(level) == 1
    assert legend(figure)[-2:] == ["Nearest, same code", "90% of the cues"]
    assert figure.texts[-1].get_text() == "patterns stored; damage of the cues: 10%"


def test_capacity_of_one_code_has_a_grey_baseline():
    rows = [
        {name: value for name, value in row.items() if name != "codec"}
        for row in capacity(["none"])
    ]
    figure = plot.capacity_curves(rows)
    assert legend(figure) == ["the memory, ± 1 s.d. over 3 seeds", "Nearest", "95% of the cues"]
    (behind,) = dashed(figure.axes[0])
    assert len(set(np.round(np.diff(to_rgb(behind.get_color())), 1))) == 1, "nearly grey"


@pytest.mark.parametrize(
    ("stored", "across", "labels"),
    [
        (STORED, 1, ["4", "8", "16", "32", "64", "128", "256", "512", "1,024"]),
        (STORED, 4, ["4", "16", "64", "256", "1,024"]),
        ((3,), 1, ["3"]),
        ((5, 7), 1, ["5", "7"]),
        ((1, 2), 1, ["1", "2"]),
        ((10, 20), 1, ["16"]),
    ],
)
def test_stored_numbers_are_powers_of_two_written_plainly(stored, across, labels):
    rows = capacity(memories=[f"m{place}" for place in range(across)], stored=stored)
    (axes, *_) = plot.capacity_curves(rows, across=across).axes
    with plot._style.styled():
        axes.get_figure().draw_without_rendering()
    assert [label.get_text() for label in axes.get_xticklabels()] == labels


@pytest.mark.parametrize(
    "rows",
    [
        capacity(exact=None),
        capacity(memories=("nearest",)),
        capacity(stored=(4,)),
        [row | {"exact": None} if row["stored"] > 64 else row for row in capacity()],
    ],
)
def test_capacity_of_little_data_is_drawn(rows):
    assert plot.png(plot.capacity_curves(rows)).startswith(b"\x89PNG")


def test_text_of_codes_is_not_parsed():
    drawing = plot.svg(plot.recall_curves(recall(["$a_b$ <i>", "none"])))
    assert "code $a_b$ &lt;i&gt;" in drawing


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: plot.recall_curves(recall(codec=3)), "'codec', must be the name of a code"),
        (lambda: plot.capacity_curves([]), "plot.capacity_curves: rows must be one row or more"),
        (lambda: plot.capacity_curves([{"memory": "sdm"}]), "the key 'title'"),
        (
            lambda: plot.capacity_curves(capacity(stored=[0])),
            "'stored', must be a finite number >=",
        ),
        (lambda: plot.capacity_curves(capacity(codec=None)), "must be the name of a code"),
        (lambda: plot.capacity_curves(capacity(exact=float("nan"))), "'exact', must be a finite"),
        (lambda: plot.capacity_curves(capacity(level=-1)), "'level', must be a finite number >= 0"),
        (
            lambda: plot.capacity_curves(capacity() + capacity(level=0.2)),
            "rows must be of one level of damage, but it was 0.1, 0.2; draw a figure for each",
        ),
        (lambda: plot.capacity_curves(capacity(), share=0), "share must be"),
        (lambda: plot.capacity_curves(capacity(), share=1.01), "share must be"),
        (lambda: plot.capacity_curves(capacity(), across=0), "across must be an integer >= 1"),
    ],
)
def test_bad_rows_are_refused(call, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        call()


def test_handles_of_differing_baselines_show_every_colour():
    figure = plot.recall_curves(recall())
    shown = [line.get_color() for line in figure.legends[0].findobj(Line2D)]
    behind = [line.get_color() for line in dashed(figure.axes[0])]
    assert all(colour in shown for colour in behind)
