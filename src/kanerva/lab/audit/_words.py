"""The results of an audit in sentences, and how to read them."""

from collections.abc import Iterator, Mapping
from typing import Any

from kanerva.lab.audit._load import Files
from kanerva.lab.report import written

__all__ = ["chance", "far", "notes", "ratio", "verdicts", "warned"]

Row = Mapping[str, Any]
# Below this p, the test is taken to have found something.
SURE = 0.05
# Shares from which something is warned of: training rows that are near to one another, and
# hold-out rows that would be called copies.
DENSE, CALLED = 0.05, 0.01
# A ratio beyond which its number says nothing, and hold-out rows below which a test does.
MANY, FEW = 1000, 20


def verdicts(known: Row, manifest: Row) -> list[str]:
    """Say how many samples copy, repeat or do neither, and whether the model copies.

    Args:
        known: rows, thresholds, copying, repeats and copied, as in ``Audit``.
        manifest: of the audit.
    """
    return [
        *_passed(known, manifest),
        *_copies(known, manifest),
        *_often(known),
        *_repeated(known, manifest),
        *_new(known),
        *_controlled(known, manifest),
        *_tested(known, manifest),
    ]


def _copies(known: Row, manifest: Row) -> Iterator[str]:
    """Count the copies."""
    row, limit = known["rows"][0], far(known["thresholds"]["memorised"])
    if not row["count"]:
        none = f"{_none(row, manifest)} is a copy of a training row"
        yield f"{none}: none is within {limit} of one (memorised)."
        return
    verb = "is a copy" if row["count"] == 1 else "are copies"
    exact = manifest["equal_to_train"]
    more = ""
    if exact == row["count"] > 1:
        more = "; all of them equal it"
    elif exact and row["count"] > 1:
        more = f"; {exact:,} of them {'equals' if exact == 1 else 'equal'} it"
    elif exact:
        more = "; it equals it"
    start = f"{_share(row, manifest)} {verb} of a training row (memorised)"
    yield f"{start}: within {limit} of it{more}."


def _often(known: Row) -> Iterator[str]:
    """Name the training row that is copied most often."""
    rows = known["copied"]
    if rows and rows[0]["times"] > 1:
        differ = "1 training row is" if len(rows) == 1 else f"{len(rows):,} training rows are"
        yield (
            f"{differ} copied; row {rows[0]['row']:,}, counted from 0, most often: "
            f"{rows[0]['times']:,} times."
        )


def _repeated(known: Row, manifest: Row) -> Iterator[str]:
    """Count the spurious samples, and all that repeat."""
    row, limit = known["rows"][1], far(known["thresholds"]["spurious"])
    verb = "is" if row["count"] == 1 else "are"
    if row["count"]:
        yield (
            f"{_share(row, manifest)} {verb} no copy but within {limit} of another sample: a state "
            "that the model returns again, though it is no training row (spurious)."
        )
    else:
        near = f"is within {limit} of another sample without being a copy (spurious)"
        yield f"{_none(row, manifest)} {near}."
    groups = known["repeats"]
    if groups:
        total, size = sum(group["size"] for group in groups), groups[0]["size"]
        number = "1 group" if len(groups) == 1 else f"{len(groups):,} groups"
        equal = manifest["equal_to_another"]
        yield (
            f"{total:,} samples, copies or not, repeat one another in {number}, the largest of "
            f"{size:,}; {equal:,} {'equals' if equal == 1 else 'equal'} another one."
        )


def _new(known: Row) -> Iterator[str]:
    """Say what is left."""
    row = known["rows"][2]
    if row["count"]:
        are = "is" if row["count"] == 1 else "are"
        yield (
            f"The other {row['count']:,} ({written(row['share'], 'share')}) {are} near neither "
            "(generalised). This says nothing of their quality: noise is near neither, too."
        )


def _tested(known: Row, manifest: Row) -> Iterator[str]:
    """Say what the test of copying found, or what cannot be said without a hold-out."""
    found = known["copying"]
    if not found:
        yield (
            "Without a hold-out it cannot be said whether samples are nearer to the training rows "
            "than fresh rows of the same source are: how near a good sample lies depends on how "
            "dense the data are. Give rows that the model was not trained on with --holdout."
        )
        return
    if found["overlap"] == manifest["holdout"]:
        yield (
            "The hold-out is none: all of its rows are training rows, so that the test of copying "
            "says nothing."
        )
        return
    pairs = (
        f"of a sample and a hold-out row, the sample is the nearer one in "
        f"{written(found['auc'], 'share')} of pairs (50% without copying; Mann-Whitney, "
        f"{chance(found['p'])})"
    )
    medians = (
        f"The median distances are {far(found['near'])} (samples) and {far(found['usual'])} "
        f"(hold-out); the samples are "
        f"{ratio(found['ratio'])} times as far from the hold-out as from as many training rows"
    )
    if found["p"] < SURE:
        yield (
            f"As a whole, samples are nearer to the training rows than fresh rows are: {pairs}. "
            f"{medians}."
        )
    elif 1 - found["p"] < SURE:
        yield (
            f"As a whole, samples are farther from the training rows than fresh rows are: {pairs}. "
            f"{medians}. They may be noisy, or miss a part of the data."
        )
    else:
        yield (
            f"As a whole, samples are not shown to be nearer to the training rows than fresh rows "
            f"are: {pairs}. "
            f"{medians}. A few copies among many samples do not show in this test."
        )


def _controlled(known: Row, manifest: Row) -> Iterator[str]:
    """Compare the share of copies with that among hold-out rows."""
    found, held = known["copying"], manifest["holdout"]
    if not found or found["overlap"] == held:
        return
    share, limit = known["rows"][0]["holdout"], far(known["thresholds"]["memorised"])
    start = (
        f"Of {held:,} hold-out rows, {round(share * held):,} ({written(share, 'share')}) are "
        f"within {limit} of a training row"
    )
    if found["excess_p"] < SURE:
        yield (
            f"{start}: the samples hold more copies than chance gives (Fisher's test, "
            f"{chance(found['excess_p'])})."
        )
    else:
        yield (
            f"{start}: the samples do not hold more of such rows than that, beyond chance "
            f"(Fisher's test, {chance(found['excess_p'])})."
        )


def _passed(known: Row, manifest: Row) -> Iterator[str]:
    """Compare the share of copies with the largest that passes."""
    limit = manifest["fail_above"]
    if limit is not None:
        share = known["rows"][0]["share"]
        failed = share > limit
        yield (
            f"{'Failed' if failed else 'Passed'}: the share of copies, {_fine(share)}, is "
            f"{'' if failed else 'not '}above {_fine(limit)}, the largest that passes."
        )


def warned(files: Files, known: Row, manifest: Row) -> list[str]:
    """Say what makes the shares unsafe.

    Args:
        files: that were compared.
        known: as in ``verdicts``.
        manifest: of the audit.
    """
    return [*files.warnings, *_dense(known), *_overlap(known, manifest), *_counted(manifest)]


def _dense(known: Row) -> Iterator[str]:
    """Warn where training rows, or fresh ones, are as near as a copy must be."""
    found = known["thresholds"]
    limit = far(found["memorised"])
    if found["dense"] and found["dense"] >= DENSE:
        wrong = " The threshold is above the median distance between neighbours:"
        wrong = wrong if found["median"] <= found["memorised"] else " Copies are overstated:"
        yield (
            f"The training rows are too dense for the threshold {limit}: "
            f"{written(found['dense'], 'share')} of them have another one within it."
            f"{wrong} a new sample among them is called a copy. Choose a smaller --memorised, "
            "or rely on the test of copying."
        )
    called = known["rows"][0]["holdout"]
    overlap = known["copying"].get("overlap", 0)
    if called is not None and called > CALLED and not overlap:
        yield (
            f"{written(called, 'share')} of the hold-out rows are within {limit} of a training "
            "row, without being copies: only the share of samples beyond that says something."
        )


def _overlap(known: Row, manifest: Row) -> Iterator[str]:
    """Warn where files share rows."""
    found = known["copying"]
    if found.get("overlap"):
        number, held = found["overlap"], manifest["holdout"]
        are = "is also a training row" if number == 1 else "are also training rows"
        yield (
            f"{number:,} of {held:,} hold-out rows {are}. Such rows make fresh ones look nearer "
            "than they are, and hide copying: take them out of the hold-out, unless the source "
            "repeats rows by itself."
        )
    if found.get("shown"):
        number = found["shown"]
        are = "sample equals" if number == 1 else "samples equal"
        yield (
            f"{number:,} {are} a hold-out row. A model that was not trained on the hold-out "
            "returns none of its rows, unless rows are short and discrete."
        )


def _counted(manifest: Row) -> Iterator[str]:
    """Warn where there are few hold-out rows, or copies among the training rows."""
    held = manifest["holdout"]
    if held is not None and held < FEW:
        yield f"{held} hold-out rows are few: the tests find strong copying only."
    copies = manifest["train_copies"]
    if copies:
        is_ = "is a copy of an earlier one" if copies == 1 else "are copies of earlier ones"
        yield (
            f"{copies:,} of {manifest['train']:,} training rows {is_}. Rows that occur more often "
            "are memorised first; for the thresholds each counts once."
        )


def notes(files: Files, known: Row, manifest: Row) -> list[str]:
    """Say what was done, and how to read the numbers.

    Args:
        files: that were compared.
        known: as in ``verdicts``.
        manifest: of the audit.
    """
    found = known["thresholds"]
    count = f"{manifest['resamples']:,}"
    said = [
        _reasons(found),
        "A sample within the first threshold of a training row is memorised; another one within "
        "the second of another sample is spurious; the rest is generalised. More samples find more "
        "spurious ones: compare models by as many.",
        "Distances are plain: a copy that is shifted, mirrored or brighter is not found. To find "
        "such copies, compare features of the rows rather than the rows.",
        f"Intervals are those of {count} resamples of the samples (bootstrap, seed "
        f"{manifest['seed']}, 2.5% to 97.5%); where none or all are of a kind, the exact binomial "
        "end. They say how much other samples of the same model would differ.",
    ]
    if known["copying"]:
        said.append(
            "The test takes samples and hold-out rows for independent, and the hold-out for rows "
            "of the source of the training rows."
        )
    else:
        said.append(
            "The curve of training rows to another one stands in for fresh rows; it does so only "
            "where training rows are drawn independently, without near copies such as frames of a "
            "film."
        )
    return [*said, *files.notes]


def _reasons(found: Row) -> str:
    """Say why the thresholds are what they are."""
    given = [name for name in ("memorised", "spurious") if found[f"{name}_why"] == "given"]
    limits = f"Thresholds: memorised {far(found['memorised'])}, spurious {far(found['spurious'])}"
    if found["median"] is None:
        return f"{limits}, both given."
    median = f"the median distance between neighbours of the training rows, {far(found['median'])}"
    usual = "far below the distance of rows that are merely alike, and above small noise"
    if len(given) == 2:
        return f"{limits}, both given; {median}."
    if not given:
        return f"{limits}: a quarter and a tenth of {median}, {usual}."
    share = "a tenth" if given == ["memorised"] else "a quarter"
    other = "spurious" if given == ["memorised"] else "memorised"
    return f"{limits}: {given[0]} was given, {other} is {share} of {median}."


def _share(row: Row, manifest: Row) -> str:
    """Write a count, its share and the interval."""
    low, high = (written(row[end], "share") for end in ("low", "high"))
    return (
        f"{row['count']:,} of {manifest['samples']:,} samples "
        f"({written(row['share'], 'share')}, 95% interval {low} to {high})"
    )


def _none(row: Row, manifest: Row) -> str:
    """Write that there is none, with the end of the interval."""
    high = written(row["high"], "share")
    return f"None of {manifest['samples']:,} samples (0%, 95% interval 0% to {high})"


def _fine(share: float) -> str:
    return f"{100 * share:.4g}%"


def far(distance: float) -> str:
    """Write a distance with three digits.

    Example:
        >>> far(0.25194), far(0.0), far(3.2e-9), far(1234.5)
        ('0.252', '0', '3.2e-09', '1,234')
    """
    return f"{distance:,.0f}" if distance >= 1000 and distance < 1e6 else f"{distance:.3g}"


def ratio(value: float | None) -> str:
    """Write a ratio of distances; None is infinite.

    Example:
        >>> ratio(1.0312), ratio(29.6), ratio(1e86), ratio(None)
        ('1.03', '29.6', 'more than 1,000', 'infinitely many')
    """
    if value is None:
        return "infinitely many"
    return f"more than {MANY:,}" if value > MANY else f"{value:.3g}"


def chance(p: float) -> str:
    """Write a p-value.

    Example:
        >>> chance(0.92), chance(0.0518), chance(2.1e-144), chance(0.0)
        ('p = 0.92', 'p = 0.052', 'p = 2e-144', 'p < 1e-300')
    """
    if p < 1e-300:
        return "p < 1e-300"
    return f"p = {p:.2g}" if p >= 1e-3 else f"p = {p:.0e}".replace("e-0", "e-")
