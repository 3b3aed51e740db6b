"""A database that is gone, full or busy under the app: decisions are refused in words, with a code for the browser."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.models import Store
from maploop.access import Grant, issue_token
from maploop.database import open_database
from maploop.store import health
from maploop.web import routes
from tests.review.ground import decision, lay_ground


@pytest.fixture
def client(sqlite_url: str) -> TestClient:
    """A browser that may decide on the review's ground."""
    ground = lay_ground(open_database(sqlite_url))
    token = issue_token(Grant(ground.people["anna"], ground.project.id))
    return TestClient(Starlette(routes=routes()), headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("attack", ["remove", "replace"])
def test_a_decision_is_not_called_stored_when_the_database_was_removed_or_replaced(
    client: TestClient, sqlite_url: str, sqlite_template: Path, attack: str
) -> None:
    deck = client.post("/api/review/open", json={"order": "place"}).json()["deck"]
    entries = [decision(deck["tile"]["address"], each["id"], "accept") for each in deck["features"]]
    assert client.post("/api/review/outbox", json={"entries": entries[:1]}).json()["stored"] == [entries[0]["id"]]
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    away = path.rename(path.with_name("away.sqlite"))
    if attack == "replace":
        path.write_bytes(sqlite_template.read_bytes())
    answer = client.post("/api/review/outbox", json={"entries": entries[1:]})
    assert (answer.status_code, answer.json()["code"]) == (503, "gone")
    assert "Nothing was stored" in answer.json()["error"]
    away.replace(path)  # what waits in the browser is sent again
    assert client.post("/api/review/outbox", json={"entries": entries[1:]}).json()["stored"] == [
        each["id"] for each in entries[1:]
    ]


@pytest.mark.parametrize(("pragma", "code"), [("max_page_count=1", "full"), ("query_only=1", "read_only")])
def test_a_disk_that_takes_no_more_is_told_apart_from_a_busy_one(
    client: TestClient, sqlite_url: str, pragma: str, code: str
) -> None:
    deck = client.post("/api/review/open", json={"order": "place"}).json()["deck"]

    @event.listens_for(open_database(sqlite_url).engine, "checkout")
    def _checkout(connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    # Enough of them that a new page is needed.
    shape = {"type": "Polygon", "coordinates": [deck["features"][0]["geometry"]["coordinates"][0]]}
    entries = [
        decision(deck["tile"]["address"], None, "add", geometry=shape, **{"class": "building"}) for _ in range(100)
    ]
    answer = client.post("/api/review/outbox", json={"entries": entries})
    assert (answer.status_code, answer.json()["code"]) == (503, code)


def test_health_is_found_out_by_writing_and_told_to_anybody_in_one_word(
    client: TestClient, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH_SECONDS", -1)  # every time anew
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.2)
    stranger = TestClient(client.app)

    def answered() -> tuple[int, dict[str, str]]:
        answer = stranger.get("/api/health")
        return answer.status_code, answer.json()

    assert answered() == (200, {"status": "ok"})
    database = open_database(sqlite_url)
    with database.read() as connection:
        assert connection.execute(select(Store.checked_at)).scalar_one() is not None
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        assert answered() == (503, {"status": "busy"})
        elsewhere.execute("ROLLBACK")
    assert answered() == (200, {"status": "ok"})
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.rename(path.with_name("away.sqlite"))
    assert answered() == (503, {"status": "gone"})


def test_health_asked_often_writes_seldom(client: TestClient, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH_SECONDS", 3600)
    answers = []
    for _ in range(20):
        client.get("/api/health")
        with open_database(sqlite_url).read() as connection:
            answers.append(connection.execute(select(Store.checked_at)).scalar_one())
    assert len(set(answers)) == 1
