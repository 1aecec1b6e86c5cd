"""Write down what an examination of a transformer found: tables, figures and a page."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kanerva._core import files
from kanerva._core.errors import door, refuse
from kanerva.lab import plot, report
from kanerva.lab.probing._examination import Examination
from kanerva.lab.report import Column, Grid, Section

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["save"]

Row = dict[str, Any]

HEADS = {
    "head": Column("head", "text", "layer and place in it, both from 0"),
    "beta": Column(
        "beta",
        "number",
        "effective beta, per unit of cosine: scale times the lengths of query and key, mean over pairs",
    ),
    "beta_spread": Column(
        "± beta",
        "number",
        "its standard deviation over its mean; 0 where one beta serves all pairs",
    ),
    "beta_max": Column(
        "beta of top",
        "number",
        "the largest softmax input of a query, mean over queries: a lower bound of its beta",
    ),
    "beta_peak": Column("largest input", "number", "the largest softmax input of all"),
    "straight": Column(
        "straight",
        "number",
        "share of the variance of a query's softmax inputs that a line in the cosine explains; 1 on a sphere",
    ),
    "regime": Column(
        "regime",
        "text",
        "the best radius that its beta is nearest to: against noise, signal to noise (snr), capacity",
    ),
    "outside": Column(
        "outside", "text", "broader or sharper where beta lies beyond that of all three best radii"
    ),
    "radius": Column(
        "radius", "count", "bits; the circles whose fitted beta is nearest to the head's"
    ),
    "activation": Column("activation", "number", "share of the space within that radius"),
    "variation": Column(
        "apart",
        "number",
        "total variation between the weights of the head and of circles at the radius of its beta, 0 to 1",
    ),
    "r2": Column(
        "R²",
        "number",
        "share of the variance of the head's weights that circles at the radius of its beta explain",
    ),
    "unreached": Column(
        "nothing in reach", "share", "queries with no token within the radius of the head's beta"
    ),
    "matched_radius": Column(
        "best radius", "count", "bits; the circles that agree best with the head on its own scores"
    ),
    "matched_variation": Column(
        "apart there", "number", "total variation from the circles that agree best"
    ),
    "matched_r2": Column(
        "R² there", "number", "share of the variance that the circles that agree best explain"
    ),
    "effective": Column(
        "effective tokens",
        "number",
        "effective number of tokens in a read, 1/Σw²; 1 is a clean choice",
    ),
    "entropy": Column("entropy", "number", "of the weights, in nats"),
    "top": Column("top", "share", "the largest weight of a query"),
    "needed": Column(
        "needed", "number", "tokens that hold nine tenths of the weight: the median over queries"
    ),
    "phase": Column(
        "phase", "text", "one token (single), a subset, or more than half of them (average)"
    ),
    "first": Column("first", "share", "weight on the first token"),
    "special": Column("special", "share", "weight on tokens that only structure a text"),
    "sink": Column("sink", "share", "weight on the token that gets most"),
    "cosine": Column("cosine", "number", "mean cosine of queries and keys"),
    "query_norm": Column("|query|", "number", "mean length of queries"),
    "query_spread": Column(
        "± |query|", "number", "standard deviation of their lengths over the mean; 0 on a sphere"
    ),
    "key_norm": Column("|key|", "number", "mean length of keys"),
    "key_spread": Column(
        "± |key|", "number", "standard deviation of their lengths over the mean; 0 on a sphere"
    ),
    "value_norm": Column("|value|", "number", "mean length of values"),
    "value_attended": Column(
        "|value| read", "number", "mean length of values under the weights that they get"
    ),
    "learned_scale": Column(
        "learned scale", "number", "the beta that a learned scale of queries and keys stands for"
    ),
    "attended": Column("attended", "number", "tokens that a query may attend to"),
    "queries": Column("queries", "count", "queries that were looked at"),
    "dim": Column("n", "count", "numbers in a query"),
    "kind": Column("kind", "text", "attention of a text to itself, or to another"),
    "norm": Column(
        "norm", "text", "of queries and keys themselves (qk), else the norm between layers"
    ),
}
EFFECTS = {
    "title": Column("memory", "text", "what took the place of every head"),
    "embedding": Column(
        "embedding", "number", "mean cosine of a text's embedding, after and before"
    ),
    "last": Column(
        "last layer",
        "number",
        "mean cosine of a token's vector in the last layer, after and before",
    ),
    "nearest": Column("nearest text", "share", "texts whose nearest other text stays the same"),
    "neighbours": Column(
        "ten neighbours", "share", "of the ten nearest other texts, how many stay"
    ),
    "loss": Column("loss", "number", "cross-entropy of the next token, nats"),
    "divergence": Column(
        "divergence",
        "number",
        "of the predictions after from those before (Kullback-Leibler), nats a token",
    ),
    "unreached": Column("nothing in reach", "share", "reads that found nothing"),
}
CONTROLS = {
    "control": Column(
        "model", "text", "what the mean is taken over: all heads of this model, or of a control"
    )
} | {
    name: HEADS[name]
    for name in (
        "variation",
        "matched_variation",
        "r2",
        "matched_r2",
        "beta",
        "beta_max",
        "effective",
        "entropy",
        "top",
        "straight",
    )
}
STORES = {
    "layer": Column("layer", "text", "place among the feed-forward layers, from 0"),
    "memories": Column("memories", "count", "rows of the layer: a key and a value each"),
    "tokens": Column("tokens", "count", "tokens that went by"),
    "active": Column("active", "share", "memories whose activation is above zero, for a token"),
    "effective": Column("effective", "number", "effective number of memories in a read"),
    "entropy": Column("entropy", "number", "of the weights, in nats"),
    "beta": Column("beta", "number", "of the softmax over the same keys that comes nearest"),
    "overlap": Column(
        "overlap", "number", "how much of the weights that softmax has in common, 1 equal"
    ),
    "r2": Column("R²", "number", "share of the variance of the weights that it explains"),
    "uniform": Column(
        "overlap of equal weights",
        "number",
        "what equal weights have in common with the layer's: to compare the overlap with",
    ),
}
MAPPED = ("beta", "radius", "variation", "entropy", "effective", "special")
FIGURES = ("replacements", "sweep", "betas", "heads", "agreement", "histograms")
MEASURES = {"embedding": "cosine of embeddings", "loss": "loss"}


class Drawing(NamedTuple):
    """A figure of the page: the name of its files, its caption, and what draws it wide and narrow."""

    name: str
    caption: str
    wide: "Callable[[], matplotlib.figure.Figure]"
    narrow: "Callable[[], matplotlib.figure.Figure]"


@door("findings.save")
def save(examination: Examination, folder: str | Path) -> list[Path]:
    """Write an examination to a folder: tables, manifest, and with the ``plot`` extra the figures and the report.

    Each file is written whole or not at all, the report last. A table without rows is left out, and tables, figures and report
    that an earlier examination left there are taken away.

    Args:
        examination: of ``examine``.
        folder: made if it is not there.

    Returns:
        the files written; the last is ``report.html`` where the extra is installed.

    Raises:
        InputError: the examination has no heads.
        InputFileError: the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> from kanerva.lab.probing._examination import Examination
        >>> rows = [dict(layer=0, index=head, beta=4.0 + head, radius=9) for head in range(2)]
        >>> found = Examination("toy", rows, [], [], [], [], [], [], [], [], {"noise": 5.6}, ["Two heads."], [], {})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = [path.name for path in save(found, folder)]
        >>> written[0], written[-1]
        ('heads.csv', 'report.html')
    """
    if not examination.rows:
        refuse(
            "examination",
            must="of one head or more",
            got="without rows",
            do="examine a model with attention",
        )
    folder = files.folder(folder)
    again = (folder / "manifest.json").is_file()
    tables = {
        **{
            "heads": examination.rows,
            "agreement": examination.curves,
            "effects": examination.effects,
            "sweep": examination.sweep,
        },
        **{
            "controls": examination.controls,
            "values": examination.values,
            "stores": examination.stores,
        },
    }
    written = [folder / f"{name}.csv" for name, rows in tables.items() if rows]
    for path in written:
        report.write_csv(tables[path.stem], path)
    told = {name: getattr(examination, name) for name in ("verdicts", "notes", "optima")}
    written.append(folder / "manifest.json")
    report.write_json({**examination.manifest, **told}, written[-1])
    for old in (
        *(folder / f"{name}.csv" for name in tables),
        *(folder / f"{name}.{end}" for name in FIGURES for end in ("png", "svg")),
    ):
        if again and old not in written:
            old.unlink(missing_ok=True)  # of an examination that was written here before
    if not all(map(find_spec, ("matplotlib", "jinja2"))):
        return written
    shown: dict[str, tuple[str, str, str]] = {}
    for drawing in _drawings(examination):
        wide = drawing.wide()
        written += plot.save(wide, folder, drawing.name)
        shown[drawing.name] = (drawing.caption, plot.svg(wide), plot.svg(drawing.narrow()))
    page = report.article(
        heading=_heading(examination),
        verdicts=examination.verdicts,
        sections=_sections(examination, shown),
        notes=examination.notes,
        grids=[Grid("Every head", _named(examination.rows), HEADS, "full slim")],
        manifest=examination.manifest,
    )
    written.append(folder / "report.html")
    with files.atomic(written[-1]) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return written


def _heading(found: Examination) -> tuple[str, str]:
    """Say which model it is, and what was done."""
    layers = len({row["layer"] for row in found.rows})
    texts = f", watched on {found.manifest['texts']:,} texts" if "texts" in found.manifest else ""
    count = "1 head" if len(found.rows) == 1 else f"{len(found.rows)} heads"
    lead = f"{count} in {layers} {'layer' if layers == 1 else 'layers'}{texts}: which sparse distributed memory each comes nearest to, "
    return (
        f"The heads of {found.name} as memories",
        lead + "and what is lost when a memory takes its place.",
    )


def _drawings(found: Examination) -> list[Drawing]:
    """Choose the figures that there are rows for."""
    rows, drawings = found.rows, []

    def add(name: str, caption: str, draw: Callable[..., Any], *given: Any) -> None:
        drawings.append(
            Drawing(name, caption, partial(draw, *given), partial(draw, *given, narrow=True))
        )

    if any(
        row.get(name) is not None
        for row in found.effects
        for name in ("embedding", "loss", "divergence")
    ):
        add(
            "replacements",
            "What is kept with one memory in the place of every head.",
            plot.replacement_bars,
            found.effects,
        )
    if found.sweep:
        what = "loss" if any(row.get("loss") is not None for row in found.sweep) else "embedding"
        caption = f"The {MEASURES[what]} with circles of one radius in the place of every head; dashed, the replacements above."
        add("sweep", caption, plot.replacement_curve, found.sweep, found.effects)
    if any(row.get("beta") is not None for row in rows):
        caption = "Heads by effective beta, and the betas of the radii that theory finds best."
        add("betas", caption, plot.beta_histogram, rows, found.optima)
    mapped = [name for name in MAPPED if any(row.get(name) is not None for row in rows)]
    if mapped:
        maps = [{**dict.fromkeys(mapped), **row} for row in rows]
        caption = "Each head in a map of its own kind of number, the first layer at the top. Hatched: not measured."
        drawings.append(
            Drawing(
                "heads",
                caption,
                partial(plot.head_maps, maps, mapped),
                partial(plot.head_maps, maps, mapped, across=1),
            )
        )
    if found.curves:
        caption = (
            "How far circles of each radius are from the weights of each head: a thin line a head."
        )
        add("agreement", caption, plot.agreement_curves, found.curves)
    if found.inputs and found.cosines:
        caption = "Cosines and softmax inputs of all pairs of a query and a key, layer by layer; the last steps hold all that lies beyond."
        add("histograms", caption, plot.layer_histograms, found.inputs, found.cosines)
    return drawings


def _sections(found: Examination, shown: dict[str, tuple[str, str, str]]) -> list[Section]:
    """Put tables and figures in the order of the questions that they answer."""

    def figures(*names: str) -> list[tuple[str, str, str]]:
        return [shown[name] for name in names if name in shown]

    def grid(
        rows: Sequence[Row], caption: str, columns: dict[str, Column], look: str = ""
    ) -> list[Grid]:
        return [Grid(caption, rows, columns, look)] if rows else []

    kept = "With one memory in the place of every head: how near the output stays to what it was, and how often nothing was in reach."
    means = "Means over all heads. Apart: total variation from circles at the radius of the beta; there: at the radius that agrees best."
    sections = [
        Section(
            "What is lost",
            _lost(found),
            grid(found.effects, kept, EFFECTS, "full"),
            figures("replacements", "sweep"),
        ),
        Section("Which memory each head is", (), (), figures("betas", "heads", "agreement")),
        Section(
            "What to compare with",
            [COMPARE],
            grid(found.controls if len(found.controls) > 1 else [], means, CONTROLS, "full"),
        ),
        Section("What queries meet", (), (), figures("histograms")),
        Section(
            "Feed-forward layers",
            [STORED],
            grid(
                found.stores,
                "Each feed-forward layer, read as a memory.",
                _stored(found.stores),
                "full slim",
            ),
        ),
    ]
    return [section for section in sections if section.grids or section.figures]


COMPARE = (
    "A broad head agrees with any broad memory: where all tokens weigh nearly the same, it hardly matters what chose them. So compare "
    "the model with its controls. What it shares with keys in another order comes from the lengths of queries and keys; what it shares "
    "with random weights, from its design. Only what is left was learned about which token answers which."
)
STORED = (
    "A feed-forward layer holds a memory in each row: a key that the token is compared with, and a value that is added as far as it "
    "matches. They were written by training, not by the text."
)


def _lost(found: Examination) -> list[str]:
    """Say how to read the table of replacements."""
    before = next(
        (
            row["loss_before"]
            for row in (*found.effects, *found.sweep)
            if row.get("loss_before") is not None
        ),
        None,
    )
    words = "Every head of the model is replaced at once, nothing is trained anew, and the same texts are read again."
    return [
        words
        if before is None
        else f"{words} As it is, the model has a loss of {before:.3f} nats a token."
    ]


def _named(rows: Sequence[Row]) -> list[Row]:
    return [{"head": f"{row['layer']}.{row['index']}"} | row for row in rows]


def _stored(rows: Sequence[Row]) -> dict[str, Column]:
    """Choose the columns of the feed-forward layers: all that hold numbers."""
    names = dict.fromkeys(
        name
        for row in rows
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    return {
        name: STORES.get(name, Column(name.replace("_", " "), "number", ""))
        for name in ("layer", *names)
    }
