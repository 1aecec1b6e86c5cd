"""What the commands share: the application, a progress bar, and tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["app", "bar", "grid"]

app = typer.Typer(
    help="Associative memory: store, damage, recall, compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version")] = False,
) -> None:
    """Associative memory: store, damage, recall, compare."""
    if version:
        from kanerva import __version__

        typer.echo(__version__)
        raise typer.Exit


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on the error stream.

    Yields:
        a function that moves it, of what is being done, parts done, and parts in all.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield show


def grid(*heads: str) -> "Table":
    """Start a table with these heads; the first column, of names, is not wrapped."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        table.add_column(Text(head), overflow="fold", no_wrap=place == 0)
    return table
