"""What reading a file of features gives: parallel columns, and a report by row."""

from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from maploop.imagery.tilemath import Tile
from maploop.vectors.geometry import Geometries


class RepairedRow(TypedDict):
    """A row that went in after a change; `how` says what changed."""

    row: int
    how: str


class SkippedRow(TypedDict):
    """A row, or parts of it, left out; `reason` says why."""

    row: int
    reason: str


@dataclass(frozen=True)
class FeatureTable:
    """Checked features, one entry a feature in every column, in the order of the file.

    rows            0-based row in the source; repeated for several points, and for parts of several geometry types
    geometries      shapely Polygon or MultiPolygon (outer rings counter-clockwise), LineString or MultiLineString, or
                    Point: valid, 2D, EPSG:4326, x, y
    class_names     names as the project spells them
    scores          0 to 1; nan where the source has none
    crowds          whether it is ground with many features, none of its own (COCO's iscrowd); None: none is
    properties      the source's fields as bounded text, never to be shown as HTML; parts of one row share theirs
    """

    rows: NDArray[np.int64]
    geometries: Geometries
    class_names: NDArray[np.object_]
    scores: NDArray[np.float64]
    properties: list[dict[str, str]]
    crowds: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass
class ReadReport:
    """How a file was read: rows in the source, rows repaired, rows skipped, each ordered by row.

    looked_at   tiles that the file says somebody looked at as a whole, in its order, each once: the images that COCO
                lists, and those of Label Studio's tasks with a finished annotation. Those without a feature are empty
                tiles. A tile with a row whose geometry had to be left out is not among them, as it lacks a feature;
                rows of classes that the project does not have are no reason. They have the zoom of their images, which
                may be another than the project's. Empty for files of map features, which list no images.
    """

    read: int = 0
    repaired: list[RepairedRow] = field(default_factory=list)
    skipped: list[SkippedRow] = field(default_factory=list)
    looked_at: list[Tile] = field(default_factory=list)
