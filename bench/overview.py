"""How long the overview's queries take at 10,000 tiles and 100,000 features: `python -m bench.overview`.

Eight people, most tiles finished, every decision stored, on SQLite. Median of nine, after one to warm up.
"""

import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import shapely
from sqlalchemy import insert

from db.bulk import insert_rows
from db.models import Decision, Feature, Model, Prediction, Run, TileEvent, TileFeature
from db.models import Tile as TileRow
from db.types import utc_now
from maploop.coverage import coverage_of
from maploop.database import Database, open_database
from maploop.imagery.tilemath import Tile
from maploop.overview import overview_of
from maploop.project import ProjectView, annotator_id, create_project
from maploop.quality.sampling import SampleWish, plan_sample
from maploop.vectors.geometry import as_geometries

TILES = 10_000
A_TILE = 10
PEOPLE = 8
WANTED_MS = 150  # overview and coverage together
FIRST = Tile(19, 309_600, 261_600)


def main() -> None:
    """Print milliseconds; exit 1 when overview and coverage together take longer than wanted."""
    with tempfile.TemporaryDirectory(prefix="maploop-bench-") as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'maploop.sqlite'}")
        project, reviewer = lay_town(database)
        with database.read() as connection:
            overview = median_ms(lambda: overview_of(connection, project, reviewer))
            coverage = median_ms(lambda: coverage_of(connection, project))
            squares = coverage_of(connection, project)
            geojson = median_ms(squares.geojson)
            plan = median_ms(lambda: plan_sample(connection, project, reviewer, SampleWish()))
        database.close()
    print(f"{'milliseconds':<44}{'median':>8}")
    print(f"{'overview: counts, people, speed, scores':<44}{overview:>8.0f}")
    print(f"{f'coverage: {TILES:,} tiles in {len(squares.cells):,} squares':<44}{coverage:>8.0f}")
    print(f"{'coverage as GeoJSON':<44}{geojson:>8.0f}")
    print(f"{'what a spot check would come to':<44}{plan:>8.0f}")
    print(f"{'overview and coverage together':<44}{overview + coverage:>8.0f}   wanted {WANTED_MS}")
    sys.exit(0 if overview + coverage <= WANTED_MS else 1)


def median_ms(do: Callable[[], object]) -> float:
    """Median of nine runs in milliseconds, after one that does not count."""
    do()
    taken = []
    for _ in range(9):
        start = time.perf_counter()
        do()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def lay_town(database: Database) -> tuple[ProjectView, int]:
    """The project, and somebody who has not decided anything in it."""
    chance = random.Random(1)
    count = TILES * A_TILE
    tiles = [Tile(FIRST.z, FIRST.x + place % 100, FIRST.y + place // 100) for place in range(TILES)]
    statuses = chance.choices(["open", "complete", "approved", "returned"], [1, 5, 3, 1], k=TILES)
    done = [index for index, status in enumerate(statuses) if status != "open"]
    verdicts = [
        None if statuses[index // A_TILE] == "open" else chance.choice(["accept", "accept", "correct", "reject"])
        for index in range(count)
    ]
    decided = [index for index, verdict in enumerate(verdicts) if verdict]
    names = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]
    outlines = shapely.to_wkb(as_geometries([outline(tiles[each // A_TILE], each % A_TILE) for each in range(count)]))
    ids, places = list(range(1, count + 1)), [1 + index // A_TILE for index in range(count)]
    start = utc_now() - timedelta(days=4)

    with database.write() as connection:
        project = create_project(
            connection, "town", [("building", "polygon"), ("shed", "polygon")], zoom=FIRST.z, seed="bench"
        )
        people = [annotator_id(connection, f"person {number}") for number in range(PEOPLE)]
        reviewer = annotator_id(connection, "reviewer")
        classes = chance.choices([each.id for each in project.classes], [4, 1], k=count)
        whose = [None if status == "open" else people[index % PEOPLE] for index, status in enumerate(statuses)]
        when = [start + timedelta(seconds=30 * (index // PEOPLE)) for index in range(TILES)]
        insert_rows(
            connection,
            TileRow,
            {
                "id": list(range(1, TILES + 1)),
                "project_id": [project.id] * TILES,
                "z": [tile.z for tile in tiles],
                "x": [tile.x for tile in tiles],
                "y": [tile.y for tile in tiles],
                "quadkey": [tile.quadkey for tile in tiles],
                "shuffle": [chance.random() for _ in tiles],
                "uncertainty": [0.5] * TILES,
                "split": ["train"] * TILES,
                "status": statuses,
                "finished_by": whose,
                "finished_at": [at if who else None for at, who in zip(when, whose, strict=True)],
                "comment": [""] * TILES,
            },
        )
        model = insert(Model).values(project_id=project.id, name="first", backend="file").returning(Model.id)
        run = insert(Run).values(project_id=project.id, model_id=connection.execute(model).scalar_one())
        run_id = connection.execute(run.returning(Run.id)).scalar_one()
        insert_rows(
            connection,
            Feature,
            {
                "id": ids,
                "project_id": [project.id] * count,
                "class_id": classes,
                "geometry": outlines,
                "prediction_id": ids,
                "verdict": verdicts,
                "decision_id": [name if verdict else None for name, verdict in zip(names, verdicts, strict=True)],
                "withdrawn": [False] * count,
            },
        )
        insert_rows(
            connection,
            Prediction,
            {
                "id": ids,
                "run_id": [run_id] * count,
                "feature_id": ids,
                "class_id": classes,
                "geometry": outlines,
                "score": [chance.random() for _ in ids],
                "source_row": ids,
                "properties": [{}] * count,
            },
        )
        insert_rows(connection, TileFeature, {"tile_id": places, "feature_id": ids})
        insert_rows(
            connection,
            Decision,
            {
                "id": [names[each] for each in decided],
                "project_id": [project.id] * len(decided),
                "tile_id": [places[each] for each in decided],
                "feature_id": [ids[each] for each in decided],
                "prediction_id": [ids[each] for each in decided],
                "annotator_id": [whose[each // A_TILE] for each in decided],
                "verdict": [verdicts[each] for each in decided],
                "class_before_id": [classes[each] for each in decided],
                "class_id": [classes[each] for each in decided],
                "geometry_before": outlines[decided],
                "geometry": outlines[decided],
                "seconds": [2.0] * len(decided),
                "made_at": [when[each // A_TILE] for each in decided],
                "stored_at": [when[each // A_TILE] for each in decided],
            },
        )
        insert_rows(
            connection,
            TileEvent,
            {
                "id": [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in done],
                "tile_id": [1 + each for each in done],
                "annotator_id": [whose[each] for each in done],
                "act": ["complete"] * len(done),
                "comment": [""] * len(done),
                "seconds": [25.0] * len(done),
                "drawn_by": ["mixed"] * len(done),
                "stored_at": [when[each] for each in done],
            },
        )
    return project, reviewer


def outline(tile: Tile, place: int) -> shapely.Geometry:
    """A rectangle in one of ten places of the tile, EPSG:4326."""
    west, south, east, north = tile.bounds
    left = west + (east - west) * place / A_TILE
    return shapely.box(left, south, left + (east - west) * 0.08, south + (north - south) * 0.1)


if __name__ == "__main__":
    main()
