"""Entropic memories after random patterns, against enumeration, exact sums and simulation."""

import itertools
import math
from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from kanerva import InputError
from kanerva.theory import entropic


def bits(counts):
    """Return the entropy of counts divided by their sum."""
    total = sum(counts)
    return -sum(c / total * math.log2(c / total) for c in counts if c)


def exact(columns, levels, patterns, xi):
    """Sum the binomial distribution with 60 digits."""
    with mpmath.workdps(60):
        q = (1 - mpmath.mpf(1) / levels) ** patterns
        return float(
            mpmath.fsum(
                mpmath.binomial(columns, k) * q**k * (1 - q) ** (columns - k) for k in range(xi + 1)
            )
        )


def marked(levels, patterns):
    """Return the distribution of the number of marked levels, pattern by pattern."""
    chance, k = np.zeros(levels + 1), np.arange(levels + 1)
    chance[0] = 1
    for _ in range(patterns):
        new = chance * k / levels
        new[1:] += chance[:-1] * (levels - k[:-1]) / levels
        chance = new
    return chance


class TestAcceptance:
    def test_a_number_of_separate_code(self):
        assert entropic.acceptance(32, 16, 60) == pytest.approx(0.510, abs=5e-4)

    @pytest.mark.parametrize(("columns", "levels", "patterns"), [(2, 2, 1), (2, 3, 2), (1, 4, 3)])
    def test_every_memory_and_cue(self, columns, levels, patterns):
        every = list(itertools.product(range(levels), repeat=columns))
        found = Counter()
        for *stored, cue in itertools.product(every, repeat=patterns + 1):
            found[sum(all(row[j] != cue[j] for row in stored) for j in range(columns))] += 1
        for xi in range(columns + 1):
            share = Fraction(sum(found[k] for k in range(xi + 1)), found.total())
            assert entropic.acceptance(columns, levels, patterns, xi) == pytest.approx(float(share))

    @pytest.mark.parametrize("xi", [0, 2])
    def test_a_simulation(self, xi):
        columns, levels, patterns, trials = 32, 16, 60, 4000
        draw = np.random.default_rng(xi)
        stored = draw.integers(0, levels, (trials, patterns, columns), dtype=np.int8)
        cue = draw.integers(0, levels, (trials, 1, columns), dtype=np.int8)
        misses = (~(stored == cue).any(1)).sum(-1)
        theory = entropic.acceptance(columns, levels, patterns, xi)
        error = math.sqrt(theory * (1 - theory) / trials)
        assert abs((misses <= xi).mean() - theory) < 3.5 * error

    @pytest.mark.parametrize(
        "size",
        [
            (64, 256, 1000, 30),
            (2000, 8, 3, 1300),
            (64, 16, 1, 2),
            (2**31 - 1, 16, 330, 3),
            (2**31 - 1, 16, 300, 3),
            (50, 2**31 - 1, 1, 49),
            (100_000, 1000, 7000, 100),
            (10, 2, 10**18, 9),
        ],
    )
    def test_digits_of_small_and_huge_sizes(self, size):
        assert entropic.acceptance(*size) == pytest.approx(exact(*size), rel=1e-12, abs=0)

    @given(
        st.integers(1, 300), st.integers(1, 300), st.integers(0, 3000), st.floats(0, 1), st.data()
    )
    @settings(max_examples=60, deadline=None)
    def test_laws(self, columns, levels, patterns, share, drawn):
        xi = drawn.draw(st.integers(0, columns))
        found = entropic.acceptance(columns, levels, patterns, xi)
        assert 0 <= found <= 1
        near = found * (1 + 1e-9)
        assert found <= entropic.acceptance(columns, levels, patterns + 1, xi) * (1 + 1e-9)
        assert entropic.acceptance(columns, levels, patterns, max(0, xi - 1)) <= near
        assert entropic.acceptance(columns, levels + 1, patterns, xi) <= near
        if xi < columns:
            assert entropic.acceptance(columns + 1, levels, patterns, xi) <= near
            missed = (1 - 1 / levels) ** patterns
            assert found == pytest.approx(binom.cdf(xi, columns, missed), rel=1e-6, abs=1e-12)

    def test_ends(self):
        assert entropic.acceptance(4, 1, 0) == 0
        assert entropic.acceptance(4, 1, 1) == 1
        assert entropic.acceptance(4, 9, 0, xi=3) == 0
        assert entropic.acceptance(4, 9, 0, xi=4) == 1
        assert entropic.acceptance(4, 9, 2**63 - 1) == 1


class TestEntropy:
    @pytest.mark.parametrize(("levels", "patterns"), [(2, 1), (2, 6), (3, 5), (4, 4), (5, 2)])
    def test_every_column(self, levels, patterns):
        columns = [
            np.bincount(stored, minlength=levels)
            for stored in itertools.product(range(levels), repeat=patterns)
        ]
        counted = np.mean([bits(counts.tolist()) for counts in columns])
        binary = np.mean([bits(counts.clip(max=1).tolist()) for counts in columns])
        assert entropic.entropy(levels, patterns) == pytest.approx(counted, abs=1e-13)
        assert entropic.entropy(levels, patterns, cap=1) == pytest.approx(binary, abs=1e-13)

    def test_a_simulation(self):
        levels, patterns, trials = 16, 60, 4000
        stored = np.random.default_rng(0).integers(0, levels, (trials, patterns))
        counts = (stored[..., None] == np.arange(levels)).sum(1)
        for cap, published in ((None, 3.8064), (1, 3.9687)):
            kept = counts if cap is None else counts.clip(max=cap)
            found = np.array([bits(row) for row in kept.tolist()])
            theory = entropic.entropy(levels, patterns, cap)
            assert theory == pytest.approx(published, abs=5e-5)
            assert abs(found.mean() - theory) < 3.5 * found.std() / math.sqrt(trials)

    @pytest.mark.parametrize(
        ("levels", "patterns"), [(7, 100), (100, 3), (256, 1000), (1000, 300), (4096, 2000)]
    )
    def test_marked_levels_pattern_by_pattern(self, levels, patterns):
        chance = marked(levels, patterns)[1:]
        expected = float(chance @ np.log2(np.arange(1, levels + 1)))
        assert entropic.entropy(levels, patterns, 1) == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize(("levels", "patterns"), [(2, 1000), (1000, 50), (5, 20_000), (64, 64)])
    def test_counts_one_by_one(self, levels, patterns):
        counts = np.arange(1, patterns + 1)
        share = counts / patterns
        chance = binom.pmf(counts, patterns, 1 / levels)
        expected = -levels * math.fsum(chance * share * np.log2(share))
        assert entropic.entropy(levels, patterns) == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("levels", [2, 3, 16])
    def test_the_sum_and_the_series_agree(self, levels, monkeypatch):
        # Just beyond the variance from which the series is used.
        patterns = int(entropic.WIDE * levels / (1 - 1 / levels)) + 10 * levels
        series = entropic.entropy(levels, patterns)
        monkeypatch.setattr(entropic, "WIDE", 1e12)
        summed = entropic.entropy(levels, patterns)
        # Two values of which one is used here must differ in no digit of the distance to log2 m.
        assert series == pytest.approx(summed, rel=1e-14, abs=0)
        left = (levels - 1) / (2 * patterns * math.log(2))
        assert math.log2(levels) - series == pytest.approx(left, rel=1e-4)

    def test_a_million_patterns_and_more(self):
        assert entropic.entropy(16, 10**6) == pytest.approx(4 - 15 / (2e6 * math.log(2)), abs=1e-10)
        assert entropic.entropy(16, 10**6, 1) == pytest.approx(4, abs=1e-15)
        # As good as one pattern a level: one plus a Poisson number of mean one, in shares.
        alike = 2**31 - 1
        poisson = sum(math.exp(-1) / math.factorial(k) * math.log2(1 + k) for k in range(1, 30))
        assert entropic.entropy(alike, alike) == pytest.approx(math.log2(alike) - poisson, abs=1e-8)
        assert entropic.entropy(alike, 2**63 - 1) == pytest.approx(31, abs=1e-8)
        assert entropic.entropy(2**14, 2**63 - 1, 1) == 14

    @given(st.integers(1, 400), st.integers(0, 2000))
    @settings(max_examples=40, deadline=None)
    def test_laws(self, levels, patterns):
        counted, binary = (entropic.entropy(levels, patterns, cap) for cap in (None, 1))
        most = math.log2(min(levels, max(patterns, 1)))
        assert 0 <= counted <= binary + 1e-12
        assert binary <= most + 1e-12
        for cap, found in ((None, counted), (1, binary)):
            assert found <= entropic.entropy(levels, patterns + 1, cap) + 1e-12
            assert found <= entropic.entropy(levels + 1, patterns, cap) + 1e-12

    def test_caps(self):
        assert entropic.entropy(16, 60, cap=60) == entropic.entropy(16, 60, cap=1023)
        assert entropic.entropy(16, 60, cap=60) == entropic.entropy(16, 60)
        with pytest.raises(InputError, match=r"cap must be None, 1, or at least 60.*59, which a"):
            entropic.entropy(16, 60, cap=59)
        with pytest.raises(InputError, match="levels must be at most 16384 for a binary"):
            entropic.entropy(2**14 + 1, 60, cap=1)

    def test_ends(self):
        for cap in (None, 1):
            assert entropic.entropy(16, 0, cap) == entropic.entropy(16, 1, cap) == 0
            assert entropic.entropy(1, 1000, cap) == 0


class TestCapacity:
    def test_the_numbers_asked(self):
        sizes = ((64, 16), (64, 32), (1024, 16))
        assert [entropic.capacity(*size, 0.01) for size in sizes] == [41, 84, 83]

    @pytest.mark.parametrize("columns", [1, 2, 64, 1024, 2**31 - 1])
    @pytest.mark.parametrize("levels", [2, 16, 1000, 2**31 - 1])
    @pytest.mark.parametrize("false", [1e-300, 0.01, 0.3, 0.999])
    def test_the_closed_form(self, columns, levels, false):
        with mpmath.workdps(50):
            f, m = mpmath.mpf(false), mpmath.mpf(levels)
            expected = mpmath.log(1 - f ** (mpmath.mpf(1) / columns)) / mpmath.log(1 - 1 / m)
        assert entropic.capacity(columns, levels, false) == int(mpmath.floor(expected))

    @given(st.integers(1, 200), st.integers(2, 200), st.floats(1e-12, 0.999), st.data())
    @settings(max_examples=60, deadline=None)
    def test_one_more_pattern_is_too_many(self, columns, levels, false, drawn):
        xi = drawn.draw(st.integers(0, columns - 1))
        most = entropic.capacity(columns, levels, false, xi)
        assert entropic.acceptance(columns, levels, most, xi) <= false
        assert entropic.acceptance(columns, levels, most + 1, xi) > false

    def test_one_level_holds_none(self):
        assert entropic.capacity(64, 1, 0.5) == entropic.capacity(64, 1, 0.5, xi=63) == 0

    def test_a_bound_that_is_met_exactly(self):
        assert entropic.capacity(1, 2, 0.5) == 1
        assert entropic.capacity(1, 2, 0.49999) == 0
        assert entropic.capacity(1, 2, 0.75) == 2

    @pytest.mark.untyped
    @pytest.mark.parametrize(
        ("arguments", "part"),
        [
            ((64, 16, 0.0), "false must be a finite number > 0"),
            ((64, 16, 1.0), "false must be below 1, but it was 1"),
            ((64, 16, 2.0), "false must be"),
            ((64, 16, 0.01, 64), "xi must be an integer from 0 to 63"),
            ((64, 16, 0.01, 1.5), "xi must be an integer"),
            ((64, 16, 0.01, -1), "xi must be an integer"),
            ((0, 16, 0.01), "columns must be an integer"),
            ((64, 0, 0.01), "levels must be an integer"),
            ((64, 2**31, 0.01), "levels must be an integer from 1 to 2147483647"),
        ],
    )
    def test_refusals(self, arguments, part):
        with pytest.raises(InputError) as caught:
            entropic.capacity(*arguments)
        assert str(caught.value).startswith(f"entropic.capacity: {part}")
        with pytest.raises(InputError, match=r"^entropic\.acceptance: xi must be .* 0 to 64"):
            entropic.acceptance(64, 16, 10, 65)
