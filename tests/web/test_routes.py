"""The app's own routes: no token, no pixels and no decisions; nothing a browser sends brings them down."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from maploop import access
from maploop.access import Grant, issue_token
from maploop.database import open_database
from maploop.errors import AccessError
from maploop.imagery.register import register_imagery
from maploop.project import create_project
from maploop.web import routes
from tests.review.ground import FIRST, Ground, decision, lay_ground
from tests.tile_server import Server


@pytest.fixture
def ground(sqlite_url: str) -> Ground:
    """The review's ground in the database that the settings name."""
    return lay_ground(open_database(sqlite_url))


@pytest.fixture
def client() -> TestClient:
    """A browser without Streamlit: the routes alone."""
    return TestClient(Starlette(routes=routes()))


def token(ground: Ground, who: str = "anna") -> str:
    return issue_token(Grant(ground.people[who], ground.project.id))


def bearer(ground: Ground, who: str = "anna") -> dict[str, str]:
    return {"Authorization": f"Bearer {token(ground, who)}"}


def test_a_tile_is_opened_decided_and_answered(ground: Ground, client: TestClient) -> None:
    deck = client.post("/api/review/open", json={"order": "place"}, headers=bearer(ground)).json()["deck"]
    entry = decision(deck["tile"]["address"], deck["features"][0]["id"], "accept")
    answer = client.post("/api/review/outbox", json={"entries": [entry]}, headers=bearer(ground))
    assert answer.json() == {"stored": [entry["id"]], "refused": []}


@pytest.mark.parametrize("path", ["open", "outbox", "token"])
@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer forged", "Basic YTpi"])
def test_without_a_token_nothing_is_answered(client: TestClient, ground: Ground, path: str, header: str) -> None:
    answer = client.post(f"/api/review/{path}", json={}, headers={"Authorization": header} if header else {})
    assert (answer.status_code, list(answer.json())) == (401, ["error"])


def test_an_expired_token_is_refused_and_a_living_one_renewed(
    client: TestClient, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = client.post("/api/review/token", json={}, headers=bearer(ground)).json()
    assert client.post("/api/review/open", json={}, headers={"Authorization": f"Bearer {renewed['token']}"}).is_success
    later = time.time() + access.LIFETIME_SECONDS + 5
    monkeypatch.setattr("time.time", lambda: later)
    answer = client.post("/api/review/open", json={}, headers={"Authorization": f"Bearer {renewed['token']}"})
    assert answer.status_code == 401
    assert "expired" in answer.json()["error"]


def test_a_tile_held_by_somebody_else_is_a_conflict(ground: Ground, client: TestClient) -> None:
    client.post("/api/review/open", json={"tile": str(FIRST)}, headers=bearer(ground))
    answer = client.post("/api/review/open", json={"tile": str(FIRST)}, headers=bearer(ground, "bob"))
    assert (answer.status_code, answer.json()["error"]) == (409, f"Tile {FIRST} is held by anna at the moment.")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"entries": 3}', b'{"unknown": 1}', b"[" * 9999]
)
@pytest.mark.parametrize("path", ["open", "outbox"])
def test_a_body_that_is_not_understood_is_refused_in_one_line(
    ground: Ground, client: TestClient, path: str, body: bytes
) -> None:
    answer = client.post(f"/api/review/{path}", content=body, headers=bearer(ground))
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("audit", [-1, 2**63, 10**30])
def test_a_number_that_is_no_key_is_refused_in_one_line(ground: Ground, client: TestClient, audit: int) -> None:
    answer = client.post("/api/review/open", content=b'{"audit": %d}' % audit, headers=bearer(ground))
    assert (answer.status_code, answer.json()["error"][:6]) == (400, "audit:")
    client.post("/api/review/open", json={"tile": str(FIRST)}, headers=bearer(ground))
    entry = decision(str(FIRST), 1, "reject")
    for field in ("audit", "feature"):
        body = json.dumps({"entries": [entry | {field: audit}]})
        refused = client.post("/api/review/outbox", content=body, headers=bearer(ground)).json()["refused"]
        assert [each["code"] for each in refused] == ["invalid"]


def test_a_body_without_end_is_cut_off(ground: Ground, client: TestClient) -> None:
    answer = client.post("/api/review/outbox", content=b" " * 5_000_000, headers=bearer(ground))
    assert (answer.status_code, "larger than" in answer.json()["error"]) == (400, True)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=st.dictionaries(st.sampled_from(sorted(decision("t", 1, "add"))), json_values, max_size=3))
def test_a_mutated_decision_is_stored_or_refused_but_never_breaks_the_outbox(
    ground: Ground, client: TestClient, change: dict[str, Any]
) -> None:
    client.post("/api/review/open", json={"tile": str(FIRST)}, headers=bearer(ground))
    entry = decision(str(FIRST), ground.features[str(FIRST)][0], "reject") | change
    answer = client.post("/api/review/outbox", json={"entries": [entry]}, headers=bearer(ground))
    assert answer.status_code == 200
    told = answer.json()
    assert len(told["stored"]) + len(told["refused"]) == 1


def tile_folder(folder: Path) -> Path:
    """Two children of `FIRST`, one grey, as a folder of tiles."""
    for child in list(FIRST.children(20))[:2]:
        path = folder / str(child.z) / str(child.x) / f"{child.y}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((256, 256, 3), 128, np.uint8)).save(path)
    return folder


def test_pixels_need_a_token_of_the_imagerys_project(
    tmp_path: Path, sqlite_url: str, ground: Ground, client: TestClient
) -> None:
    database = open_database(sqlite_url)
    with database.write() as connection:
        project = create_project(connection, "tiles", [("building", "polygon")], zoom=19)
    report = register_imagery(database, project, tile_folder(tmp_path / "tiles"))
    assert report["imported"] >= 1
    with database.read() as connection:
        imagery = connection.exec_driver_sql(f"SELECT id FROM imagery WHERE project_id = {project.id}").scalar()
    address = f"/tiles/{imagery}/{FIRST}"
    own = issue_token(Grant(ground.people["anna"], project.id))
    assert client.get(address).status_code == 401
    assert client.get(f"/tiles/{10**30}/{FIRST}?token={own}").status_code == 401
    assert client.get(address, params={"token": token(ground)}).status_code == 401
    answer = client.get(address, params={"token": own})
    assert answer.status_code == 200
    assert "private" in answer.headers["cache-control"]
    image = Image.open(io.BytesIO(answer.content))
    assert image.size == (512, 512)
    again = client.get(address, params={"token": own}, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"/tiles/{imagery}/19/9999999/1", params={"token": own}).status_code == 400


@pytest.fixture
def tile_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def paper() -> bytes:
    """A picture of one colour, as a server would send it."""
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), (90, 120, 60)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("status", "kind", "body", "answered", "reason", "source_status"),
    [
        (404, "text/plain", b"", 404, "hole", None),
        (204, "", b"", 404, "hole", None),
        (200, "image/png", b"", 404, "hole", None),
        (401, "text/plain", b"", 502, "refused", 401),
        (403, "text/plain", b"", 502, "refused", 403),
        (500, "text/plain", b"", 502, "failed", 500),
        (429, "text/plain", b"", 502, "busy", 429),
        (200, "text/html", b"<html>log in</html>", 502, "not_an_image", 200),
        (200, "application/json", b'{"error": {"code": 498}}', 502, "not_an_image", 200),
    ],
)
def test_a_tile_without_pixels_says_why_in_a_word_for_programs(
    sqlite_url: str,
    ground: Ground,
    client: TestClient,
    tile_server: Server,
    status: int,
    kind: str,
    body: bytes,
    answered: int,
    reason: str,
    source_status: int | None,
) -> None:
    database = open_database(sqlite_url)
    with database.write() as connection:
        project = create_project(connection, "tiles", [("building", "polygon")], zoom=19)
    picture = paper()
    tile_server.answer = lambda *_: (200, "image/png", picture)
    imagery = register_imagery(database, project, tile_server.url + "/{z}/{x}/{y}.png", bounds=FIRST.bounds)["imagery"]
    address = f"/tiles/{imagery}/{FIRST}?token={issue_token(Grant(ground.people['anna'], project.id))}"
    tile_server.answer = lambda *_: (status, kind, body)
    answer = client.get(address)
    assert (answer.status_code, answer.headers["x-maploop-reason"]) == (answered, reason)
    assert answer.json().keys() == {"error", "reason", "sourceStatus"}
    assert (answer.json()["reason"], answer.json()["sourceStatus"]) == (reason, source_status)
    assert answer.headers["cache-control"] == "no-store"
    tile_server.answer = lambda *_: (200, "image/png", picture)
    if answered == 502:  # it passed: the same address works again
        later = client.get(address)
        assert (later.status_code, later.headers["x-maploop-pixels"]) == (200, "1.0000")


def test_a_tile_that_is_half_a_hole_says_how_much_of_it_has_pixels(
    tmp_path: Path, sqlite_url: str, ground: Ground, client: TestClient
) -> None:
    database = open_database(sqlite_url)
    with database.write() as connection:
        project = create_project(connection, "tiles", [("building", "polygon")], zoom=19)
    imagery = register_imagery(database, project, tile_folder(tmp_path / "tiles"))["imagery"]
    own = issue_token(Grant(ground.people["anna"], project.id))
    answer = client.get(f"/tiles/{imagery}/{FIRST}", params={"token": own})
    assert (answer.status_code, answer.headers["x-maploop-pixels"]) == (200, "0.5000")
    beside = client.get(f"/tiles/{imagery}/19/{FIRST.x + 7}/{FIRST.y}", params={"token": own})
    assert (beside.status_code, beside.json()["reason"]) == (404, "hole")
    deep = client.get(f"/tiles/{imagery}/24/{FIRST.x * 32 + 700}/{FIRST.y * 32}", params={"token": own})
    assert (deep.status_code, deep.json()["reason"]) == (404, "beyond_zoom")


def test_what_was_seen_of_a_tile_is_kept_and_told_when_it_is_opened(
    tmp_path: Path, sqlite_url: str, ground: Ground, client: TestClient
) -> None:
    database = open_database(sqlite_url)
    folder = tile_folder(tmp_path / "tiles")
    imagery = register_imagery(database, ground.project, folder)["imagery"]
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE tile SET imagery_id = {imagery}, pixel_share = NULL, pixel_mask = NULL")
    own = token(ground)
    opened = client.post("/api/review/open", json={"tile": str(FIRST)}, headers=bearer(ground)).json()["deck"]
    assert opened["imagery"]["share"] is None
    assert client.get(f"/tiles/{imagery}/{FIRST}", params={"token": own}).headers["x-maploop-pixels"] == "0.5000"
    beside = f"19/{FIRST.x + 1}/{FIRST.y}"
    assert client.get(f"/tiles/{imagery}/{beside}", params={"token": own}).status_code == 404
    again = client.post("/api/review/open", json={"tile": str(FIRST)}, headers=bearer(ground)).json()["deck"]
    assert again["imagery"]["share"] == 0.5
    with database.read() as connection:
        share = connection.exec_driver_sql(f"SELECT pixel_share FROM tile WHERE x = {FIRST.x + 1}").scalar()
    assert share == 0.0


def test_leaflet_comes_from_this_server(client: TestClient) -> None:
    assert client.get("/assets/leaflet/leaflet.js").is_success
    assert client.get("/assets/leaflet/../../settings.py").status_code == 404


def test_a_token_that_reads_tiles_decides_nothing(ground: Ground, client: TestClient) -> None:
    grant = Grant(ground.people["anna"], ground.project.id)
    tiles = issue_token(grant, scope="tiles")
    for path in ("open", "outbox", "token"):
        answer = client.post(f"/api/review/{path}", json={}, headers={"Authorization": f"Bearer {tiles}"})
        assert (answer.status_code, list(answer.json())) == (401, ["error"])
    for good in (tiles, issue_token(grant)):
        assert access.read_token(good, "tiles") == grant
    with pytest.raises(AccessError):
        access.read_token(f"{tiles}x", "tiles")
    renewed = client.post("/api/review/token", json={}, headers=bearer(ground)).json()
    assert access.read_token(renewed["tileToken"], "tiles") == grant
    with pytest.raises(AccessError):
        access.read_token(renewed["tileToken"])
