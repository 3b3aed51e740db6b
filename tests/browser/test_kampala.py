"""Real tiles and outlines, all the way: imported by command, reviewed through a kill, exported, read back."""

from pathlib import Path
from typing import Any

import orjson
import shapely
from playwright.sync_api import Page
from sqlalchemy import func, select

from db.engine import connect
from db.models import Decision, Feature, Tile, TileFeature
from maploop.contract import Contract, contract_of, parse_answer
from maploop.imagery.tilemath import parse_tile, to_pixels
from maploop.project import load_project
from maploop.vectors.geometry import clip_to_tile
from tests.browser.commands import maploop
from tests.browser.conftest import AppServer
from tests.browser.review_map import ReviewMap


def busiest_tile(server: AppServer) -> str:
    """The tile with imagery that holds the most predictions."""
    database = connect(f"sqlite:///{server.data / 'maploop.sqlite'}")
    with database.read() as connection:
        row = connection.execute(
            select(Tile.z, Tile.x, Tile.y)
            .join(TileFeature, TileFeature.tile_id == Tile.id)
            .where(Tile.imagery_id.is_not(None))
            .group_by(Tile.id)
            .order_by(func.count().desc(), Tile.id)
            .limit(1)
        ).one()
    database.close()
    return f"{row.z}/{row.x}/{row.y}"


def reviewed(server: AppServer, address: str) -> tuple[list[Any], list[str], Contract]:
    """The tile's annotations clipped to it, all verdicts ever stored, and the project's contract."""
    database = connect(f"sqlite:///{server.data / 'maploop.sqlite'}")
    tile = parse_tile(address)
    with database.read() as connection:
        project = load_project(connection, "kampala")
        geometries = connection.execute(
            select(Feature.geometry)
            .join(TileFeature, TileFeature.feature_id == Feature.id)
            .join(Tile, Tile.id == TileFeature.tile_id)
            .where(Tile.x == tile.x, Tile.y == tile.y, Feature.verdict.in_(("accept", "correct", "add")))
        ).scalars()
        parts = [part for geometry in geometries for part in clip_to_tile(geometry, tile)]
        verdicts = list(connection.execute(select(Decision.verdict).order_by(Decision.seq)).scalars())
    database.close()
    return parts, verdicts, contract_of(project)


def test_kampala_is_reviewed_through_a_kill_and_read_back_from_the_training_file(
    app_server: AppServer, page: Page, kampala: Path, tmp_path: Path
) -> None:
    maploop(app_server, "project", "create", "kampala", "--class", "building:polygon", "--zoom", 20)
    maploop(app_server, "import", "imagery", "kampala", kampala, "--licence", "CC BY 4.0")
    report = maploop(app_server, "import", "predictions", "kampala", kampala / "labels.geojson", "--model", "osm")
    assert report["imported"] == report["read"] == 108
    address = busiest_tile(app_server)
    review = ReviewMap(page, app_server.url).open(f"?project=kampala&tile={address}")
    review.until_tile(address)
    total = review.number("total")
    assert total >= 4

    review.press("a", "x")
    review.press("e")
    handle = review.box(".maploop-handle", 0)
    review.drag((handle["cx"], handle["cy"]), (handle["cx"] + 6, handle["cy"] + 5))
    review.press("Enter")
    review.press("a", "Backspace")
    review.until_saved()

    app_server.kill()
    review.press("a")
    review.until(lambda: review.data["unsaved"] == "1", "the decision that has nowhere to go yet")
    app_server.restart()
    page.reload()
    review.await_tile()
    review.until_saved()

    review.press("n")
    for x, y in ((0.46, 0.46), (0.54, 0.46), (0.54, 0.54), (0.46, 0.54)):
        review.click(x, y)
    review.press("Enter")
    for _ in range(total):
        review.press("a")
        review.page.wait_for_timeout(60)
    review.until(lambda: review.data["decided"] == review.data["total"], "every feature to be decided")
    review.finish()
    review.until(lambda: review.data.get("tile") != address, "the next tile")
    review.until_saved()

    annotations, verdicts, contract = reviewed(app_server, address)
    assert verdicts.count("add") == 1
    assert {"accept", "reject", "correct", "undo"} <= set(verdicts)
    status = maploop(app_server, "status", "kampala")
    assert status["tiles"]["complete"] == 1
    assert status["decisions"]["add"] == status["decisions"]["correct"] == status["decisions"]["reject"] == 1

    found: list[Any] = []
    tile = parse_tile(address)
    for split in ("train", "validation", "test"):
        out = tmp_path / split
        exported = maploop(app_server, "export", "kampala", "--format", "openai", "--out", out, "--split", split)
        for file in exported["files"]:
            path = Path(exported["path"]) / file["name"]
            if path.suffix == ".jsonl" and file["examples"]:
                line = orjson.loads(path.read_bytes())
                found = [each.geometry for each in parse_answer(line["messages"][-1]["content"], tile, contract)]
                break
        if found:
            break
    assert len(found) == len(annotations)
    drawn = shapely.union_all([to_pixels(each, tile, contract.limit) for each in found])
    truth = shapely.union_all([to_pixels(each, tile, contract.limit) for each in annotations])
    assert drawn.buffer(1.01).covers(truth)
    assert truth.buffer(1.01).covers(drawn)
