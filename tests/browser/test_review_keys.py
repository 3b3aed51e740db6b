"""Reviewing by keyboard in a real browser, against the real app: what a day's work consists of."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import AppServer
from tests.browser.review_ground import Ground, lay
from tests.browser.review_map import ReviewMap


@pytest.fixture
def ground(app_server: AppServer) -> Ground:
    return lay(app_server.data, tiles=3, features=4)


@pytest.fixture
def review(app_server: AppServer, ground: Ground, page: Page) -> ReviewMap:
    return ReviewMap(page, app_server.url).open("?order=place")


def test_a_tile_is_walked_by_keys_and_finished(review: ReviewMap, ground: Ground) -> None:
    first = review.data["tile"]
    assert review.data["index"] == "1"
    assert review.data["total"] == "4"
    review.press("a", "x", "s", "a")
    assert review.data["decided"] == "4"
    review.until_saved()
    assert ground.verdicts() == ["accept", "reject", "unsure", "accept"]
    assert review.find(".is-current").count() == 0
    review.press("Enter")
    review.until_next(first)
    review.until_saved()
    assert ground.acts() == ["complete"]
    assert ground.statuses().count("complete") == 1


def test_the_tile_is_not_done_while_one_is_undecided(review: ReviewMap, ground: Ground) -> None:
    first = review.data["tile"]
    review.press("a", "ArrowRight", "a", "a")
    review.finish()
    assert review.data["tile"] == first
    assert review.data["index"] == "2"
    assert "1 still undecided" in review.text(".maploop-notice")
    review.until_saved()
    assert ground.acts() == []


def test_undo_goes_back_to_the_start_and_into_the_tile_before(review: ReviewMap, ground: Ground) -> None:
    first = review.data["tile"]
    review.press("a", "x", "a", "s")
    review.finish()
    review.until_next(first)
    second = review.data["tile"]
    review.press("a", "Backspace")
    assert review.data["decided"] == "0"
    review.press("Backspace")
    review.until_tile(first)
    assert review.data["decided"] == "4"
    review.press("Backspace", "Backspace", "Backspace", "Control+z")
    assert review.data["decided"] == "0"
    review.until_saved()
    assert ground.verdicts().count("undo") == 5
    assert ground.statuses()[0] == "open"
    review.press("a", "a", "a", "a")
    review.press("Enter")
    review.until_tile(second)
    review.until_saved()
    assert ground.statuses()[0] == "complete"


def test_undo_outlives_a_reload(review: ReviewMap, ground: Ground) -> None:
    review.press("a", "x")
    review.until_saved()
    review.page.reload()
    review.await_tile()
    assert review.data["decided"] == "2"
    review.press("Backspace", "Backspace")
    assert review.data["decided"] == "0"
    review.until_saved()
    assert ground.verdicts() == ["accept", "reject", "undo", "undo"]


def test_a_reason_is_given_before_or_after_the_reject_or_not_at_all(review: ReviewMap, ground: Ground) -> None:
    review.press("x")
    review.press("x", "Shift+Digit2")
    assert review.data["index"] == "3"
    review.press("Shift+X", "4")
    review.until_saved()
    assert [each["reason"] for each in ground.decisions()] == [None, None, "duplicate", "bad_imagery"]
    assert review.data["decided"] == "3"
    assert review.data["index"] == "4"


def test_escape_calls_a_reject_with_reason_off(review: ReviewMap, ground: Ground) -> None:
    review.press("Shift+X", "Escape", "a")
    review.until_saved()
    assert ground.verdicts() == ["accept"]


def test_arrows_and_tab_step(review: ReviewMap) -> None:
    review.press("ArrowRight", "ArrowDown")
    assert review.data["index"] == "3"
    review.press("ArrowLeft")
    assert review.data["index"] == "2"
    review.press("a", "ArrowLeft")
    assert review.data["index"] == "2"
    review.press("Tab")
    assert review.data["index"] == "3"
    review.press("Shift+Tab", "Shift+Tab")
    assert review.data["index"] == "4"


def test_hold_to_hide_shows_the_bare_imagery(review: ReviewMap) -> None:
    review.page.keyboard.down("h")
    assert review.find(".is-current").is_hidden()
    review.page.keyboard.up("h")
    assert review.find(".is-current").is_visible()


def test_keys_work_when_the_focus_is_in_the_page(review: ReviewMap) -> None:
    review.page.get_by_role("heading", name="Review").click()
    review.press("a", "r", "Escape", "c")
    assert review.data["decided"] == "1"
    assert review.page.get_by_text("Clear caches").count() == 0


def test_keys_typed_into_a_field_decide_nothing(review: ReviewMap) -> None:
    review.page.locator(".st-key-heading button").click()
    review.page.get_by_role("combobox").first.focus()
    review.page.keyboard.type("ax")
    assert review.data["decided"] == "0"


def test_help_shows_all_keys_and_keeps_them_from_deciding(review: ReviewMap) -> None:
    review.press("?")
    assert "Nothing is missing" in review.text("dialog")
    review.press("a")
    assert review.data["decided"] == "0"
    review.press("Escape")
    review.until_no_dialog()
    review.press("a")
    assert review.data["decided"] == "1"


def test_a_tile_is_gone_to_by_its_address_and_the_page_remembers_it(review: ReviewMap, ground: Ground) -> None:
    target = str(ground.tiles[2])
    review.press("g")
    review.find("dialog input").fill(target)
    review.press("Enter")
    review.until_tile(target)
    review.page.reload()
    review.await_tile()
    assert review.data["tile"] == target


def test_the_filter_leaves_the_rest_for_later_but_not_for_done(review: ReviewMap) -> None:
    review.press("f")
    review.find("dialog input").nth(1).fill("0.7")
    review.press("Enter")
    review.until_no_dialog()
    review.press("a", "a")
    assert "Nothing more that fits the filter; 2 features undecided" in review.text(".maploop-note")
    review.finish()
    assert "2 of them outside the filter" in review.text(".maploop-notice")
    assert review.data["index"] == "3"


def test_everything_is_reachable_by_mouse(review: ReviewMap, ground: Ground) -> None:
    for command in ("accept", "reject", "unsure"):
        review.find(f"[data-command={command}]").click()
    review.find(".maploop-classes button", has_text="building").click()
    review.find("[data-command=undo]").click()
    assert review.data["decided"] == "3"
    review.find("[data-command=reject]").click()
    review.find("[data-reason=duplicate]").click()
    review.page.wait_for_timeout(400)
    review.find("[data-command=done]").click()
    review.until_saved()
    review.until(lambda: ground.acts() == ["complete"], "the tile to be done")
    assert ground.verdicts() == ["accept", "reject", "unsure", "accept", "undo", "reject", "reject"]


def test_the_map_is_not_loaded_again_between_tiles(review: ReviewMap) -> None:
    review.frame.evaluate("() => { window.same = true; }")
    for _ in range(2):
        before = review.data["tile"]
        review.press("a", "a", "a", "a")
        review.finish()
        review.until_next(before)
    assert review.frame.evaluate("() => window.same")


def test_the_end_says_why_there_is_nothing_left(review: ReviewMap, ground: Ground) -> None:
    for _ in ground.tiles:
        review.until(lambda: review.data["total"] == "4" and review.data["decided"] == "0", "a fresh tile")
        review.press("a", "a", "a", "a")
        review.finish()
    review.find(".maploop-stage h2").wait_for()
    assert "Every tile is finished: 3 tiles" in review.text(".maploop-stage")
    review.until_saved()
    assert ground.statuses() == ["complete"] * 3


def test_undo_goes_by_time_not_by_place_even_when_this_browser_remembers_nothing(
    review: ReviewMap, ground: Ground
) -> None:
    review.press("ArrowRight", "ArrowRight", "a", "ArrowLeft", "ArrowLeft", "ArrowLeft", "x")
    review.until_saved()
    first, second = ground.decisions()
    for _ in range(2):
        review.page.evaluate("() => sessionStorage.clear()")
        review.page.reload()
        review.await_tile()
        review.press("Backspace")
        review.find(".maploop-notice", has_text="Undone: building is undecided again").wait_for()
        review.until_saved()
    assert [each["undoes"] for each in ground.decisions()[2:]] == [second["id"], first["id"]]


def test_undo_leads_to_the_tile_of_the_last_act_and_opens_it_again(review: ReviewMap, ground: Ground) -> None:
    first, second, third = map(str, ground.tiles)
    review.press("a", "x", "a", "s")
    review.finish()
    review.until_tile(second)
    review.press("g")
    review.find("dialog input").fill(third)
    review.press("Enter")
    review.until_tile(third)
    review.press("x", "Backspace")
    assert "Undone: building is undecided again" in review.text(".maploop-notice")
    review.press("Backspace")
    review.until_tile(first)
    assert f"tile {first} is open again" in review.text(".maploop-notice")
    assert review.find(".maploop-chip.is-complete").count() == 0
    review.until_saved()
    assert ground.statuses() == ["open"] * 3
    assert ground.acts() == ["complete", "reopen"]
    review.press("Backspace")
    assert review.data["index"] == "4"
    assert review.data["decided"] == "3"


def test_a_held_key_decides_once(review: ReviewMap, ground: Ground) -> None:
    for key in ("a", "1", "Shift"):
        for _ in range(5):
            review.page.keyboard.down(key)  # again and again without an up: the key repeats
        review.page.keyboard.up(key)
    review.until_saved()
    assert ground.verdicts() == ["accept", "accept"]


def strike(review: ReviewMap, key: str, code: str, **more: bool) -> None:
    """A key as a keyboard of another layout sends it."""
    review.frame.evaluate(
        "(key) => document.body.dispatchEvent(new KeyboardEvent('keydown', key))",
        {"key": key, "code": code, "bubbles": True, "cancelable": True, **more},
    )


@pytest.mark.parametrize(("accept", "reject"), [("ф", "ч"), ("α", "χ"), ("ش", "ء")])
def test_letters_work_on_layouts_that_are_not_latin(
    review: ReviewMap, ground: Ground, accept: str, reject: str
) -> None:
    strike(review, accept, "KeyA")
    strike(review, reject, "KeyX")
    review.until_saved()
    assert ground.verdicts() == ["accept", "reject"]


def test_a_latin_layout_goes_by_what_its_keys_write(review: ReviewMap, ground: Ground) -> None:
    strike(review, "q", "KeyA")  # AZERTY
    strike(review, "a", "KeyQ")
    strike(review, "q", "KeyX")  # Dvorak
    review.until_saved()
    assert ground.verdicts() == ["accept"]


def test_shift_and_a_digit_on_azerty_is_a_reason_and_never_a_class(review: ReviewMap, ground: Ground) -> None:
    review.press("x")
    strike(review, "2", "Digit2", shiftKey=True)
    strike(review, "2", "Digit2", shiftKey=True)
    assert "No reason is asked for" in review.text(".maploop-notice")
    strike(review, "&", "Digit1")
    review.until_saved()
    assert [(each["verdict"], each["reason"]) for each in ground.decisions()] == [
        ("reject", None),
        ("reject", "duplicate"),
        ("accept", None),
    ]


def test_enter_on_a_focused_button_presses_the_button(review: ReviewMap, ground: Ground) -> None:
    review.press("a", "a", "a", "a")
    review.until_saved()
    first = review.data["tile"]
    review.page.wait_for_timeout(400)
    review.find(".maploop-help").focus()
    review.press("Enter")
    review.find("dialog.is-help").wait_for()
    assert (review.data["tile"], ground.acts()) == (first, [])


def test_a_click_on_a_button_leaves_enter_to_the_map(review: ReviewMap, ground: Ground) -> None:
    for _ in range(4):
        review.find(".maploop-classes button", has_text="building").click()
    review.finish()
    review.until(lambda: ground.acts() == ["complete"], "the tile to be done")
    assert ground.verdicts() == ["accept"] * 4


def test_the_focus_can_leave_the_map_by_keyboard(review: ReviewMap) -> None:
    review.press("Tab")
    assert "press Escape first" in review.text(".maploop-notice")
    review.press("Escape")
    for _ in range(60):
        review.press("Tab")
        if not review.page.evaluate("() => document.activeElement.tagName === 'IFRAME'"):
            return
    pytest.fail("The focus never left the map.")


def test_no_key_decides_behind_a_dialog_wherever_the_focus_is(review: ReviewMap) -> None:
    review.page.get_by_role("heading", name="Review").click()
    review.press("?")
    review.find("dialog.is-help").wait_for()
    review.press("a", "x")
    assert review.data["decided"] == "0"


def test_no_key_decides_what_is_hidden_or_out_of_sight(review: ReviewMap, ground: Ground) -> None:
    review.page.keyboard.down("h")
    review.press("a", "1")
    assert "let go of H" in review.text(".maploop-notice")
    review.page.keyboard.up("h")
    for _ in range(3):
        review.drag(review.point(0.8, 0.6), review.point(0.1, 0.1))  # the map, away from the feature in the corner
        review.page.mouse.move(*review.point(0.9, 0.9))
    review.press("x")
    assert "It was out of sight" in review.text(".maploop-notice")
    assert review.data["decided"] == "0"
    review.press("x")
    review.until_saved()
    assert ground.verdicts() == ["reject"]
