"""Examples and features without pixels in exports of projects with holes in their imagery: `python -m bench.holes`.

A quarter of the tiles have no pixels and a sixth are half empty: in a GeoTIFF by its alpha, in a folder by transparent
tiles, on a server by its 404. Every tile is finished and has a building in each of its corners. Each project is
exported to formats with pictures; then each picture is decoded: an example without pixels is one that is black all
over, a feature without pixels a box of it under which every pixel is black.
"""

import base64
import contextlib
import functools
import http.server
import io
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_bounds
from sqlalchemy import insert, update

from db.models import Feature, TileFeature
from db.models import Tile as TileRow
from maploop.database import Database, open_database
from maploop.dataset.export import export, freeze
from maploop.imagery.register import register_imagery
from maploop.imagery.tilemath import Tile, from_pixels
from maploop.imagery.tiles import ensure_tiles
from maploop.project import ProjectView, annotator_id, create_project
from maploop.settings import get_settings

FIRST, SIDE = Tile(18, 138_904, 76_248), 6
BARE, HALF = 0.25, 0.15  # shares of the tiles
TILE_PIXELS = 256
FORMATS = ("openai", "yolo", "coco")
SOURCES = ("geotiff", "folder", "server")
BLACK = 24  # of 255: what a JPEG leaves of black beside a bright edge
CORNERS = ((40, 40), (430, 40), (40, 430), (430, 430))
BUILDING = 40  # pixels of 512 a side


def main() -> None:
    """Print examples and features without pixels by source and format; exit 1 when there is one."""
    print(f"{'':<10}{'tiles':>8}{'holes':>8}" + "".join(f"{each:>26}" for each in FORMATS))
    print(f"{'':<26}" + f"{'examples, without, boxes':>26}" * len(FORMATS))
    worst = 0
    for kind in SOURCES:
        with tempfile.TemporaryDirectory(prefix="maploop-holes-") as scratch:
            counted, holes = measure(kind, Path(scratch))
        worst += sum(bare + unseen for _, bare, unseen in counted)
        cells = "".join(f"{f'{all_}, {bare}, {unseen}':>26}" for all_, bare, unseen in counted)
        print(f"{kind:<10}{SIDE**2:>8}{holes:>8}{cells}")
    print(f"\nExamples and features without pixels: {worst}")
    sys.exit(1 if worst else 0)


def measure(kind: str, folder: Path) -> tuple[list[tuple[int, int, int]], int]:
    """Examples, those without pixels, and boxes without pixels, by format; and how many tiles have no pixels."""
    get_settings().data = folder / "data"
    states = np.random.default_rng(18).random((SIDE, SIDE))
    alphas = {tile: alpha_of(states[tile.y - FIRST.y, tile.x - FIRST.x]) for tile in tiles()}
    location = make_imagery(kind, folder / "imagery", alphas)
    database = open_database(f"sqlite:///{folder / 'holes.sqlite'}")
    with serving(folder / "imagery") if kind == "server" else contextlib.nullcontext("") as address:
        project = lay_town(database, address or location)
        dataset = freeze(database, project, tiles="complete", annotator="bench")
        counted = []
        for format in FORMATS:
            report = export(database, dataset.id, format, folder / format, with_images=format == "coco")
            counted.append(count(format, report.path))
    return counted, sum(not alpha.any() for alpha in alphas.values())


def tiles() -> list[Tile]:
    """All tiles of the town."""
    return [Tile(FIRST.z, FIRST.x + x, FIRST.y + y) for y in range(SIDE) for x in range(SIDE)]


def alpha_of(state: float) -> NDArray[np.uint8]:
    """The alpha of a tile: none, the western half, whole."""
    alpha = np.full((TILE_PIXELS, TILE_PIXELS), 255, dtype=np.uint8)
    if state < BARE + HALF:
        alpha[:, TILE_PIXELS // 2 :] = 0
    if state < BARE:
        alpha[:] = 0
    return alpha


def make_imagery(kind: str, folder: Path, alphas: dict[Tile, NDArray[np.uint8]]) -> Path:
    """Bright imagery with holes; the file or the folder of tiles."""
    folder.mkdir()
    if kind == "geotiff":
        size = SIDE * TILE_PIXELS
        rgba = np.full((4, size, size), 150, dtype=np.uint8)
        for tile, alpha in alphas.items():
            top, left = (tile.y - FIRST.y) * TILE_PIXELS, (tile.x - FIRST.x) * TILE_PIXELS
            rgba[3, top : top + TILE_PIXELS, left : left + TILE_PIXELS] = alpha
        west, _, _, north = FIRST.mercator_bounds
        _, south, east, _ = tiles()[-1].mercator_bounds
        path = folder / "town.tif"
        profile = {"driver": "GTiff", "width": size, "height": size, "count": 4, "dtype": "uint8", "crs": "EPSG:3857"}
        transform = from_bounds(west, south, east, north, size, size)
        with rasterio.open(path, "w", **profile, transform=transform, photometric="RGB", alpha="YES") as file:
            file.write(rgba)
        return path
    for tile, alpha in alphas.items():
        if kind == "server" and not alpha.any():
            continue
        path = folder / f"{tile}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rgb = np.full((TILE_PIXELS, TILE_PIXELS, 3), 150, dtype=np.uint8)
        Image.fromarray(np.dstack([rgb, alpha])).save(path)
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A folder on the loopback address, 404 where there is no file."""

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A folder of tiles as a tile server: its template, while the block lasts."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{{z}}/{{x}}/{{y}}.png"
    finally:
        server.shutdown()
        server.server_close()


def lay_town(database: Database, location: str | Path) -> ProjectView:
    """A project whose tiles are all finished, with a building in every corner of each."""
    west, _, _, north = FIRST.bounds
    _, south, east, _ = tiles()[-1].bounds
    with database.write() as connection:
        project = create_project(connection, "holes", [("building", "polygon")], zoom=FIRST.z, seed="bench")
        annotator_id(connection, "bench")
    bounds = (west, south, east, north) if isinstance(location, str) else None
    imagery = register_imagery(database, project, location, bounds=bounds)["imagery"]
    with database.write() as connection:
        ids = ensure_tiles(connection, project, tiles(), imagery)
        connection.execute(update(TileRow).values(status="complete", split="train"))
        for tile, tile_id in zip(tiles(), ids, strict=True):
            for left, top in CORNERS:
                shape = from_pixels(shapely.box(left, top, left + BUILDING, top + BUILDING), tile, 512)
                values = {"project_id": project.id, "class_id": project.classes[0].id, "geometry": shape}
                statement = insert(Feature).values(**values, verdict="accept").returning(Feature.id)
                feature = connection.execute(statement).scalar_one()
                connection.execute(insert(TileFeature).values(tile_id=tile_id, feature_id=feature))
    return project


def count(format: str, folder: Path) -> tuple[int, int, int]:
    """Examples of an export, those whose picture is black all over, boxes under which every pixel is black."""
    examples = bare = unseen = 0
    for picture, boxes in {"openai": of_openai, "yolo": of_yolo, "coco": of_coco}[format](folder):
        pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).max(axis=2)
        examples += 1
        bare += bool(pixels.max() < BLACK)
        for left, top, right, bottom in boxes * len(pixels):
            inside = pixels[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
            unseen += bool(inside.size and inside.max() < BLACK)
    return examples, bare, unseen


Example = tuple[bytes, NDArray[np.float64]]  # a picture, boxes in shares of it: left, top, right, bottom


def of_openai(folder: Path) -> Iterator[Example]:
    """Pictures of the lines; their answers hold what COCO's and YOLO's do, which are looked at instead."""
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            content = orjson.loads(line)["messages"][1]["content"]
            (url,) = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
            yield base64.b64decode(url.partition(",")[2]), np.zeros((0, 4))


def of_yolo(folder: Path) -> Iterator[Example]:
    """Pictures with the boxes beside them."""
    for path in sorted((folder / "detect" / "images").rglob("*.*")):
        label = folder / "detect" / "labels" / path.parent.name / f"{path.stem}.txt"
        rows = np.array([line.split()[1:] for line in label.read_text().splitlines()], dtype=float).reshape(-1, 4)
        middle, size = rows[:, :2], rows[:, 2:]
        yield path.read_bytes(), np.hstack([middle - size / 2, middle + size / 2])


def of_coco(folder: Path) -> Iterator[Example]:
    """Pictures with the boxes of their annotations."""
    for path in folder.glob("instances_*.json"):
        document = orjson.loads(path.read_bytes())
        for image in document["images"]:
            own = [each["bbox"] for each in document["annotations"] if each["image_id"] == image["id"]]
            rows = np.array(own, dtype=float).reshape(-1, 4) / image["width"]
            picture = (folder / "images" / image["file_name"]).read_bytes()
            yield picture, np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:]])


if __name__ == "__main__":
    main()
