"""Prices and token estimates."""

import pytest

from maploop.dataset.tokens import estimate_training
from maploop.errors import InputError
from maploop.prices import OwnPrices, Price, built_in_prices, load_prices, prices_path, save_prices
from maploop.tokens import image_tokens, text_tokens


def test_a_tuned_model_costs_what_its_base_says() -> None:
    table = load_prices()
    tuned = table.price_of("ft:gpt-4o-2024-08-06:org::id")
    assert tuned is not None
    assert (tuned.training, tuned.input, tuned.output) == (25.0, 3.75, 15.0)
    base = table.price_of("gpt-4o")
    assert base is not None
    assert base.input == 2.5
    assert table.training_price("gpt-4.1-mini") == 5.0


def test_an_unknown_model_has_no_price_rather_than_a_guess() -> None:
    assert load_prices().price_of("llama-9") is None
    assert load_prices().price_of("gpt-4o-mini") is None
    assert load_prices().training_price("gpt-6-luna") is None
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


def test_peoples_own_prices_go_over_the_table_model_by_model() -> None:
    assert load_prices().price_of("qwen3-vl") is None
    own = {"date": "2026-11-20", "models": {"qwen3-vl": {"input": 0, "output": 0}, "gpt-4o": {"input": 1, "output": 2}}}
    save_prices(own)
    table = load_prices()
    free, dear, untouched = (table.price_of(name) for name in ("qwen3-vl", "gpt-4o-2024-08-06", "gpt-4.1"))
    assert free is not None
    assert free.cost(1000, 10, 10, 1000) == 0.0
    assert dear is not None
    assert (dear.input, dear.output) == (1.0, 2.0)
    assert untouched is not None
    assert (untouched.input, table.date) == (2.0, "2026-11-20")
    save_prices(OwnPrices())
    assert load_prices() == built_in_prices()


def test_prices_that_are_none_change_nothing_and_say_which() -> None:
    save_prices({"models": {"mine": {"input": 1, "output": 2}}})
    for wrong in (-1, "dear", float("nan"), None):
        with pytest.raises(InputError, match=r"These prices: models\.mine\.output does not fit"):
            save_prices({"models": {"mine": {"input": 1, "output": wrong}}})
    with pytest.raises(InputError, match=r"models\.mine\.rent"):
        save_prices({"models": {"mine": {"input": 1, "output": 1, "rent": 3}}})
    mine = load_prices().price_of("mine")
    assert mine is not None
    assert mine.output == 2.0


def test_a_damaged_file_of_prices_is_named() -> None:
    save_prices({"models": {"mine": {"input": 1, "output": 2}}})
    prices_path().write_text("{")
    with pytest.raises(InputError, match=r"prices\.json: the whole does not fit.*correct it"):
        load_prices()


def test_tokens_are_priced_by_kind() -> None:
    price = Price(input=2.0, cached_input=0.5, cache_write=2.5, output=8.0)
    assert price.cost(1_000_000, 0, 0, 0) == 2.0
    assert price.cost(100, 10, 20, 30) == pytest.approx((200 + 5 + 50 + 240) / 1e6)
    assert price.times(0.5).cost(100, 10, 20, 30) == pytest.approx((200 + 5 + 50 + 240) / 2e6)
    plain = Price(input=2.0, output=8.0)  # nothing is charged apart: all input costs the same
    assert plain.cost(100, 10, 20, 30) == pytest.approx((130 * 2 + 240) / 1e6)
