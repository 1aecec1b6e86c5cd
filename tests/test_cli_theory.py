"""``kanerva theory``: the published numbers, and the errors."""

import json
import math
import sys

import pytest

from kanerva import cli
from kanerva.theory import overview

pytestmark = pytest.mark.untyped


@pytest.fixture
def theory(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kanerva", "theory", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, " ".join(printed.err.split())

    return run


def test_the_numbers_of_the_paper(theory):
    """Bricken and Pehlevan (2021): 64 bits, 1,024 patterns, a location at every point."""
    code, out, _ = theory("--bits", 64, "--patterns", 1024, "--json")
    assert code == 0
    designs = {design["criterion"]: design for design in json.loads(out)["designs"]}
    assert {name: design["radius"] for name, design in designs.items()} == {
        "snr": 11,
        "capacity": 5,
        "noise": 15,
    }
    assert [round(design["beta"]["published"], 1) for design in designs.values()] == [
        15.9,
        35.5,
        10.1,
    ]
    assert designs["noise"]["ties"] == [15, 16, 17]
    assert designs["noise"]["critical"]["independent"] == 30
    assert 2 ** designs["capacity"]["log2_capacity"] == pytest.approx(3.49e18, rel=0.01)
    assert 2 ** designs["snr"]["log2_active"] == pytest.approx(2**64 * 5.0292899e-08)


def test_kanervas_reference_memory(theory):
    code, out, _ = theory(
        "--bits", 1000, "--patterns", 10_000, "--locations", "1e6", "--radius", 451
    )
    assert code == 0
    assert "1,000,000 locations" in out
    for number in ("447", "444", "448", "449", "451", "1,072", "176"):
        assert number in out


def test_a_criterion_that_no_radius_meets_is_left_out(theory):
    code, out, _ = theory("--bits", 16, "--patterns", 100_000, "--locations", 50)
    assert code == 0
    assert "most noise" not in out
    assert "A criterion that no radius meets is left out" in out


def test_counts_beyond_floats_are_logarithms():
    designs = overview.describe(2000, 1000, other=900)
    assert all(math.isfinite(design["log2_active"]) for design in designs)
    assert max(design["log2_capacity"] for design in designs if design["log2_capacity"]) > 1024


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (("--bits", 1), "bits"),
        (("--patterns", 0), "patterns"),
        (("--locations", 0), "locations"),
        (("--locations", "nan"), "locations"),
        (("--locations", "many"), "locations"),
        (("--locations", "1e400"), "locations"),
        (("--locations", "inf"), "locations"),
        (("--locations", "1" + "0" * 400), "locations"),
        (("--bits", 100_000), "bits"),
        (("--fidelity", 1), "fidelity"),
        (("--fidelity", "nan"), "fidelity"),
        (("--radius", 64), "radius"),
        (("--radius", -1), "radius"),
    ],
)
def test_bad_input_ends_with_a_sentence(theory, arguments, argument):
    code, out, err = theory(*arguments)
    assert (code, out) == (2, "")
    assert f"{argument} must be" in err


@pytest.mark.parametrize("columns", [60, 80])
def test_numbers_are_not_cut_on_a_narrow_terminal(theory, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = theory("--bits", 1000, "--patterns", 10_000, "--locations", "1e6", "--radius", 451)[1]
    assert max(map(len, out.splitlines())) <= columns
    for number in ("0.0002212", "0.0005575", ">0.9999", "149,213"):
        assert number in out
