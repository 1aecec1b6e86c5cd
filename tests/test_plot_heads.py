"""Figures of heads from made-up rows: the drawn data are those of the rows, at every size."""

import itertools
import re
import sys

import numpy as np
import pytest

from kanerva import InputError
from kanerva.lab import plot
from kanerva.lab.plot.labels import apart, balanced

OPTIMA = {"noise": 5.6, "snr": 8.3, "capacity": 16.2, "patterns": 18}


def heads(layers=3, count=4, **changes):
    """Return rows whose numbers are simple functions of layer and head."""
    return [
        {
            "layer": layer,
            "index": head,
            "beta": 2.0 + layer + 0.1 * head,
            "radius": layer + head,
            "special": 0.1 * layer,
            "cosine": 0.1 - head,
        }
        | changes
        for layer in range(layers)
        for head in range(count)
    ]


def curves(layers=2, count=3, radii=5):
    return [
        {
            "layer": layer,
            "head": head,
            "radius": radius,
            "variation": radius / 10 + head / 100,
            "r2": 0.9 - radius / 10 - layer,
        }
        for layer in range(layers)
        for head in range(count)
        for radius in range(1, radii + 1)
    ]


def effect(title, embedding, **more):
    return {
        "title": title,
        "embedding": embedding,
        "nearest": embedding / 2,
        "neighbours": None,
        "unreached": 0.1,
    } | more


EFFECTS = [
    effect("the mean of all tokens", 0.4),
    effect("circles at the radius that agrees best", 0.95),
    effect("the nearest token alone", 0.8),
]
SPOKEN = [
    row
    | {
        "nearest": None,
        "loss": 4.0 - row["embedding"],
        "loss_before": 3.0,
        "divergence": 1 - row["embedding"],
    }
    for row in EFFECTS
]
SWEEP = [effect("", 0.5 + radius / 20, radius=radius) for radius in (1, 3, 5)]


def inside(figure):
    """Return whether all texts lie within the figure."""
    corners = [corner for box in boxes(figure) for corner in (box.min, box.max)]
    return all(figure.bbox.contains(*corner) for corner in corners)


def boxes(figure):
    """Return the bounding boxes of all texts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return [text.get_window_extent(renderer) for text in texts if text.get_text()]


# Maps


LARGE = [pytest.param(*size, marks=pytest.mark.untyped) for size in [(2, 128), (32, 32)]]


@pytest.mark.parametrize(("layers", "count"), [(3, 4), (1, 12), (6, 1), (1, 1), *LARGE])
@pytest.mark.parametrize("across", [1, 2])
def test_maps_have_the_numbers_of_the_rows(layers, count, across):
    rows = heads(layers, count)
    figure = plot.head_maps(rows[::-1], ["beta", "radius"], across=across)
    maps = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    for drawn, column in zip(maps, ("beta", "radius"), strict=True):
        np.testing.assert_allclose(
            drawn, np.reshape([row[column] for row in rows], (layers, count))
        )
    axes = figure.axes[0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "layer 0 is at the top"
    assert figure.get_size_inches()[0] == (4.4 if across == 1 else 8.8)
    assert plot.png(figure).startswith(b"\x89PNG")
    assert inside(figure)


def test_maps_write_numbers_where_they_fit():
    assert [text.get_text() for text in plot.head_maps(heads(1, 2), ["beta"]).axes[0].texts] == [
        "2.0",
        "2.1",
    ]
    assert [text.get_text() for text in plot.head_maps(heads(1, 3), ["radius"]).axes[0].texts] == [
        "0",
        "1",
        "2",
    ]
    assert [text.get_text() for text in plot.head_maps(heads(1, 2), ["cosine"]).axes[0].texts] == [
        "0.10",
        "−0.90",
    ]
    assert not plot.head_maps(heads(2, 128), ["beta"]).axes[0].texts


def test_maps_number_the_existing_layers_and_heads():
    rows = [{"layer": layer, "index": head, "beta": 1.0} for layer in (0, 5, 11) for head in (1, 3)]
    axes = plot.head_maps(rows, ["beta"]).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "5", "11"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3"]
    labels = plot.head_maps(heads(1, 128), ["beta"], across=1).axes[0].get_xticklabels()
    assert [int(text.get_text()) for text in labels[:3]] == [0, 16, 32]


def test_maps_hatch_missing_values():
    rows = [row | {"special": None} if row["index"] == 1 else row for row in heads()][:-1]
    (drawn,) = plot.head_maps(rows, ["special"]).axes[0].images
    assert np.ma.getmaskarray(drawn.get_array()).tolist() == [[False, True, False, False]] * 2 + [
        [False, True, False, True]
    ]
    assert plot.head_maps(rows, ["special"]).axes[0].patch.get_hatch()
    assert not plot.head_maps(heads(), ["special"]).axes[0].patch.get_hatch()
    nothing = plot.head_maps(heads(special=None), ["special"])
    assert not nothing.axes[0].images
    assert plot.png(nothing).startswith(b"\x89PNG")


# Betas


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(
    "betas", [[4.0], [1.0, 1.5, 2.0], [100.0, 120.0], [0.0, 3.0], list(np.geomspace(2, 40, 128))]
)
@pytest.mark.parametrize("optima", [OPTIMA, {"noise": 5.5, "snr": 5.6, "capacity": 5.7}, {}])
def test_every_beta_is_counted_and_labels_do_not_overlap(betas, optima, narrow):
    figure = plot.beta_histogram([{"beta": beta} for beta in [*betas, None]], optima, narrow=narrow)
    (axes,) = figure.axes
    assert sum(bar.get_height() for bar in axes.patches) == len(betas)
    assert [line.get_xdata()[0] for line in axes.lines] == [
        value for name, value in optima.items() if name != "patterns"
    ]
    assert inside(figure)
    drawn = boxes(figure)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(drawn, 2))


def test_betas_that_differ_fourfold_have_a_log_scale():
    assert (
        plot.beta_histogram([{"beta": beta} for beta in (2.0, 30.0)], {}).axes[0].get_xscale()
        == "log"
    )
    assert (
        plot.beta_histogram([{"beta": beta} for beta in (2.0, 3.0)], {}).axes[0].get_xscale()
        == "linear"
    )


# Agreement and histograms


@pytest.mark.parametrize("narrow", [False, True])
def test_agreement_has_a_line_for_each_head_and_their_median(narrow):
    rows = curves()
    rows[0] = rows[0] | {"r2": None}
    figure = plot.agreement_curves(rows, narrow=narrow)
    variation, r2 = figure.axes
    assert len(variation.lines) == len(r2.lines) == 6 + 1
    np.testing.assert_allclose(
        variation.lines[1].get_xydata(), [[radius, radius / 10 + 0.01] for radius in range(1, 6)]
    )
    np.testing.assert_allclose(
        variation.lines[-1].get_xydata(), [[radius, radius / 10 + 0.01] for radius in range(1, 6)]
    )
    assert r2.lines[0].get_xdata().tolist() == [2, 3, 4, 5]
    assert len({line.get_color() for line in variation.lines[:-1]}) == 2, "a colour for each layer"
    assert figure.get_size_inches()[0] == (4.4 if narrow else 8.0)


def test_one_head_needs_no_median():
    figure = plot.agreement_curves(curves(1, 1))
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["layer 0"]


def test_of_many_layers_a_few_are_named():
    figure = plot.agreement_curves(curves(32, 1))
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert (named[0], named[-2:], len(named)) == ("layer 0", ["layer 31", "median"], 6)


@pytest.mark.parametrize("narrow", [False, True])
def test_histograms_have_a_line_for_each_layer(narrow):
    shares = [0.0, 0.2, 0.5, 0.3]
    cosines = [
        {"layer": layer, "cosines": place / 10, "share": share}
        for layer in (0, 3)
        for place, share in enumerate(shares)
    ]
    inputs = [
        {"layer": layer, "inputs": float(place), "share": share}
        for layer in (0, 3)
        for place, share in enumerate(shares)
    ]
    left, right = plot.layer_histograms(inputs, cosines, narrow=narrow).axes
    assert len(left.lines) == len(right.lines) == 2
    np.testing.assert_allclose(left.lines[0].get_ydata()[1:], shares[1:])
    np.testing.assert_allclose(right.lines[1].get_xdata(), [0, 1, 2, 3])
    assert (left.get_yscale(), right.get_yscale()) == ("linear", "log")


# Replacements


@pytest.mark.parametrize("narrow", [False, True])
def test_the_curve_is_drawn_with_the_named_replacements(narrow):
    figure = plot.replacement_curve(SWEEP, EFFECTS, narrow=narrow)
    kept, empty = figure.axes
    np.testing.assert_allclose(kept.lines[0].get_xydata(), [[1, 0.55], [3, 0.65], [5, 0.75]])
    levels = [line.get_ydata()[0] for line in kept.lines if line.get_linestyle() == "--"]
    assert levels == [0.4, 0.95, 0.8]
    assert [text.get_text().replace("\n", " ") for text in kept.texts] == [
        row["title"] for row in EFFECTS
    ]
    np.testing.assert_allclose(empty.lines[0].get_ydata(), [0.1] * 3)
    assert inside(figure)


def test_of_a_language_model_the_curve_is_the_loss():
    sweep = [row | {"loss": 4.0 - row["embedding"], "loss_before": 3.0} for row in SWEEP]
    kept = plot.replacement_curve(sweep, SPOKEN).axes[0]
    np.testing.assert_allclose(kept.lines[0].get_ydata(), [3.45, 3.35, 3.25])
    assert kept.texts[-1].get_text() == "the model as it is"


def test_the_curve_needs_no_replacements():
    assert plot.png(plot.replacement_curve(SWEEP[:1])).startswith(b"\x89PNG")


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("rows", [EFFECTS, SPOKEN, EFFECTS[:1]])
def test_dots_are_at_their_numbers_with_the_best_at_the_top(rows, narrow):
    figure = plot.replacement_bars(rows, narrow=narrow)
    axes = figure.axes[0]
    assert axes.lines[0].get_xdata().tolist() == sorted(
        (row["embedding"] for row in rows), reverse=True
    )
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert len(figure.axes) == (3 if rows is SPOKEN else 1)
    if rows is SPOKEN:
        assert figure.axes[1].lines[0].get_xdata().tolist() == pytest.approx([3.05, 3.2, 3.6])
    assert inside(figure)


# Shared helpers


def test_labels_move_apart_as_little_as_possible():
    assert apart([0.5], [0.1], 0.0, 1.0) == [0.5]
    assert apart([0.2, 0.8], [0.1, 0.1], 0.0, 1.0) == [0.2, 0.8]
    places = apart([0.9, 0.9, 0.88, 0.2], [0.2, 0.1, 0.1, 0.1], 0.0, 1.0)
    assert places == pytest.approx([0.8, 0.95, 0.65, 0.2])
    rng = np.random.default_rng(0)
    for _ in range(50):
        gaps = rng.uniform(0.01, 0.1, 8).tolist()
        spread = apart(rng.uniform(0, 1, 8).tolist(), gaps, 0.0, 1.0)
        order = np.argsort(spread)
        for one, other in itertools.pairwise(order):
            assert spread[other] - spread[one] >= (gaps[one] + gaps[other]) / 2 - 1e-9
        assert min(spread[i] - gaps[i] / 2 for i in range(8)) > -1e-9
        assert max(spread[i] + gaps[i] / 2 for i in range(8)) < 1 + 1e-9


def test_titles_break_into_lines_of_similar_lengths():
    assert balanced("short", 20) == "short"
    assert balanced("one two three four five six", 24) == "one two three\nfour five six"


def test_drawings_are_deterministic():
    for draw in (
        lambda: plot.head_maps(heads(), ["beta"]),
        lambda: plot.replacement_bars(EFFECTS),
        lambda: plot.agreement_curves(curves()),
    ):
        assert plot.svg(draw()) == plot.svg(draw())


@pytest.mark.parametrize(
    "call",
    [
        lambda: plot.head_maps(heads(), ["beta"]),
        lambda: plot.beta_histogram(heads(), OPTIMA),
        lambda: plot.agreement_curves(curves()),
        lambda: plot.replacement_curve(SWEEP),
        lambda: plot.replacement_bars(EFFECTS),
    ],
)
def test_a_missing_package_names_the_extra(monkeypatch, call):
    for name in ("matplotlib", "matplotlib.style", "matplotlib.ticker", "matplotlib.lines"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=re.escape("pip install 'kanerva[plot]'")):
        call()


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: plot.head_maps([]),
            "plot.head_maps: rows must be one row or more, but it was empty",
        ),
        (lambda: plot.head_maps(heads(), []), "plot.head_maps: columns must be one column or more"),
        (lambda: plot.head_maps(heads(), ["absent"]), "the key 'absent'"),
        (lambda: plot.head_maps(heads(), across=0), "across must be an integer >= 1"),
        (
            lambda: plot.head_maps(heads(beta=float("nan")), ["beta"]),
            "column 'beta', must be a finite number",
        ),
        (
            lambda: plot.beta_histogram([], OPTIMA),
            "plot.beta_histogram: rows must be one row or more",
        ),
        (
            lambda: plot.beta_histogram([{"beta": -1.0}], OPTIMA),
            "column 'beta', must be a finite number >= 0",
        ),
        (
            lambda: plot.beta_histogram([{"beta": 1.0}], {"snr": float("inf")}),
            "optima, 'snr', must be a finite number >= 0",
        ),
        (lambda: plot.agreement_curves([]), "plot.agreement_curves: rows must be one row or more"),
        (lambda: plot.agreement_curves([{"layer": 0}]), "the key 'head'"),
        (
            lambda: plot.layer_histograms([], []),
            "plot.layer_histograms: rows must be one row or more",
        ),
        (
            lambda: plot.replacement_curve([]),
            "plot.replacement_curve: rows must be one row or more",
        ),
        (lambda: plot.replacement_curve([{"radius": 1, "embedding": 1.0}]), "the key 'unreached'"),
        (
            lambda: plot.replacement_bars([]),
            "plot.replacement_bars: rows must be dicts with one of embedding",
        ),
        (
            lambda: plot.replacement_bars([EFFECTS[0] | {"embedding": "high"}]),
            "column 'embedding', must be a finite number",
        ),
    ],
)
def test_rows_that_cannot_be_drawn_are_refused(call, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        call()
