"""Files of features, made on the spot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from maploop.vectors.geometry import GeometryType

CLASSES: dict[str, GeometryType] = {"building": "polygon", "road": "line", "tap": "point"}


@pytest.fixture
def classes() -> dict[str, GeometryType]:
    return dict(CLASSES)


def feature(geometry: BaseGeometry | dict[str, Any] | None, **properties: Any) -> dict[str, Any]:
    """A GeoJSON Feature."""
    shape = shapely.geometry.mapping(geometry) if isinstance(geometry, BaseGeometry) else geometry
    return {"type": "Feature", "geometry": shape, "properties": properties}


WriteJson = Callable[..., Path]


@pytest.fixture
def write_json(tmp_path: Path) -> WriteJson:
    """Write features (or any other document) to a file and give its path."""

    def write(*features: Any, document: Any = None, name: str = "file.geojson", **members: Any) -> Path:
        path = tmp_path / name
        collection = {"type": "FeatureCollection", "features": list(features), **members}
        path.write_text(json.dumps(collection if document is None else document), encoding="utf-8")
        return path

    return write


@pytest.fixture
def make_feature() -> Callable[..., dict[str, Any]]:
    return feature


@pytest.fixture
def town() -> geopandas.GeoDataFrame:
    """Three buildings, one with a yard, in Kampala."""
    buildings = [
        shapely.box(32.5950, 0.3500, 32.5952, 0.3501),
        shapely.box(32.5955, 0.3500, 32.5957, 0.3502).difference(shapely.box(32.5955, 0.3501, 32.59565, 0.35015)),
        shapely.Polygon(
            shapely.box(32.5960, 0.3500, 32.5964, 0.3503).exterior,
            [shapely.box(32.5961, 0.3501, 32.5962, 0.3502).exterior],
        ),
    ]
    frame = {"class": ["building"] * 3, "score": [0.9, 0.5, None], "osm_id": [1, 2, 3]}
    return geopandas.GeoDataFrame(frame, geometry=buildings, crs="EPSG:4326")
