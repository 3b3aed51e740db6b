"""A database from before imports were recorded keeps its files of predictions, as imports that can be taken back."""

from shapely.geometry import Point
from sqlalchemy import Table, insert, text

from db.engine import Database
from db.types import utc_now
from db.upgrade import upgrade
from tests.db.conftest import at_revision

BEFORE = "0005"


def test_files_of_predictions_from_before_are_imports_that_cover_their_tiles(blank: Database) -> None:
    tables = at_revision(blank, BEFORE)
    with blank.write() as connection:
        point, now = bytes(Point(32.5, 0.35).wkb), utc_now()

        def add(to: str, /, **values: object) -> None:
            table: Table = tables.tables[to]
            connection.execute(insert(table).values(**values))

        add("project", id=1, name="Town", zoom=19, tile_size=512, seed="s", settings={}, created_at=now)
        add("class", id=1, project_id=1, name="b", geometry_type="point", colour="#0072b2", definition="")
        place = {"z": 19, "x": 1, "y": 2, "quadkey": "0", "shuffle": 0.5, "uncertainty": 0.0, "split": "train"}
        add("tile", id=1, project_id=1, status="open", comment="", **place)
        add("model", id=1, project_id=1, name="m", backend="file", identifier="", parameters={}, created_at=now)
        numbers = dict.fromkeys(("tiles", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens"), 0)
        run = {**numbers, "prompt_hash": "", "parameters": {}, "seconds": 0.0, "error": "", "worker": ""}
        for run_id, source in ((1, "/data/p.geojson"), (2, "")):
            add("run", id=run_id, project_id=1, model_id=1, source=source, report={"imported": 1}, status="finished",
                started_at=now, **run)  # fmt: skip
            add("feature", id=run_id, project_id=1, class_id=1, geometry=point, withdrawn=False)
            add("tile_feature", tile_id=1, feature_id=run_id)
            add("prediction", id=run_id, run_id=run_id, feature_id=run_id, class_id=1, geometry=point, source_row=0,
                properties={})  # fmt: skip
    upgrade(blank)
    with blank.read() as connection:
        imports = connection.execute(text('SELECT kind, source, run_id, annotator_id, undone_at FROM "import"')).all()
        covered = connection.execute(text("SELECT import_id, tile_id FROM import_tile")).all()
        assert connection.execute(text("SELECT set_aside, import_id FROM tile")).all() == [(None, None)]
    assert [tuple(row) for row in imports] == [("predictions", "/data/p.geojson", 1, None, None)]
    assert [tuple(row) for row in covered] == [(1, 1)]
