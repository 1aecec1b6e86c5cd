"""``kanerva list``, ``show``, ``run``, ``cite`` and ``pages``: experiments as recipes."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva._core.errors import InputError, door, refuse, warn
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import console as terminal
from kanerva.cli._tables import count, grid

__all__: list[str] = []  # the command is the interface

RECIPE = "A recipe, as kanerva list prints it, or module:NAME of your own"
CITED = "A recipe, a memory such as sdm, a source such as kanerva1988, or module:NAME of your own"
SIZE = "quick, in seconds, or paper, as large as it was published"
OUT = "Folder for table, manifest and figure  [default: runs/NAME]"
RUNS = "The folder that kanerva run --all --out wrote"
MORE = "Such folders of other sizes, for numbers left open"
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON")]


@app.command("list")
@door("list")
def list_(json_: Json = False) -> None:
    """List the experiments that can be run, and the memories and data to compare."""
    from kanerva.cli._recipes import data_names, everything
    from kanerva.lab import memories

    recipes = everything().values()
    if json_:
        facts = ("name", "title", "source", "figure")
        found = [{fact: getattr(recipe, fact) for fact in facts} for recipe in recipes]
        typer.echo(json.dumps(found))
        return
    table = grid("recipe", "what it shows", "source")
    for recipe in recipes:
        name, title = Text(recipe.name, style="bold"), Text(recipe.title)
        table.add_row(name, title, Text(_short(recipe)))
    console = terminal()
    console.print(table)
    console.print()
    console.print(Text(f"Memories for kanerva recall: {', '.join(memories.find())}"))
    console.print(Text(f"Data for kanerva recall: {', '.join(data_names())}"))


@app.command()
@door
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help=RECIPE)], json_: Json = False
) -> None:
    """Show what an experiment does, its parameters, and the numbers it is checked against."""
    from kanerva.cli._recipes import named

    recipes = named(name)
    if len(recipes) > 1:
        got = f"{len(recipes)} of them: {', '.join(recipe.name for recipe in recipes)}"
        refuse("name", must="one recipe", got=got, do="name one")
    recipe = recipes[0]
    if json_:
        typer.echo(json.dumps(_facts(recipe)))
        return
    console = terminal()
    console.print(Text(recipe.title, style="bold"))
    # Each paragraph is one long line, which the terminal wraps at its own width.
    paragraphs = (" ".join(paragraph.split()) for paragraph in recipe.about.split("\n\n"))
    console.print(Text("\n\n".join(paragraphs)))
    table = grid("parameter", "meaning", "quick", "paper")
    for parameter in recipe.parameters:
        sweeps = (Text(_sweep(recipe, size, parameter.name)) for size in recipe.sizes)
        table.add_row(parameter.name, Text(parameter.help), *sweeps)
    console.print()
    console.print(table)
    console.print()
    cells = [f"{count(len(recipe.cells(size)), 'cell')} {size}" for size in recipe.sizes]
    checked = count(len(recipe.checks), "number")
    checked += " is checked" if len(recipe.checks) == 1 else " are checked"
    console.print(Text(f"{', '.join(cells)}; {checked}."))
    console.print(Text(f"Source: {_short(recipe)}, {recipe.figure}."))


@app.command()
@door
def run(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=RECIPE)] = None,
    all_: Annotated[bool, typer.Option("--all", help="Run every recipe")] = False,
    size: Annotated[str, typer.Option(help=SIZE)] = "quick",
    seed: Annotated[int, typer.Option(help="Added to the seed of every cell")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter, such as radius=9,11", metavar="NAME=VALUE"),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Cells side by side; -1 for one a core")] = None,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    json_: Json = False,
) -> None:
    """Run an experiment, check its numbers and draw its figure; exit code 1 if a number is off."""
    recipes = _selected(name, all_)
    many = all_ or len(recipes) > 1
    if many and set_:
        got = "given with --all" if all_ else f"given for {len(recipes)}"
        refuse("set", must="given for one recipe", got=got, do="name the recipe")
    given = _parameters(set_ or [])
    console = terminal(stderr=json_)
    results = []
    for recipe in recipes:
        folder = Path("runs", recipe.name) if out is None else out / recipe.name if many else out
        options = {"size": size, "seed": seed, "given": given, "jobs": jobs}
        try:
            results.append(_run(name, recipe, folder, options))
        except InputError as error:
            if not (all_ and recipe.origin):
                raise
            warn(f"The recipe {recipe.name!r} is left out: {error}")
            continue
        _print(console, recipe.title, results[-1], many)
    failed = [result.name for result in results if not result.passed]
    if json_:
        found = [_result(result) for result in results]
        typer.echo(json.dumps(found if many else found[0]))
    elif many:
        good = f"{len(results) - len(failed)} of {len(results)} recipes"
        console.print(Text(f"{good} reproduce their numbers", style="bold"))
    raise typer.Exit(1 if failed else 0)


@app.command()
@door
def cite(
    name: Annotated[str, typer.Argument(metavar="NAME", help=CITED)], json_: Json = False
) -> None:
    """Print the BibTeX entries to cite for an experiment or a memory."""
    from kanerva.lab.citations import SOURCES, bibtex, short

    keys = _cited(name)
    if json_:
        known = {key: SOURCES[key]._asdict() for key in keys if key in SOURCES}
        own = {short(text): {"bibtex": text} for text in keys if text not in SOURCES}
        typer.echo(json.dumps(known | own))
    else:
        typer.echo("\n\n".join(map(bibtex, keys)))


@app.command()
@door
def pages(
    runs: Annotated[Path, typer.Argument(metavar="RUNS", help=RUNS)],
    more: Annotated[list[Path] | None, typer.Argument(metavar="MORE", help=MORE)] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pages")] = Path("docs"),
) -> None:
    """Write a page for each experiment, and the table of published numbers, from finished runs."""
    from kanerva.lab import pages as pages_
    from kanerva.lab.papers import ABSENT, RECIPES

    for path in pages_.write(RECIPES, ABSENT, runs, out, more or []):
        typer.echo(str(path))


def _selected(name: str | None, every: bool) -> Sequence[Any]:
    """Return the recipes to run."""
    from kanerva.cli._recipes import everything, named

    if every == (name is not None):
        got = "both" if every else "missing"
        refuse("name", must="one recipe, or --all", got=got, do="see kanerva list")
    return list(everything().values()) if name is None else named(name)


def _run(name: str | None, recipe: Any, folder: Path, options: dict[str, Any]) -> Any:
    """Run one recipe; a run that is interrupted ends with exit code 130."""
    from kanerva.lab import plugins, runner

    # Worker processes import the module of a recipe from outside, too.
    outside = name is not None and plugins.is_location(name)
    kept = f"What is done is kept in {folder}; the same command goes on from there"
    home = plugins.current_folder() if outside else nullcontext()
    with interruptible(lambda: kept), bar() as show, home:
        return runner.run(recipe, folder, **options, progress=show)


def _print(console: Console, title: str, result: Any, brief: bool) -> None:
    """Print each check, and the folder of the files; in brief only the checks that failed."""
    console.print(Text(f"{result.name}: {title}", style="bold"))
    known = [verdict for verdict in result.verdicts if verdict.ok is not None]
    for verdict in known:
        if not (brief and verdict.ok):
            style = "" if verdict.ok else "bold red"
            console.print(Text(f"  {verdict.sentence()}", style=style), soft_wrap=True)
    good, absent = sum(bool(verdict.ok) for verdict in known), len(result.verdicts) - len(known)
    rest = f", {absent} belong to other sizes" if absent else ""
    cost = f"{result.manifest['seconds']:.1f} s; {result.files[0].parent}"
    console.print(Text(f"  {good} of {len(known)} numbers are reproduced{rest}; {cost}"))


def _result(result: Any) -> dict[str, Any]:
    """Return a result as JSON takes it."""
    verdicts = [verdict._asdict() for verdict in result.verdicts]
    files = list(map(str, result.files))
    return {"manifest": result.manifest, "checks": verdicts, "files": files}


def _facts(recipe: Any) -> dict[str, Any]:
    """Return what is known of a recipe as JSON takes it."""
    texts = ("name", "title", "about", "source", "figure")
    facts = ("what", "expected", "tolerance")
    return {name: getattr(recipe, name) for name in texts} | {
        "parameters": [one._asdict() | {"kind": one.kind.__name__} for one in recipe.parameters],
        "sizes": {size: list(cells) for size, cells in recipe.sizes.items()},
        "checks": [{fact: getattr(check, fact) for fact in facts} for check in recipe.checks],
    }


def _cited(name: str) -> Sequence[str]:
    """Return what to cite for a source, a memory or a recipe."""
    from kanerva.lab import memories, plugins
    from kanerva.lab.citations import MEMORIES, SOURCES

    if name in SOURCES:
        return (name,)
    if name in MEMORIES:
        return MEMORIES[name]
    if name in memories.names():
        return _sourced(name, memories.find([name])[name].cite)
    from kanerva.cli._recipes import everything, named, one_of
    from kanerva.lab.recipe import Recipe

    if plugins.is_location(name):
        value = plugins.load("name", name)
        if isinstance(value, memories.Entry):
            return _sourced(name, value.cite)
        if not isinstance(value, Recipe | ModuleType):
            return _sourced(name, ())
        return list(dict.fromkeys(recipe.source for recipe in named(name)))
    recipes = everything()
    known = (*recipes, *MEMORIES, *memories.names(), *SOURCES)
    one_of(name, known, "names of recipes, memories and sources")
    return (recipes[name].source,)


def _sourced(name: str, keys: Sequence[str]) -> Sequence[str]:
    """Refuse a memory without a source."""
    if not keys:
        must = "a memory with a source, or a recipe"
        do = "give it as an Entry of kanerva.lab.memories with cite"
        refuse("name", must=must, got=f"{name!r}, which has none", do=do)
    return keys


def _parameters(texts: Sequence[str]) -> dict[str, str]:
    """Read the texts NAME=VALUE."""
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            refuse("set", must="NAME=VALUE", got=repr(text), do="write --set radius=9,11")
        if name in given:
            must, do = "given once for each parameter", f"write --set {name}=9,11"
            refuse("set", must=must, got=f"twice for {name}", do=do)
        given[name] = value
    return given


def _short(recipe: Any) -> str:
    """Name the source of a recipe in running text."""
    from kanerva.lab.citations import short

    return short(recipe.source)


def _sweep(recipe: Any, size: str, name: str) -> str:
    """List the values that a parameter takes in a size."""
    from kanerva.lab.pages import values

    return values([cell[name] for cell in recipe.cells(size)])
