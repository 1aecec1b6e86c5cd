"""Every recipe in its quick size: rows, checks, figure, page."""

import re
from pathlib import Path

import pytest

from kanerva.lab import plot, runner
from kanerva.lab.citations import SOURCES
from kanerva.lab.papers import RECIPES

# They run the code that other tests run with the shape checks on.
pytestmark = pytest.mark.untyped

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", RECIPES)
def test_quick_size_comes_out_as_it_should(name):
    recipe = RECIPES[name]
    result = runner.run(recipe)
    failed = [verdict.sentence() for verdict in result.verdicts if verdict.ok is False]
    assert not failed, "\n".join(failed)
    assert any(verdict.ok for verdict in result.verdicts), "a quick run should check something"
    assert plot.svg(recipe.draw(result.rows)).startswith("<?xml")


@pytest.mark.parametrize("name", RECIPES)
def test_is_described(name):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", name)
    assert recipe.source in SOURCES
    assert len(recipe.about.split()) > 30, "say in plain words what it shows"
    assert all(parameter.help for parameter in recipe.parameters)
    named = [check.what for check in recipe.checks]
    assert len(named) == len(set(named)), "name each check so that it can be told from the others"
    assert all(check.source and "spec" not in check.source for check in recipe.checks)
    assert (
        len(recipe.cells("paper")) >= len(recipe.cells("quick"))
        or "seed" in recipe.cells("paper")[0]
    )


def test_pages_are_those_of_the_recipes():
    pages = {path.stem for path in (DOCS / "recipes").glob("*.md")} - {"README"}
    assert pages == set(RECIPES), "run make docs"
    told = (DOCS / "fidelity.md").read_text(encoding="utf-8")
    assert "**FAILED**" not in told
    for name, recipe in RECIPES.items():
        page = (DOCS / "recipes" / f"{name}.md").read_text(encoding="utf-8")
        assert (DOCS / "recipes" / f"{name}.png").is_file()
        assert recipe.about in page, f"{name}.md is old: run make docs"
        for check in recipe.checks:
            assert f"| {check.what} |" in page, f"{name}.md is old: run make docs"
