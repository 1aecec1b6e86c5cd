"""What the commands share: the application, a progress bar, and the end of a Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.text import Text

from kanerva.cli._tables import console

__all__ = ["app", "bar", "interruptible"]

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
    """Show a progress bar on the error stream, where that is a terminal.

    Yields:
        a function that moves it, of what is being done, parts done, and parts in all.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    screen = console(stderr=True)
    hidden = not screen.is_terminal
    with Progress(*columns, console=screen, transient=True, disable=hidden) as progress:
        task = progress.add_task("")

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield show


@contextmanager
def interruptible(kept: Callable[[], str]) -> Iterator[None]:
    """End a Ctrl-C with exit code 130 and a sentence on what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        console(stderr=True).print(Text(f"kanerva: interrupted. {kept()}."))
        raise typer.Exit(130) from None
