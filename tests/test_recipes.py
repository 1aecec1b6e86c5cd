"""Recipes: their descriptions, pages, threads and bad parameters, and recipes of other packages.

``make recipes`` runs every one in its quick size, and fails where a number is off. The same is a
test here, left out of ``make test`` since it takes half as long as all others. For one of them:
``pytest tests/test_recipes.py -k sdm.weights``.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import kanerva
import toys
from kanerva.lab import plot, runner
from kanerva.lab.citations import SOURCES
from kanerva.lab.papers import RECIPES, recipes

# Other tests run the same code with the run-time shape checks.
pytestmark = pytest.mark.untyped

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_quick_size_comes_out_as_it_should(name):
    recipe = RECIPES[name]
    result = runner.run(recipe)
    failed = [verdict.sentence() for verdict in result.verdicts if verdict.ok is False]
    assert not failed, "\n".join(failed)
    assert any(verdict.ok for verdict in result.verdicts), "a quick run should check something"
    for figure in recipe.figures(result.rows).values():
        assert plot.svg(figure).startswith("<?xml")


def tables(recipe, folder, runs, given=None):
    """Run a recipe with each of the numbers of threads and jobs, and yield its tables."""
    before = torch.get_num_threads()
    try:
        for place, (threads, jobs) in enumerate(runs):
            torch.set_num_threads(threads)
            runner.run(recipe, folder / str(place), given=given, jobs=jobs)
            yield (folder / str(place) / "table.csv").read_bytes()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (
            "sdm.finite_locations",
            {"algorithm": "sdm_rounded", "radius": 15, "cues": 1024, "levels": 1},
        ),
        ("sdm.images", {"activation": 1e-9, "queries": 100}),
        ("sdm.projection", {"radius": 9, "epochs": 2, "queries": 30}),
    ],
)
def test_a_table_is_the_same_on_any_number_of_threads(name, given, tmp_path):
    one, two = tables(RECIPES[name], tmp_path, ((1, 1), (2, 1)), given)
    assert one == two


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_table_is_the_same_on_any_number_of_threads_and_jobs(name, tmp_path):
    one, two, parallel = tables(RECIPES[name], tmp_path, ((1, 1), (2, 1), (3, 2)))
    assert one == two == parallel


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("sdm.convergence", {"patterns": -1}, "patterns"),
        ("sdm.convergence", {"patterns": 2**40}, "patterns"),
        ("sdm.convergence", {"levels": 2**40}, "levels"),
        ("kanerva.overlap", {"draws": 0}, "draws"),
        ("kanerva.overlap", {"seed": 2**70}, "seed"),
        ("kanerva.nearest", {"locations": 0}, "locations"),
        ("kanerva.nearest", {"radius": 2**70}, "radius"),
        ("kanerva.critical_distance", {"step": 0}, "step"),
        ("kanerva.alphabet", {"cues": -1}, "cues"),
        ("jaeckel.designs", {"draws": 0}, "draws"),
        ("jaeckel.designs", {"patterns": 0}, "patterns"),
        ("sdm.images", {"queries": 0}, "queries"),
        ("bridge.elbo", {"memories": 0}, "memories"),
        ("bridge.elbo", {"rate": 2.0}, "rate"),
        ("bridge.crp", {"rows": 7}, "rows"),
        ("bridge.crp", {"concentration": -1.0}, "concentration"),
        ("bridge.clusters", {"prior": -1.0}, "prior"),
        ("bridge.clusters", {"seed": 2**40}, "seed"),
    ],
)
def test_a_parameter_out_of_range_gets_the_sentence(name, given, argument):
    with pytest.raises(kanerva.InputError, match=f"{argument} must be") as error:
        runner.run(RECIPES[name], given=given)
    assert error.value.argument == argument


def test_circles_that_share_nothing_have_no_deviation():
    _, row, *_ = RECIPES["kanerva.overlap"].measure(8, 100, 0, 0.01, draws=5)
    assert row["deviation"] is None


@pytest.mark.parametrize("name", RECIPES)
def test_is_described(name):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", name)
    assert recipe.source in SOURCES
    assert len(recipe.about.split()) > 30, "describe the result in plain words"
    assert all(parameter.help for parameter in recipe.parameters)
    named = [check.what for check in recipe.checks]
    assert len(named) == len(set(named)), "give each check a name of its own"
    assert all(check.source and "spec" not in check.source for check in recipe.checks)
    paper, quick = recipe.cells("paper"), recipe.cells("quick")
    assert len(paper) >= len(quick) or "seed" in paper[0]


def test_pages_are_those_of_the_recipes():
    pages = {path.stem for path in (DOCS / "recipes").glob("*.md")} - {"README"}
    assert pages == set(RECIPES), "run make docs"
    fidelity = (DOCS / "fidelity.md").read_text(encoding="utf-8")
    assert "**FAILED**" not in fidelity
    for name, recipe in RECIPES.items():
        page = (DOCS / "recipes" / f"{name}.md").read_text(encoding="utf-8")
        assert (DOCS / "recipes" / f"{name}.png").is_file()
        assert recipe.about in page, f"{name}.md is old: run make docs"
        for check in recipe.checks:
            assert f"| {check.what} |" in page, f"{name}.md is old: run make docs"


def test_recipes_are_listed_without_heavy_imports():
    heavy = ("torch", "sklearn", "matplotlib", "numba")
    code = f"""
import sys
import kanerva.lab.papers
import kanerva.lab.runner
assert not set({heavy}) & set(sys.modules), set({heavy}) & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_recipes_of_others():
    assert recipes(toys.squares) == {"toy.squares": toys.squares}
    assert list(recipes(toys)) == ["toy.squares", "toy.wrong", "toy.uneven"]
    with pytest.raises(kanerva.InputTypeError, match="recipes must be a Recipe, or a module of"):
        recipes(toys.squares.measure)
    with pytest.raises(kanerva.InputError, match="the module pytest without one"):
        recipes(pytest)
