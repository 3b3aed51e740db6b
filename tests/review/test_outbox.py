"""The outbox of a browser: no entry blocks another, and of one that cannot be stored nothing is written."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import shapely
from sqlalchemy import func, select

from db.models import Claim, Decision, Feature, TileEvent
from db.types import utc_now
from maploop.imagery.tilemath import Tile
from maploop.quality.acceptance import approve_tile
from maploop.review.wire import read_entries
from tests.review.ground import FIRST, Ground, act, decision, geojson, square

TILE = str(FIRST)
NEXT = f"19/{FIRST.x + 1}/{FIRST.y}"


def count(ground: Ground, table: Any) -> int:
    with ground.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def holders(ground: Ground) -> list[int]:
    """Who holds a tile now, by claim."""
    with ground.database.read() as connection:
        query = select(Claim.annotator_id).where(Claim.expires_at > utc_now()).order_by(Claim.tile_id)
        return list(connection.execute(query).scalars())


def accept_all(ground: Ground, tile: str) -> list[dict[str, Any]]:
    return [decision(tile, each, "accept") for each in ground.features[tile]]


def test_giving_a_tile_back_and_finishing_it_in_one_request_does_both(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    entries = [*accept_all(ground, TILE), act(TILE, "release"), act(TILE, "complete")]
    answer = ground.send("anna", *entries)
    assert answer["refused"] == []
    assert answer["stored"] == [each["id"] for each in entries]
    assert ground.deck("bob", tile=TILE)["tile"]["finishedBy"] == "anna"


def test_who_decides_on_a_tile_given_back_holds_it_again(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    answer = ground.send("anna", act(TILE, "release"), decision(TILE, ground.features[TILE][0], "accept"))
    assert answer["refused"] == []
    assert holders(ground) == [ground.people["anna"]]


@pytest.mark.parametrize(
    "poison",
    [
        {"madeAt": "0001-01-01T00:00:00+14:00"},  # before all time in UTC
        {"class": "build\0ing", "verdict": "correct"},
        {"verdict": "add", "geometry": geojson(square(FIRST, 0)), "seconds": 1e308},
        {"id": "00000000-0000-0000-0000-00000000000Z"},
        {"feature": 2**63 - 1},
    ],
)
def test_an_entry_that_cannot_be_stored_is_refused_by_itself(ground: Ground, poison: dict[str, Any]) -> None:
    ground.deck("anna", tile=TILE)
    first, second = (decision(TILE, each, "accept") for each in ground.features[TILE][:2])
    bad = decision(TILE, ground.features[TILE][2], "accept") | poison
    answer = ground.send("anna", first, bad, second)
    assert answer["stored"] == [first["id"], second["id"]]
    assert [each["id"] for each in answer["refused"]] == [bad["id"]]
    assert count(ground, Decision) == 2


def test_an_error_that_nobody_thought_of_is_refused_by_itself(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(shape: Any, _zoom: int) -> Any:
        raise ZeroDivisionError(shape)

    ground.deck("anna", tile=TILE)
    added = decision(TILE, None, "add", geometry=geojson(square(FIRST, 77)))
    fine = decision(TILE, ground.features[TILE][0], "accept")
    monkeypatch.setattr("maploop.review.decisions.split_by_tiles", broken)
    answer = ground.send("anna", added, fine)
    assert answer["stored"] == [fine["id"]]
    assert (answer["refused"][0]["id"], answer["refused"][0]["code"]) == (added["id"], "failed")
    assert "ZeroDivisionError" in answer["refused"][0]["message"]


def test_of_a_refused_addition_no_feature_is_left(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    before = count(ground, Feature)
    west, south, _, _ = FIRST.bounds
    far = Tile(19, FIRST.x + 2000, FIRST.y).bounds
    road = shapely.LineString([(west + 1e-5, south + 1e-5), (far[0], far[3])])
    answer = ground.send("anna", decision(TILE, None, "add", geometry=geojson(road), **{"class": "road"}))
    assert "spans more than" in answer["refused"][0]["message"]
    assert count(ground, Feature) == before


def test_a_tile_that_was_reopened_by_a_refused_decision_is_still_finished(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.deck("anna", tile=TILE)
    ground.send("anna", *accept_all(ground, TILE), act(TILE, "complete"))
    wrong = decision(TILE, ground.features[TILE][0], "reject")  # does not know what stands
    right = decision(TILE, None, "add", geometry=geojson(square(FIRST, 88)))
    answer = ground.send("anna", wrong, act(TILE, "active"))
    assert [each["code"] for each in answer["refused"]] == ["conflict"]
    assert ground.deck("anna", tile=TILE)["tile"]["status"] == "complete"
    assert ground.send("anna", right)["refused"] == []
    assert ground.deck("anna", tile=TILE)["tile"]["status"] == "open"
    with ground.database.read() as connection:
        acts = connection.execute(select(TileEvent.act).order_by(TileEvent.seq)).scalars().all()
    assert acts == ["complete", "reopen"]


def test_what_was_drawn_is_checked_before_it_waits_for_the_database(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.deck("anna", tile=TILE)
    star = shapely.Polygon([(int(499 * corner % 999), corner * corner * 7 % 999) for corner in range(900)])
    tangle = decision(TILE, None, "add", geometry=geojson(shapely.transform(star, lambda points: points * 1e-7)))
    crossed = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 0.1)])
    west, south, east, north = FIRST.bounds
    crossed = shapely.transform(crossed, lambda points: points / 3 * (east - west, north - south) + (west, south))
    drawn = decision(TILE, None, "add", geometry=geojson(crossed))
    read = read_entries([tangle, drawn], ground.project.geometry_types)
    monkeypatch.setattr("maploop.review.wire.parse_geojson_geometry", None)
    answer = ground.send("anna", *read)
    assert answer["stored"] == [drawn["id"]]
    assert [each["message"] for each in answer["refused"]] == [
        "The polygon crosses itself more than 1,000 times: draw it anew."
    ]


def set_clock_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on everything is stored as of a year ago."""
    monkeypatch.setattr("db.types.datetime", _LastYear)


class _LastYear(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> "_LastYear":
        return super().now(tz) - timedelta(days=365)


def test_a_clock_that_jumps_back_does_not_hide_a_change_from_the_approval(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.deck("anna", tile=TILE)
    entries = accept_all(ground, TILE)
    ground.send("anna", *entries, act(TILE, "complete"))
    with ground.database.write() as connection:
        approve_tile(connection, ground.project, FIRST, ground.people["anna"])
    set_clock_back(monkeypatch)
    change = decision(TILE, ground.features[TILE][0], "unsure", standing=entries[0]["id"])
    assert ground.send("anna", change, act(TILE, "complete"))["refused"] == []
    assert ground.deck("anna", tile=TILE)["tile"]["status"] == "complete"


def test_a_clock_that_jumps_back_does_not_change_what_was_done_last(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.deck("anna", tile=TILE)
    ground.deck("anna", tile=NEXT)
    first = decision(TILE, ground.features[TILE][0], "accept")
    second = decision(NEXT, ground.features[NEXT][0], "accept")
    ground.send("anna", first)
    set_clock_back(monkeypatch)
    ground.send("anna", second)
    assert ground.open("anna", latest=True)["latest"]["id"] == second["id"]


def test_a_feature_of_several_parts_is_corrected_as_one(ground: Ground) -> None:
    ground.deck("anna", tile=TILE)
    west, south, east, north = FIRST.bounds
    step = (east - west) / 10
    parts = shapely.MultiPolygon([shapely.box(west + step * k, south, west + step * (k + 0.5), north) for k in (1, 3)])
    sent = {"type": "MultiPolygon", "coordinates": [geojson(part)["coordinates"] for part in parts.geoms]}
    entry = decision(TILE, ground.features[TILE][0], "correct", geometry=sent)
    assert ground.send("anna", entry)["stored"] == [entry["id"]]
    shown = ground.feature("anna", TILE, ground.features[TILE][0])
    assert shown["geometry"]["type"] == "MultiPolygon"
    assert shapely.from_geojson(str(shown["geometry"]).replace("'", '"')).equals(parts)
