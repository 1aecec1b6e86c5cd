"""Read samples, training rows and a hold-out in one unit, that of the training rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import InputError, InputTypeError, door, refuse
from kanerva.diffusion._near import LARGE, SMALL
from kanerva.lab import plugins
from kanerva.lab.data._dataset import SCALES
from kanerva.lab.data._files import NAMED, TABLES, read
from kanerva.lab.data._load import _outside
from kanerva.lab.data._raw import Raw, Reading
from kanerva.lab.data._sets import DOWNLOADED, SETS, named

__all__ = ["Files", "load"]

# How far the ends of the numbers may differ, as a share of the range of the training rows, before
# the unit is asked about: of all numbers, and of most columns, where other classes lie elsewhere;
# the ends, as quantiles; and the fewest numbers that have ends.
APART, FAR, ENDS, FEW = 0.25, 0.75, (0.01, 0.99), 20
# Which options a source of which kind takes.
TAKES = {"label": (*TABLES, ".npz"), "drop": TABLES, "crop": ("folder",)}


@dataclass(frozen=True, eq=False)
class Files:
    """Rows in one unit.

    * ``names``: of ``"samples"``, ``"train"`` and, where there is one, ``"holdout"``.
    * ``samples``, ``train``, ``holdout``: ``(n, d)`` float64; the hold-out may be None.
    * ``unit``: what the numbers were divided by, ``(d,)``: 1, or the range of each column of the
      training rows.
    * ``shape``: of a row that is a picture, else ``()``; ``limits``: the least and the greatest
      number of all files, which are drawn black and white; ``ink``: the other way round.
    * ``notes``: how the files were read; ``warnings``: what is odd about them.

    Example:
        >>> import torch
        >>> from kanerva.lab.audit import Files, Plan, evaluate
        >>> train, samples = torch.eye(3).double(), torch.tensor([[1.0, 0, 0], [5, 5, 5]]).double()
        >>> names = {"samples": "a model", "train": "its data"}
        >>> found = evaluate(Files(names, samples, train, None, torch.ones(3).double()), Plan())
        >>> [row["kind"] for row in found.samples]
        ['memorised', 'generalised']
    """

    names: dict[str, str]
    samples: Float64[Tensor, "n d"]
    train: Float64[Tensor, "m d"]
    holdout: Float64[Tensor, "k d"] | None
    unit: Float64[Tensor, "d"]
    shape: tuple[int, ...] = ()
    limits: tuple[float, float] = (0.0, 1.0)
    ink: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@door("audit")
def load(
    samples: str | Path,
    train: str | Path,
    holdout: str | Path | None = None,
    *,
    label: Any = None,
    drop: Sequence[Any] = (),
    crop: bool = False,
    scale: str = "auto",
) -> Files:
    """Read the files of an audit, as ``data.load`` reads each, but in one unit.

    A scale of its own for each file would hide or invent copies. The numbers of arrays and pictures
    are taken as they are; each column of tables is divided by its range in the training rows, and
    in the other files by the same number.

    Args:
        samples: rows of a model: a file, a folder of pictures, a named set, or ``module:NAME``.
        train: the rows that it was trained on, as wide.
        holdout: rows of the same source that it was not trained on; None where there are none.
        label: the column of tables, or the array of ``.npz`` files, that holds classes and is left
            out; samples and hold-out need not have it.
        drop: columns of tables to leave out.
        crop: whether pictures of unlike shape are cut to their middle.
        scale: ``"whole"`` takes numbers as they are, ``"columns"`` divides each column by its range
            in the training rows; ``"auto"`` takes ``"columns"`` where these are a table.

    Returns:
        ``Files``.

    Raises:
        InputFileError: a file is missing, broken or holds something else than finite numbers.
        InputError: rows of other widths, tables with other columns, or an option that no file
            takes.

    Example:
        >>> from kanerva.lab import audit
        >>> files = audit.load("iris", "iris")
        >>> files.train.shape, round(files.train[:, 0].max().item(), 2)
        (torch.Size([150, 4]), 2.19)
    """
    checks.choice("scale", scale, SCALES)
    sources = {"samples": samples, "train": train}
    sources |= {} if holdout is None else {"holdout": holdout}
    how = Reading(label, tuple(drop), crop)
    _taken(sources, how)
    raws = {}
    for which, source in sources.items():
        with plugins.prefixed(which):
            raws[which] = _read(which, source, how)
    _fit(raws)
    base = raws["train"]
    columns = scale == "columns" or (scale == "auto" and base.columns)
    if columns and base.shape:
        must, do = "'auto' or 'whole' for pictures", "leave it out: pictures keep one scale"
        refuse("scale", must=must, got="'columns'", do=do)
    width = np.ptp(base.values, axis=0) if columns else np.ones(base.values.shape[1])
    constant = int((width == 0).sum())
    width = np.where(width > 0, width, 1.0)
    rows = {which: torch.from_numpy(raw.values / width) for which, raw in raws.items()}
    told: dict[str, list[str]] = {}
    for which, raw in raws.items():
        for note in raw.notes:
            told.setdefault(note, []).append(which)
    notes = [f"{', '.join(several)}: {note}" for note, several in told.items()]
    return Files(
        names={which: raw.name for which, raw in raws.items()},
        samples=rows["samples"],
        train=rows["train"],
        holdout=rows.get("holdout"),
        unit=torch.from_numpy(width),
        shape=base.shape or raws["samples"].shape,
        limits=(
            min(float(raw.values.min()) for raw in raws.values()),
            max(float(raw.values.max()) for raw in raws.values()),
        ),
        ink=base.ink,
        notes=(*notes, _unit(columns, constant, base.name)),
        warnings=tuple(_units(rows, raws, columns)),
    )


def _taken(sources: dict[str, Any], how: Reading) -> None:
    """Refuse options that none of the sources takes."""
    for option, kinds in TAKES.items():
        value = getattr(how, option)
        if value and not any(_kind(source) in kinds for source in sources.values()):
            what = "a folder of pictures" if option == "crop" else "a table"
            must = f"left out unless a file is {what}"
            refuse(option, value, must=must, do="leave it out", error=InputTypeError)


def _kind(source: str | Path) -> str:
    """Return what a source is read as: the ending of a file, or a folder."""
    path = Path(source)
    if path.is_dir():
        return "folder"
    whole = str(source).rpartition(":")[0]
    inside = Path(whole).suffix.lower() in NAMED and not path.exists()
    return (Path(whole) if inside else path).suffix.lower()


def _read(which: str, source: str | Path, how: Reading) -> Raw:
    """Read one source in its own unit."""
    made = _outside(source) if isinstance(source, str) else None
    if made is not None:
        note = "the rows of a function are taken as it has scaled them, to [-1, 1]"
        values, told = made.real.double().numpy(), (*made.notes, note)
        return Raw(made.name, values, made.shape, ink=made.ink, notes=told)
    if isinstance(source, str) and source in (*SETS, *DOWNLOADED):
        return named(source, None, 0)
    kind = _kind(source)
    reading = Reading(
        label=how.label if kind in TAKES["label"] else None,
        drop=how.drop if kind in TAKES["drop"] else (),
        crop=how.crop and kind in TAKES["crop"],
    )
    try:
        return read(source, reading)
    except InputError as error:
        if which == "train" or error.argument != "label":
            raise
        return read(source, replace(reading, label=None))


def _fit(raws: dict[str, Raw]) -> None:
    """Refuse rows that cannot be compared with the training rows."""
    base = raws["train"]
    width = base.values.shape[1]
    for which, raw in raws.items():
        largest = float(np.abs(raw.values).max())
        if not SMALL <= largest <= LARGE:
            must = f"rows whose largest number is from {SMALL:g} to {LARGE:g}"
            do = "bring all files to another unit"
            refuse(which, got=f"{raw.name!r} with {largest:g}", must=must, do=do)
        other = raw.values.shape[1]
        if other != width:
            must = f"rows of {width:,} numbers, as {base.name!r} has them"
            got, do = f"{raw.name!r} with {other:,}", "give files that hold the same kind of rows"
            refuse(which, must=must, got=got, do=do)
        names, known = _columns(raw), _columns(base)
        if names and known and names != known:
            must = f"a table with the columns of {base.name!r} in their order: {known}"
            do = "name and order them alike, or leave some out with --drop"
            refuse(which, must=must, got=f"one with {names}", do=do)


def _columns(raw: Raw) -> str:
    """Return the names of the columns of a table, as the notes say them; empty without names."""
    start = f"{raw.values.shape[1]} columns of numbers: "
    return next((note.removeprefix(start) for note in raw.notes if note.startswith(start)), "")


def _unit(columns: bool, constant: int, name: str) -> str:
    """Say in which unit distances are."""
    if not columns:
        return (
            "The numbers of all files are taken as they are, so that distances are Euclidean in "
            "the unit of the files."
        )
    rest = ""
    if constant:
        one = constant == 1
        rest = (
            f" {constant:,} column{' is' if one else 's are'} constant there and taken as "
            f"{'it is' if one else 'they are'}."
        )
    return (
        f"Each column is divided by its range in {name}, in all files by the same number; "
        f"distances are Euclidean in that unit.{rest}"
    )


def _units(rows: dict[str, Tensor], raws: dict[str, Raw], columns: bool) -> list[str]:
    """Ask about files whose numbers lie elsewhere than those of the training rows."""
    found = []
    base = raws["train"].values
    for which, what in (("samples", "The samples"), ("holdout", "The hold-out rows")):
        if which not in rows or _shared(rows[which], rows["train"]):
            continue
        if _elsewhere(rows[which], rows["train"], columns):
            values = raws[which].values
            found.append(
                f"{what} lie between {values.min():.4g} and {values.max():.4g}, the training rows "
                f"between {base.min():.4g} and {base.max():.4g}. If these are two units, such as 0 "
                "to 1 and 0 to 255, copies are not found: bring all files to one unit first. If "
                "not, these rows vary more, or less, than the training rows."
            )
    return found


def _shared(rows: Tensor, train: Tensor) -> bool:
    """Return whether a row is one of the training rows, so that the unit is the same."""
    known = {row.tobytes() for row in train.numpy()}
    return any(row.tobytes() in known for row in rows.numpy())


def _elsewhere(rows: Tensor, train: Tensor, columns: bool) -> bool:
    """Return whether the ends of the numbers are apart: of columns, those of most of them."""
    one, other = (
        part.numpy() if columns else part.numpy().reshape(-1, 1) for part in (rows, train)
    )
    if len(one) < FEW:
        return False
    ends, known = (np.quantile(part, ENDS, axis=0) for part in (one, other))
    width = np.ptp(other, axis=0)
    varying = width > 0
    apart = np.abs(ends - known).max(0)[varying] / width[varying]
    return bool(np.median(apart) > (FAR if columns else APART))
