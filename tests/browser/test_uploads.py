"""Imagery uploaded in the browser: it goes to disk, not through the memory of the pages."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.annotators import until_named
from tests.browser.commands import maploop
from tests.browser.conftest import AppServer, Record, until_at_rest
from tests.browser.review_ground import paint


def test_an_uploaded_picture_is_streamed_to_disk_and_becomes_imagery(
    app_server: AppServer, page: Page, record: Record, tmp_path: Path
) -> None:
    maploop(app_server, "project", "create", "Town", "--class", "building:polygon", "--zoom", "19")
    picture = paint(tmp_path / "ground.tif", 2)
    page.goto(f"{app_server.url}/import?project=Town")
    until_named(page, "anna")
    with page.expect_response(lambda answer: "/_stcore/upload_file/" in answer.url) as sent:
        page.locator(".st-key-imagery_file input[type=file]").set_input_files(picture)
    assert sent.value.ok
    expect(page.locator(".st-key-imagery_file")).to_contain_text("ground.tif")
    until_at_rest(page)
    uploads = app_server.data / "uploads"
    assert [path.read_bytes() for path in uploads.iterdir()] == [picture.read_bytes()]
    page.locator(".st-key-import_imagery button").click()
    expect(page.get_by_text("Imported", exact=False).first).to_be_visible()
    expect(page.get_by_text("2 tiles", exact=False).first).to_be_visible()
    assert [path.name for path in (app_server.data / "imagery").rglob("*.tif")] == ["ground.tif"]
    assert not list(app_server.data.glob(".import-*"))
    assert record.page_errors == []
