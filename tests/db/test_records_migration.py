"""A database from before there were records gets them for what it holds, and verify finds it whole."""

from shapely.geometry import box
from sqlalchemy import Table, insert, text

from db.engine import Database
from db.types import utc_now
from db.upgrade import upgrade
from maploop.imagery.tilemath import Tile
from maploop.store.verify import verify_store
from tests.db.conftest import at_revision

BEFORE = "0005"
TILE = Tile(19, 306_000, 261_000)


def test_predictions_of_old_are_recorded_and_it_is_known_which_run_withdrew_them(blank: Database) -> None:
    tables = at_revision(blank, BEFORE)
    with blank.write() as connection:
        west, south, east, north = TILE.bounds
        outline = bytes(box(*(west + (east - west) / 4, south + (north - south) / 4, east, north)).wkb)
        now = utc_now()

        def add(to: str, /, **values: object) -> None:
            table: Table = tables.tables[to]
            connection.execute(insert(table).values(**values))

        add("project", id=1, name="Town", zoom=19, tile_size=512, seed="s", settings={}, created_at=now)
        add("class", id=1, project_id=1, name="b", geometry_type="polygon", colour="#0072b2", definition="")
        place = {"z": TILE.z, "x": TILE.x, "y": TILE.y, "quadkey": TILE.quadkey, "shuffle": 0.5, "uncertainty": 0.0}
        add("tile", id=1, project_id=1, status="open", comment="", split="train", **place)
        numbers = dict.fromkeys(("tiles", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens"), 0)
        run = {**numbers, "prompt_hash": "", "parameters": {}, "seconds": 0.0, "error": "", "worker": ""}
        for number in (1, 2):
            add("model", id=number, project_id=1, name=f"m{number}", backend="file", identifier="", parameters={},
                created_at=now)  # fmt: skip
            add("run", id=number, project_id=1, model_id=number, source=f"/data/{number}.geojson", report={},
                status="finished", started_at=now, **run)  # fmt: skip
            add("feature", id=number, project_id=1, class_id=1, geometry=outline, withdrawn=number == 1,
                prediction_id=number)  # fmt: skip
            add("tile_feature", tile_id=1, feature_id=number)
            add("prediction", id=number, run_id=number, feature_id=number, class_id=1, geometry=outline, source_row=0,
                score=0.5, properties={"name": "é"})  # fmt: skip
    upgrade(blank)
    with blank.read() as connection:
        records = connection.execute(text("SELECT act, run_id, count FROM record ORDER BY seq")).all()
        withdrawn = connection.execute(text("SELECT id, withdrawn_by FROM feature ORDER BY id")).all()
    assert [tuple(row) for row in records] == [("predict", 1, 1), ("predict", 2, 1)]
    assert [tuple(row) for row in withdrawn] == [(1, 2), (2, None)]
    assert verify_store(blank).problems == []
