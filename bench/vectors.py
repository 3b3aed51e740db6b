"""How long reading and writing 1,000 to 100,000 features takes in each format: `python -m bench.vectors`.

Also what the import leans on: splitting by tiles, and matching a newer set of predictions with an older one.
"""

import json
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely

from maploop.imagery.tilemath import Tile, to_pixels
from maploop.vectors.geometry import Geometries, GeometryType, as_geometries, match_features, split_by_tiles
from maploop.vectors.read import read_features
from maploop.vectors.write import VectorFormat, write_features

COUNTS = (1_000, 10_000, 100_000)
ZOOM = 19
CLASSES: dict[str, GeometryType] = {"building": "polygon"}
FORMATS: dict[VectorFormat, tuple[str, float]] = {  # suffix, and the seconds wanted for writing the largest count
    "geojson": (".geojson", 3.0),
    "geopackage": (".gpkg", 5.0),
    "geoparquet": (".parquet", 5.0),
    "flatgeobuf": (".fgb", 5.0),
}
READ_WANTED, SPLIT_WANTED, MATCH_WANTED = 4.0, 1.0, 10.0  # seconds for the largest count
_CORNERS = np.linspace(0, 2 * np.pi, 8, endpoint=False)


def main() -> None:
    """Print seconds by count; exit 1 when the largest count takes longer than wanted."""
    folder = Path(tempfile.mkdtemp(prefix="maploop-bench-"))
    print(f"{'seconds':<36}" + "".join(f"{count:>10,}" for count in COUNTS) + f"{'wanted':>10}")
    try:
        towns = [town(count) for count in COUNTS]
        held = [_report_writing(name, towns, folder) for name in FORMATS]
        held += [_report_reading(name, make, towns, folder) for name, make in _MAKERS.items()]
        held += _report_geometry([as_geometries(frame.geometry.to_numpy()) for frame in towns])
    finally:
        shutil.rmtree(folder)
    sys.exit(0 if all(held) else 1)


def town(count: int) -> geopandas.GeoDataFrame:
    """Roundish buildings of about 10 m in Kampala, as dense as a town, the same for the same count."""
    generator = np.random.default_rng(count)
    side = 0.1 * np.sqrt(count / 100_000)
    middles = np.column_stack([32.5 + side * generator.random(count), 0.3 + side * generator.random(count)])
    reach = generator.uniform(3e-5, 6e-5, (count, len(_CORNERS)))
    rings = middles[:, None, :] + reach[..., None] * np.column_stack([np.cos(_CORNERS), np.sin(_CORNERS)])
    columns = {"class": ["building"] * count, "score": generator.random(count), "osm_id": np.arange(count)}
    return geopandas.GeoDataFrame(columns, geometry=shapely.polygons(rings), crs=4326)


def _report(name: str, actions: list[Callable[[], object]], wanted: float) -> bool:
    """Time each action once and print a line; whether the last is as fast as wanted."""
    seconds = []
    for action in actions:
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    verdict = "" if seconds[-1] <= wanted else "  MISSED"
    print(f"{name:<36}" + "".join(f"{value:>10.3f}" for value in seconds) + f"{wanted:>10.0f}{verdict}", flush=True)
    return not verdict


def _report_writing(name: VectorFormat, towns: list[geopandas.GeoDataFrame], folder: Path) -> bool:
    suffix, wanted = FORMATS[name]

    def writing(frame: geopandas.GeoDataFrame) -> Callable[[], object]:
        return lambda: write_features(frame, folder / f"town{suffix}", name)

    return _report(f"write {name}", [writing(frame) for frame in towns], wanted)


Maker = Callable[[geopandas.GeoDataFrame, Path], Path]


def _report_reading(name: str, make: Maker, towns: list[geopandas.GeoDataFrame], folder: Path) -> bool:
    def reading(frame: geopandas.GeoDataFrame, place: Path) -> Callable[[], object]:
        place.mkdir(parents=True)
        path = make(frame, place)
        return lambda: read_features(path, classes=CLASSES)

    places = [folder / name.replace(" ", "-") / str(len(frame)) for frame in towns]
    actions = [reading(frame, place) for frame, place in zip(towns, places, strict=True)]
    return _report(f"read {name}", actions, READ_WANTED)


def _written(name: VectorFormat) -> Maker:
    def make(frame: geopandas.GeoDataFrame, folder: Path) -> Path:
        path = folder / f"town{FORMATS[name][0]}"
        write_features(frame, path, name)
        return path

    return make


def _utm_geopackage(frame: geopandas.GeoDataFrame, folder: Path) -> Path:
    pyogrio.write_dataframe(frame.to_crs(32636), folder / "town.gpkg", promote_to_multi=True)
    return folder / "town.gpkg"


def _zipped_shapefile(frame: geopandas.GeoDataFrame, folder: Path) -> Path:
    pyogrio.write_dataframe(frame.to_crs(32636), folder / "town.shp")
    with zipfile.ZipFile(folder / "town.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in folder.glob("town.*"):
            if part.suffix != ".zip":
                archive.write(part, part.name)
    return folder / "town.zip"


def _feature_lines(frame: geopandas.GeoDataFrame, folder: Path) -> Path:
    pyogrio.write_dataframe(frame, folder / "town.geojsonl", driver="GeoJSONSeq")
    return folder / "town.geojsonl"


def _multipolygons(frame: geopandas.GeoDataFrame, folder: Path) -> Path:
    pyogrio.write_dataframe(frame, folder / "town.geojson", promote_to_multi=True)
    return folder / "town.geojson"


def _bowties(frame: geopandas.GeoDataFrame, folder: Path) -> Path:
    """Every outline with two corners exchanged."""
    rings = shapely.get_coordinates(frame.geometry).reshape(len(frame), -1, 2)[:, [0, 2, 1, 3, 4, 5, 6, 7, 0]]
    write_features(frame.set_geometry(shapely.polygons(rings), crs=4326), folder / "town.geojson", "geojson")
    return folder / "town.geojson"


def _coco(frame: geopandas.GeoDataFrame, folder: Path) -> Path:
    """The same town in pixels, each building on the image of the first tile it touches."""
    split = split_by_tiles(as_geometries(frame.geometry.to_numpy()), ZOOM)
    _, first = np.unique(split.feature, return_index=True)
    images: dict[Tile, int] = {}
    annotations = []
    for number, (x, y, polygon) in enumerate(zip(split.x[first], split.y[first], frame.geometry, strict=True)):
        tile = Tile(ZOOM, int(x), int(y))
        flat = shapely.get_coordinates(to_pixels(polygon, tile, 512)).round(2).ravel().tolist()
        image = images.setdefault(tile, len(images))
        annotations.append({"id": number, "image_id": image, "category_id": 1, "segmentation": [flat], "score": 0.5})
    document = {
        "images": [
            {"id": number, "file_name": f"{tile}.png", "width": 512, "height": 512} for tile, number in images.items()
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "building"}],
    }
    (folder / "coco.json").write_text(json.dumps(document), encoding="utf-8")
    return folder / "coco.json"


_MAKERS: dict[str, Maker] = {
    **{name: _written(name) for name in FORMATS},
    "geojson, a feature a line": _feature_lines,
    "geojson of multipolygons": _multipolygons,
    "geojson, every outline crossed": _bowties,
    "geopackage in EPSG:32636": _utm_geopackage,
    "zipped shapefile in EPSG:32636": _zipped_shapefile,
    "coco": _coco,
}


def _report_geometry(towns: list[Geometries]) -> list[bool]:
    def moved(geometries: Geometries) -> Geometries:
        return as_geometries(shapely.transform(geometries, lambda points: points + 5e-6))

    def splitting(geometries: Geometries) -> Callable[[], object]:
        return lambda: split_by_tiles(geometries, ZOOM)

    def matching(geometries: Geometries, kind: GeometryType) -> Callable[[], object]:
        earlier = moved(geometries)
        return lambda: match_features(geometries, earlier, kind)

    lines = [as_geometries(shapely.boundary(polygons)) for polygons in towns]
    points = [as_geometries(shapely.centroid(polygons)) for polygons in towns]
    return [
        _report(f"split by tiles of zoom {ZOOM}", [splitting(polygons) for polygons in towns], SPLIT_WANTED),
        _report("match polygons with as many", [matching(each, "polygon") for each in towns], MATCH_WANTED),
        _report("match lines with as many", [matching(each, "line") for each in lines], MATCH_WANTED),
        _report("match points with as many", [matching(each, "point") for each in points], MATCH_WANTED),
    ]


if __name__ == "__main__":
    main()
