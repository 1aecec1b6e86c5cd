"""``kanerva bench``: time the core operations beside other libraries."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva.cli._app import app, bar, interruptible
from kanerva.cli._tables import console as terminal
from kanerva.cli._tables import grid

__all__: list[str] = []  # the command is the interface

SIZE = "quick, in minutes, or full, a quarter of an hour; tiny to try the command"
ONLY = (
    "An operation: activation, write, read, softmax, rules, recall, pruned, nearest, density, "
    "linked, diffusion, entropic, encode, train, layers, quarks, gates, million, start or growth; "
    "again for more  "
    "[default: all]"
)
THREADS = "Threads of torch and of the engines  [default: torch's own]"
SECONDS = "Seconds spent on each size, about  [default: from --size]"
OUT = "Folder for the page, its picture and its rows  [default: runs/bench-SIZE]"
HEADS = ("operation", "size", "route", "time", "best peer\nover ours", "over the\nlimit", "memory")


@app.command()
def bench(
    size: Annotated[str, typer.Option(help=SIZE)] = "quick",
    only: Annotated[list[str] | None, typer.Option(help=ONLY, metavar="NAME")] = None,
    threads: Annotated[int | None, typer.Option(help=THREADS)] = None,
    seconds: Annotated[float | None, typer.Option(help=SECONDS)] = None,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Time every core operation beside other libraries on the same data, and write a page."""
    from kanerva.lab import bench

    names = only or ()
    folder = Path("runs", "-".join(("bench", size, *names))) if out is None else out
    options: dict[str, Any] = {"threads": threads, "seconds": seconds, "out": folder}
    with interruptible(lambda: f"What is done is kept in {folder}"), bar() as show:
        result = bench.run(size, names, **options, progress=show)
    if json_:
        typer.echo(json.dumps(result._asdict() | {"folder": str(folder)}))
    else:
        _print(result, folder)


def _print(result: Any, folder: Path) -> None:
    """Print our times beside the best of the others, the requirements, and the name of the page."""
    console = terminal()
    _print_times(console, result.rows)
    _print_growth(console, result.rows)
    for row in result.rows:
        if "right" in row and row["route"] == "both":
            share = f"{row['right']:,} of {row['asked']:,} cues"
            console.print(Text(f"{share} were recalled without a single wrong bit."))
    _print_requirements(console, result.rows)
    absent = [name for name, version in result.machine["versions"].items() if version is None]
    if absent:
        install = 'For all peers: pip install "kanerva[bench,fast]"'
        console.print(Text(f"Not installed, and left out: {', '.join(absent)}. {install}"))
    for note in result.notes:
        console.print(Text(f"· {note}", style="bold red"))
    console.print(Text(f"Page: {folder / 'benchmarks.md'}; {result.seconds:.0f} s"))


def _print_times(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print the time of each of our operations."""
    from kanerva.lab.report._page import written

    table = grid(*HEADS)
    for row in rows:
        if not row["ours"] or row["operation"] == "growth":
            continue
        settings = row["setting"].items()
        hidden = ("kept as", "engine")
        size = " ".join(f"{name}={value}" for name, value in settings if name not in hidden)
        table.add_row(
            row["operation"],
            Text(size),
            Text(row["route"].removeprefix("kanerva, ")),
            written(row["median"], "seconds"),
            *(_ratio(row.get(name)) for name in ("faster", "over_limit")),
            "–" if row["peak"] is None else f"{row['peak'] / 2**20:.0f} MiB",
        )
    if table.row_count:
        console.print(table)
        console.print()


def _print_growth(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print with which power of the size the time grows."""
    from kanerva.lab.bench import _special

    for what, grown in _special.grown(rows).items():
        power, late = _special.exponents(grown, "median")
        growth = f"grows with power {power:.2f}, {late:.2f} in the last factor of ten"
        console.print(Text(f"{what}: time {growth}"), soft_wrap=True)


def _print_requirements(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print each requirement beside what was measured."""
    from kanerva.lab.bench import _asked

    for one in _asked.found(rows):
        required = f"required {one.asked.kind} {one.asked.bound:g} {one.asked.unit}"
        sentence = f"{one.asked.what}: {required}, measured {one.worst:.3g}"
        if one.sizes > 1:
            sentence += f" at worst; {one.reached} of {one.sizes} sizes reach it"
        console.print(Text(sentence), soft_wrap=True)


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
