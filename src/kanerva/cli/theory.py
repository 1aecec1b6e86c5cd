"""``kanerva theory``: radii, beta, critical distances and capacity of one memory."""

import json
import math
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kanerva._core.errors import named, refuse
from kanerva.cli._app import app, grid

__all__: list[str] = []  # the command is the interface

HEADS = {
    "snr": "most\nsignal\nto noise",
    "capacity": "most\npatterns",
    "noise": "most\nnoise\ncorrected",
    "given": "yours",
}
METHODS = {
    "kl": "least divergence",
    "ols": "least squares",
    "published": "as published",
    "mse": "of weights",
    "leading": "first order",
    "entropic": "large n",
}
NOISES = {
    "autoassociative": "patterns under themselves",
    "heteroassociative": "random values",
    "independent": "others half the bits away",
    "kanerva": "Kanerva 1988",
}
LOCATIONS = "Number of hard locations, such as 1e6; all is one at every point"
RADIUS = "A radius of your own, beside the optimal ones"
FIDELITY = "Probability that a whole pattern is read correctly, for the capacity"


@app.command()
@named(other="radius")
def theory(
    bits: Annotated[int, typer.Option(help="Dimension n")] = 64,
    patterns: Annotated[int, typer.Option(help="Number of stored patterns")] = 1024,
    locations: Annotated[str, typer.Option(help=LOCATIONS)] = "all",
    radius: Annotated[int | None, typer.Option(help=RADIUS)] = None,
    fidelity: Annotated[float, typer.Option(help=FIDELITY)] = 0.5,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON")] = False,
) -> None:
    """Compute radii, beta, critical distances and capacity of a sparse distributed memory."""
    from kanerva.theory import overview

    designs = overview.describe(bits, patterns, _count(locations), fidelity=fidelity, other=radius)
    if json_:
        given = {"bits": bits, "patterns": patterns, "locations": locations, "fidelity": fidelity}
        typer.echo(json.dumps(given | {"designs": designs}))
        return
    console = Console(highlight=False)
    where = "a location at every point"
    if locations != "all":
        where = f"{_count(locations):,.15g} locations"
    console.print(Text(f"{bits:,} bits, {patterns:,} patterns, {where}", style="bold"))
    table = grid("", *(HEADS[design["criterion"]] for design in designs))
    for place, column in enumerate(table.columns):
        column.no_wrap = place > 0  # a narrow terminal wraps names, never numbers
    for name, cells in _lines(designs, fidelity):
        table.add_row(Text(name, style="" if name.startswith(" ") else "bold"), *map(Text, cells))
    console.print(table)
    units = "beta is per unit of cosine; distances are in bits."
    console.print(Text(f"{units} – marks what theory gives no value for."))
    if len(designs) < 3 + (radius is not None):
        do = "store fewer patterns, or give more bits or locations."
        console.print(Text(f"A criterion that no radius meets is left out: {do}"))


def _lines(designs: list[dict[str, Any]], fidelity: float) -> list[tuple[str, list[str]]]:
    """Lay the designs out: a quantity a line, a design a column."""
    none = ["" for _ in designs]

    def line(name: str, write: Any) -> tuple[str, list[str]]:
        return name, [write(design) for design in designs]

    return [
        line("radius", lambda design: str(design["radius"])),
        line("  as good up to", lambda design: str(design["ties"][-1])),
        line("activation p", lambda design: f"{design['activation']:.4g}"),
        line("active locations", lambda design: _power(design["log2_active"])),
        ("beta", none),
        *(
            line(f"  {words}", lambda design, method=method: _number(design["beta"][method], 3))
            for method, words in METHODS.items()
        ),
        line("  on the sphere", lambda design: _number(design["beta_continuous"], 3)),
        line("  straightness R²", lambda design: _number(design["r2"], 3)),
        ("critical distance", none),
        *(
            line(f"  {words}", lambda design, noise=noise: _number(design["critical"][noise], 0))
            for noise, words in NOISES.items()
        ),
        line("signal to noise", lambda design: _number(design["snr"], 2)),
        line("whole pattern right", lambda design: _chance(design["word"])),
        line(f"capacity at {fidelity:g}", lambda design: _power(design["log2_capacity"])),
        line("locations needed", lambda design: _power(design["log2_needed"])),
    ]


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if value < 1e6 else f"{value:.3g}"


def _chance(value: float | None) -> str:
    """Write a probability, and never as 0 or 1 one that is only near it."""
    if value is None:
        return "–"
    if value in (0, 1):
        return f"{value:.0f}"
    if value > 0.99995:
        return ">0.9999"
    return "<0.0001" if value < 0.00005 else f"{value:.4f}"


def _power(log2: float | None) -> str:
    """Write a count that may be too large for a float, or less than one."""
    if log2 is None:
        return "–"
    if log2 < 20:
        return f"{2**log2:,.0f}" if log2 > 4 else f"{2**log2:.3g}"
    exponent = math.floor(log2 * math.log10(2))
    return f"{10 ** (log2 * math.log10(2) - exponent):.2f}e{exponent}"


def _count(text: str) -> float:
    """Read a number of locations."""
    if text == "all":
        return math.inf
    try:
        count = float(text)
        if math.isfinite(count):
            return count
    except ValueError:
        pass
    got = repr(text) if len(text) <= 60 else f"of {len(text)} characters"
    refuse("locations", must="a number below 1.8e308, or all", got=got, do="write --locations 1e6")
