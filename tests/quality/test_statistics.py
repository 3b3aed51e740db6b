"""Rates, agreement and sample sizes against published worked examples, other implementations and their own laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sklearn.metrics import cohen_kappa_score

from maploop.errors import InputError
from maploop.quality.statistics import (
    Metric,
    cohen_kappa,
    design_effect,
    krippendorff_alpha,
    margin_for,
    mean,
    proportion,
    sample_size_for,
    wilson_interval,
)

LABELS = some.lists(some.tuples(some.sampled_from("abc"), some.sampled_from("abc")), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_intervals_of_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(some.integers(0, 500), some.integers(1, 500), some.floats(0.5, 0.999))
def test_wilson_holds_the_rate_and_narrows_with_less_confidence(successes: int, more: int, confidence: float) -> None:
    n = successes + more
    low, high = wilson_interval(successes, n, confidence)
    assert 0 <= low <= successes / n <= high <= 1
    inner_low, inner_high = wilson_interval(successes, n, confidence / 2)
    assert low <= inner_low <= inner_high <= high


def test_wilson_knows_nothing_when_nothing_was_tried() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert proportion(0, 0, 12) == Metric(None, 0, 12)


@pytest.mark.parametrize(("successes", "n"), [(3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int) -> None:
    with pytest.raises(InputError, match=f"{successes} of {n} is not a proportion"):
        wilson_interval(successes, n)


def test_sample_sizes_are_those_of_the_textbook() -> None:
    # Krejcie and Morgan (1970), Determining sample size for research activities, table 1 (their z^2 is 3.841).
    for population, size in ((100, 80), (500, 217), (1000, 278), (10_000, 370)):
        assert sample_size_for(0.05, population) == pytest.approx(size, abs=1)
    assert sample_size_for(0.05, 10**12) == 385


@given(some.floats(0.005, 0.5), some.integers(0, 10**7), some.floats(0, 1))
def test_a_sample_is_never_larger_than_the_population_and_keeps_the_margin(
    margin: float, population: int, rate: float
) -> None:
    size = sample_size_for(margin, population, rate)
    assert (size == 0) == (population == 0)
    assert size <= population
    if population:
        assert margin_for(size, population, rate) <= margin * 1.001


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": 0, "population": 5}, "0 is not a margin"),
        ({"margin": 5, "population": 5}, "5 is not a margin"),
        ({"margin": 0.1, "population": 5, "expected_rate": 2}, "2 is not an expected rate"),
        ({"margin": 0.1, "population": 5, "confidence": 95}, "95 is not a confidence"),
    ],
)
def test_a_wrong_wish_for_a_sample_is_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample_size_for(**arguments)  # type: ignore[arg-type]


def test_clusters_of_one_have_no_design_effect() -> None:
    assert design_effect(1, 0.3) == 1
    assert design_effect(11, 0.1) == 2


def test_kappa_is_that_of_the_worked_example() -> None:
    # Two readers, 50 proposals, 20 both yes, 15 both no, 5 and 10 apart; standard error 0.127.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    kappa = cohen_kappa(first, second)
    assert kappa.value == pytest.approx(0.4)
    assert (kappa.low, kappa.high) == pytest.approx((0.151, 0.649), abs=5e-4)
    assert (kappa.scored, kappa.total) == (50, 50)


@given(LABELS)
def test_kappa_is_what_scikit_learn_says_and_does_not_care_who_is_first(pairs: list[tuple[str, str]]) -> None:
    first, second = zip(*pairs, strict=True)
    kappa = cohen_kappa(first, second)
    if len({*first, *second}) < 2:
        assert kappa.value is None
        return
    assert kappa.value == pytest.approx(cohen_kappa_score(first, second))
    low, value, high = np.array([kappa.low, kappa.value, kappa.high], dtype=float)
    assert low <= value <= high
    swapped = cohen_kappa(second, first)
    # A variance of nothing but rounding has a root of 1e-8.
    assert (swapped.value, swapped.low, swapped.high) == pytest.approx((kappa.value, kappa.low, kappa.high), abs=1e-6)


def test_kappas_interval_is_as_wide_as_resampling_makes_it() -> None:
    generator = np.random.default_rng(7)
    first = generator.integers(0, 3, 400)
    second = np.where(generator.random(400) < 0.7, first, generator.integers(0, 3, 400))
    resampled = []
    for _ in range(400):
        chosen = generator.integers(0, 400, 400)
        resampled.append(cohen_kappa_score(first[chosen], second[chosen]))
    kappa = cohen_kappa(first.tolist(), second.tolist())
    assert kappa.high is not None
    assert kappa.low is not None
    assert (kappa.high - kappa.low) / (2 * 1.96) == pytest.approx(np.std(resampled), rel=0.15)


def test_kappa_refuses_labels_that_do_not_come_in_pairs() -> None:
    with pytest.raises(InputError, match="2 against 1"):
        cohen_kappa(["a", "b"], ["a"])


def units(*rows: str) -> list[dict[str, str]]:
    """One row a person, one character a unit, a dot where that person did not look."""
    return [
        {f"person {index}": label for index, label in enumerate(column) if label != "."}
        for column in zip(*rows, strict=True)
    ]


@pytest.mark.parametrize(
    ("rows", "alpha"),
    [
        # Krippendorff (2011), Computing Krippendorff's alpha-reliability: A (binary), B (nominal), C (missing data).
        (("0100000000", "1110010100"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_alpha_is_that_of_krippendorffs_examples(rows: tuple[str, ...], alpha: float) -> None:
    assert krippendorff_alpha(units(*rows)).value == pytest.approx(alpha, abs=5e-4)


def test_alpha_counts_units_that_two_people_saw() -> None:
    found = krippendorff_alpha(units("12.1", "1.2.", "2..."))
    assert (found.scored, found.total) == (1, 4)


def test_alpha_says_nothing_when_there_is_one_label_only() -> None:
    assert krippendorff_alpha(units("aaa", "aaa")).value is None
    assert krippendorff_alpha([]) == Metric(None, 0, 0)


@given(LABELS.filter(lambda pairs: len({each for pair in pairs for each in pair}) > 1))
def test_alpha_of_two_people_is_scotts_pi_for_small_samples(pairs: list[tuple[str, str]]) -> None:
    # Krippendorff (2004): alpha = 1 - (1 - pi) (2 N - 1) / (2 N).
    n = len(pairs)
    pooled = [each for pair in pairs for each in pair]
    observed = sum(a == b for a, b in pairs) / n
    expected = sum((pooled.count(label) / (2 * n)) ** 2 for label in set(pooled))
    pi = (observed - expected) / (1 - expected)
    alpha = krippendorff_alpha([{1: a, 2: b} for a, b in pairs])
    assert alpha.value == pytest.approx(1 - (1 - pi) * (2 * n - 1) / (2 * n))


def test_a_mean_says_what_it_rests_on() -> None:
    # Student's t for 4 degrees of freedom is 2.7764.
    found = mean([0.5, 0.6, 0.7, 0.8, 0.9], total=9)
    assert found.value == pytest.approx(0.7)
    half = 2.7764 * 0.15811 / 5**0.5
    assert (found.low, found.high) == pytest.approx((0.7 - half, 0.7 + half), abs=1e-4)
    assert (found.scored, found.total) == (5, 9)
    assert mean([0.3]) == Metric(0.3, 1, 1)
    assert mean([]) == Metric(None, 0, 0)


def test_a_figure_is_read_with_its_interval_and_its_number() -> None:
    assert proportion(4, 100).text() == "4.0 % (1.6 to 9.8, n 100)"
    assert Metric(0.5, 2, 2).text(percent=False) == "0.50 (n 2)"
    assert Metric(None, 0, 4).text() == "–"
