"""``kanerva bench``: a thin face over the benchmarks."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva.cli._app import app, bar, grid

__all__: list[str] = []  # what there is to call is the command

ONLY = "An operation: activation, write, read, softmax, rules, recall, pruned, nearest, density, million, start or growth; again for more"


@app.command()
def bench(
    size: Annotated[
        str,
        typer.Option(
            help="quick, in minutes, or full, a quarter of an hour; tiny to see that it works"
        ),
    ] = "quick",
    only: Annotated[
        list[str] | None, typer.Option(help=ONLY + "  [default: all]", metavar="NAME")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of torch and of the engines  [default: torch's own]")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="About so long is spent on each size  [default: what --size says]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the page, its picture and its rows  [default: runs/bench-SIZE]"
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Time every core operation beside what others offer, on the same data, and write a page."""
    from kanerva.lab import bench

    folder = Path("runs", "-".join(("bench", size, *(only or ())))) if out is None else out
    try:
        with bar() as show:
            result = bench.run(
                size, only or (), threads=threads, seconds=seconds, out=folder, progress=show
            )
    except KeyboardInterrupt:
        Console(stderr=True).print(Text(f"Interrupted. What is done is kept in {folder}."))
        raise typer.Exit(130) from None
    if json_:
        typer.echo(json.dumps(result._asdict() | {"folder": str(folder)}))
    else:
        _tell(result, folder)


def _tell(result: Any, folder: Path) -> None:
    """Print ours beside the best of the others, what was asked, and where the rest lies."""
    from kanerva.lab.bench import _asked, _special
    from kanerva.lab.report._page import written

    talk = Console(highlight=False)
    table = grid(
        "operation", "size", "route", "time", "best peer\nover ours", "over the\nlimit", "memory"
    )
    for row in result.rows:
        if row["ours"] and row["operation"] != "growth":
            memory = "–" if row["peak"] is None else f"{row['peak'] / 2**20:.0f} MiB"
            ratios = (
                "–" if row.get(name) is None else f"{row[name]:.2f}"
                for name in ("faster", "over_limit")
            )
            size = " ".join(
                f"{name}={value}"
                for name, value in row["setting"].items()
                if name not in ("kept as", "engine")
            )
            route = row["route"].removeprefix("kanerva, ")
            table.add_row(
                row["operation"],
                Text(size),
                Text(route),
                written(row["median"], "seconds"),
                *ratios,
                memory,
            )
    if table.row_count:
        talk.print(table)
    for what, rows in _special.grown(result.rows).items():
        power, late = _special.exponents(rows, "median")
        talk.print(
            Text(
                f"{what}: time grows with power {power:.2f}, {late:.2f} in the last factor of ten"
            ),
            soft_wrap=True,
        )
    for row in result.rows:
        if "right" in row and row["route"] == "both":
            talk.print(
                Text(
                    f"{row['right']:,} of {row['asked']:,} cues were recalled without a single wrong bit."
                )
            )
    for one in _asked.found(result.rows):
        said = f"{one.asked.what}: asked {one.asked.kind} {one.asked.bound:g} {one.asked.unit}, measured {one.worst:.3g}"
        talk.print(
            Text(
                said
                + (
                    ""
                    if one.sizes == 1
                    else f" at worst; {one.reached} of {one.sizes} sizes reach it"
                )
            ),
            soft_wrap=True,
        )
    absent = [name for name, version in result.machine["versions"].items() if version is None]
    if absent:
        talk.print(
            Text(
                f'Not installed, and left out: {", ".join(absent)}. For all peers: pip install "kanerva[bench,fast]"'
            )
        )
    talk.print(
        *(Text(f"· {note}", style="bold red") for note in result.notes), sep="\n"
    ) if result.notes else None
    talk.print(Text(f"Page: {folder / 'benchmarks.md'}; {result.seconds:.0f} s"))
