"""Time and memory for freezing and exporting 1,000 to 100,000 annotations: `python -m bench.export`.

Ten annotations a tile, one in six across a border, no pictures. Each figure is of a fresh process that opens the
database, freezes and exports; its peak memory includes Python and all libraries.
"""

import multiprocessing
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import shapely
from sqlalchemy import insert, update

from db.bulk import insert_rows, reserve_ids
from db.models import Feature, Imagery, TileFeature
from db.models import Tile as TileRow
from maploop.database import Database, open_database
from maploop.dataset.export import export, freeze
from maploop.imagery.tilemath import Tile
from maploop.imagery.tiles import ensure_tiles
from maploop.project import annotator_id, create_project, load_project
from maploop.settings import get_settings
from maploop.vectors.geometry import as_geometries, split_by_tiles
from maploop.vectors.geometry.tiling import degrees_of

COUNTS = (1_000, 10_000, 100_000)
FORMATS = ("coco", "geojson", "geopackage", "geoparquet", "osm")
WANTED = {"coco": 10.0, "geojson": 10.0}  # seconds for the largest count, freezing included
A_TILE = 10
FIRST = Tile(19, 309_600, 261_600)


def main() -> None:
    """Print seconds and memory by count; exit 1 when the largest count takes longer than wanted."""
    print(
        f"{'freeze + export, seconds (peak MB)':<36}" + "".join(f"{count:>18,}" for count in COUNTS) + f"{'wanted':>9}"
    )
    folder = Path(tempfile.mkdtemp(prefix="maploop-bench-"))
    held = True
    try:
        for count in COUNTS:
            lay_town(open_database(url_of(folder, count)), count)
        for format in FORMATS:
            measured = [_in_fresh_process(folder, count, format) for count in COUNTS]
            cells = [f"{frozen:.2f} + {exported:.2f} ({peak:.0f})" for frozen, exported, peak in measured]
            wanted = WANTED.get(format)
            print(f"{format:<36}" + "".join(f"{cell:>18}" for cell in cells) + (f"{wanted:>9.0f}" if wanted else ""))
            held = held and (wanted is None or sum(measured[-1][:2]) <= wanted)
    finally:
        shutil.rmtree(folder)
    sys.exit(0 if held else 1)


def url_of(folder: Path, count: int) -> str:
    """The database of one size."""
    return f"sqlite:///{folder / f'{count}.sqlite'}"


def lay_town(database: Database, count: int) -> None:
    """A project of approved tiles, `count` accepted buildings of about eight corners on them."""
    generator = np.random.default_rng(count)
    side = int(np.ceil(np.sqrt(count / A_TILE)))
    tiles = [Tile(FIRST.z, FIRST.x + place % side, FIRST.y + place // side) for place in range(count // A_TILE)]
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    home = np.repeat([(tile.x, tile.y) for tile in tiles], A_TILE, axis=0)
    middles = home + generator.uniform(0.02, 0.98, (count, 2))
    reach = generator.uniform(0.04, 0.08, (count, 8))
    rings = middles[:, None, :] + reach[..., None] * np.column_stack([np.cos(angles), np.sin(angles)])
    x, y = degrees_of(rings[..., 0], rings[..., 1], FIRST.z)
    geometries = as_geometries(shapely.orient_polygons(shapely.polygons(np.stack([x, y], axis=-1))))
    with database.write() as connection:
        project = create_project(connection, "town", [("building", "polygon")], zoom=FIRST.z, seed="bench")
        annotator_id(connection, "bench")
        ids = np.array(ensure_tiles(connection, project, tiles))
        statement = insert(Imagery).values(project_id=project.id, kind="geotiff", location="/bench.tif", info={})
        imagery_id = connection.execute(statement.returning(Imagery.id)).scalar_one()
        # Measured before, and gone by now: what is timed is the annotations, not the reading of pixels.
        seen = {"imagery_id": imagery_id, "pixel_share": 1.0, "pixel_source": ""}
        connection.execute(update(TileRow).values(status="approved", **seen))
        features = reserve_ids(connection, Feature, count)
        insert_rows(
            connection,
            Feature,
            {
                "id": features,
                "project_id": [project.id] * count,
                "class_id": [project.classes[0].id] * count,
                "geometry": geometries,
                "verdict": ["accept"] * count,
                "withdrawn": [False] * count,
            },
        )
        split = split_by_tiles(geometries, FIRST.z)
        place = (split.x - FIRST.x) + (split.y - FIRST.y) * side
        inside = (split.x >= FIRST.x) & (split.x < FIRST.x + side) & (place >= 0) & (place < len(tiles))
        insert_rows(
            connection,
            TileFeature,
            {"tile_id": ids[place[inside]], "feature_id": np.array(features)[split.feature[inside]]},
        )


def _in_fresh_process(folder: Path, count: int, format: str) -> tuple[float, float, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (folder, count, format))


def measure(folder: Path, count: int, format: str) -> tuple[float, float, float]:
    """Seconds to freeze, seconds to export, peak megabytes of this process."""
    settings = get_settings()
    settings.data = folder / f"data-{count}-{format}"
    database = open_database(url_of(folder, count))
    with database.read() as connection:
        project = load_project(connection, "town")
    started = time.perf_counter()
    dataset = freeze(database, project, annotator="bench")
    frozen = time.perf_counter()
    export(database, dataset.id, format, settings.data / "out")
    ended = time.perf_counter()
    return frozen - started, ended - frozen, _peak_megabytes()


def _peak_megabytes() -> float:
    """The most this process ever had. getrusage would also count what its parent had when it started this one."""
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


if __name__ == "__main__":
    main()
