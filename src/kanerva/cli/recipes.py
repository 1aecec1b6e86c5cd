"""``kanerva list``, ``show``, ``run``, ``cite`` and ``pages``: thin faces over the recipes."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.cli._app import app, bar, grid

__all__: list[str] = []  # what there is to call is the command

Name = Annotated[str, typer.Argument(metavar="NAME", help="A recipe, as kanerva list prints it")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON")]


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the experiments that can be run."""
    from kanerva.lab.citations import SOURCES
    from kanerva.lab.papers import RECIPES

    if json_:
        facts = ("name", "title", "source", "figure")
        typer.echo(
            json.dumps(
                [{fact: getattr(recipe, fact) for fact in facts} for recipe in RECIPES.values()]
            )
        )
        return
    table = grid("recipe", "what it shows", "source")
    for recipe in RECIPES.values():
        table.add_row(
            Text(recipe.name, style="bold"),
            Text(recipe.title),
            Text(SOURCES[recipe.source].short()),
        )
    Console(highlight=False).print(table)


@app.command()
@door
def show(name: Name, json_: Json = False) -> None:
    """Show what an experiment does, its parameters, and what must come out."""
    from kanerva.lab.citations import SOURCES

    recipe = _recipe(name)
    cells = {size: len(recipe.cells(size)) for size in recipe.sizes}
    if json_:
        told = {
            **{
                fact: getattr(recipe, fact)
                for fact in ("name", "title", "about", "source", "figure")
            },
            "parameters": [
                parameter._asdict() | {"kind": parameter.kind.__name__}
                for parameter in recipe.parameters
            ],
            "sizes": {size: list(cells) for size, cells in recipe.sizes.items()},
            "checks": [
                {"what": check.what, "expected": check.expected, "tolerance": check.tolerance}
                for check in recipe.checks
            ],
        }
        typer.echo(json.dumps(told))
        return
    talk = Console(highlight=False)
    talk.print(Text(recipe.title, style="bold"))
    # Paragraphs as long lines, for the terminal has its own width.
    talk.print(
        Text("\n\n".join(" ".join(paragraph.split()) for paragraph in recipe.about.split("\n\n")))
    )
    table = grid("parameter", "meaning", "quick", "paper")
    for parameter in recipe.parameters:
        table.add_row(
            parameter.name,
            Text(parameter.help),
            *(Text(_sweep(recipe, size, parameter.name)) for size in recipe.sizes),
        )
    talk.print(table)
    checks = f"{len(recipe.checks)} numbers are checked"
    talk.print(Text(f"{cells['quick']} cells quick, {cells['paper']} cells paper; {checks}."))
    talk.print(Text(f"Source: {SOURCES[recipe.source].short()}, {recipe.figure}."))


@app.command()
@door
def run(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A recipe, as kanerva list prints it")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Run every recipe")] = False,
    size: Annotated[
        str, typer.Option(help="quick, in seconds, or paper, as large as it was published")
    ] = "quick",
    seed: Annotated[int, typer.Option(help="Added to the seed of every cell")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter, such as radius=9,11", metavar="NAME=VALUE"),
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Cells side by side; -1 for one a core")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for table, manifest and figure  [default: runs/NAME]"),
    ] = None,
    json_: Json = False,
) -> None:
    """Run an experiment, check its numbers and draw its figure; exit code 1 if a number does not come out."""
    from kanerva.lab import runner
    from kanerva.lab.papers import RECIPES

    if all_ == (name is not None):
        refuse(
            "name",
            must="one recipe, or --all",
            got="both" if all_ else "missing",
            do="see kanerva list",
        )
    if all_ and set_:
        refuse("set", must="given for one recipe", got="given with --all", do="name the recipe")
    chosen = list(RECIPES.values()) if all_ else [_recipe(str(name))]
    given: dict[str, str] = {}
    for parameter, value in map(_given, set_ or []):
        if parameter in given:
            refuse(
                "set",
                must="given once for each parameter",
                got=f"twice for {parameter}",
                do=f"write --set {parameter}=9,11",
            )
        given[parameter] = value
    talk = Console(stderr=json_, highlight=False)
    results = []
    for recipe in chosen:
        folder = Path("runs", recipe.name) if out is None else out / recipe.name if all_ else out
        try:
            with bar() as progress:
                result = runner.run(
                    recipe, folder, size=size, seed=seed, given=given, jobs=jobs, progress=progress
                )
        except KeyboardInterrupt:
            Console(stderr=True).print(
                Text(
                    f"Interrupted. What is done is kept in {folder}; the same command goes on from there."
                )
            )
            raise typer.Exit(130) from None
        results.append(result)
        _tell(talk, recipe.title, result, all_)
    failed = [result.name for result in results if not result.passed]
    if json_:
        told = [
            {
                "manifest": result.manifest,
                "checks": [verdict._asdict() for verdict in result.verdicts],
                "files": list(map(str, result.files)),
            }
            for result in results
        ]
        typer.echo(json.dumps(told if all_ else told[0]))
    elif all_:
        talk.print(
            Text(
                f"{len(results) - len(failed)} of {len(results)} recipes came out as they should",
                style="bold",
            )
        )
    raise typer.Exit(1 if failed else 0)


@app.command()
@door
def cite(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A recipe, a memory such as sdm, or a source such as kanerva1988"
        ),
    ],
    json_: Json = False,
) -> None:
    """Print what to cite for an experiment or a memory, as BibTeX."""
    from kanerva.lab.citations import MEMORIES, SOURCES, bibtex
    from kanerva.lab.papers import RECIPES

    known = (
        {recipe.name: (recipe.source,) for recipe in RECIPES.values()}
        | MEMORIES
        | {key: (key,) for key in SOURCES}
    )
    keys = known[checks.choice("name", name, tuple(known))]
    if json_:
        typer.echo(json.dumps({key: SOURCES[key]._asdict() for key in keys}))
    else:
        typer.echo("\n\n".join(map(bibtex, keys)))


@app.command()
def pages(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS", help="The folder that kanerva run --all --out wrote")
    ],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="MORE", help="Such folders of other sizes, for numbers left open"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pages")] = Path("docs"),
) -> None:
    """Write a page for each experiment, and the table of published numbers beside ours, from finished runs."""
    from kanerva.lab import pages as pages_
    from kanerva.lab.papers import ABSENT, RECIPES

    for path in pages_.write(RECIPES, ABSENT, runs, out, more or []):
        typer.echo(str(path))


def _tell(talk: Console, title: str, result: Any, brief: bool) -> None:
    """Print each check, and where the files lie; in brief only what failed."""
    talk.print(Text(f"{result.name}: {title}", style="bold"))
    for verdict in result.verdicts:
        if verdict.ok is None or (brief and verdict.ok):
            continue
        talk.print(
            Text(f"  {verdict.sentence()}", style="" if verdict.ok else "bold red"), soft_wrap=True
        )
    asked = [verdict for verdict in result.verdicts if verdict.ok is not None]
    good = sum(bool(verdict.ok) for verdict in asked)
    absent = len(result.verdicts) - len(asked)
    rest = f", {absent} belong to other sizes" if absent else ""
    talk.print(
        Text(
            f"  {good} of {len(asked)} numbers came out{rest}; {result.manifest['seconds']:.1f} s; {result.files[0].parent}"
        )
    )


def _recipe(name: str) -> Any:
    from kanerva.lab.papers import RECIPES

    return RECIPES[checks.choice("name", name, tuple(RECIPES))]


def _given(text: str) -> tuple[str, str]:
    """Read one NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        refuse("set", must="NAME=VALUE", got=repr(text), do="write --set radius=9,11")
    return name, value


def _sweep(recipe: Any, size: str, name: str) -> str:
    """Say which values a parameter takes in a size."""
    from kanerva.lab.pages import values

    return values([cell[name] for cell in recipe.cells(size)])
