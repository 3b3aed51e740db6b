"""The person a page is drawn for, as its heading shows it, and how to change it."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import until_at_rest

BUTTON = ".st-key-heading [data-testid=stPopover] button"


def pick(page: Page, name: str) -> None:
    """Pick or type a name in the page's heading."""
    until_at_rest(page)
    page.locator(BUTTON).click()
    box = page.locator(".st-key-pick_annotator input")
    box.fill(name)
    box.press("Enter")
    until_named(page, name)
    page.keyboard.press("Escape")


def until_named(page: Page, name: str) -> None:
    """Wait until the page's heading bears the name."""
    expect(page.locator(BUTTON).first).to_contain_text(name)
