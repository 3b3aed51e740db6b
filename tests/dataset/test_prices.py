"""Prices and token estimates."""

import pytest

from maploop.dataset.prices import price_table
from maploop.dataset.tokens import estimate_training, image_tokens, text_tokens


def test_a_tuned_model_costs_what_its_base_says() -> None:
    table = price_table()
    tuned = table.price_of("ft:gpt-4o-2024-08-06:org::id")
    assert tuned is not None
    assert (tuned.training, tuned.input, tuned.output) == (25.0, 3.75, 15.0)
    base = table.price_of("gpt-4o")
    assert base is not None
    assert base.input == 2.5
    assert table.training_price("gpt-4.1-mini") == 5.0


def test_an_unknown_model_has_no_price_rather_than_a_guess() -> None:
    assert price_table().price_of("llama-9") is None
    assert price_table().price_of("gpt-4o-mini") is None
    assert price_table().training_price("gpt-6-luna") is None
    assert image_tokens(512, 512, "llama-9") is None


@pytest.mark.parametrize(
    ("size", "model", "expected"),
    [
        (512, "gpt-4o", 255),
        (1024, "gpt-4o", 765),
        (512, "gpt-4.1", 255),
        (512, "gpt-6-luna", 308),
        (512, "gpt-4.1-mini", 415),
        (4096, "gpt-4o-2024-08-06", 765),
    ],
)
def test_pictures_cost_what_the_formula_says(size: int, model: str, expected: int) -> None:
    assert image_tokens(size, size, model) == expected


def test_a_picture_of_low_detail_costs_the_base() -> None:
    assert image_tokens(512, 512, "gpt-4o", "low") == 85


def test_a_thousand_tiles_cost_about_what_was_worked_out() -> None:
    estimate = estimate_training(1000 * (255 + 300 + 400), 3)
    assert estimate["billed_tokens"] == 2_865_000
    assert estimate["cost"]["gpt-4o"] == pytest.approx(72, abs=0.5)


def test_text_is_counted_in_digits_words_and_marks() -> None:
    assert text_tokens("") == 0
    assert text_tokens("[[123,456],[7,8]]") == 9
    assert 8 <= text_tokens("You map aerial imagery, tile by tile.") <= 14
