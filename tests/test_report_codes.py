"""The page of a comparison of several codes, from made-up rows."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from kanerva import InputError
from kanerva.lab import report
from kanerva.lab.report import Numbers

CODECS = ("none", "bits:2048")
LEVELS = (0.0, 0.1)
CAPACITY = "How many patterns each memory holds"


def rows(codecs=CODECS, memories=("hopfield", "sdm", "nearest"), **changes):
    """Return rows, one code after another, whose numbers tell memory, code, level and seed."""
    return [
        {
            "memory": memory,
            "title": memory.title(),
            "codec": codec,
            "damage": "flip",
            "level": level,
            "seed": seed,
            "exact": 0.5 + 0.1 * place + 0.05 * code - level + 0.01 * seed,
            "bytes": 1000 * (1 + code),
        }
        | changes
        for code, codec in enumerate(codecs)
        for place, memory in enumerate(memories)
        for level in LEVELS
        for seed in range(2)
    ]


def held(**changes):
    return {
        "memory": "sdm",
        "title": "Sdm",
        "codec": "none",
        "level": 0.1,
        "holds": 256,
        "low": 192,
        "high": 320,
        "theory": 512.0,
    } | changes


def parameter(**changes):
    return {
        "memory": "sdm",
        "title": "Sdm",
        "codec": "none",
        "name": "radius",
        "value": 3,
        "why": "the best of a grid",
        "theory": 11,
        "tuned": 3,
        "gain": 0.73,
    } | changes


def page(**changes):
    numbers = Numbers(**({"rows": rows(), "columns": ["exact", "bytes"]} | changes))
    empty = {"verdicts": [], "figures": [], "notes": [], "manifest": {}}
    return report.page(heading=("Digits", ""), numbers=numbers, **empty)


class Tables(HTMLParser):
    """The tables of a page by class: for each row the text of its cells; rows spanned count."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.cell, self.spans, self.heads = {}, None, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "table":
            self.lines = self.tables.setdefault(given["class"], [])
        elif tag == "tr":
            self.lines.append([])
            # A cell that reaches down from a row above takes the first place.
            if self.spans and self.spans[-1][1] > 0:
                self.lines[-1].append(self.spans[-1][0])
                self.spans[-1][1] -= 1
        elif tag in ("td", "th"):
            self.cell = ""
            self.rowspan = int(given.get("rowspan", 1))
            self.heads.append(given.get("scope"))
        elif tag == "small":
            self.cell += " "

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.lines[-1].append(self.cell.strip())
            if self.rowspan > 1:
                self.spans.append([self.cell.strip(), self.rowspan - 1])
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


def table(text, look) -> Sequence[Sequence[str]]:
    return Tables(text).tables[look]


def shown(text):
    """Return the text of the cards of parameters, a line for each element."""
    start = text.index('<div class="cards')
    cards = text[start : text.index("</section>", start)]
    plain = re.sub(r"<[^>]+>", "\n", cards)
    return [line.strip() for line in plain.split("\n") if line.strip()]


# Results


def test_summary_keeps_codes_apart_in_the_order_of_the_rows():
    lines = report.summarise(rows(), 0.1)
    assert [(line["memory"], line["codec"]) for line in lines] == [
        (memory, codec) for codec in CODECS for memory in ("hopfield", "sdm", "nearest")
    ]
    assert lines[1]["exact"] == pytest.approx(0.6 - 0.1 + 0.005)
    assert lines[4]["exact"] == pytest.approx(0.65 - 0.1 + 0.005)
    assert {line["seeds"] for line in lines} == {2}
    assert "codec_sd" not in lines[0]


def test_rows_without_a_code_have_none():
    bare = [
        {name: value for name, value in row.items() if name != "codec"} for row in rows(["none"])
    ]
    assert report.summarise(bare, 0.1) == report.summarise(rows(["none"]), 0.1)
    assert page(rows=bare) == page(rows=rows(["none"]))
    # The two are one code.
    mixed = report.summarise([*bare, *rows(["none"], seed=2)], 0.1)
    assert [line["seeds"] for line in mixed] == [3, 3, 3]


def test_result_has_a_group_of_lines_for_each_memory():
    text = page()
    assert table(text, "pivot coded") == [
        ["", "bits flipped"],
        ["memory", "code", "0%", "10%"],
        ["Hopfield", "none", "50.5% ±0.7", "40.5% ±0.7"],
        ["Hopfield", "bits:2048", "55.5% ±0.7", "45.5% ±0.7"],
        ["Sdm", "none", "60.5% ±0.7", "50.5% ±0.7"],
        ["Sdm", "bits:2048", "65.5% ±0.7", "55.5% ±0.7"],
        ["Nearest", "none", "70.5% ±0.7", "60.5% ±0.7"],
        ["Nearest", "bits:2048", "75.5% ±0.7", "65.5% ±0.7"],
    ]
    assert text.count('<tr class="baseline">') == 2 + 2 * len(LEVELS)
    scopes = [scope for scope in Tables(text).heads if scope is not None]
    assert scopes.count("rowgroup") == 3
    assert set(scopes) == {"row", "col", "colgroup", "rowgroup"}


def test_result_of_one_code_has_no_column_for_it():
    text = page(rows=rows(["bits:2048"]))
    assert table(text, "pivot")[1:3] == [
        ["memory", "0%", "10%"],
        ["Hopfield", "50.5% ±0.7", "40.5% ±0.7"],
    ]
    assert "rowgroup" not in text
    assert 'class="code"' not in text
    assert table(text, "full")[0] == ["memory", "exact", "size"]


def test_a_memory_that_one_code_lacks_has_one_line_and_a_missing_level_a_dash():
    some = [row for row in rows() if (row["memory"], row["codec"]) != ("sdm", "bits:2048")]
    some = [row for row in some if (row["memory"], row["level"]) != ("hopfield", 0.1)]
    lines = table(page(rows=some), "pivot coded")
    assert [line[:2] for line in lines if line[0] == "Sdm"] == [["Sdm", "none"]]
    assert [line[3] for line in lines if line[0] == "Hopfield"] == ["–", "–"]


def test_full_tables_have_a_column_of_codes():
    lines = table(page(), "full coded")
    assert lines[0] == ["memory", "code", "exact", "size"]
    assert lines[1] == ["Hopfield", "none", "50.5%", "1.00\xa0kB"]
    assert lines[4] == ["Hopfield", "bits:2048", "55.5%", "2.00\xa0kB"]
    assert len(lines) == len(LEVELS) * (1 + 3 * len(CODECS))
    assert "<dt>code</dt>" in page()
    assert "<dt>code</dt>" not in page(rows=rows(["none"]))


# Capacity


def test_capacity_is_beside_theory():
    capacity = [
        held(),
        held(codec="bits:2048", holds=1750, low=1750, high=1750, theory=2.0**64),
        held(memory="nearest", title="Nearest", low=None, high=None, theory=None),
        held(memory="nearest", title="Nearest", codec="bits:2048", holds=0, low=0, high=6),
    ]
    text = page(capacity=capacity)
    assert table(text, "held coded") == [
        ["memory", "code", "holds", "theory, random", "ratio"],
        ["Sdm", "none", "256 192 to 320", "512", "0.50"],
        ["Sdm", "bits:2048", "1,750", "1.8 × 10¹⁹", "<0.001"],
        ["Nearest", "none", "256", "–", "–"],
        ["Nearest", "bits:2048", "0 0 to 6", "512", "0"],
    ]
    assert "at least 95% of the cues" in text
    assert "0 where that fails for the smallest number tried" in text
    assert "Bits flipped: 10%." in text


def test_capacity_of_one_code():
    text = page(rows=rows(["none"]), capacity=[held(low=None, high=None)], share=0.9)
    assert table(text, "held") == [
        ["memory", "holds", "theory, random", "ratio"],
        ["Sdm", "256", "512", "0.50"],
    ]
    assert "at least 90% of the cues" in text
    assert "the smallest number tried" not in text
    assert "interval" not in text


def test_page_without_capacity_has_no_section_for_it():
    assert CAPACITY in page(capacity=[held()])
    assert CAPACITY not in page()


@pytest.mark.parametrize(
    ("holds", "theory", "written", "ratio"),
    [
        (0, 0, "0", "–"),
        (4, 8.96, "9.0", "0.45"),
        (90, 8.96, "9.0", "10"),
        (1750, 4, "4", "438"),
        (1, 999.0, "999", "0.0010"),
        (1, 1001.4, "1,001", "<0.001"),
        (1, 1e9, "1.0 × 10⁹", "<0.001"),
        (4, 9.99e11, "1.0 × 10¹²", "<0.001"),
        (4, 2.0**1023, "9.0 × 10³⁰⁷", "<0.001"),
    ],
)
def test_theory_and_ratio_of_any_size(holds, theory, written, ratio):
    text = page(rows=rows(["none"]), capacity=[held(holds=holds, theory=theory, low=None)])
    assert table(text, "held")[1][-2:] == [written, ratio]


# Parameters


def test_parameters_tell_what_tuning_gained():
    text = page(rows=rows(["none"]), parameters=[parameter()])
    assert shown(text) == [
        "Sdm",
        "radius = 3",
        "the best of a grid",
        "Theory gives 11; tuning gains 73.0 percentage points.",
    ]
    assert "What tuning gains is" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gain": -0.012}, "Theory gives 11; tuning loses 1.2 percentage points."),
        ({"gain": 0.0}, "Theory gives 11; tuning gains nothing."),
        ({"gain": 0.0004}, "Theory gives 11; tuning gains less than 0.1 percentage points."),
        ({"gain": None}, "Tuned; theory gives 11."),
        ({"theory": 3, "gain": 0.0}, "Tuned; theory's value is kept."),
        ({"theory": None, "gain": None}, "Tuned."),
        ({"theory": 0.123456789, "gain": None}, "Tuned; theory gives 0.123457."),
        ({"tuned": None, "gain": None}, "Theory gives 11."),
        ({"tuned": None, "gain": None, "theory": 3}, None),
        ({"tuned": None, "gain": None, "theory": None}, None),
    ],
)
def test_each_kind_of_parameter_has_its_sentence(changes, sentence):
    lines = shown(page(rows=rows(["none"]), parameters=[parameter(**changes)]))
    # The parser of the text escapes the apostrophe.
    found = [line.replace("&#39;", "'") for line in lines[3:]]
    assert found == ([] if sentence is None else [sentence])


def test_equal_parameters_of_codes_are_merged():
    text = page(
        parameters=[
            parameter(),
            parameter(codec="bits:2048", value=780, tuned=780, theory=780),
            parameter(memory="hopfield", title="Hopfield", name="steps", theory=3),
            parameter(memory="hopfield", title="Hopfield", name="steps", theory=3, codec=CODECS[1]),
        ]
    )
    lines = shown(text)
    assert lines[0] == "Sdm"
    assert [line for line in lines if line.startswith("code")] == [
        "code: none",
        "code: bits:2048",
        "code: none, bits:2048",
    ]
    assert lines[lines.index("Hopfield") + 1] == "code: none, bits:2048"
    assert [line for line in lines if " = " in line] == ["radius = 3", "radius = 780", "steps = 3"]


def test_values_of_parameters_are_written_with_six_digits():
    given = {"theory": None, "tuned": None, "gain": None}
    for value, text in ((1 / 3, "0.333333"), (None, "–"), (True, "True"), ("a", "a"), (7, "7")):
        lines = shown(page(parameters=[parameter(value=value, **given)]))
        assert f"radius = {text}" in lines


# Text, columns of the terminal, and bad input


def test_all_text_is_escaped():
    evil = "<script>alert(1)</script>\"'&"
    text = page(
        rows=[*rows([evil], title=evil), *rows(["none"])],
        capacity=[held(title=evil, codec=evil)],
        parameters=[parameter(title=evil, codec=evil, name=evil, value=evil, why=evil, tuned=evil)],
    )
    assert "<script" not in text
    assert evil in [cell for line in table(text, "held coded") for cell in line]
    assert evil in [cell for line in table(text, "pivot coded") for cell in line]


def test_terminal_table_has_code_parameter_and_holds():
    line = {"memory": "sdm", "codec": "bits:2048", "parameter": "radius = 780", "holds": 1750}
    grid = report.table([line, line | {"holds": None}], ["codec", "parameter", "holds"])
    assert [column.header.plain for column in grid.columns] == ["code", "parameter", "holds"]
    assert [[cell.plain for cell in column.cells] for column in grid.columns] == [
        ["bits:2048"] * 2,
        ["radius = 780"] * 2,
        ["1,750", "–"],
    ]


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: report.summarise(rows(codec=2), 0.1), "rows, column 'codec', must be the name"),
        (lambda: page(rows=rows(codec=None)), "report.page: rows, column 'codec', must be the"),
        (lambda: page(capacity=[held(codec=1)]), "capacity, column 'codec', must be the name"),
        (lambda: page(capacity=[{"memory": "sdm"}]), "capacity must be dicts with the key 'title'"),
        (lambda: page(capacity=[held(holds=None)]), "capacity, column 'holds', must be a finite"),
        (lambda: page(capacity=[held(holds=-1)]), "column 'holds', must be a finite number >= 0"),
        (lambda: page(capacity=[held(theory=float("inf"))]), "column 'theory', must be a finite"),
        (
            lambda: page(capacity=[held(), held(level=0.2)]),
            "capacity must be of one level of damage, but it was 0.1, 0.2; give those of one level",
        ),
        (lambda: page(parameters=[{"memory": "sdm"}]), "parameters must be dicts with the key"),
        (lambda: page(parameters=[parameter(gain="much")]), "parameters, column 'gain', must be"),
        (lambda: page(parameters=[parameter(gain=float("nan"))]), "column 'gain', must be a fin"),
        (lambda: page(share=0), "share must be"),
        (lambda: page(share=1.5), "share must be"),
    ],
)
def test_bad_numbers_are_refused(call, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        call()
