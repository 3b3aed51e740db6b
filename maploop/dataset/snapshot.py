"""What a dataset is: the truth of its tiles at one moment, as canonical bytes whose SHA-256 is the dataset's id."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from maploop.contract import Contract
from maploop.dataset.split import Split
from maploop.errors import InputError
from maploop.imagery.tilemath import Tile
from maploop.project import GeometryType
from maploop.vectors.geometry import Geometries, as_geometries

FORMAT = 1
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
NOBODY = -1  # in columns of indices: no imagery, no annotator, no prediction
Verdict = Literal["accept", "correct", "add"]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SnapshotClass:
    """A class as it was."""

    name: str
    geometry_type: GeometryType
    colour: str
    definition: str


@dataclass(frozen=True)
class SnapshotImagery:
    """Imagery as it was. `id` finds it in the database; `fingerprint` says whether its pixels are still the same.

    `name` is a file name or a host: a location may hold a key. An empty fingerprint: it could not be opened.
    """

    id: int
    name: str
    kind: str
    attribution: str
    licence: str
    may_train: bool
    fingerprint: str


@dataclass(frozen=True)
class TileColumns:
    """Tiles of the project's zoom, ordered by x, then y; imagery and annotator as indices."""

    x: Indices
    y: Indices
    split: NDArray[np.object_]
    imagery: Indices
    annotator: Indices


@dataclass(frozen=True)
class FeatureColumns:
    """Decided features, ordered by id, whole (not cut at tiles), EPSG:4326.

    class_index, annotator      indices; the annotator is whose decision stands
    verdict             accept, correct or add; reject for features that are not there
    geometry            WKB as hexadecimal text
    predicted_class       index of the class the model gave, NOBODY where no model predicted it
    predicted           what the model drew, as WKB in hexadecimal; empty where that is the geometry itself
    """

    id: Indices
    class_index: Indices
    verdict: NDArray[np.object_]
    annotator: Indices
    geometry: NDArray[np.object_]
    predicted_class: Indices
    predicted: NDArray[np.object_]

    @cached_property
    def geometries(self) -> Geometries:
        """The geometries as shapely objects."""
        return as_geometries(shapely.from_wkb(self.geometry))

    @cached_property
    def predicted_geometries(self) -> Geometries:
        """What the model drew; None where no model predicted the feature."""
        drawn = np.where(self.predicted == "", self.geometry, self.predicted)
        drawn[self.predicted_class == NOBODY] = None
        return as_geometries(shapely.from_wkb(drawn))


@dataclass(frozen=True)
class Placements:
    """Which feature lies on which tile: indices into both, ordered by tile, then feature."""

    tile: Indices
    feature: Indices


@dataclass(frozen=True)
class Snapshot:
    """Everything that any format of a dataset is made of, beside the pixels."""

    project: str
    zoom: int
    contract: Contract
    classes: tuple[SnapshotClass, ...]
    imagery: tuple[SnapshotImagery, ...]
    annotators: tuple[str, ...]
    tiles: TileColumns
    features: FeatureColumns
    placements: Placements

    def tile(self, index: int) -> Tile:
        """The address of a tile."""
        return Tile(self.zoom, int(self.tiles.x[index]), int(self.tiles.y[index]))

    @cached_property
    def annotated(self) -> NDArray[np.bool_]:
        """Which features are annotations; the others were rejected."""
        return np.asarray(self.features.verdict != "reject", dtype=np.bool_)

    def to_bytes(self) -> bytes:
        """Canonical bytes: equal snapshots give equal bytes."""
        document = {
            "format": FORMAT,
            "project": self.project,
            "zoom": self.zoom,
            "contract": {**self.contract.to_json(), "hash": self.contract.hash},
            "classes": [asdict(each) for each in self.classes],
            "imagery": [asdict(each) for each in self.imagery],
            "annotators": list(self.annotators),
            "tiles": _plain(self.tiles),
            "features": _plain(self.features),
            "placements": _plain(self.placements),
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    @staticmethod
    def from_bytes(content: bytes) -> "Snapshot":
        """The inverse of `to_bytes`. Raises InputError for another format."""
        document = orjson.loads(content)
        if document["format"] != FORMAT:
            msg = f"The dataset has format {document['format']!r}, this version reads {FORMAT}: upgrade Maploop."
            raise InputError(msg)
        contract = {key: value for key, value in document["contract"].items() if key != "hash"}
        return Snapshot(
            project=document["project"],
            zoom=document["zoom"],
            contract=Contract.from_json(contract),
            classes=tuple(SnapshotClass(**each) for each in document["classes"]),
            imagery=tuple(SnapshotImagery(**each) for each in document["imagery"]),
            annotators=tuple(document["annotators"]),
            tiles=TileColumns(**_columns(document["tiles"])),
            features=FeatureColumns(**_columns(document["features"])),
            placements=Placements(**_columns(document["placements"])),
        )


def id_of(content: bytes) -> str:
    """The id of a dataset: the SHA-256 of its snapshot."""
    return hashlib.sha256(content).hexdigest()


_TEXTS = frozenset({"split", "verdict", "geometry", "predicted"})


def _plain(columns: TileColumns | FeatureColumns | Placements) -> dict[str, list[Any]]:
    return {name: getattr(columns, name).tolist() for name in columns.__dataclass_fields__}


def _columns(lists: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {
        name: np.array(values, dtype=object if name in _TEXTS else np.int64).reshape(-1)
        for name, values in lists.items()
    }
