"""``kanerva attach``: what gates would add to a model, and their correlation before training."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from kanerva._core.errors import door
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import bullets, console, grid

__all__: list[str] = []  # the command is the interface

MODEL = (
    "A folder with a model of transformers, or with its config.json alone; an installed package "
    "that contains one; or a name on the hub"
)
GATE = "dia, se, eca, sge, cbam, srm, recall, constant or scale"
SCOPE = "Which blocks share a gate: those of a stage, none (block), or all (model)"
REDUCTION = "What divides the width inside a gate  [default: that of each gate]"
BRANCHES = (
    "A pattern of module names whose output is gated, such as 'encoder.layer.*.output'; again for "
    "more  [default: those of a known family]"
)
INPUTS = (
    "A .npy file of pictures (samples, channels, height, width) or of token ids (samples, tokens); "
    "random ones, unless given"
)
SAMPLES = "How many inputs  [default: 16, or all of the file]"
TOKENS = "Tokens of a random text  [default: 32, or as many as the model takes]"
META = "Count the parameters alone, without the weights of the model"
OVER = {"mean": "corre-\nlation", "channels": "channels\npermuted", "samples": "another\nsample"}
OTHER = {"block": "a gate for\neach block", "stage": "shared by\nthe stage"}


@app.command()
@door
def attach(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL)],
    gate: Annotated[str, typer.Option(help=GATE)] = "dia",
    scope: Annotated[str, typer.Option(help=SCOPE)] = "stage",
    reduction: Annotated[int | None, typer.Option(help=REDUCTION)] = None,
    branches: Annotated[list[str] | None, typer.Option(help=BRANCHES, metavar="PATTERN")] = None,
    inputs: Annotated[Path | None, typer.Option(help=INPUTS)] = None,
    samples: Annotated[int | None, typer.Option(help=SAMPLES)] = None,
    tokens: Annotated[int | None, typer.Option(help=TOKENS)] = None,
    seed: Annotated[int, typer.Option(help="Seed of gates, random inputs and nulls")] = 0,
    meta: Annotated[bool, typer.Option("--meta", help=META)] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Show the stages of MODEL, what each gate would add to it, and how untrained gates correlate.

    Nothing is written to the model.
    """
    from kanerva.lab import attach as attach_

    options: dict[str, Any] = {"inputs": inputs, "samples": samples, "tokens": tokens}
    chosen = (gate, scope, reduction)
    with interruptible(lambda: "Nothing was written"), bar() as show:
        subject = attach_.load(model, meta=meta, seed=seed)
        result = attach_.study(
            subject, *chosen, branches=branches or None, **options, seed=seed, progress=show
        )
    if json_:
        typer.echo(json.dumps(result._asdict()))
    else:
        _print(result)


def _print(result: Any) -> None:
    """Print the stages, the parameters, the correlations, and the findings."""
    from kanerva.lab.report import written

    screen = console()
    table = grid("stage", "blocks", "width", "places", "first branch")
    for row in result.stages:
        places = " × ".join(map(str, row["places"])) or "–"
        numbers = (str(row["blocks"]), f"{row['width']:,}", places)
        table.add_row(row["stage"], *map(Text, (*numbers, row["first"])))
    _right(table, 1, 4)
    screen.print(table)
    screen.print()
    screen.print(Text("Parameters added", "bold"))
    table = grid("gate", "one a stage", "one a block", "one a model")
    for row in result.costs:
        cells = (written(row[scope], "count") for scope in ("stage", "block", "model"))
        style = "bold" if row["gate"] == result.gate else None
        table.add_row(row["gate"], *map(Text, cells), style=style)
    _right(table, 1, 4)
    screen.print(table)
    screen.print()
    if result.correlations:
        _print_correlations(screen, result)
    bullets(screen, result.verdicts)
    screen.print()
    bullets(screen, result.notes)


def _print_correlations(screen: Any, result: Any) -> None:
    """Print the correlation of the gates of each stage beside its nulls."""
    from kanerva.lab.attach._words import decimal

    title = f"Correlation of the gates of two blocks, {result.gate}, untrained"
    screen.print(Text(title, "bold"))
    table = grid("stage", "over", *OVER.values(), OTHER[result.other])
    for row in result.correlations:
        numbers = (row[name] for name in (*OVER, "other"))
        cells = ("–" if one is None else decimal(one) for one in numbers)
        table.add_row(row["stage"], row["over"], *map(Text, cells))
    _right(table, 2, 6)
    screen.print(table)
    screen.print()


def _right(table: Any, first: int, end: int) -> None:
    """Write numbers to the right."""
    for column in table.columns[first:end]:
        column.justify = "right"
