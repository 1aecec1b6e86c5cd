"""The recipes of burns2024: what they refuse, and a clip that is not there."""

import sys

import pytest

import kanerva
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.lab.papers.burns2024 import _pictures

# Other tests run the same code with the run-time shape checks.
pytestmark = pytest.mark.untyped


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("cdam.video", {"data": "film"}, "data"),
        ("cdam.video", {"form": "whole"}, "form"),
        ("cdam.video", {"reverse": "yes"}, "reverse"),
        ("cdam.video", {"steps": 0}, "steps"),
        ("cdam.distractors", {"every": 0}, "every"),
        ("cdam.distractors", {"every": 150}, "steps"),
        ("cdam.distractors", {"patterns": 10**5, "neurons": 10**7}, "patterns"),
        ("cdam.images", {"patterns": 1798}, "patterns"),
        ("cdam.images", {"noise": -1.0}, "noise"),
        ("cdam.images", {"form": "whole"}, "form"),
        ("cdam.links", {"degree": 100}, "degree"),
        ("cdam.neighbours", {"kind": "grid"}, "kind"),
        ("cdam.neighbours", {"kind": "ring", "patterns": 17}, "patterns"),
        ("cdam.neighbours", {"kind": "ring", "update": "some"}, "update"),
        ("cdam.neighbours", {"kind": "sequence", "patterns": 10**5, "bits": 10**6}, "patterns"),
        ("cdam.neighbours", {"kind": "attention", "patterns": 10**5, "bits": 3}, "patterns"),
    ],
)
def test_a_parameter_out_of_range_gets_the_sentence(name, given, argument):
    with pytest.raises(kanerva.InputError, match=f"{argument} must be") as error:
        runner.run(RECIPES[name], given=given)
    assert error.value.argument == argument


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("cdam.video", {"data": "smooth", "form": "centred", "hetero": 2.0, "steps": 7}),
        ("cdam.video", {"reverse": "backward", "mean": 0.0, "steps": 5}),
        ("cdam.images", {"data": "letters", "patterns": 5, "noise": 1.0, "steps": 3}),
        ("cdam.links", {"degree": 3, "noise": 1.0, "seed": 0}),
        ("cdam.neighbours", {"kind": "ring", "patterns": 3}),
        ("cdam.neighbours", {"kind": "sequence", "patterns": 5, "bits": 9}),
        ("cdam.neighbours", {"kind": "attention", "patterns": 5, "bits": 3}),
    ],
)
def test_a_part_of_the_table_can_be_drawn(name, given):
    recipe = RECIPES[name]
    assert recipe.figures(runner.run(recipe, given=given).rows)


def test_centred_patterns_have_no_common_part():
    patterns = _pictures.centred(_pictures.uniform(20, 50, seed=0) + 3)
    assert patterns.norm(dim=-1).allclose(patterns.new_ones(20))
    assert abs(patterns @ patterns.mean(0)).max() < 0.1


def test_the_clip_has_frames_that_are_alike():
    frames = _pictures.clip()
    assert frames.shape == (24, 25 * 14 * 3)
    assert frames.min() >= 0
    assert frames.max() <= 1
    correlations = kanerva.correlated.overlaps(frames, frames)
    assert correlations.roll(-1, 1).diagonal().mean() == pytest.approx(0.9916, abs=1e-3)


def test_a_clip_that_is_not_there_gets_the_sentence(monkeypatch):
    monkeypatch.setattr(_pictures, "CLIP", "gone.gif")
    with pytest.raises(kanerva.InputFileError, match="which is missing; install scikit-image"):
        _pictures.clip()
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(kanerva.InputError, match="needs scikit-image; install it with"):
        _pictures.clip()
