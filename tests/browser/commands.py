"""A row of tiles with red houses as a GeoTIFF, and their outlines: where the local model learns in seconds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from rasterio.transform import from_bounds

from maploop.imagery.tilemath import Tile, from_pixels
from maploop.sample.town import write_features
from tests.browser.conftest import AppServer
from tests.builders import CORNER
from tests.tune.ground import SIZE, Painted, houses


def paint(folder: Path, count: int) -> tuple[Path, Path]:
    """The GeoTIFF of so many tiles, and the outlines of the houses on them."""
    painted = Painted()
    tiles = [Tile(CORNER.z, CORNER.x + column, CORNER.y) for column in range(count)]
    picture = np.concatenate([painted.read(tile, SIZE) for tile in tiles], axis=1)[..., :3]
    left, bottom, _, top = tiles[0].mercator_bounds
    right = tiles[-1].mercator_bounds[2]
    folder.mkdir(parents=True, exist_ok=True)
    imagery, truth = folder / "houses.tif", folder / "truth.geojson"
    profile = {"driver": "GTiff", "width": count * SIZE, "height": SIZE, "count": 3, "dtype": "uint8"}
    transform = from_bounds(left, bottom, right, top, count * SIZE, SIZE)
    with rasterio.open(imagery, "w", **profile, crs="EPSG:3857", transform=transform) as raster:
        raster.write(np.moveaxis(picture, 2, 0))
    write_features(
        truth,
        (
            (from_pixels(shapely.box(*box), tile, SIZE), {"class": "building"})
            for column, tile in enumerate(tiles)
            for box in houses(column)
        ),
    )
    return imagery, truth


def maploop(server: AppServer, *arguments: object) -> dict[str, Any]:
    """What `maploop ... --json` prints, on the app's database."""
    database = f"sqlite:///{server.data / 'maploop.sqlite'}"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from maploop.cli import main; main()",
            *map(str, arguments),
            "--db",
            database,
            "--json",
        ],
        env={"MAPLOOP_DATA": str(server.data), "MAPLOOP_USER": "anna", "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
