"""``kanerva recall``: a thin face over the comparison."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.cli._app import app, bar

__all__: list[str] = []  # what there is to call is the command

COLUMNS = (
    "exact",
    "nearest",
    "repaired",
    "broken",
    "echoed",
    "lost",
    "stored",
    "class_kept",
    "effective",
    "steps",
    "seconds",
    "bytes",
)
TERMINAL = ("title", "exact", "nearest", "repaired", "broken", "effective", "seconds")

SOURCES = "digits, faces, textures, letters, random; mnist or cifar10, which are downloaded; or your own file or folder"
MEMORIES = (
    "A memory to compare: hopfield, dense, exponential, modern_hopfield, sparse_hopfield, sdm, sdm_patterns or attention; "
    "give it again for more. All that fit, unless given."
)


@app.command()
@door
def recall(
    source: Annotated[str, typer.Argument(metavar="DATA", help=SOURCES)],
    memory: Annotated[list[str] | None, typer.Option(help=MEMORIES)] = None,
    damage: Annotated[str, typer.Option(help="flip, occlude, gaussian or mask")] = "flip",
    levels: Annotated[
        str, typer.Option(help="Levels of damage, such as 0,0.1,0.2", metavar="LIST")
    ] = "",
    cues: Annotated[int, typer.Option(help="Cues recalled at each level and seed")] = 100,
    seeds: Annotated[int, typer.Option(help="Repetitions with other cues and other damage")] = 3,
    seed: Annotated[int, typer.Option(help="The first seed")] = 0,
    patterns: Annotated[
        int | None,
        typer.Option(help="Store so many of the data, chosen at random; all unless given"),
    ] = None,
    domain: Annotated[
        str, typer.Option(help="bits or real: what to store of data that can be either")
    ] = "bits",
    threshold: Annotated[
        float | None, typer.Option(help="Make bits of real data here, in their own unit")
    ] = None,
    steps: Annotated[int, typer.Option(help="At most so many reads a recall")] = 50,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter, such as sdm.radius=24", metavar="NAME=VALUE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report and its table  [default: runs/DATA]")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Store DATA in many memories, damage cues, recall them, and report which gives back what."""
    from kanerva.lab import data
    from kanerva.lab import recall as recall_

    plan = recall_.Plan(
        memories=tuple(memory or ()),
        kind=checks.choice("damage", damage, data.KINDS),
        levels=_levels(levels),
        seeds=seeds,
        cues=cues,
        steps=steps,
        given=dict(map(_given, set_ or [])),
        seed=seed,
        domain=domain,
    )
    loaded = data.load(
        source,
        patterns=patterns,
        seed=seed,
        threshold=threshold,
        domain="real" if domain == "real" else "auto",
    )
    talk = Console(stderr=json_, highlight=False)
    with bar() as show:
        result = recall_.compare(loaded, plan, show)
    written = recall_.save(
        result, Path("runs", Path(source).stem or "recall") if out is None else out, COLUMNS
    )
    if json_:
        told = {
            "rows": result.rows,
            "notes": result.notes,
            "verdicts": result.verdicts,
            "files": [str(path) for path in written],
        }
        typer.echo(json.dumps(told))
    else:
        _tell(talk, result, written)


def _tell(talk: Console, result: Any, written: list[Path]) -> None:
    """Print what was found: notes, parameters, the table at one level, verdicts, and where the rest lies."""
    from kanerva.lab import report

    levels = sorted({row["level"] for row in result.rows})
    level = min(levels, key=lambda one: (abs(one - 0.1), one))
    talk.print(*(Text(f"· {note}") for note in result.notes), sep="\n")
    talk.print()
    talk.print(Text(f"{result.name} at {result.manifest['damage']} {level:g}", style="bold"))
    talk.print(report.table(report.summarise(result.rows, level), TERMINAL))
    talk.print(*(Text(f"· {sentence}") for sentence in result.verdicts), sep="\n")
    talk.print()
    if written[-1].suffix == ".html":
        talk.print(Text(f"Report: {written[-1]}"))
    else:
        talk.print(
            Text(f'Table: {written[0]}. For figures and a report: pip install "kanerva[plot]"')
        )


def _levels(text: str) -> tuple[float, ...]:
    """Read a list of levels."""
    try:
        return tuple(float(level) for level in text.split(",")) if text else ()
    except ValueError:
        refuse(
            "levels",
            must="numbers with commas between",
            got=repr(text),
            do="write --levels 0,0.1,0.2",
        )


def _given(text: str) -> tuple[str, int | float | str]:
    """Read one NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or "." not in name or not value:
        refuse("set", must="MEMORY.PARAMETER=VALUE", got=repr(text), do="write --set sdm.radius=24")
    for read in (int, float):
        try:
            return name, read(value)
        except ValueError:
            continue
    return name, value
