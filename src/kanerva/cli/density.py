"""``kanerva density``: ask memories how likely rows are."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kanerva._core.errors import door
from kanerva._core.locks import locked
from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import console, findings, numbers
from kanerva.cli.recall import CROP, DATA, DROP, LABEL, SCALE, Recall

__all__: list[str] = []  # the command is the interface

MEMORY = (
    "A memory to evaluate: gaussian, epanechnikov or laplace (kernels around each row), crp (a "
    "mixture that creates its memories) or elbo (one whose memories share each row). Give the "
    "option again for more. All, unless given"
)
HOLD = "Share of the rows that is held out"
BANDWIDTH = "Bandwidth of every memory, where the range of each number is 1; chosen unless given"
PATTERNS = "Take this many rows of the data, chosen at random; all unless given"
OUT = "Folder for the report and its tables  [default: runs/density-DATA]"
# The columns of the table, with heads that fit into a terminal of 80 columns.
HEADS = {
    "title": "memory",
    "bandwidth": "bandwidth",
    "held": "held out\n(nats)",
    "left": "leave one\nout (nats)",
    "memories": "memories",
    "bytes": "size",
    "ari": "ARI",
}


@app.command(cls=Recall)
@door
def density(
    source: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    memory: Annotated[list[str] | None, typer.Option(help=MEMORY, metavar="NAME")] = None,
    hold: Annotated[float, typer.Option(help=HOLD)] = 0.2,
    bandwidth: Annotated[float | None, typer.Option(help=BANDWIDTH)] = None,
    samples: Annotated[int, typer.Option(help="Draw this many rows from each memory")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the samples")] = 0,
    patterns: Annotated[int | None, typer.Option(help=PATTERNS)] = None,
    label: Annotated[str | None, typer.Option(help=LABEL, metavar="COLUMN")] = None,
    drop: Annotated[list[str] | None, typer.Option(help=DROP, metavar="COLUMN")] = None,
    crop: Annotated[bool, typer.Option("--crop", help=CROP)] = False,
    scale: Annotated[str, typer.Option(help=SCALE)] = "auto",
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Store a part of DATA in memories that are densities, and ask how likely the other rows are.

    The command also names the strangest rows and draws new ones.
    """
    from kanerva.lab import data
    from kanerva.lab import density as density_

    plan = density_.Plan(tuple(memory or ()), hold, bandwidth, samples, seed)
    reading: dict[str, Any] = {"label": label, "drop": drop or (), "crop": crop, "scale": scale}
    loaded = data.load(source, patterns=patterns, seed=seed, domain="real", **reading)
    name = Path(source).stem.replace(":", ".") or "data"
    folder = Path("runs", f"density-{name}") if out is None else out
    kept = "Nothing is kept: an evaluation is written when it is complete"
    with locked(folder, tidy=True):
        with interruptible(lambda: kept), bar() as show:
            result = density_.evaluate(loaded, plan, show)
        with interruptible(lambda: f"The files that were complete are kept in {folder}"):
            files = density_.save(result, folder)
    (_print_json if json_ else _print)(result, files)


def _print_json(result: Any, files: list[Path]) -> None:
    """Print the numbers and the words as JSON."""
    found = {name: getattr(result, name) for name in result._fields if name != "pictures"}
    typer.echo(json.dumps(found | {"files": [str(path) for path in files]}))


def _print(result: Any, files: list[Path]) -> None:
    """Print the table, the findings, and where the report is."""
    from kanerva.lab import density as density_

    screen = console()
    screen.print(numbers(density_.likelihoods(result), HEADS))
    screen.print()
    findings(screen, result.verdicts, result.notes, files)
